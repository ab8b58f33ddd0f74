//! The connections that a listener holds, in all and for each peer address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The listener has all the connections it may have.
    InAll,
    /// The peer has all the connections it may have.
    ForPeer,
}

/// The connections that a listener holds.
pub struct Slots {
    in_all: usize,
    per_peer: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    in_all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// A connection's place; dropping it frees the place.
pub struct Slot {
    slots: Arc<Slots>,
    peer: IpAddr,
}

impl Slots {
    /// Room for so many connections.
    pub fn new(in_all: usize, per_peer: usize) -> Arc<Self> {
        Arc::new(Self {
            in_all,
            per_peer,
            taken: Mutex::default(),
        })
    }

    /// Takes a place for `peer`.
    ///
    /// # Errors
    /// When there is none.
    pub fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Slot, Full> {
        let peer = peer.to_canonical();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.in_all >= self.in_all {
            return Err(Full::InAll);
        }
        let own = taken.by_peer.entry(peer).or_default();
        if *own >= self.per_peer {
            return Err(Full::ForPeer);
        }
        *own += 1;
        taken.in_all += 1;
        Ok(Slot {
            slots: Arc::clone(self),
            peer,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self
            .slots
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.in_all = taken.in_all.saturating_sub(1);
        if let Some(own) = taken.by_peer.get_mut(&self.peer) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                // The map is as large as the peers that are connected, not as those ever seen.
                taken.by_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_cannot_take_the_places_of_others() {
        let slots = Slots::new(3, 2);
        let first = slots.take(ip("10.0.0.1")).ok();
        let _second = slots.take(ip("::ffff:10.0.0.1")).ok().unwrap();
        assert_eq!(slots.take(ip("10.0.0.1")).err(), Some(Full::ForPeer));
        let _other = slots.take(ip("10.0.0.2")).ok().unwrap();
        assert_eq!(slots.take(ip("10.0.0.3")).err(), Some(Full::InAll));
        drop(first);
        assert!(slots.take(ip("10.0.0.1")).is_ok());
    }

    #[test]
    fn peers_that_left_or_were_refused_take_no_room() {
        let slots = Slots::new(1, 1);
        drop(slots.take(ip("10.0.0.1")));
        assert!(slots.taken.lock().unwrap().by_peer.is_empty());
        let none = Slots::new(1, 0);
        assert!(none.take(ip("10.0.0.1")).is_err());
    }
}
