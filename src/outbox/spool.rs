//! The embedded destination: one NDJSON file per tenant, synced before a message counts.
//!
//! A line is an envelope as a broker would carry it. Delivery is at least once, as with a broker:
//! a crash between the sync and the outbox's own commit writes the same `id` again, and readers
//! drop repeats by it. A crash inside a write can leave one line cut short; the next line begins
//! on a fresh line, and the cut one's message was never confirmed, so it follows again in full.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use tokio::fs::File;
use tokio::fs::OpenOptions;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncSeekExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;
use tokio::sync::watch;

use crate::clock;
use crate::outbox::publisher::DownReason;
use crate::outbox::publisher::Outgoing;
use crate::outbox::publisher::Published;
use crate::outbox::publisher::PublisherState;
use crate::outbox::publisher::is_name;

/// The spool folder.
pub struct Spool {
    folder: PathBuf,
    /// One writer at a time, so that lines never mix.
    writing: Mutex<()>,
    state: watch::Sender<PublisherState>,
}

impl Spool {
    /// Opens a spool folder and makes it if it is missing, for the owner alone.
    pub async fn open(folder: &Path) -> io::Result<Self> {
        let mut builder = tokio::fs::DirBuilder::new();
        // Tasks are nobody else's business on a shared machine.
        builder.recursive(true).mode(0o700).create(folder).await?;
        let (state, _) = watch::channel(PublisherState::Up);
        Ok(Self {
            folder: folder.to_owned(),
            writing: Mutex::new(()),
            state,
        })
    }

    /// The file of a tenant.
    pub fn file(&self, tenant: &str) -> PathBuf {
        self.folder.join(format!("{tenant}.ndjson"))
    }

    /// How the spool is: down after a failed write, until a write succeeds.
    pub fn state(&self) -> PublisherState {
        self.state.borrow().clone()
    }

    /// The state, to be woken by its changes.
    pub fn watch(&self) -> watch::Receiver<PublisherState> {
        self.state.subscribe()
    }

    /// Appends a batch and answers for each message, in order. Each file is synced once.
    pub async fn publish_all(&self, batch: Vec<Outgoing>) -> Vec<Published> {
        let _writer = self.writing.lock().await;
        let mut answers = vec![Published::Refused; batch.len()];
        let mut lines: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for outgoing in &batch {
            if let Some(tenant) = tenant_of(outgoing) {
                let text = lines.entry(tenant).or_default();
                text.extend_from_slice(&outgoing.body);
                text.push(b'\n');
            }
        }
        for (tenant, text) in &lines {
            let outcome = self.append(tenant, text).await;
            let answer = if outcome.is_ok() {
                Published::Confirmed
            } else {
                Published::Unknown
            };
            self.note(outcome);
            for (slot, outgoing) in answers.iter_mut().zip(&batch) {
                if tenant_of(outgoing) == Some(tenant) {
                    *slot = answer;
                }
            }
        }
        answers
    }

    async fn append(&self, tenant: &str, text: &[u8]) -> io::Result<()> {
        let path = self.file(tenant);
        let is_new = !tokio::fs::try_exists(&path).await?;
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .await?;
        if !ends_a_line(&mut file).await? {
            file.write_all(b"\n").await?;
        }
        file.write_all(text).await?;
        file.flush().await?;
        // Confirmed means that it outlives a power loss, so the data is synced, and for a new
        // file the folder that names it too.
        file.sync_data().await?;
        if is_new {
            File::open(&self.folder).await?.sync_all().await?;
        }
        Ok(())
    }

    fn note(&self, outcome: io::Result<()>) {
        self.state
            .send_if_modified(|state| match (&outcome, &*state) {
                (Ok(()), PublisherState::Up) | (Err(_), PublisherState::Down { .. }) => false,
                (Ok(()), _) => {
                    *state = PublisherState::Up;
                    true
                }
                (Err(error), _) => {
                    tracing::warn!(kind = %error.kind(), "{}", DownReason::Spool);
                    *state = PublisherState::Down {
                        since: clock::now(),
                        reason: DownReason::Spool,
                    };
                    true
                }
            });
    }
}

/// The tenant of a message that can be a line: a good name, and a body without line ends.
fn tenant_of(outgoing: &Outgoing) -> Option<&str> {
    let tenant = outgoing.routing_key.split('.').next()?;
    (is_name(tenant) && !outgoing.body.contains(&b'\n')).then_some(tenant)
}

async fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata().await?.len() == 0 {
        return Ok(true);
    }
    file.seek(io::SeekFrom::End(-1)).await?;
    Ok(file.read_u8().await? == b'\n')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn outgoing(id: &str, tenant: &str) -> Outgoing {
        Outgoing {
            message_id: id.into(),
            routing_key: format!("{tenant}.main.team-1.routine"),
            body: format!("{{\"id\":\"{id}\"}}").into_bytes(),
            expiration: None,
        }
    }

    #[tokio::test]
    async fn each_tenant_has_its_own_file_that_only_the_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(&folder.path().join("spool")).await.unwrap();
        let answers = spool
            .publish_all(vec![
                outgoing("1", "alpha"),
                outgoing("2", "beta"),
                outgoing("3", "alpha"),
            ])
            .await;
        assert_eq!(answers, [Published::Confirmed; 3]);
        let alpha = std::fs::read_to_string(spool.file("alpha")).unwrap();
        assert_eq!(alpha, "{\"id\":\"1\"}\n{\"id\":\"3\"}\n");
        assert_eq!(
            std::fs::read_to_string(spool.file("beta")).unwrap(),
            "{\"id\":\"2\"}\n"
        );
        let mode = std::fs::metadata(spool.file("alpha"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_line_cut_by_a_crash_does_not_swallow_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).await.unwrap();
        std::fs::write(spool.file("alpha"), "{\"id\":\"1").unwrap();
        spool.publish_all(vec![outgoing("1", "alpha")]).await;
        let text = std::fs::read_to_string(spool.file("alpha")).unwrap();
        assert_eq!(text, "{\"id\":\"1\n{\"id\":\"1\"}\n");
    }

    #[tokio::test]
    async fn what_cannot_be_a_line_or_a_file_name_is_refused_alone() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).await.unwrap();
        let mut broken = outgoing("2", "alpha");
        broken.body.push(b'\n');
        let answers = spool
            .publish_all(vec![outgoing("1", "alpha"), broken, outgoing("3", "..")])
            .await;
        assert_eq!(
            answers,
            [Published::Confirmed, Published::Refused, Published::Refused]
        );
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_down_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).await.unwrap();
        std::fs::create_dir(spool.file("alpha")).unwrap();
        assert_eq!(
            spool.publish_all(vec![outgoing("1", "alpha")]).await,
            [Published::Unknown]
        );
        assert!(matches!(
            spool.state(),
            PublisherState::Down {
                reason: DownReason::Spool,
                ..
            }
        ));
        std::fs::remove_dir(spool.file("alpha")).unwrap();
        assert_eq!(
            spool.publish_all(vec![outgoing("1", "alpha")]).await,
            [Published::Confirmed]
        );
        assert_eq!(spool.state(), PublisherState::Up);
    }
}
