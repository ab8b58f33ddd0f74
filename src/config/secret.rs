//! Reading secrets: from a file that only careloop can read, the environment, or systemd.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeySource;
use super::problem::Problem;

/// More than any key or address needs; guards against a device or a log given by mistake.
const LARGEST: u64 = 64 * 1024;

/// Reads a secret, byte for byte.
pub fn secret(source: &KeySource) -> Result<Zeroizing<Vec<u8>>, Problem> {
    secret_from(source, &super::load::variable)
}

/// Reads a secret with a given environment.
pub(super) fn secret_from(
    source: &KeySource,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    match source {
        KeySource::File(path) => private_file(path, environment),
        KeySource::Env(name) => match environment(name) {
            Some(value) if !value.is_empty() => Ok(Zeroizing::new(value.into_bytes())),
            _ => Err(problem(
                format!("environment variable {name}"),
                "expected a value, found none".into(),
                "set the variable for the careloop process",
            )),
        },
        KeySource::SystemdCredential(name) => {
            let folder = environment("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                problem(
                    format!("systemd credential {name}"),
                    "expected CREDENTIALS_DIRECTORY in the environment, found none".into(),
                    "start careloop as a systemd unit with LoadCredential= for this name, and commands \
                     beside it by systemd-run (docker/README.md)",
                )
            })?;
            private_file(&PathBuf::from(folder).join(name), environment)
        }
    }
}

/// Reads a file that holds a secret and that is named by its path alone: the key of a certificate,
/// or a token.
pub fn secret_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    private_file(path, &super::load::variable)
}

/// Reads a secret that is one line of text, without the line's end.
pub(super) fn secret_line(
    source: &KeySource,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Problem> {
    let bytes = secret_from(source, environment)?;
    let text = std::str::from_utf8(&bytes).ok().map(str::trim);
    match text {
        Some(text) if !text.is_empty() && !text.contains('\n') => Ok(text.to_owned()),
        _ => Err(problem(
            source.to_string(),
            "expected one line of UTF-8 text, found something else".into(),
            "write the value alone into it",
        )),
    }
}

/// Reads a file that the configuration names and that is no secret, such as a mapping layer or a
/// certificate.
pub fn read(path: &Path, largest: u64) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let count = open(path)?
        .take(largest.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    if u64::try_from(count).is_ok_and(|count| count <= largest) {
        return Ok(bytes);
    }
    let says = format!("expected at most {largest} bytes, found more");
    Err(problem(
        path.display().to_string(),
        says,
        "check that this is the file that is meant",
    ))
}

fn private_file(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let file = open(path)?;
    // systemd guards its folder itself, and may show group bits there for its access list.
    let credentials = environment("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
    if credentials.is_none_or(|folder| !path.starts_with(folder)) {
        // Asked of the opened file, so that it cannot be exchanged between the question and the read.
        only_ours(&file, path)?;
    }
    bounded(file, path)
}

#[cfg(unix)]
fn only_ours(file: &File, path: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file
        .metadata()
        .map_err(|error| unreadable(path, &error))?
        .permissions()
        .mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let says = format!(
        "expected a file that only its owner can read, found mode {:o}",
        mode & 0o777
    );
    let next = format!("run: chmod 600 {}", path.display());
    Err(problem(path.display().to_string(), says, &next))
}

#[cfg(not(unix))]
fn only_ours(_file: &File, _path: &Path) -> Result<(), Problem> {
    Ok(())
}

fn bounded(file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    // Room from the start: a vector that grows leaves copies behind that nobody wipes.
    let room = usize::try_from(LARGEST).unwrap_or(0).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(LARGEST.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    let says = match bytes.len() {
        0 => "expected a secret, found an empty file",
        length if length >= room => "expected at most 64 KiB, found more",
        _ => return Ok(bytes),
    };
    Err(problem(
        path.display().to_string(),
        says.into(),
        "check that this is the file that is meant",
    ))
}

fn open(path: &Path) -> Result<File, Problem> {
    File::open(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let says = format!("expected a readable file, found: {}", error.kind());
    problem(
        path.display().to_string(),
        says,
        "check the path and its owner and permissions",
    )
}

impl fmt::Display for KeySource {
    /// Where it is, never what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::SystemdCredential(name) => write!(f, "systemd credential {name}"),
        }
    }
}

fn problem(file: String, says: String, next: &str) -> Problem {
    Problem {
        file,
        line: None,
        at: String::new(),
        says,
        next: next.to_owned(),
    }
}

#[cfg(all(test, unix))]
#[path = "secret_tests.rs"]
mod tests;
