//! A place on loopback that alerts are told to.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Takes what is told, and keeps every byte of it.
pub(crate) struct Webhook {
    /// Where it listens.
    pub(crate) url: String,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    notices: Vec<Value>,
}

impl Webhook {
    /// Refuses what it hears first.
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Heard::default()));
        let taken = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut answer = "HTTP/1.1 503 Service Unavailable";
            while let Ok((mut stream, _)) = listener.accept().await {
                let (bytes, notice) = request(&mut stream).await;
                let is_taken = answer.contains("204");
                {
                    let mut heard = taken.lock().unwrap();
                    heard.bytes.extend(bytes);
                    heard.notices.extend(notice.filter(|_| is_taken));
                }
                let answered = format!("{answer}\r\nConnection: close\r\n\r\n");
                drop(stream.write_all(answered.as_bytes()).await);
                answer = "HTTP/1.1 204 No Content";
            }
        });
        Self { url, heard }
    }

    /// What was taken of this kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<Value> {
        let mut notices = self.all();
        notices.retain(|notice| notice["kind"] == kind);
        notices
    }

    /// Everything that was taken.
    pub(crate) fn all(&self) -> Vec<Value> {
        self.heard.lock().unwrap().notices.clone()
    }

    /// Every byte that came, of what was refused and of requests' heads, too.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.heard.lock().unwrap().bytes.clone()
    }
}

/// What a request consists of, and the document that it carries.
async fn request(stream: &mut TcpStream) -> (Vec<u8>, Option<Value>) {
    let mut bytes = Vec::new();
    let mut notice = None;
    while notice.is_none() && stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&bytes);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
        notice = body.and_then(|body| serde_json::from_str(body).ok());
    }
    (bytes, notice)
}
