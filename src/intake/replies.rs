//! Application acknowledgements over the connections on which messages come: who is there, and the
//! answer that is waited for.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::hl7::{AckCode, Header, ack};

/// What a connection is to write between two frames.
pub(super) struct Parcel {
    pub(super) bytes: Vec<u8>,
    /// Told when it is written.
    pub(super) written: oneshot::Sender<()>,
}

/// The open connections of a source, where they carry application acknowledgements.
#[derive(Default)]
pub struct Replies(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    open: Vec<mpsc::Sender<Parcel>>,
    awaited: Option<(String, oneshot::Sender<AckCode>)>,
}

impl Replies {
    /// A connection is there; what it is to write comes through the receiver.
    pub(super) fn join(&self) -> mpsc::Receiver<Parcel> {
        let (sender, receiver) = mpsc::channel(1);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.open.retain(|open| !open.is_closed());
        inner.open.push(sender);
        receiver
    }

    /// The connection that was opened last of those that are there.
    pub(super) fn newest(&self) -> Option<mpsc::Sender<Parcel>> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.open.retain(|open| !open.is_closed());
        inner.open.last().cloned()
    }

    /// Waits for the commit acknowledgement of a message of ours; one at a time.
    pub(super) fn expect(&self, control_id: String) -> oneshot::Receiver<AckCode> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.awaited = Some((control_id, sender));
        receiver
    }

    /// Whether a frame is the acknowledgement that is waited for, and no message of the sender's.
    pub(super) fn take(&self, frame: &[u8]) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((control_id, answer)) = inner.awaited.take() else {
            return false;
        };
        match said(frame, &control_id) {
            Some(code) => answer.send(code).is_ok(),
            None => {
                inner.awaited = Some((control_id, answer));
                false
            }
        }
    }
}

/// What a frame says of our message with this control id.
pub(super) fn said(frame: &[u8], control_id: &str) -> Option<AckCode> {
    let header = Header::read(frame).ok()?;
    let (code, id) = ack::said(frame, &header)?;
    (header.is_acknowledgement() && id == control_id.as_bytes()).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_awaited_acknowledgement_is_taken_once_and_nothing_else_is() {
        let replies = Replies::default();
        let ack = b"MSH|^~\\&|||||||ACK|9|P|2.5\rMSA|CA|ID-1\r";
        assert!(!replies.take(ack));
        let answer = replies.expect("ID-1".to_owned());
        assert!(!replies.take(b"MSH|^~\\&|||||||ACK|9|P|2.5\rMSA|CA|ID-2\r"));
        assert!(!replies.take(b"MSH|^~\\&|||||||ADT^A08|9|P|2.5\rMSA|CA|ID-1\r"));
        assert!(replies.take(ack));
        assert_eq!(answer.await.unwrap(), AckCode::CA);
        assert!(!replies.take(ack));
    }

    #[test]
    fn a_connection_that_is_gone_is_not_written_to() {
        let replies = Replies::default();
        let (first, second) = (replies.join(), replies.join());
        drop(second);
        assert!(replies.newest().is_some());
        drop(first);
        assert!(replies.newest().is_none());
    }
}
