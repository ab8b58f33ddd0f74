//! The address that is told of troubles.

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::time::Pace;

/// One notice.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    /// When it was told.
    pub(crate) at: Timestamp,
    /// `firing` or `resolved`.
    pub(crate) state: String,
    /// Its kind.
    pub(crate) kind: String,
    /// The source or team.
    pub(crate) subject: String,
}

impl Notice {
    /// Whether the trouble is there, not over.
    pub(crate) fn is_firing(&self) -> bool {
        self.state == "firing"
    }
}

/// Takes notices and hands them on.
pub(crate) async fn listen(
    listener: TcpListener,
    told: tokio::sync::mpsc::Sender<Notice>,
    pace: Pace,
) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let mut request = Vec::new();
        let body = loop {
            match socket.read_buf(&mut request).await {
                Ok(0) | Err(_) => break None,
                Ok(_) => {}
            }
            let end = request.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end
                && let Ok(body) = serde_json::from_slice::<Value>(&request[end + 4..])
            {
                break Some(body);
            }
        };
        let Some(body) = body else { continue };
        let word = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let notice = Notice {
            at: pace.now(),
            state: word("state"),
            kind: word("kind"),
            subject: word("subject"),
        };
        println!(
            "{}  {} {} {}",
            pace.now().strftime("%a %H:%M"),
            notice.kind,
            notice.subject,
            notice.state
        );
        let answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        let written = socket.write_all(answer.as_bytes()).await;
        if written.is_ok() && told.send(notice).await.is_err() {
            return;
        }
    }
}
