//! A FHIR server with its token server on loopback, which answers and fails as a test wants it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_rustls::TlsAcceptor;

/// What the server got.
#[derive(Clone)]
pub(crate) struct Request {
    /// Its path with the query.
    pub(crate) path: String,
    /// Its headers, names in lower case.
    pub(crate) headers: HashMap<String, String>,
    /// Its body.
    pub(crate) body: String,
    /// When it was there.
    pub(crate) at: Instant,
}

impl Request {
    /// A field of the form in its body.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let url = format!("http://form.invalid/?{}", self.body);
        let url = reqwest::Url::parse(&url).unwrap();
        let mut pairs = url.query_pairs();
        let found = pairs.find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    }
}

/// How the server answers a request.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    ending: Ending,
}

#[derive(Clone)]
enum Ending {
    Whole,
    /// The connection ends in the middle of the body.
    Cut,
    /// The body never ends.
    Endless,
    /// The body never ends, and comes slowly.
    Dripping,
    /// Nobody says how long the body is; the connection ends it.
    Unsaid,
    /// Nothing comes until a permit is there.
    Held(Arc<Semaphore>),
}

impl Reply {
    pub(crate) fn new(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".into(), "application/fhir+json".into())],
            body: body.to_owned(),
            ending: Ending::Whole,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn cut(mut self) -> Self {
        self.ending = Ending::Cut;
        self
    }

    pub(crate) fn endless(mut self) -> Self {
        self.ending = Ending::Endless;
        self
    }

    pub(crate) fn dripping(mut self) -> Self {
        self.ending = Ending::Dripping;
        self
    }

    pub(crate) fn unsaid(mut self) -> Self {
        self.ending = Ending::Unsaid;
        self
    }

    pub(crate) fn held(mut self, until: &Arc<Semaphore>) -> Self {
        self.ending = Ending::Held(Arc::clone(until));
        self
    }
}

/// A page without entries.
pub(crate) const PAGE: &str = r#"{"resourceType":"Bundle","type":"searchset"}"#;

/// The server.
#[derive(Clone)]
pub(crate) struct FhirServer {
    /// Its root, without a slash behind it.
    pub(crate) root: String,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    heard: Vec<Request>,
    scripts: HashMap<String, VecDeque<Reply>>,
    tokens: u32,
    under_way: usize,
    most_under_way: usize,
}

impl FhirServer {
    pub(crate) async fn listen() -> Self {
        Self::over(None).await
    }

    /// Over TLS, for the name `localhost`.
    pub(crate) async fn over(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let root = match &tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        };
        let server = Self {
            root,
            inner: Arc::default(),
        };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (own, tls) = (own.clone(), tls.clone());
                tokio::spawn(async move { own.take(stream, tls).await });
            }
        });
        server
    }

    /// The service root.
    pub(crate) fn base(&self) -> String {
        format!("{}/fhir", self.root)
    }

    /// Answers what asks for this path with these, one after the other, and then as always.
    pub(crate) fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut state = self.inner.state.lock().unwrap();
        state
            .scripts
            .entry(path.to_owned())
            .or_default()
            .extend(replies);
    }

    /// What asked for this path, in its order.
    pub(crate) fn heard(&self, path: &str) -> Vec<Request> {
        let mut heard = self.all();
        heard.retain(|request| request.path.split('?').next() == Some(path));
        heard
    }

    /// Everything that was asked.
    pub(crate) fn all(&self) -> Vec<Request> {
        self.inner.state.lock().unwrap().heard.clone()
    }

    /// The most requests for resources that were there at once.
    pub(crate) fn most_under_way(&self) -> usize {
        self.inner.state.lock().unwrap().most_under_way
    }

    async fn take(&self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let Some(tls) = tls else {
            return self.serve(stream).await;
        };
        // Who does not trust the server goes without a word.
        if let Ok(stream) = tls.accept(stream).await {
            self.serve(stream).await;
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) {
        let Some(request) = read(&mut stream).await else {
            return;
        };
        let reply = {
            let mut state = self.inner.state.lock().unwrap();
            state.under_way += 1;
            state.most_under_way = state.most_under_way.max(state.under_way);
            let path = request.path.split('?').next().unwrap().to_owned();
            let scripted = state.scripts.get_mut(&path).and_then(VecDeque::pop_front);
            let reply = scripted.unwrap_or_else(|| self.usual(&mut state, &request));
            state.heard.push(request);
            reply
        };
        let under_way = UnderWay(Arc::clone(&self.inner));
        // Whoever has read the whole answer may look at once at how many are under way.
        let is_heard = match &reply.ending {
            Ending::Held(until) => until.acquire().await.map(SemaphorePermit::forget).is_ok(),
            _ => true,
        };
        drop(under_way);
        if is_heard {
            drop(write(&mut stream, &reply).await);
        }
        drop(stream.shutdown().await);
    }

    fn usual(&self, state: &mut State, request: &Request) -> Reply {
        let path = request.path.as_str();
        if path.ends_with("/.well-known/smart-configuration") {
            let body = format!(r#"{{"token_endpoint":"{}/token"}}"#, self.root);
            return Reply::new(200, &body).header("Content-Type", "application/json");
        }
        if path == "/token" {
            state.tokens += 1;
            return token(&format!("TEST-TOKEN-{}", state.tokens), 300);
        }
        match request.headers.contains_key("authorization") {
            true => Reply::new(200, PAGE),
            false => Reply::new(401, ""),
        }
    }
}

/// A token that lasts so many seconds.
pub(crate) fn token(token: &str, expires_in: u32) -> Reply {
    let body = format!(
        r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{expires_in},"scope":"system/*.rs"}}"#
    );
    Reply::new(200, &body).header("Content-Type", "application/json")
}

struct UnderWay(Arc<Inner>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().under_way -= 1;
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.split("\r\n");
            let path = lines.next()?.split(' ').nth(1)?.to_owned();
            let headers = lines.filter_map(|line| line.split_once(": "));
            let headers: HashMap<String, String> = headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let length = headers.get("content-length");
            if length.is_none_or(|length| length.parse::<usize>().unwrap() <= body.len()) {
                return Some(Request {
                    path,
                    headers,
                    body: body.to_owned(),
                    at: Instant::now(),
                });
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Test\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = match reply.ending {
        Ending::Whole | Ending::Held(_) => Some(reply.body.len()),
        Ending::Cut => Some(reply.body.len() + 100),
        Ending::Endless | Ending::Dripping | Ending::Unsaid => None,
    };
    let is_said = head.contains("Content-Length");
    if let Some(length) = length.filter(|_| !is_said) {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    stream
        .write_all(format!("{head}\r\n{}", reply.body).as_bytes())
        .await?;
    // Until the other side has had enough.
    match reply.ending {
        Ending::Endless => loop {
            stream.write_all(&[b' '; 4096]).await?;
        },
        Ending::Dripping => loop {
            stream.write_all(b" ").await?;
            stream.flush().await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        },
        _ => stream.flush().await,
    }
}
