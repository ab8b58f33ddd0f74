//! Sealed cells: `H1 | suite | key id | nonce | ciphertext | tag`, AES-256-GCM, 35 bytes of overhead.
//!
//! The additional data binds a cell to its place. Nonces are random; a key of this house seals far
//! fewer than the 2^32 cells that random nonces allow (a person's rows, or one day's messages).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use super::{Error, Key, KeyId};

const MAGIC: [u8; 2] = *b"H1";
const SUITE_AES_256_GCM: u8 = 1;
const HEAD: usize = 2 + 1 + 4 + NONCE_LEN;
const TAG: usize = 16;

/// Where a cell belongs; a cell opens nowhere else.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The tenant's number.
    pub tenant: i64,
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's key.
    pub row: &'a [u8],
}

impl Place<'_> {
    /// Every part behind its length, so that no two places share an encoding.
    fn additional_data(&self, key: &Key) -> Vec<u8> {
        let mut data = Vec::with_capacity(64);
        let tenant = self.tenant.to_be_bytes();
        let id = key.id().0.to_be_bytes();
        let parts: [&[u8]; 6] = [
            &[SUITE_AES_256_GCM],
            &id,
            &tenant,
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.row,
        ];
        for part in parts {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            data.extend_from_slice(&length.to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

fn cipher(key: &Key) -> Result<LessSafeKey, Error> {
    UnboundKey::new(&AES_256_GCM, key.bytes())
        .map(LessSafeKey::new)
        .map_err(|_unspecified| Error::Integrity)
}

/// Seals `plain` under `key` for `place`.
///
/// # Errors
/// [`Error::NoRandomness`] when the system has none.
pub fn seal(key: &Key, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
    let mut nonce = [0_u8; NONCE_LEN];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_unspecified| Error::NoRandomness)?;
    let mut body = plain.to_vec();
    let aad = Aad::from(place.additional_data(key));
    cipher(key)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
        .map_err(|_unspecified| Error::Integrity)?;
    let mut cell = Vec::with_capacity(HEAD + body.len());
    cell.extend_from_slice(&MAGIC);
    cell.push(SUITE_AES_256_GCM);
    cell.extend_from_slice(&key.id().0.to_be_bytes());
    cell.extend_from_slice(&nonce);
    cell.append(&mut body);
    Ok(cell)
}

/// The number of the key that a cell wants.
///
/// # Errors
/// [`Error::NoCell`].
pub fn key_of(cell: &[u8]) -> Result<KeyId, Error> {
    let no_cell = || Error::NoCell(cell.len());
    if cell.len() < HEAD + TAG {
        return Err(no_cell());
    }
    let id = cell
        .strip_prefix(&MAGIC)
        .and_then(|rest| rest.strip_prefix(&[SUITE_AES_256_GCM]))
        .and_then(|rest| rest.first_chunk::<4>())
        .ok_or_else(no_cell)?;
    Ok(KeyId(u32::from_be_bytes(*id)))
}

/// Opens a cell that was sealed under `key` for `place`. There is no trial decryption: the cell
/// says which key it wants.
///
/// # Errors
/// [`Error::NoCell`], [`Error::WrongKey`] or [`Error::Integrity`].
pub fn open(key: &Key, place: &Place<'_>, cell: &[u8]) -> Result<Vec<u8>, Error> {
    let id = key_of(cell)?;
    if id != key.id() {
        return Err(Error::WrongKey {
            expected: key.id().0,
            found: id.0,
        });
    }
    let no_cell = || Error::NoCell(cell.len());
    let (head, body) = cell.split_at_checked(HEAD).ok_or_else(no_cell)?;
    let nonce = head.last_chunk::<NONCE_LEN>().ok_or_else(no_cell)?;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let mut body = body.to_vec();
    let aad = Aad::from(place.additional_data(key));
    let length = cipher(key)?
        .open_in_place(nonce, aad, &mut body)
        .map_err(|_unspecified| Error::Integrity)?
        .len();
    body.truncate(length);
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(row: &[u8]) -> Place<'_> {
        Place {
            tenant: 1,
            table: "assertion",
            column: "cell",
            row,
        }
    }

    #[test]
    fn a_cell_opens_only_where_it_belongs() {
        let key = Key::generate(KeyId(7)).unwrap();
        let cell = seal(&key, &place(b"a"), b"Ada Example").unwrap();
        assert_eq!(cell.len(), 11 + 35);
        assert_eq!(open(&key, &place(b"a"), &cell).unwrap(), b"Ada Example");
        assert_eq!(open(&key, &place(b"b"), &cell), Err(Error::Integrity));
        let elsewhere = Place {
            tenant: 2,
            ..place(b"a")
        };
        assert_eq!(open(&key, &elsewhere, &cell), Err(Error::Integrity));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let key = Key::generate(KeyId(7)).unwrap();
        let cell = seal(&key, &place(b"a"), b"Ada Example").unwrap();
        for index in 0..cell.len() {
            let mut changed = cell.clone();
            changed[index] ^= 1;
            assert!(open(&key, &place(b"a"), &changed).is_err(), "byte {index}");
        }
        for length in 0..cell.len() {
            assert!(open(&key, &place(b"a"), &cell[..length]).is_err());
        }
    }

    #[test]
    fn a_cell_says_which_key_it_wants() {
        let key = Key::generate(KeyId(0x0102_0304)).unwrap();
        let cell = seal(&key, &place(b"a"), b"x").unwrap();
        assert_eq!(key_of(&cell), Ok(KeyId(0x0102_0304)));
        assert_eq!(cell[3..7], [1, 2, 3, 4], "statements compare these bytes");
        assert_eq!(key_of(&[]), Err(Error::NoCell(0)), "what was destroyed");
    }

    #[test]
    fn a_wrapped_key_opens_what_it_sealed() {
        let outer = Key::generate(KeyId(1)).unwrap();
        let inner = Key::generate(KeyId(2)).unwrap();
        let wrapped = inner.wrap(&outer, &place(b"k")).unwrap();
        let again = Key::unwrap(KeyId(2), &wrapped, &outer, &place(b"k")).unwrap();
        let cell = seal(&inner, &place(b"a"), b"x").unwrap();
        assert_eq!(open(&again, &place(b"a"), &cell).unwrap(), b"x");
    }

    #[test]
    fn a_root_key_is_read_back_from_its_text() {
        let key = Key::generate_root().unwrap();
        let again = Key::from_root_text(key.to_root_text().as_bytes()).unwrap();
        assert_eq!((key.bytes(), key.id()), (again.bytes(), again.id()));
        let raw = Key::from_root_text(key.bytes()).unwrap();
        assert_eq!(key.id(), raw.id());
        assert_ne!(key.id(), Key::generate_root().unwrap().id());
        assert!(Key::from_root_text(b"short").is_err());
    }
}
