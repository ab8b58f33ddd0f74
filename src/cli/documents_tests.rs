//! The command lines of the documents against the commands that there are.

use clap::{Command, CommandFactory};

use super::Cli;

const DOCUMENTS: [(&str, &str); 7] = [
    ("README.md", include_str!("../../README.md")),
    ("ARCHITECTURE.md", include_str!("../../ARCHITECTURE.md")),
    ("CHANGELOG.md", include_str!("../../CHANGELOG.md")),
    ("docker/README.md", include_str!("../../docker/README.md")),
    (
        "mappings/README.md",
        include_str!("../../mappings/README.md"),
    ),
    (
        "mappings/care/README.md",
        include_str!("../../mappings/care/README.md"),
    ),
    (
        "src/config/defaults.toml",
        include_str!("../config/defaults.toml"),
    ),
];

/// What stands in backquotes or in a block of code after the program's name.
fn lines(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let mut found = Vec::new();
    let mut blocks = text.split("```");
    while let Some(prose) = blocks.next() {
        let spans = prose.split('`').skip(1).step_by(2);
        let code = blocks.next().unwrap_or_default().lines();
        for line in spans.chain(code) {
            let line = line.trim_start().strip_prefix("careloop ");
            found.extend(line.map(ToOwned::to_owned));
        }
    }
    found
}

/// Why a command line cannot be typed, if it cannot.
fn wrong(root: &Command, line: &str) -> Option<String> {
    let mut command = root;
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if word.starts_with('#') {
            break;
        }
        let option: String = word
            .trim_start_matches('[')
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || *c == '-')
            .collect();
        if let Some(option) = option.strip_prefix("--") {
            let mut known = command.get_arguments().chain(root.get_arguments());
            if option != "help" && !known.any(|argument| argument.get_long() == Some(option)) {
                return Some(format!("no option --{option}"));
            }
            if command.get_name() == root.get_name() {
                words.next(); // the value of a global option
            }
        } else if let Some(next) = command.find_subcommand(word) {
            command = next;
        } else if command.has_subcommands() && option == word {
            return Some(format!("no command {word}"));
        }
    }
    None
}

#[test]
fn every_command_line_of_the_documents_can_be_typed() {
    let root = Cli::command();
    let (mut tried, mut problems) = (0, Vec::new());
    for (document, text) in DOCUMENTS {
        for line in lines(text) {
            tried += 1;
            let problem = wrong(&root, &line);
            problems.extend(problem.map(|what| format!("{document}: careloop {line}: {what}")));
        }
    }
    assert!(tried > 60, "only {tried}");
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(wrong(&root, "keys turn").is_some());
    assert!(wrong(&root, "keys rotate tenant --never").is_some());
}
