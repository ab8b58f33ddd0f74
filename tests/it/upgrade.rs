//! A filled store whose newest migrations were undone is upgraded and goes on where it stopped; the schema
//! of another version, or one that was changed, is neither read nor written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sqlx::migrate::Migrator;
use uuid::Uuid;

use crate::support::behind::Behind;
use crate::support::clinic::diagnosed;
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::serving::bare;

const PHONE: &str = "(518)555-0101";
/// The last migration of the older version.
const OLDER: i64 = 19;
/// What the migrations after it made.
const SINCE: [&str; 3] = [
    "DROP TABLE test_task",
    "DROP INDEX identifier_assignment_of",
    "DROP INDEX identity_check_since",
];

/// The migrations of a store, by number.
fn migrations(is_postgres: bool) -> Vec<(i64, PathBuf)> {
    let store = if is_postgres { "postgres" } else { "sqlite" };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(root.join("migrations").join(store)).unwrap();
    let mut found: Vec<(i64, PathBuf)> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            (name.split('_').next().unwrap().parse().unwrap(), path)
        })
        .collect();
    found.sort();
    found
}

/// Everything that migrations make, with its types and conditions.
async fn schema(behind: &Behind) -> BTreeSet<(String, String)> {
    let statements = if behind.is_postgres() {
        [
            "SELECT table_name::text || '.' || column_name::text, data_type::text || is_nullable::text || coalesce(column_default::text, '') \
             FROM information_schema.columns WHERE table_schema = 'public'",
            "SELECT indexname::text, indexdef::text FROM pg_indexes WHERE schemaname = 'public'",
        ]
    } else {
        [
            "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'",
            "SELECT '', ''",
        ]
    };
    let mut found = BTreeSet::new();
    for statement in statements {
        found.extend(behind.pairs(statement).await);
    }
    found
}

/// What the older version's migrations make of an empty database.
async fn older_schema(database: &Database) -> BTreeSet<(String, String)> {
    let folder = database.folder.path().join("older");
    std::fs::create_dir(&folder).unwrap();
    for (number, path) in migrations(database.behind.is_some()) {
        if number <= OLDER {
            std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
    }
    let migrator = Migrator::new(folder.as_path()).await.unwrap();
    let empty = database.empty().await;
    match &empty {
        Behind::Sqlite(pool) => migrator.run(pool).await.unwrap(),
        Behind::Postgres(pool) => migrator.run(pool).await.unwrap(),
    }
    let made = schema(&empty).await;
    empty.close().await;
    made
}

/// Takes the schema of a stopped hub back to the older version's; its rows stay.
async fn make_older(database: &Database) {
    let behind = Behind::open(database).await;
    for statement in SINCE {
        behind.run(statement).await;
    }
    let newer = format!("DELETE FROM _sqlx_migrations WHERE version > {OLDER}");
    assert!(behind.run(&newer).await > 0);
    assert_eq!(
        schema(&behind).await,
        older_schema(database).await,
        "undo what the migrations since made, too"
    );
    behind.close().await;
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `careloop migrate` as the owner of the schema.
fn migrate(database: &Database) -> Command {
    let mut command = bare(database, "", &["migrate"]);
    if database.behind.is_some() {
        let owner = database.url.replace("careloop_app@", "careloop_owner@");
        command.env("CARELOOP__STORE__OWNER_URL", owner);
    }
    command
}

/// A hub of one person with a task that has left, stopped.
async fn filled(database: Database) -> (Database, Setup, Uuid) {
    let hub = Hub::start(database, Setup::default()).await;
    let said = diagnosed("TEST-1", PHONE);
    hub.peer("adt").await.send_bytes(said.as_bytes()).await;
    hub.settled().await;
    let person = hub.person("TEST-1").await;
    hub.until_task_is(person, "requested").await;
    let (daemon, database, setup) = hub.apart();
    daemon.stop().await;
    (database, setup, person)
}

on_each_store! {
    async fn a_store_that_an_older_version_filled_is_upgraded_and_goes_on(database) {
        let (database, setup, person) = filled(database).await;
        make_older(&database).await;
        let early = bare(&database, "", &["status"]).output().unwrap();
        assert_eq!(early.status.code(), Some(78));
        let all = migrations(database.behind.is_some());
        let older = all.iter().filter(|(number, _)| *number <= OLDER).count();
        let says = format!("expected schema version {}, found {older}; upgrade it with `careloop migrate`", all.len());
        assert!(text(&early).contains(&says), "{}", text(&early));
        if database.behind.is_some() {
            let refused = bare(&database, "", &["serve"]).output().unwrap();
            assert!(refused.status.code() == Some(78) && text(&refused).contains(&says), "{}", text(&refused));
        }
        let migrated = migrate(&database).output().unwrap();
        assert!(migrated.status.success(), "{}", text(&migrated));

        let hub = Hub::start(database, setup).await;
        assert_eq!(hub.person("TEST-1").await, person, "who was known is known");
        assert_eq!(hub.task_of(person).await.state, "requested");
        let mut peer = hub.peer("adt").await;
        peer.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
        peer.send_bytes(diagnosed("TEST-2", "(518)555-0102").as_bytes()).await;
        hub.settled().await;
        let counts = hub.counts().await;
        assert_eq!((counts.received, counts.duplicate, counts.held), (2, 1, 0));
        hub.until_task_is(hub.person("TEST-2").await, "requested").await;
        assert_eq!(hub.spooled().len(), 2, "what had left does not leave again");
        let behind = Behind::open(&hub.database).await;
        let found = behind.number("SELECT count(*) FROM _sqlx_migrations WHERE success").await;
        assert_eq!(usize::try_from(found).unwrap(), all.len());
        behind.close().await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn the_schema_of_a_newer_version_is_refused_and_left_alone(database) {
        let (database, _, _) = filled(database).await;
        let behind = Behind::open(&database).await;
        let newer = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
            SELECT 9999, 'newer', installed_on, success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
        assert_eq!(behind.run(newer).await, 1);
        let before = schema(&behind).await;
        for command in [&["serve"][..], &["status"], &["message", "count"]] {
            let refused = bare(&database, "", command).output().unwrap();
            assert_eq!(refused.status.code(), Some(78), "{command:?}");
            let told = text(&refused);
            assert!(told.contains("use the careloop it belongs to"), "{command:?}: {told}");
        }
        if database.behind.is_some() {
            let refused = migrate(&database).output().unwrap();
            assert_eq!(refused.status.code(), Some(78));
            assert!(text(&refused).contains("migration 9999"), "{}", text(&refused));
        }
        assert_eq!(schema(&behind).await, before);
        behind.close().await;
    }
}

on_each_store! {
    async fn a_schema_that_another_careloop_made_otherwise_is_refused(database) {
        let (database, _, _) = filled(database).await;
        let behind = Behind::open(&database).await;
        let otherwise = "UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 1) WHERE version = 3";
        assert_eq!(behind.run(otherwise).await, 1);
        behind.close().await;
        for command in [&["serve"][..], &["status"], &["message", "count"]] {
            let refused = bare(&database, "", command).output().unwrap();
            assert_eq!(refused.status.code(), Some(78), "{command:?}");
            let told = text(&refused);
            assert!(told.contains("migration 3 of this store is not the one of this careloop"), "{command:?}: {told}");
        }
    }
}
