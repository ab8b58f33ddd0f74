//! Who may connect: the allow list.

use std::net::IpAddr;

use crate::config::AddressRange;

/// Whether `peer` may connect; an empty list accepts loopback only.
pub(super) fn is_allowed(allow: &[AddressRange], peer: IpAddr) -> bool {
    if allow.is_empty() {
        return peer.to_canonical().is_loopback();
    }
    allow.iter().any(|range| range.contains(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_empty_list_accepts_loopback_only() {
        assert!(is_allowed(&[], ip("127.0.0.9")));
        assert!(is_allowed(&[], ip("::1")));
        assert!(is_allowed(&[], ip("::ffff:127.0.0.1")));
        assert!(!is_allowed(&[], ip("10.0.0.1")));
    }

    #[test]
    fn a_list_accepts_what_it_lists() {
        let list = [AddressRange {
            address: ip("10.1.0.0"),
            prefix: 16,
        }];
        assert!(is_allowed(&list, ip("10.1.2.3")));
        assert!(is_allowed(&list, ip("::ffff:10.1.2.3")));
        assert!(!is_allowed(&list, ip("10.2.0.1")));
        assert!(!is_allowed(&list, ip("127.0.0.1")));
    }
}
