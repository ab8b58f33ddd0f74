//! Sorting the files of a bundle, merging them, and giving each message type its pack.

use std::collections::HashMap;

use super::super::diagnostic::{Diagnostic, Problems};
use super::super::knowledge::Knowledge;
use super::super::layers::{
    self, FRAGMENT_KEYS, LAYER_KEYS, PACK_KEYS, Touched, addresses, over_fragment, over_pack,
};
use super::super::plan::Plan;
use super::super::tree::{self, Node, Place, Sources, Table};
use super::Compiler;
use super::routes::{languages, route};

/// A file with a name of its own.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) at: Place,
    pub(super) table: Table,
}

/// The files of a bundle by what they are.
#[derive(Default)]
struct Sorted {
    tables: Vec<Table>,
    concepts: Vec<(Place, Table)>,
    fragments: Vec<Named>,
    packs: Vec<Named>,
    layers: Vec<Named>,
}

/// Compiles everything; `first_layer` is the number of the first file that is a layer.
///
/// # Errors
/// Every problem of every file, at once.
pub(in super::super) fn compile(
    sources: &Sources,
    first_layer: usize,
) -> Result<Plan, Vec<Diagnostic>> {
    let mut problems = Problems::new(sources);
    let sorted = sort(sources, first_layer, &mut problems);
    let knowledge = knowledge(&sorted, &mut problems);
    let packs = merge(&sorted, &mut problems);
    let layer_names = sorted
        .layers
        .iter()
        .map(|layer| (layer.at.file, layer.name.clone()));
    let layer_names: HashMap<usize, String> = layer_names.collect();
    let mut rules = Vec::new();
    let mut compiled = Vec::new();
    let mut routes = HashMap::new();
    for pack in &packs {
        for language in languages(pack, &mut problems) {
            route(
                pack,
                &language,
                compiled.len(),
                (&mut routes, &mut problems),
            );
            let mut compiler = Compiler {
                problems: &mut problems,
                knowledge: &knowledge,
                layers: &layer_names,
                vars: HashMap::new(),
                rules: &mut rules,
                mapping: pack.name.clone(),
                language,
                focus: None,
            };
            compiled.push(compiler.pack(&pack.table));
        }
    }
    let list = problems.into_list();
    if list.is_empty() {
        Ok(Plan {
            packs: compiled,
            knowledge,
            routes,
            rules,
        })
    } else {
        Err(list)
    }
}

fn sort(sources: &Sources, first_layer: usize, problems: &mut Problems<'_>) -> Sorted {
    let mut sorted = Sorted::default();
    for (number, name) in sources.names() {
        let Some(table) = tree::parse(number, problems) else {
            continue;
        };
        let at = Place {
            file: number,
            start: 0,
            end: 0,
        };
        if number >= first_layer {
            problems.text(&table, "layer");
            let short = name
                .rsplit('/')
                .next()
                .unwrap_or(name)
                .trim_end_matches(".toml");
            let name = table
                .get("layer")
                .and_then(Node::text)
                .unwrap_or(short)
                .to_owned();
            sorted.layers.push(Named { name, at, table });
        } else if name.starts_with("tables/") {
            sorted.tables.push(table);
        } else if name.starts_with("concepts/") {
            sorted.concepts.push((at, table));
        } else if let Some(name) = table.get("fragment").and_then(Node::text) {
            sorted.fragments.push(Named {
                name: name.to_owned(),
                at,
                table,
            });
        } else if let Some(name) = problems.needed_text(&table, at, "mapping") {
            sorted.packs.push(Named {
                name: name.to_owned(),
                at,
                table,
            });
        }
    }
    for list in [&sorted.fragments, &sorted.packs, &sorted.layers] {
        unique(list, problems);
    }
    sorted
}

fn unique(list: &[Named], problems: &mut Problems<'_>) {
    for (place, one) in list.iter().enumerate() {
        if let Some(first) = list.iter().take(place).find(|other| other.name == one.name) {
            let message = format!("`{}` is defined twice", one.name);
            let found = format!("the name of {}", problems.sources().name(first.at));
            problems.report(one.at, message, "a name of its own", found);
        }
    }
}

