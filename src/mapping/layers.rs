//! Putting files together: fragments under a pack, layers on top of it, key by key.
//!
//! Everything is merged as a tree whose values keep their places, so a diagnostic, a trace and the
//! effective listing name the layer that set the value.

use super::diagnostic::Problems;
use super::tree::{Entry, Kind, Node, Place, Table};

/// Keys that say where a value comes from: changing the kind replaces the rule.
const SOURCES: &[&str] = &[
    "from", "cases", "value", "each", "all", "list", "join", "start", "parts",
];
/// Keys that stay when a layer changes the kind of source.
const LASTING: &[&str] = &["required", "gate", "when", "sealed"];
/// Keys of a file that are no blocks.
pub(super) const PACK_KEYS: &[&str] = &[
    "mapping", "schema", "title", "source", "ignore", "use", "per", "vars", "tables",
];
/// Keys of a fragment that are no blocks.
pub(super) const FRAGMENT_KEYS: &[&str] = &["fragment", "title", "vars", "tables"];
/// Keys of a layer that are no blocks.
pub(super) const LAYER_KEYS: &[&str] = &[
    "extends", "layer", "title", "note", "tables", "concepts", "remove", "vars",
];

/// Puts a pack over a fragment: what the pack says wins, everything else is added.
pub(super) fn over_fragment(pack: &mut Table, fragment: &Table) {
    for entry in fragment
        .entries
        .iter()
        .filter(|entry| is_block(entry, FRAGMENT_KEYS))
    {
        match pack.get_mut(&entry.key) {
            None => pack.entries.push(entry.clone()),
            Some(own) => under_block(own, &entry.node),
        }
    }
    if let Some(vars) = fragment.entry("vars") {
        match pack.get_mut("vars") {
            None => pack.entries.push(vars.clone()),
            Some(own) => under(own, &vars.node),
        }
    }
}

/// Whether an entry of a file is a block.
pub(super) fn is_block(entry: &Entry, keys: &[&str]) -> bool {
    !keys.contains(&entry.key.as_str())
}

fn under_block(own: &mut Node, base: &Node) {
    let base_at = base.at;
    let Some(base) = base.table() else { return };
    let Some(own) = own.table_mut() else { return };
    for entry in base.entries.iter().filter(|entry| entry.key != "set") {
        if own.get(&entry.key).is_none() {
            own.entries.push(entry.clone());
        }
    }
    let Some(base_set) = base.get("set") else {
        return;
    };
    let set = own.get_mut("set");
    let (Some(set), Some(rules)) = (set, base_set.table()) else {
        if own.get("set").is_none() {
            let key = "set".to_owned();
            own.entries.push(Entry {
                key,
                at: base_at,
                node: base_set.clone(),
            });
        }
        return;
    };
    let Some(set) = set.table_mut() else { return };
    for entry in &rules.entries {
        match set
            .entries
            .iter_mut()
            .find(|one| same_target(&one.key, &entry.key))
        {
            None => set.entries.push(entry.clone()),
            Some(one) => {
                let mut merged = entry.node.clone();
                over_rule(&mut merged, &one.node);
                one.node = merged;
            }
        }
    }
}

/// Adds what is missing.
fn under(own: &mut Node, base: &Node) {
    let (Some(own), Some(base)) = (own.table_mut(), base.table()) else {
        return;
    };
    for entry in &base.entries {
        if own.get(&entry.key).is_none() {
            own.entries.push(entry.clone());
        }
    }
}

/// The name of a target without the mark of a list.
pub(super) fn target(key: &str) -> &str {
    key.strip_suffix("[]").unwrap_or(key)
}

fn same_target(a: &str, b: &str) -> bool {
    target(a) == target(b)
}

/// Whether `extends` of a layer names a pack: its name, or a beginning with `*`.
pub(super) fn extends(pattern: &str, pack: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == pack, |start| pack.starts_with(start))
}

/// What a layer did to the packs, so that naming a rule that none has can be refused.
#[derive(Default)]
pub(super) struct Touched {
    blocks: Vec<Place>,
    rules: Vec<Place>,
    removed: Vec<Place>,
}

/// Puts a layer over a pack.
pub(super) fn over_pack(
    pack: &mut Table,
    layer: &Table,
    touched: &mut Touched,
    problems: &mut Problems<'_>,
) {
    for node in problems.list(layer, "remove") {
        let Some(address) = node.text() else { continue };
        if remove(pack, address) {
            touched.removed.push(node.at);
        }
    }
    for entry in layer
        .entries
        .iter()
        .filter(|entry| is_block(entry, LAYER_KEYS))
    {
        let Some(block) = entry.node.table() else {
            continue;
        };
        let own = pack.entries.iter_mut().find(|one| one.key == entry.key);
        let Some(own) = own.filter(|own| is_block(own, PACK_KEYS)) else {
            continue;
        };
        touched.blocks.push(entry.at);
        let Some(own) = own.node.table_mut() else {
            continue;
        };
        over_block(own, block, touched, problems);
    }
    if let Some(vars) = layer.get("vars") {
        match pack.get_mut("vars") {
            Some(own) => over(own, vars),
            None => pack.entries.extend(layer.entry("vars").cloned()),
        }
    }
}

