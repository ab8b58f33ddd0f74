//! The sections of the configuration that belong to no tenant, each checked within itself.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::address::Url;
use super::file;
use super::load::{Check, Place};
use super::sources;
use super::{
    BrokerConfig, Grace, HttpConfig, KeySource, LogConfig, MllpLimits, Pace, Secret, StoreConfig,
};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn whole(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// `[store]`
pub(super) fn store(check: &mut Check<'_>, written: &file::Store) -> StoreConfig {
    let url = written
        .url
        .as_ref()
        .and_then(|url| database(check, "store.url", url));
    let owner = written.owner_url.as_ref();
    let owner_url = owner.and_then(|owner| database(check, "store.owner_url", owner));
    if let (Some(owner), Some(url), Some(written)) = (&owner_url, &url, owner)
        && (owner.open() == url.open() || !url.open().starts_with("postgres"))
    {
        check.report(
            &Place::of("store.owner_url", written),
            "expected the owner role of a PostgreSQL store, found another address",
            "leave it out with SQLite; with PostgreSQL name a role other than that of store.url",
        );
    }
    StoreConfig {
        url: url.unwrap_or_else(|| Secret::new(String::new())),
        owner_url,
        connections: check.count("store.connections", written.connections.as_ref(), 1..=1_000),
    }
}

fn database(check: &mut Check<'_>, at: &str, written: &Spanned<String>) -> Option<Secret> {
    let place = Place::of(at, written);
    let text = check.address(at, written)?;
    let url = Url::read(&text);
    match url.as_ref().map(|url| url.scheme) {
        Some("sqlite") => sqlite(check, &place, &text),
        Some("postgres" | "postgresql") => {
            let url = url?;
            let mode = url
                .parameter("sslmode")
                .or_else(|| url.parameter("ssl-mode"));
            if !url.is_local() && !matches!(mode, Some("verify-full" | "verify-ca")) {
                check.report(
                    &place,
                    "expected verified TLS to a database beyond loopback, found none",
                    "add ?sslmode=verify-full (and sslrootcert=… for a private authority)",
                );
            }
            Some(Secret::new(text))
        }
        _ => {
            let says = "expected sqlite:PATH or postgres://…, found another address";
            check.report(&place, says, "correct the address");
            None
        }
    }
}

fn sqlite(check: &mut Check<'_>, place: &Place, text: &str) -> Option<Secret> {
    let rest = text.strip_prefix("sqlite:")?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() || path.contains(":memory:") || query.contains("mode=memory") {
        check.report(
            place,
            "expected a file, found a store that ends with the process",
            "write sqlite:PATH: what is acknowledged must outlive the process",
        );
        return None;
    }
    let path = check.layers.path(&place.span, path).display().to_string();
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    Some(Secret::new(format!("sqlite:{path}{query}")))
}

/// `[keys]`
pub(super) fn root_key(check: &mut Check<'_>, written: &file::Keys) -> KeySource {
    let Some(root) = &written.root else {
        return KeySource::File(PathBuf::new());
    };
    check.beside(&Place::of("keys.root", root), root.get_ref().clone())
}

/// `[broker]`, which is there if it has a `url`.
pub(super) fn broker(
    check: &mut Check<'_>,
    written: &file::Broker,
    publishing: Duration,
) -> Option<BrokerConfig> {
    let window = whole(check.count("broker.window", written.window.as_ref(), 1..=65_535));
    let timeout = written.confirm_timeout.as_ref();
    let confirm_timeout = check.lasting("broker.confirm_timeout", timeout, SECOND..=MINUTE);
    if let Some(timeout) = timeout
        && confirm_timeout > publishing
        && !publishing.is_zero()
    {
        check.report(
            &Place::of("broker.confirm_timeout", timeout),
            "expected at most pace.publishing, found more",
            "lower it, or raise pace.publishing: a claim must outlast the wait for its confirm",
        );
    }
    let ca = written
        .ca
        .as_ref()
        .map(|ca| check.layers.path(&ca.span(), ca.get_ref()));
    let url = written.url.as_ref()?;
    let text = check.address("broker.url", url)?;
    let place = Place::of("broker.url", url);
    match Url::read(&text) {
        Some(parts) if parts.scheme == "amqps" && !parts.host.is_empty() => {}
        Some(parts) if parts.scheme == "amqp" && parts.is_local() => {}
        Some(parts) if parts.scheme == "amqp" => check.report(
            &place,
            "expected amqps:// beyond loopback, found amqp://",
            "give the broker a TLS listener and write amqps://…:5671",
        ),
        _ => check.report(
            &place,
            "expected amqps://… or amqp://… on loopback, found another address",
            "correct the address",
        ),
    }
    Some(BrokerConfig {
        url: Secret::new(text),
        ca,
        window,
        confirm_timeout,
    })
}

/// `[spool]`
pub(super) fn spool(check: &mut Check<'_>, written: &file::Spool) -> PathBuf {
    let Some(folder) = &written.folder else {
        return PathBuf::new();
    };
    if folder.get_ref().trim().is_empty() {
        let place = Place::of("spool.folder", folder);
        check.report(
            &place,
            "expected a folder, found empty text",
            "name a folder",
        );
    }
    check.layers.path(&folder.span(), folder.get_ref())
}

/// `[http]`
pub(super) fn http(check: &mut Check<'_>, written: &file::Http) -> HttpConfig {
    let head = written.head_timeout.as_ref();
    let head_timeout = check.lasting("http.head_timeout", head, 100..=5 * MINUTE);
    let request = written.request_timeout.as_ref();
    let tls = written
        .tls
        .as_ref()
        .and_then(|tls| sources::tls_config(check, &Place::of("http.tls", tls), tls));
    let plaintext = written.plaintext_beyond_loopback.as_ref();
    let plaintext_beyond_loopback = plaintext.is_some_and(|named| *named.get_ref());
    if let Some(listen) = &written.listen
        && let Some(address) = listen.get_ref().0
        && !address.ip().to_canonical().is_loopback()
        && written.tls.is_none()
        && !check.is_taken_out("http.tls")
        && !plaintext_beyond_loopback
    {
        check.report(
            &Place::of("http.listen", listen),
            "expected TLS on an address beyond loopback, found plaintext",
            "add `tls = { certificate = …, key = … }`; for health and metrics alone, in a network \
             that is protected otherwise, `plaintext_beyond_loopback = true`",
        );
    }
    let (all, per_peer) = (&written.connections, &written.connections_per_peer);
    let rate = written.requests_per_minute.as_ref();
    HttpConfig {
        listen: written
            .listen
            .as_ref()
            .and_then(|listen| listen.get_ref().0),
        tls,
        plaintext_beyond_loopback,
        connections: whole(check.count("http.connections", all.as_ref(), 1..=65_535)),
        connections_per_peer: whole(check.count(
            "http.connections_per_peer",
            per_peer.as_ref(),
            1..=65_535,
        )),
        requests_per_minute: check.count("http.requests_per_minute", rate, 1..=1_000_000),
        body: check.size("http.body", written.body.as_ref(), 1_024..=64 << 20),
        head_timeout,
        request_timeout: check.lasting("http.request_timeout", request, 100..=10 * MINUTE),
    }
}

/// `[mllp]`
pub(super) fn mllp(check: &mut Check<'_>, written: &file::Mllp) -> MllpLimits {
    let frame_timeout = written.frame_timeout.as_ref();
    let idle_timeout = written.idle_timeout.as_ref();
    let handshake = written.handshake_timeout.as_ref();
    let write = written.write_timeout.as_ref();
    let per_peer = written.connections_per_peer.as_ref();
    let limits = MllpLimits {
        frame: check.size("mllp.frame", written.frame.as_ref(), 1_024..=64 << 20),
        junk: check.size("mllp.junk", written.junk.as_ref(), 0..=1 << 20),
        frame_timeout: check.lasting("mllp.frame_timeout", frame_timeout, 100..=10 * MINUTE),
        idle_timeout: check.lasting("mllp.idle_timeout", idle_timeout, 100..=DAY),
        handshake_timeout: check.lasting("mllp.handshake_timeout", handshake, 100..=5 * MINUTE),
        write_timeout: check.lasting("mllp.write_timeout", write, 100..=10 * MINUTE),
        connections_per_peer: whole(check.count("mllp.connections_per_peer", per_peer, 1..=65_535)),
        connections: whole(check.count(
            "mllp.connections",
            written.connections.as_ref(),
            1..=65_535,
        )),
    };
    if let Some(per_peer) = per_peer
        && limits.connections_per_peer > limits.connections
        && written.connections.is_some()
    {
        check.report(
            &Place::of("mllp.connections_per_peer", per_peer),
            "expected at most mllp.connections, found more",
            "lower it, or raise mllp.connections",
        );
    }
    limits
}

/// `[pace]`
pub(super) fn pace(check: &mut Check<'_>, written: &file::Pace) -> Pace {
    let publishing = written.publishing.as_ref();
    let idle = written.idle.as_ref();
    let pace = Pace {
        batch: check.count("pace.batch", written.batch.as_ref(), 1..=10_000),
        gather: check.lasting("pace.gather", written.gather.as_ref(), 0..=SECOND),
        idle: check.lasting("pace.idle", idle, 1..=MINUTE),
        lease: check.lasting("pace.lease", written.lease.as_ref(), SECOND..=HOUR),
        publishing: check.lasting("pace.publishing", publishing, SECOND..=HOUR),
        sweep: check.lasting("pace.sweep", written.sweep.as_ref(), SECOND..=DAY),
    };
    if let (Some(idle), false) = (idle, pace.lease.is_zero())
        && pace.idle >= pace.lease
    {
        check.report(
            &Place::of("pace.idle", idle),
            "expected less than pace.lease, found as much or more",
            "lower it, or raise pace.lease: a lease must be renewed before it ends",
        );
    }
    pace
}

/// `[retention]`
pub(super) fn raw_messages(check: &mut Check<'_>, written: &file::Retention) -> Duration {
    let raw = written.raw_messages.as_ref();
    check.lasting("retention.raw_messages", raw, MINUTE..=366 * DAY)
}

/// `[grace]`
pub(super) fn grace(check: &mut Check<'_>, written: &file::Grace) -> Grace {
    Grace {
        intake: check.lasting("grace.intake", written.intake.as_ref(), 0..=10 * MINUTE),
        pipeline: check.lasting("grace.pipeline", written.pipeline.as_ref(), 0..=10 * MINUTE),
        outbox: check.lasting("grace.outbox", written.outbox.as_ref(), 0..=10 * MINUTE),
    }
}

/// `[log]`
pub(super) fn log(check: &mut Check<'_>, written: &file::Log) -> LogConfig {
    let filter = written.filter.as_ref();
    if let Some(filter) = filter
        && tracing_subscriber::EnvFilter::builder()
            .parse(filter.get_ref())
            .is_err()
    {
        check.report(
            &Place::of("log.filter", filter),
            "expected a filter such as \"info\" or \"info,careloop=debug\", found another text",
            "correct the filter",
        );
    }
    LogConfig {
        filter: filter.map_or_else(String::new, |filter| filter.get_ref().clone()),
        json: written.json.as_ref().is_some_and(|json| *json.get_ref()),
    }
}

/// `public_url`, without a slash at its end.
pub(super) fn public_url(check: &mut Check<'_>, written: Option<&Spanned<String>>) -> String {
    let Some(written) = written else {
        return String::new();
    };
    let place = Place::of("public_url", written);
    match Url::read(written.get_ref()) {
        Some(url) if url.host.is_empty() || url.has_password => check.report(
            &place,
            "expected https:// and a host name, found another address",
            "correct the address",
        ),
        Some(url) if url.scheme == "https" || (url.scheme == "http" && url.is_local()) => {}
        _ => check.report(
            &place,
            "expected https:// (http:// on loopback only), found another address",
            "people read details under this address: serve it through TLS",
        ),
    }
    written.get_ref().trim_end_matches('/').to_owned()
}
