//! Free ports of 127.0.0.1.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

/// Below the range that the kernel takes ports of outgoing connections from (32768 and up unless configured
/// otherwise): a node that restarts on its port finds it free.
const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;

/// So many different ports on which nobody listens now.
///
/// They are picked at random, so that several processes that pick at once hardly meet. Whoever starts a server there
/// must still be ready to find that somebody was quicker.
pub fn free<const COUNT: usize>() -> Result<[u16; COUNT]> {
    const TRIES: usize = 1_000;
    let mut listeners = Vec::with_capacity(COUNT);
    let mut ports = [0; COUNT];
    for _ in 0..TRIES {
        let Some(slot) = ports.get_mut(listeners.len()) else { return Ok(ports) };
        let port = random_port();
        // Held until all are found, so that none is found twice.
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            *slot = port;
            listeners.push(listener);
        }
    }
    bail!("127.0.0.1 has no {COUNT} free ports between {FIRST} and {LAST}")
}

/// The standard library's hash maps are seeded at random: the one source of randomness that needs no dependency.
fn random_port() -> u16 {
    let random = RandomState::new().build_hasher().finish();
    let range = u64::from(LAST - FIRST) + 1;
    FIRST + u16::try_from(random % range).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_different_and_in_range() {
        let mut ports = free::<20>().expect("20 free ports");
        for port in ports {
            assert!((FIRST..=LAST).contains(&port), "{port}");
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("free");
        }
        ports.sort();
        assert!(ports.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_taken_port_is_not_given() {
        let (taken, _listener) = loop {
            let port = random_port();
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                break (port, listener);
            }
        };
        for _ in 0..200 {
            assert!(!free::<5>().expect("5 free ports").contains(&taken));
        }
    }
}
