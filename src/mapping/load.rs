//! The texts of a bundle: read from a folder or compiled in, and the layers put on top.

use std::fs;
use std::path::{Path, PathBuf};

use super::diagnostic::Diagnostic;

/// The folder, inside the mappings, of the layers that are known by name.
pub(super) const LAYERS: &str = "overlays/";

/// Mapping files by name, the name relative to the folder of the mappings with `/` in between.
#[derive(Clone, Default)]
pub struct Files {
    list: Vec<(String, String)>,
}

impl Files {
    /// Files that are already in memory.
    pub fn of(list: &[(&str, &str)]) -> Self {
        let mut files = Self {
            list: list
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
        };
        files.list.sort();
        files
    }

    /// Every `.toml` file below `dir`.
    ///
    /// # Errors
    /// A diagnostic for each folder or file that cannot be read.
    pub fn read(dir: &Path) -> Result<Self, Vec<Diagnostic>> {
        let mut files = Self::default();
        let mut problems = Vec::new();
        files.read_below(dir, "", &mut problems);
        files.list.sort();
        if problems.is_empty() {
            Ok(files)
        } else {
            Err(problems)
        }
    }

    fn read_below(&mut self, dir: &Path, prefix: &str, problems: &mut Vec<Diagnostic>) {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => return problems.push(unreadable(dir, &error)),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    problems.push(unreadable(dir, &error));
                    continue;
                }
            };
            let path = entry.path();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if path.is_dir() {
                self.read_below(&path, &format!("{name}/"), problems);
            } else if path.extension().is_some_and(|ending| ending == "toml") {
                match fs::read_to_string(&path) {
                    Ok(text) => self.list.push((name, text)),
                    Err(error) => problems.push(unreadable(&path, &error)),
                }
            }
        }
    }

    /// Name and text of every file, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The text of a file.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| text)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let file = path.display().to_string();
    Diagnostic::of_file(
        &file,
        "cannot be read",
        "a readable file of UTF-8 text",
        &error.to_string(),
    )
}

/// What is put on top of the base mappings, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A layer that comes with the mappings: `overlays/NAME.toml`.
    Named(String),
    /// A file of the site.
    File(PathBuf),
    /// A text that is already in memory.
    Text {
        /// Its name in diagnostics.
        name: String,
        /// The TOML text.
        text: String,
    },
}

impl Layer {
    /// The layer of a command line argument: a file when it ends in `.toml`, else a name.
    pub fn from_argument(argument: &str) -> Self {
        if Path::new(argument)
            .extension()
            .is_some_and(|ending| ending == "toml")
        {
            Self::File(PathBuf::from(argument))
        } else {
            Self::Named(argument.to_owned())
        }
    }

    /// Name and text of the layer.
    pub(super) fn resolve(&self, files: &Files) -> Result<(String, String), Box<Diagnostic>> {
        match self {
            Self::Text { name, text } => Ok((name.clone(), text.clone())),
            Self::File(path) => match fs::read_to_string(path) {
                Ok(text) => Ok((path.display().to_string(), text)),
                Err(error) => Err(Box::new(unreadable(path, &error))),
            },
            Self::Named(name) => {
                let file = format!("{LAYERS}{name}.toml");
                files
                    .get(&file)
                    .map(|text| (file.clone(), text.to_owned()))
                    .ok_or_else(|| {
                        let known: Vec<&str> =
                            files.iter().filter_map(|(n, _)| layer_name(n)).collect();
                        let expected = match known.as_slice() {
                            [] => {
                                "a file name ending in .toml; no layer is known by name".to_owned()
                            }
                            names => format!("one of {}, or a file", names.join(", ")),
                        };
                        let mut diagnostic =
                            Diagnostic::of_file(&file, "unknown layer", &expected, name);
                        diagnostic.did_you_mean(name, known.into_iter());
                        Box::new(diagnostic)
                    })
            }
        }
    }
}

/// The name of a layer that comes with the mappings.
fn layer_name(file: &str) -> Option<&str> {
    file.strip_prefix(LAYERS)?.strip_suffix(".toml")
}
