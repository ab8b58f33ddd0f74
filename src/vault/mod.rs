//! Keys, sealing and blind indexes: what is protected at rest is unreadable without the root key.
//!
//! Root key (outside the database) ▸ tenant key ▸ person keys and inbox keys of the day ▸ cells.
//! A cell names its key and is bound to its place (tenant, table, column, row), so a cell that was
//! moved or swapped does not open. A root key's number is drawn from the key, so that it can be told
//! from another one before anything is tried.

mod cell;
mod index;
mod key;

pub use cell::{Place, key_of, open, seal};
pub use index::IndexKey;
pub use key::{Key, KeyId};

/// Why something protected could not be opened or made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The key text is not 32 bytes, raw or as 64 hexadecimal digits.
    #[error(
        "root key: expected 32 bytes or 64 hexadecimal digits, found {0} bytes; make one with `careloop keys init`"
    )]
    BadRootKey(usize),
    /// The bytes are no cell.
    #[error("cell: expected a sealed cell, found {0} bytes of another form")]
    NoCell(usize),
    /// The cell names another key than the one given.
    #[error("cell: expected key {expected}, found key {found}")]
    WrongKey {
        /// The key at hand.
        expected: u32,
        /// The key that the cell names.
        found: u32,
    },
    /// The key that the cell names is not there, or not any more.
    #[error(
        "cell: expected key {0} in the store, found none; was a part of another time restored?"
    )]
    NoKey(u32),
    /// The cell was changed, moved to another place, or sealed under another key.
    #[error(
        "cell: integrity failure; the cell was changed or moved, or the root key is another one"
    )]
    Integrity,
    /// The system gives no random bytes.
    #[error("no random bytes from the system")]
    NoRandomness,
}
