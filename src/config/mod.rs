//! The configuration as careloop uses it: checked, with no optional surprises left.
//!
//! As written (`file`) and as meant (this module) are two types. The defaults are a commented
//! file that is compiled in; it is the manual. Secrets come from files or the environment.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

mod address;
mod agreement;
mod alerts;
mod endpoint;
mod feedback;
mod file;
mod layers;
mod load;
mod parties;
mod problem;
mod replies;
mod secret;
mod settings;
mod sources;
mod teams;
mod telemetry;
mod words;

pub use agreement::Agreement;
pub use alerts::AlertsConfig;
pub use endpoint::FhirEndpoint;
pub use feedback::{EscalateAfter, Feedback, RuleRests};
pub use load::{DEFAULTS, Environment};
pub use problem::Problem;
pub use replies::{ApplicationAck, ClientTls, ReplyTo};
pub use secret::{read, secret, secret_file};
pub use telemetry::TelemetryConfig;
pub use words::is_loopback;

/// Everything the daemon needs to know before it starts.
#[derive(Clone)]
pub struct Config {
    /// Where state lives.
    pub store: StoreConfig,
    /// Where the root key comes from.
    pub root_key: KeySource,
    /// The broker; without one, tasks go to the spool file.
    pub broker: Option<BrokerConfig>,
    /// The spool file's folder, used without a broker.
    pub spool: PathBuf,
    /// Health, metrics and the CRM's API.
    pub http: HttpConfig,
    /// Bounds of every MLLP listener.
    pub mllp: MllpLimits,
    /// The pipeline's and the outbox's pace.
    pub pace: Pace,
    /// The tenants.
    pub tenants: Vec<Tenant>,
    /// How long sealed bodies of processed messages are kept.
    pub raw_messages: Duration,
    /// How long each station may take to stop.
    pub grace: Grace,
    /// What counts as trouble, and whom to tell.
    pub alerts: AlertsConfig,
    /// The log format and level.
    pub log: LogConfig,
    /// The OpenTelemetry collector.
    pub telemetry: TelemetryConfig,
    /// Public base address of details and re-checks, such as `https://hub.example.org`.
    pub public_url: String,
}

/// Where state lives.
#[derive(Clone)]
pub struct StoreConfig {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: Secret,
    /// PostgreSQL only: the owner role's address, used by `careloop migrate` and never by `serve`.
    pub owner_url: Option<Secret>,
    /// Connections for reading.
    pub connections: u32,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file that only careloop can read.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential of this name.
    SystemdCredential(String),
}

/// A text that cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself.
    pub fn open(&self) -> &str {
        &self.0
    }
}

/// The broker.
#[derive(Clone)]
pub struct BrokerConfig {
    /// `amqp://…` (loopback only) or `amqps://…`.
    pub url: Secret,
    /// A private certificate authority (PEM), added to the system's.
    pub ca: Option<PathBuf>,
    /// Unconfirmed publishes in flight.
    pub window: usize,
    /// How long a confirm may take.
    pub confirm_timeout: Duration,
}

/// The HTTP door: health, metrics, and the CRM's API.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where to listen; `None` turns the door off.
    pub listen: Option<SocketAddr>,
    /// TLS, which the API needs beyond loopback.
    pub tls: Option<TlsConfig>,
    /// Plaintext beyond loopback, which must be asked for by this name: health and metrics only.
    pub plaintext_beyond_loopback: bool,
    /// Connections in all.
    pub connections: usize,
    /// Connections that one address may hold.
    pub connections_per_peer: usize,
    /// Requests a minute for each token, and failed ones for each address.
    pub requests_per_minute: u32,
    /// Largest request body, in bytes.
    pub body: usize,
    /// How long a request head may take.
    pub head_timeout: Duration,
    /// How long a whole request may take.
    pub request_timeout: Duration,
}

/// Bounds of an MLLP listener.
#[derive(Clone, Debug)]
pub struct MllpLimits {
    /// Largest frame, in bytes.
    pub frame: usize,
    /// Junk accepted before a start block, in bytes.
    pub junk: usize,
    /// How long a started frame may take.
    pub frame_timeout: Duration,
    /// How long a connection may say nothing.
    pub idle_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long writing an acknowledgement may take.
    pub write_timeout: Duration,
    /// Connections a peer address may hold.
    pub connections_per_peer: usize,
    /// Connections in all, per listener.
    pub connections: usize,
}

/// How fast the stations go.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Messages claimed at once.
    pub batch: u32,
    /// How long a station that has caught up rests, so that what comes meanwhile is done together.
    pub gather: Duration,
    /// How long to wait when there is nothing to do.
    pub idle: Duration,
    /// How long a claim on a message or a source lasts.
    pub lease: Duration,
    /// How long a publish may be under way before its claim is void.
    pub publishing: Duration,
    /// How often the calendar is looked at.
    pub sweep: Duration,
}

/// How long each station may take to stop.
#[derive(Clone, Debug)]
pub struct Grace {
    /// Intake: connections finish the frame they are in.
    pub intake: Duration,
    /// Pipeline: the batch under way.
    pub pipeline: Duration,
    /// Outbox: the publishes under way.
    pub outbox: Duration,
}

/// The log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A `tracing` filter such as `info` or `careloop=debug`.
    pub filter: String,
    /// JSON lines instead of text.
    pub json: bool,
}

