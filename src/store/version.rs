//! Whether the schema of a store is the one of this careloop: each migration, to the byte.

use sqlx::migrate::{MigrateError, Migrator};

use super::Error;

/// A schema of another version is neither read nor written.
///
/// # Errors
/// [`Error::Setup`] with what to do, for an older, a newer or a changed schema.
pub(super) fn check(ours: &Migrator, applied: &[(i64, Vec<u8>)]) -> Result<(), Error> {
    let wanted = ours.iter().count();
    if wanted != applied.len() {
        return Err(Error::Setup(format!(
            "store: expected schema version {wanted}, found {}; upgrade it with `careloop migrate` (PostgreSQL) or by starting `careloop serve` (SQLite), or use the careloop it belongs to",
            applied.len()
        )));
    }
    for (own, (version, checksum)) in ours.iter().zip(applied) {
        if (own.version, &*own.checksum) != (*version, checksum.as_slice()) {
            return Err(changed(*version));
        }
    }
    Ok(())
}

/// Why migrating failed.
pub(super) fn failed(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) => Error::from(error),
        MigrateError::VersionMissing(number) => Error::Setup(format!(
            "store: expected the schema of this careloop or an older one, found migration {number} of a newer one; use the careloop it belongs to"
        )),
        MigrateError::VersionMismatch(number) => changed(number),
        other => Error::Setup(format!("store: the schema cannot be migrated: {other}")),
    }
}

fn changed(number: i64) -> Error {
    Error::Setup(format!(
        "store: migration {number} of this store is not the one of this careloop, which cannot read what it made; use the careloop it belongs to, or make a new store"
    ))
}
