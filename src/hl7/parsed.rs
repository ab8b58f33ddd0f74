//! The facade of the `hl7-parser` crate: the only file that names it.
//!
//! On its own that crate drops what it does not expect and still answers `Ok` (a blank line, a
//! segment without separator, a leading space), panics in its escape decoder and its date
//! conversions, and takes some 250 bytes of memory per byte of separators. So it never sees a
//! message. It is given one field or less, cut out by our own index, and its tree is used only if
//! the parts, put back together, are as long as the text. Where it cannot take the delimiters (no
//! subcomponents declared, text with CR) or the text is long, the text is split here. The splitting
//! here is the truth: a property test holds both against each other.

use hl7_parser::message::{Component, Repeat, Separators, Subcomponent};
use hl7_parser::parser::{
    parse_component_with_separators, parse_field_with_separators, parse_repeat_with_separators,
};

use super::delimiters::Delimiters;

/// The longest text given to the crate, in bytes: bounds its tree to a few megabytes.
const MAX_TREE_BYTES: usize = 8 * 1024;

/// All repetitions of a field's text.
pub(super) fn repetitions<'a>(text: &'a str, delimiters: &Delimiters) -> Vec<&'a str> {
    field_tree(text, delimiters)
        .unwrap_or_else(|| text.split(char::from(delimiters.repetition)).collect())
}

/// Repetition `number` of a field's text, counted from 1.
pub(super) fn repetition<'a>(
    text: &'a str,
    number: usize,
    delimiters: &Delimiters,
) -> Option<&'a str> {
    pick(text, number, delimiters.repetition, || {
        field_tree(text, delimiters)
    })
}

/// Component `number` of a repetition's text, counted from 1.
pub(super) fn component<'a>(
    text: &'a str,
    number: usize,
    delimiters: &Delimiters,
) -> Option<&'a str> {
    pick(text, number, delimiters.component, || {
        repetition_tree(text, delimiters)
    })
}

/// Subcomponent `number` of a component's text, counted from 1.
pub(super) fn subcomponent<'a>(
    text: &'a str,
    number: usize,
    delimiters: &Delimiters,
) -> Option<&'a str> {
    let Some(separator) = delimiters.subcomponent else {
        return (number == 1).then_some(text);
    };
    pick(text, number, separator, || component_tree(text, delimiters))
}

/// The part at `number`, from the crate's tree or split here.
fn pick<'a>(
    text: &'a str,
    number: usize,
    separator: u8,
    tree: impl FnOnce() -> Option<Vec<&'a str>>,
) -> Option<&'a str> {
    let place = number.checked_sub(1)?;
    let separator = char::from(separator);
    if !text.contains(separator) {
        return (place == 0).then_some(text);
    }
    match tree() {
        Some(parts) => parts.get(place).copied(),
        None => text.split(separator).nth(place),
    }
}

fn field_tree<'a>(text: &'a str, delimiters: &Delimiters) -> Option<Vec<&'a str>> {
    let separators = separators(text, delimiters)?;
    let tree = parse_field_with_separators(text, separators).ok()?;
    whole(text, tree.repeats().map(Repeat::raw_value).collect())
}

fn repetition_tree<'a>(text: &'a str, delimiters: &Delimiters) -> Option<Vec<&'a str>> {
    let separators = separators(text, delimiters)?;
    let tree = parse_repeat_with_separators(text, separators).ok()?;
    whole(text, tree.components().map(Component::raw_value).collect())
}

fn component_tree<'a>(text: &'a str, delimiters: &Delimiters) -> Option<Vec<&'a str>> {
    let separators = separators(text, delimiters)?;
    let tree = parse_component_with_separators(text, separators).ok()?;
    whole(
        text,
        tree.subcomponents().map(Subcomponent::raw_value).collect(),
    )
}

/// The parts, if with one separator between them they are as long as the text.
fn whole<'a>(text: &str, parts: Vec<&'a str>) -> Option<Vec<&'a str>> {
    let between = parts.len().checked_sub(1)?;
    let length: usize = parts.iter().map(|part| part.len()).sum();
    (length + between == text.len()).then_some(parts)
}

