//! How many connections are open, in all and by peer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The open connections.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    most: u32,
    most_per_peer: u32,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: u32,
    by_peer: HashMap<IpAddr, u32>,
}

/// One connection's place among them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    peer: IpAddr,
    crowd: Crowd,
}

impl Crowd {
    pub(super) fn new(most: u32, most_per_peer: u32) -> Self {
        Self { most, most_per_peer, open: Arc::default() }
    }

    /// A place for a connection from `address`, if there is one.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Place> {
        let peer = peer(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.most || open.by_peer.get(&peer).is_some_and(|count| *count >= self.most_per_peer)
        {
            return None;
        }
        open.all += 1;
        *open.by_peer.entry(peer).or_default() += 1;
        Some(Place { peer, crowd: self.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        let left = open.by_peer.get_mut(&self.peer).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            open.by_peer.remove(&self.peer);
        }
    }
}

/// Whom an address stands for: one host rarely has less than an IPv6 /64.
fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_place_is_free_again_once_its_connection_ends() {
        let crowd = Crowd::new(3, 2);
        let first = crowd.admit(address("192.0.2.1")).expect("room");
        let _second = crowd.admit(address("::ffff:192.0.2.1")).expect("room");
        assert!(crowd.admit(address("192.0.2.1")).is_none(), "two of one peer");
        let _third = crowd.admit(address("2001:db8::1")).expect("room");
        assert!(crowd.admit(address("192.0.2.2")).is_none(), "three in all");
        drop(first);
        assert!(crowd.admit(address("192.0.2.1")).is_some());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_peer() {
        let crowd = Crowd::new(9, 1);
        let place = crowd.admit(address("2001:db8:0:1::1")).expect("room");
        assert!(crowd.admit(address("2001:db8:0:1:ffff::2")).is_none());
        assert!(crowd.admit(address("2001:db8:0:2::1")).is_some());
        drop(place);
        assert!(crowd.open.lock().expect("lock").by_peer.is_empty(), "nobody is remembered");
    }
}
