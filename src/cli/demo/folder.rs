//! The demo's folder: written anew at each run, and never over anything that is not the demo's.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::TENANT;
use super::feed::Act;
use crate::config::Config;
use crate::vault::Key;

const CONFIG: &str = include_str!("careloop.toml");
const LAYER: &str = include_str!("site.toml");
const CONSENTS: &str = include_str!("consents.csv");

/// Everything that a demo leaves behind, besides the spool.
const FILES: &[&str] = &[
    "careloop.db",
    "careloop.db-shm",
    "careloop.db-wal",
    "careloop.db.lock",
    "careloop.key",
    "careloop.log",
    "consents.csv",
    "feed.hl7",
    "site.toml",
    // The last: it is what tells a demo's folder from another.
    "careloop.toml",
];

/// A folder that is ready to start a hub in.
pub(super) struct Folder {
    /// Where it is, as the operator wrote it.
    pub(super) root: PathBuf,
}

impl Folder {
    /// Removes what an earlier demo left, and writes configuration, key, layer and consents.
    pub(super) fn prepare(root: &Path, now: Timestamp) -> anyhow::Result<Self> {
        let folder = Self {
            root: root.to_owned(),
        };
        fs::create_dir_all(root)
            .with_context(|| format!("{} cannot be made; name another --folder", root.display()))?;
        folder.refuse_what_is_not_ours()?;
        folder.refuse_one_in_use()?;
        let spool = folder.spool();
        let files = FILES.iter().map(|name| root.join(name));
        for file in std::iter::once(spool.clone()).chain(files) {
            remove(&file)?;
        }
        let today = now.to_zoned(TimeZone::UTC).date();
        let config = CONFIG
            .replace("@SIGNED@", &today.checked_sub(60.days())?.to_string())
            .replace("@UNTIL@", &today.checked_add(1.year())?.to_string())
            .replace("@HISTORY@", &today.checked_sub(3.years())?.to_string());
        let recorded = now.checked_sub(24.hours())?.to_string();
        // Written first, so that an interrupted run is known as a demo's.
        folder.write("careloop.toml", &config)?;
        folder.write("site.toml", LAYER)?;
        folder.write("consents.csv", &CONSENTS.replace("@TIME@", &recorded))?;
        folder.write("careloop.key", &Key::generate_root()?.to_root_text())?;
        Ok(folder)
    }

    /// The configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.root.join("careloop.toml")
    }

    /// The log.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("careloop.log")
    }

    /// The entries that are imported.
    pub(super) fn consents(&self) -> PathBuf {
        self.root.join("consents.csv")
    }

    /// The tasks that left.
    pub(super) fn spool(&self) -> PathBuf {
        self.root.join("spool").join(format!("{TENANT}.ndjson"))
    }

    /// The messages as they are sent, for `careloop mapping try`.
    pub(super) fn feed(&self) -> PathBuf {
        self.root.join("feed.hl7")
    }

    /// Refuses to play into any store or broker but the folder's own: environment variables that
    /// configure a hub on this machine would lead there.
    pub(super) fn check(&self, config: &Config) -> anyhow::Result<()> {
        let own = format!("sqlite:{}", self.root.join("careloop.db").display());
        let is_own = config.store.url.open() == own
            && config.broker.is_none()
            && config.spool == self.root.join("spool");
        if !is_own {
            bail!(
                "expected the demo's own store and spool, found others: the environment sets \
                 CARELOOP__STORE__…, CARELOOP__BROKER__… or CARELOOP__SPOOL__…; unset them for the demo"
            );
        }
        Ok(())
    }

    /// Writes the messages that will be sent into one file.
    pub(super) fn write_feed(&self, steps: &[Act]) -> anyhow::Result<()> {
        let mut text = String::new();
        for step in steps {
            if let Act::Send { bytes, .. } = step {
                text.push_str(&String::from_utf8_lossy(bytes).replace('\r', "\n"));
            }
        }
        self.write("feed.hl7", &text)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.root.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&path);
        let mut file = file.with_context(|| format!("{} cannot be written", path.display()))?;
        file.write_all(text.as_bytes())?;
        Ok(())
    }

    /// A folder that has such files but not the demo's configuration belongs to somebody.
    fn refuse_what_is_not_ours(&self) -> anyhow::Result<()> {
        let is_ours = match fs::read_to_string(self.config()) {
            Ok(text) => text.lines().next() == CONFIG.lines().next(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                !FILES.iter().any(|name| self.root.join(name).exists()) && !self.spool().exists()
            }
            Err(_unreadable) => false,
        };
        if !is_ours {
            bail!(
                "{}: expected an empty folder or one of an earlier demo, found other files of careloop; \
                 nothing was touched; name another --folder",
                self.root.display()
            );
        }
        Ok(())
    }

    /// A demo that stays still owns its database.
    fn refuse_one_in_use(&self) -> anyhow::Result<()> {
        let lock = File::open(self.root.join("careloop.db.lock"));
        if lock.is_ok_and(|lock| lock.try_lock().is_err()) {
            bail!(
                "{}: a hub is running in this folder; stop it first, or name another --folder",
                self.root.display()
            );
        }
        Ok(())
    }
}

fn remove(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", file.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-09T12:30:15Z".parse().unwrap()
    }

    #[test]
    fn a_second_demo_replaces_the_files_of_the_first_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let first = Folder::prepare(root.path(), now()).unwrap();
        let key = fs::read(root.path().join("careloop.key")).unwrap();
        fs::write(root.path().join("notes.txt"), "mine").unwrap();
        fs::create_dir(root.path().join("spool")).unwrap();
        fs::write(first.spool(), "{}\n").unwrap();
        Folder::prepare(root.path(), now()).unwrap();
        assert_ne!(fs::read(root.path().join("careloop.key")).unwrap(), key);
        assert!(!first.spool().exists());
        assert_eq!(
            fs::read_to_string(root.path().join("notes.txt")).unwrap(),
            "mine"
        );
    }

    #[test]
    fn the_key_of_another_hub_is_never_touched() {
        let root = tempfile::tempdir().unwrap();
        let key = root.path().join("careloop.key");
        fs::write(&key, "theirs").unwrap();
        assert!(Folder::prepare(root.path(), now()).is_err());
        fs::write(root.path().join("careloop.toml"), "[store]\n").unwrap();
        assert!(Folder::prepare(root.path(), now()).is_err());
        assert_eq!(fs::read_to_string(key).unwrap(), "theirs");
    }

    #[test]
    fn a_folder_whose_hub_is_running_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        Folder::prepare(root.path(), now()).unwrap();
        let key = fs::read(root.path().join("careloop.key")).unwrap();
        let lock = File::create(root.path().join("careloop.db.lock")).unwrap();
        lock.lock().unwrap();
        assert!(Folder::prepare(root.path(), now()).is_err());
        assert_eq!(fs::read(root.path().join("careloop.key")).unwrap(), key);
    }

    #[test]
    fn the_written_configuration_has_no_problem() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::prepare(root.path(), now()).unwrap();
        let text = fs::read_to_string(folder.config()).unwrap();
        let name = folder.config().display().to_string();
        let loaded = Config::from_texts(Some((&name, &text)), &crate::config::Environment::new());
        let problems: Vec<String> = loaded
            .err()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(problems.is_empty(), "{problems:?}");
    }
}