/// The crate's separators, or `None` where it is not to be asked.
fn separators(text: &str, delimiters: &Delimiters) -> Option<Separators> {
    if text.len() > MAX_TREE_BYTES {
        return None;
    }
    Some(Separators {
        field: char::from(delimiters.field),
        component: char::from(delimiters.component),
        subcomponent: char::from(delimiters.subcomponent?),
        repetition: char::from(delimiters.repetition),
        // Only its decoder uses this one, and that is never called.
        escape: char::from(delimiters.escape.unwrap_or(b'\\')),
        lenient_newlines: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hl7::{Message, Path};
    use proptest::prelude::*;

    /// Own splitting only.
    fn split(text: &str, separator: u8) -> Vec<&str> {
        text.split(char::from(separator)).collect()
    }

    proptest! {
        #[test]
        fn the_crate_agrees_with_our_own_splitting(text in "[a-c^~&\\\\#\u{e9} \n\"]{0,40}") {
            let d = Delimiters::default();
            let tree = field_tree(&text, &d);
            prop_assert_eq!(tree.clone(), Some(split(&text, b'~')));
            for repetition in tree.unwrap_or_default() {
                let tree = repetition_tree(repetition, &d);
                prop_assert_eq!(tree.clone(), Some(split(repetition, b'^')));
                for component in tree.unwrap_or_default() {
                    prop_assert_eq!(component_tree(component, &d), Some(split(component, b'&')));
                }
            }
        }

        #[test]
        fn whatever_the_text_the_answer_is_that_of_our_own_splitting(
            text in "\\PC*|[\\^~&|\r\n\\PC]{0,60}",
            number in 1_usize..6,
        ) {
            let d = Delimiters::default();
            let nth = |separator| split(&text, separator).get(number - 1).copied();
            prop_assert_eq!(repetitions(&text, &d), split(&text, b'~'));
            prop_assert_eq!(repetition(&text, number, &d), nth(b'~'));
            prop_assert_eq!(component(&text, number, &d), {
                if text.contains('^') { nth(b'^') } else { (number == 1).then_some(&*text) }
            });
            prop_assert_eq!(subcomponent(&text, number, &d), nth(b'&'));
        }
    }

    fn field_agrees(
        ours: &Message,
        path: &str,
        field: &hl7_parser::message::Field<'_>,
    ) -> Result<(), TestCaseError> {
        let raw = |path: &str| ours.raw(&Path::parse(path).unwrap());
        for (r, repeat) in field.repeats().enumerate() {
            let path = format!("{path}[{}]", r + 1);
            prop_assert_eq!(raw(&path), Some(repeat.raw_value()));
            for (c, component) in repeat.components().enumerate() {
                let path = format!("{path}.{}", c + 1);
                prop_assert_eq!(raw(&path), Some(component.raw_value()));
                for (s, part) in component.subcomponents().enumerate() {
                    prop_assert_eq!(raw(&format!("{path}.{}", s + 1)), Some(part.raw_value()));
                }
            }
        }
        Ok(())
    }

    /// Every part of the crate's own tree of the whole message, by our paths.
    fn agrees(text: &str) -> Result<(), TestCaseError> {
        let ours = Message::parse(text).unwrap();
        let theirs = hl7_parser::Message::parse(text).unwrap();
        prop_assert_eq!(theirs.raw_value(), text);
        for (segment, own) in theirs.segments().zip(ours.segments()) {
            prop_assert_eq!(segment.raw_value(), own.raw());
            let start = format!("{}[{}]-", own.name(), own.occurrence());
            for (f, field) in segment.fields().enumerate() {
                let path = format!("{start}{}", f + 1);
                field_agrees(&ours, &path, field)?;
            }
        }
        prop_assert_eq!(theirs.segments().count(), ours.segments().count());
        Ok(())
    }

    proptest! {
        #[test]
        fn our_paths_agree_with_the_crates_tree_of_a_whole_message(
            body in "(\r[A-Z][A-Z0-9]{2}(\\|[a-cé^~&\\\\\" ]{0,9}){1,6}){0,5}",
        ) {
            prop_assume!(!body.contains("\rMSH"));
            agrees(&format!("MSH|^~\\&|A^B|C||||2026||ADT^A08{body}"))?;
        }
    }

    #[test]
    fn long_texts_and_odd_delimiters_are_split_here() {
        let long = "x~".repeat(MAX_TREE_BYTES);
        assert_eq!(
            repetitions(&long, &Delimiters::default()).len(),
            MAX_TREE_BYTES + 1
        );
        let bare = Delimiters {
            subcomponent: None,
            escape: None,
            ..Delimiters::default()
        };
        assert_eq!(component("a^b&c", 2, &bare), Some("b&c"));
        assert_eq!(subcomponent("b&c", 1, &bare), Some("b&c"));
        assert_eq!(subcomponent("b&c", 2, &bare), None);
        assert_eq!(component("a", 0, &bare), None);
    }
}
