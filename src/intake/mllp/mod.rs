//! HL7 v2 over MLLP: listeners, each for one source of one tenant, and their connections.
//!
//! Order of stopping: the listeners close, connections finish the frame that they are in, and the
//! door is closed last by whoever made it, so that everything taken is stored and answered.

mod admission;
mod connection;
pub mod frame;
mod line;
mod listener;
mod replier;
mod station;

pub use replier::Replier;
pub use station::{Bound, Endpoint, OpenError, Station};

/// Why a frame or a connection was refused. Closed: these are labels of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A frame is longer than the bound.
    TooLarge,
    /// Bytes came that belong to no frame.
    Junk,
    /// A frame took longer than it may.
    FrameTimeout,
    /// The peer left, or the socket failed, inside a frame.
    Truncated,
    /// The peer's address is not on the list.
    NotAllowed,
    /// The listener has all the connections it may have.
    TooManyConnections,
    /// The peer has all the connections it may have.
    TooManyFromPeer,
    /// The TLS handshake failed or took too long.
    Handshake,
    /// No agreement in force covers the source.
    NoAgreement,
}

impl From<crate::slots::Full> for Refusal {
    fn from(full: crate::slots::Full) -> Self {
        match full {
            crate::slots::Full::InAll => Self::TooManyConnections,
            crate::slots::Full::ForPeer => Self::TooManyFromPeer,
        }
    }
}

impl Refusal {
    /// The stable name, as counted and logged.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "frame-too-large",
            Self::Junk => "junk",
            Self::FrameTimeout => "frame-timeout",
            Self::Truncated => "frame-truncated",
            Self::NotAllowed => "address-not-allowed",
            Self::TooManyConnections => "too-many-connections",
            Self::TooManyFromPeer => "too-many-connections-from-peer",
            Self::Handshake => "tls-handshake",
            Self::NoAgreement => "no-agreement",
        }
    }
}