fn over_block(own: &mut Table, block: &Table, touched: &mut Touched, problems: &mut Problems<'_>) {
    for entry in block.entries.iter().filter(|entry| entry.key != "set") {
        replace(own, entry);
    }
    let Some(rules) = block.get("set").and_then(Node::table) else {
        return;
    };
    if own.get("set").is_none() {
        own.entries.extend(
            block
                .entries
                .iter()
                .filter(|entry| entry.key == "set")
                .cloned(),
        );
        if let Some(set) = own.get_mut("set").and_then(Node::table_mut) {
            set.entries.clear();
        }
    }
    let Some(set) = own.get_mut("set").and_then(Node::table_mut) else {
        return;
    };
    for entry in &rules.entries {
        let adds = entry.node.table().and_then(|rule| rule.get("add"));
        let adds = adds.is_some_and(|node| matches!(node.kind, Kind::Flag(true)));
        match set
            .entries
            .iter_mut()
            .find(|one| same_target(&one.key, &entry.key))
        {
            Some(one) if is_sealed(&one.node) => {
                touched.rules.push(entry.at);
                let message = format!("rule `{}` is sealed", target(&entry.key));
                problems.report(
                    entry.at,
                    message,
                    "a rule that layers may change",
                    "a sealed one",
                );
            }
            Some(one) => {
                touched.rules.push(entry.at);
                over_rule(&mut one.node, &entry.node);
            }
            None if adds => {
                touched.rules.push(entry.at);
                set.entries.push(entry.clone());
            }
            None => {}
        }
    }
}

fn is_sealed(rule: &Node) -> bool {
    let sealed = rule.table().and_then(|table| table.get("sealed"));
    sealed.is_some_and(|node| matches!(node.kind, Kind::Flag(true)))
}

/// Puts a rule over a rule, key by key.
fn over_rule(own: &mut Node, upper: &Node) {
    if let (Some(base), Some(new)) = (own.table_mut(), upper.table()) {
        let kind = |table: &Table| SOURCES.iter().find(|key| table.get(key).is_some()).copied();
        if kind(new).is_some() && kind(new) != kind(base) {
            base.entries
                .retain(|entry| LASTING.contains(&entry.key.as_str()));
        }
    }
    over(own, upper);
}

/// Puts a value over a value; tables are merged.
fn over(own: &mut Node, upper: &Node) {
    if let (Kind::Table(own), Kind::Table(upper)) = (&mut own.kind, &upper.kind) {
        upper.entries.iter().for_each(|entry| replace(own, entry));
    } else {
        *own = upper.clone();
    }
}

/// Puts an entry over the one of the same key; its place goes with it, unless both are tables.
fn replace(own: &mut Table, entry: &Entry) {
    match own.entries.iter_mut().find(|one| one.key == entry.key) {
        Some(one) if one.node.table().is_some() && entry.node.table().is_some() => {
            over(&mut one.node, &entry.node);
        }
        Some(one) => *one = entry.clone(),
        None => own.entries.push(entry.clone()),
    }
}

/// Takes out `block` or `block.rule`.
fn remove(pack: &mut Table, address: &str) -> bool {
    let Some((block, rule)) = address.split_once('.') else {
        return !PACK_KEYS.contains(&address) && pack.remove(address).is_some();
    };
    let set = pack
        .get_mut(block)
        .and_then(Node::table_mut)
        .and_then(|b| b.get_mut("set"));
    let Some(set) = set.and_then(Node::table_mut) else {
        return false;
    };
    let before = set.entries.len();
    set.entries
        .retain(|entry| !same_target(&entry.key, rule) || is_sealed(&entry.node));
    set.entries.len() < before
}

impl Touched {
    /// Refuses what a layer says about rules that no pack has: a renamed rule must not go
    /// unnoticed.
    pub(super) fn check(&self, layer: &Table, known: &[String], problems: &mut Problems<'_>) {
        let names = || known.iter().map(String::as_str);
        for node in problems.list(layer, "remove") {
            let Some(address) = problems.as_text("remove", node) else {
                continue;
            };
            if !self.removed.contains(&node.at) {
                problems.unknown("rule", node.at, address, names());
            }
        }
        for entry in layer
            .entries
            .iter()
            .filter(|entry| is_block(entry, LAYER_KEYS))
        {
            let Some(block) = problems.as_table(&entry.key, &entry.node) else {
                continue;
            };
            if !self.blocks.contains(&entry.at) {
                let blocks = names().filter(|name| !name.contains('.'));
                problems.unknown("block", entry.at, &entry.key, blocks);
                continue;
            }
            let Some(rules) = problems.table(block, "set") else {
                continue;
            };
            for rule in rules
                .entries
                .iter()
                .filter(|rule| !self.rules.contains(&rule.at))
            {
                let address = format!("{}.{}", entry.key, target(&rule.key));
                problems.unknown("rule", rule.at, &address, names());
            }
        }
    }
}

/// Every block and rule of a pack, by address.
pub(super) fn addresses(pack: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for entry in pack
        .entries
        .iter()
        .filter(|entry| is_block(entry, PACK_KEYS))
    {
        found.push(entry.key.clone());
        let set = entry
            .node
            .table()
            .and_then(|block| block.get("set"))
            .and_then(Node::table);
        for rule in set.into_iter().flat_map(|set| &set.entries) {
            found.push(format!("{}.{}", entry.key, target(&rule.key)));
        }
    }
    found
}