/// Who the data belongs to. Tenants never meet.
#[derive(Clone)]
pub struct Tenant {
    /// Its name, part of routing keys.
    pub name: String,
    /// The time zone of dates without one and of quiet hours where a person's is unknown.
    pub zone: TimeZone,
    /// Its locations by name.
    pub locations: Vec<Location>,
    /// Its teams.
    pub teams: Vec<Team>,
    /// Its sources.
    pub sources: Vec<Source>,
    /// Its agreements.
    pub agreements: Vec<Agreement>,
    /// The mode of each rule; a rule that is not listed observes.
    pub rule_modes: BTreeMap<String, Mode>,
    /// Sources, the most trusted first, for groups of fields that several assert.
    pub source_rank: Vec<String>,
    /// Whether a treatment finding with no denial may become a live-phone task.
    pub implied_treatment_contact: bool,
    /// Languages of the clinic's texts and callers (BCP 47); empty where nobody has said.
    pub languages: Vec<String>,
    /// The site's own contact policy, in place of the one that ships.
    pub contact_policy: Option<PathBuf>,
    /// Tasks a day in pilot mode.
    pub pilot_daily_cap: u32,
    /// What happens to tasks that come back.
    pub feedback: Feedback,
}

/// A place of the clinic.
#[derive(Clone, Debug)]
pub struct Location {
    /// Its name, part of routing keys.
    pub name: String,
    /// Its mode; the strictest of source, location and rule counts.
    pub mode: Mode,
}

/// A team of coordinators: the smallest useful audience.
#[derive(Clone, Debug)]
pub struct Team {
    /// Its name, part of routing keys; it spells no specialty.
    pub name: String,
    /// Its location.
    pub location: String,
    /// How long a task waits here for somebody to take it.
    pub escalate_after: EscalateAfter,
    /// The wider team that gets it then.
    pub escalate_to: Option<String>,
}

impl HttpConfig {
    /// Whether the CRM's API is served: over TLS, or to this machine only.
    pub fn serves_api(&self) -> bool {
        let local = |address: SocketAddr| address.ip().to_canonical().is_loopback();
        self.tls.is_some() || self.listen.is_some_and(local)
    }
}

/// What becomes of the tasks that are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Everything is computed, nothing is published.
    Observe,
    /// Named people or a daily cap.
    Pilot,
    /// Published.
    Live,
}

/// How the messages of a source come.
#[derive(Clone)]
pub enum SourceKind {
    /// HL7 v2 over MLLP.
    Mllp {
        /// Where it listens.
        listen: SocketAddr,
    },
    /// FHIR resources of an endpoint.
    Fhir(FhirEndpoint),
}

/// One feed.
#[derive(Clone)]
pub struct Source {
    /// Its name, unique in the tenant.
    pub name: String,
    /// How its messages come.
    pub kind: SourceKind,
    /// The zone of its times without an offset; required, because senders send local times.
    pub zone: TimeZone,
    /// The zone's IANA name.
    pub zone_name: String,
    /// Its mode.
    pub mode: Mode,
    /// The location its events belong to.
    pub location: String,
    /// Mapping layers over the base packs, in order: `overlay:NAME` or `file:PATH`.
    pub layers: Vec<String>,
    /// Identifiers that may link: (assigner, type), both optional.
    pub identifiers: Vec<(Option<String>, Option<String>)>,
    /// The assigner of identifiers that name none.
    pub default_assigner: Option<String>,
    /// The type of identifiers that name none.
    pub default_type: Option<String>,
    /// The character set where MSH-18 names none (MSH-18 spelling).
    pub charset: Option<String>,
    /// From which day on each concept is complete in this feed; `*` for all others.
    pub history_since: BTreeMap<String, Date>,
    /// Whether the site has verified what its consent codes mean: only then may they permit.
    pub consents_verified: bool,
    /// TLS, where the listener speaks it.
    pub tls: Option<TlsConfig>,
    /// Peers that may connect; empty accepts loopback only.
    pub allow: Vec<AddressRange>,
    /// Plaintext beyond loopback, which must be asked for by this name.
    pub plaintext_beyond_loopback: bool,
    /// How long it may say nothing; without it `alerts.silent_after` counts.
    pub silent_after: Option<Duration>,
    /// Whether its messages follow the sequence number protocol (MSH-13).
    pub sequence_numbers: bool,
    /// How application acknowledgements that MSH-16 asks for go back; without it, none is sent.
    pub application_ack: Option<ApplicationAck>,
}

/// A network of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The network's address.
    pub address: IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
}

impl AddressRange {
    /// Whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
            IpAddr::V6(v6) => (u128::from(v6), 128),
        };
        let (own, width) = bits(self.address);
        let (other, other_width) = bits(address.to_canonical());
        if width != other_width {
            return false;
        }
        let shift = 128_u32.saturating_sub(u32::from(self.prefix));
        own.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
    }
}

/// TLS of a listener.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// The certificate chain (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// The authority that signs clients; given, clients must show a certificate.
    pub client_ca: Option<PathBuf>,
}

/// The destination name of outreach tasks, as agreements cover it.
pub const TASKS_DESTINATION: &str = "careloop.tasks";

/// The team of a location that configures none.
pub const DEFAULT_TEAM: &str = "coordination";

impl Tenant {
    /// Whether an agreement in force on `today` covers `name`.
    pub fn is_covered(&self, name: &str, today: Date) -> bool {
        self.agreements.iter().any(|agreement| {
            agreement.from <= today
                && today <= agreement.until
                && agreement.covers.iter().any(|covered| covered == name)
        })
    }

    /// The team that works a location's tasks: its first, else the one that always exists.
    pub fn team_of(&self, location: &str) -> &str {
        let team = self.teams.iter().find(|team| team.location == location);
        team.map_or(DEFAULT_TEAM, |team| team.name.as_str())
    }

    /// The source of a name.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }
}
