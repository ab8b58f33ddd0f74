//! The bytes of a body as text, whatever they are.

use std::borrow::Cow;

/// What stands for a byte that is no UTF-8: a control character, which the reader refuses where it
/// meets it, so that only the entry that holds it is lost.
pub(super) const NOT_UTF8: u8 = 0x1a;

/// The bytes as text of the same length, so that places stay what they are: with [`NOT_UTF8`] for
/// every byte that is no UTF-8.
pub(super) fn of(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::from(NOT_UTF8)));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn offsets_stay_what_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(of(&bytes).len(), bytes.len());
        }

        #[test]
        fn text_is_borrowed_as_it_is(text in "\\PC{0,20}") {
            prop_assert!(matches!(of(text.as_bytes()), Cow::Borrowed(same) if same == text));
        }
    }
}