fn knowledge(sorted: &Sorted, problems: &mut Problems<'_>) -> Knowledge {
    let mut knowledge = Knowledge::default();
    for table in &sorted.tables {
        knowledge.add_tables(table, problems);
    }
    for file in sorted.packs.iter().chain(&sorted.fragments) {
        if let Some(more) = problems.table(&file.table, "tables") {
            knowledge.extend_tables(more, false, problems);
        }
    }
    for layer in &sorted.layers {
        if let Some(more) = problems.table(&layer.table, "tables") {
            knowledge.extend_tables(more, true, problems);
        }
    }
    for (at, file) in &sorted.concepts {
        knowledge.add_concept(file, *at, problems);
    }
    for layer in &sorted.layers {
        if let Some(more) = problems.table(&layer.table, "concepts") {
            knowledge.extend_concepts(more, problems);
        }
    }
    knowledge
}

/// Packs with their fragments below and the layers on top.
fn merge(sorted: &Sorted, problems: &mut Problems<'_>) -> Vec<Named> {
    let mut used = Vec::new();
    let mut packs = Vec::new();
    for pack in &sorted.packs {
        let mut table = pack.table.clone();
        for (name, at) in problems.texts(&pack.table, "use") {
            match sorted
                .fragments
                .iter()
                .find(|fragment| fragment.name == name)
            {
                Some(fragment) => {
                    used.push(name);
                    over_fragment(&mut table, &fragment.table);
                }
                None => {
                    let known = sorted
                        .fragments
                        .iter()
                        .map(|fragment| fragment.name.as_str());
                    problems.unknown("fragment", at, name, known);
                }
            }
        }
        packs.push(Named {
            name: pack.name.clone(),
            at: pack.at,
            table,
        });
    }
    for fragment in &sorted.fragments {
        if !used.contains(&fragment.name.as_str()) {
            let message = format!("no mapping uses `{}`", fragment.name);
            let expected = format!("`use = [\"{}\"]` in a mapping", fragment.name);
            problems.report(fragment.at, message, expected, "none");
        }
        for key in ["mapping", "extends", "source", "per", "use"] {
            if let Some(entry) = fragment.table.entry(key) {
                problems.unknown("key", entry.at, key, FRAGMENT_KEYS.iter().copied());
            }
        }
    }
    for layer in &sorted.layers {
        put_on_top(layer, &mut packs, problems);
    }
    packs
}

fn put_on_top(layer: &Named, packs: &mut [Named], problems: &mut Problems<'_>) {
    let mut touched = Touched::default();
    let mut known = Vec::new();
    let patterns = problems.texts(&layer.table, "extends");
    for (pattern, at) in &patterns {
        if !packs
            .iter()
            .any(|pack| layers::extends(pattern, &pack.name))
        {
            let names = packs.iter().map(|pack| pack.name.as_str());
            problems.unknown("mapping", *at, pattern, names);
        }
    }
    for pack in packs {
        if patterns
            .iter()
            .any(|(pattern, _)| layers::extends(pattern, &pack.name))
        {
            known.extend(addresses(&pack.table));
            over_pack(&mut pack.table, &layer.table, &mut touched, problems);
        }
    }
    let blocks = layer
        .table
        .entries
        .iter()
        .find(|entry| layers::is_block(entry, LAYER_KEYS));
    if let Some(entry) = blocks
        && patterns.is_empty()
    {
        let message = "a layer that changes rules must say of which mapping";
        problems.report(entry.at, message, "`extends = \"hl7v2.siu\"`", "none");
        return;
    }
    known.sort();
    known.dedup();
    touched.check(&layer.table, &known, problems);
}

pub(super) fn schema(pack: &Named, problems: &mut Problems<'_>) {
    problems.text(&pack.table, "title");
    match pack.table.get("schema") {
        Some(Node {
            kind: tree::Kind::Whole(1),
            ..
        }) => {}
        Some(node) => {
            let found = node.found();
            problems.report(
                node.at,
                "unknown version of the mapping language",
                "1",
                found,
            );
        }
        None => {
            problems.report(pack.at, "`schema` is missing", "`schema = 1`", "none");
        }
    }
    // Blocks are tables; anything else at the top is a key that nobody knows.
    for entry in pack
        .table
        .entries
        .iter()
        .filter(|entry| layers::is_block(entry, PACK_KEYS))
    {
        if entry.node.table().is_none() {
            problems.unknown("key", entry.at, &entry.key, PACK_KEYS.iter().copied());
        }
    }
}
