//! Reads the files of facts into the table.

use std::collections::HashMap;

use super::primitive::PRIMITIVES;
use super::{Definitions, Element, Release, Type, TypeId, bit};

const FILES: [&str; 5] = [
    include_str!("datatypes.txt"),
    include_str!("people.txt"),
    include_str!("care.txt"),
    include_str!("clinical.txt"),
    include_str!("exchange.txt"),
];

/// The table and the lines that were not understood: none, which a test holds.
pub(super) fn all() -> (Definitions, Vec<String>) {
    let mut loading = Loading::default();
    for (name, _, primitive) in PRIMITIVES {
        loading.open(name, bits(&[]), Some(primitive));
    }
    let lines = || {
        FILES
            .iter()
            .flat_map(|file| file.lines())
            .filter(|line| is_fact(line))
    };
    for line in lines().filter(|line| !line.starts_with(' ')) {
        let (words, releases) = split(line);
        loading.open(words.first().copied().unwrap_or_default(), releases, None);
    }
    for (name, base, _) in PRIMITIVES {
        loading.derive(name, base);
    }
    let mut current = None;
    for line in lines() {
        if line.starts_with(' ') {
            let done = current.and_then(|id| loading.element(id, line));
            if done.is_none() {
                loading.problems.push(line.to_owned());
            }
        } else {
            current = loading.header(line);
        }
    }
    let Loading {
        types,
        by_name,
        problems,
        ..
    } = loading;
    (Definitions { types, by_name }, problems)
}

#[derive(Default)]
struct Loading {
    types: Vec<Type>,
    by_name: HashMap<&'static str, TypeId>,
    /// The types of `Extension.value[x]`, by release.
    open: Vec<(u8, &'static str)>,
    problems: Vec<String>,
}

impl Loading {
    fn open(&mut self, name: &'static str, releases: u8, primitive: Option<super::Primitive>) {
        let Ok(place) = u16::try_from(self.types.len()) else {
            return self.problems.push(name.to_owned());
        };
        if self.by_name.insert(name, TypeId(place)).is_some() {
            self.problems.push(name.to_owned());
        }
        let elements = Vec::new();
        self.types.push(Type {
            name,
            base: None,
            releases,
            primitive,
            elements,
        });
    }

    fn derive(&mut self, name: &'static str, base: &str) {
        let id = self.by_name.get(name).copied();
        let base = self.by_name.get(base).copied();
        match id.and_then(|id| self.types.get_mut(usize::from(id.0))) {
            Some(found) if base.is_some_and(|base| Some(base) != id) => found.base = base,
            _ => self.problems.push(name.to_owned()),
        }
    }

    fn header(&mut self, line: &'static str) -> Option<TypeId> {
        let (words, _) = split(line);
        match words.as_slice() {
            [name, "<", base] => {
                self.derive(name, base);
                self.by_name.get(name).copied()
            }
            [name] => self.by_name.get(name).copied(),
            _ => {
                self.problems.push(line.to_owned());
                None
            }
        }
    }

    /// Adds an element to a type; `None` for a line that is not understood.
    fn element(&mut self, id: TypeId, line: &'static str) -> Option<()> {
        let (words, releases) = split(line);
        let (name, types, many) = match words.as_slice() {
            [name, types] => (*name, *types, false),
            [name, types, "*"] => (*name, *types, true),
            _ => return None,
        };
        let of = self.types.get(usize::from(id.0))?.name;
        if (of, name) == ("Extension", "value[x]") {
            self.open.push((releases, types));
        }
        let expanded = if types == "open" {
            self.open
                .iter()
                .filter(|(these, _)| these & releases != 0)
                .copied()
                .collect()
        } else {
            vec![(releases, types)]
        };
        if expanded.is_empty() {
            return None;
        }
        for (these, types) in expanded {
            let element = self.one(name, types, many, these & releases)?;
            self.types
                .get_mut(usize::from(id.0))?
                .elements
                .push(element);
        }
        Some(())
    }

    fn one(
        &self,
        name: &'static str,
        types: &'static str,
        many: bool,
        releases: u8,
    ) -> Option<Element> {
        let bare = name.strip_suffix("[x]");
        let ids: Option<Vec<TypeId>> = types
            .split('|')
            .map(|one| self.by_name.get(one).copied())
            .collect();
        let ids = ids?;
        let variants = match bare {
            Some(bare) => types
                .split('|')
                .map(|one| format!("{bare}{}", capital(one)))
                .collect(),
            None if ids.len() == 1 => Vec::new(),
            None => return None,
        };
        let name = bare.unwrap_or(name);
        Some(Element {
            name,
            types: ids,
            variants,
            many,
            releases,
        })
    }
}

fn is_fact(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + letters.as_str()
    })
}

/// The words of a line, and the releases that end it; all where none do.
fn split(line: &'static str) -> (Vec<&'static str>, u8) {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let mut releases = Vec::new();
    while let Some(release) = words.last().and_then(|word| word.parse().ok()) {
        releases.push(release);
        words.pop();
    }
    (words, bits(&releases))
}

fn bits(releases: &[Release]) -> u8 {
    let named = if releases.is_empty() {
        &Release::ALL
    } else {
        releases
    };
    named.iter().fold(0, |sum, release| sum | bit(*release))
}
