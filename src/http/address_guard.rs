//! Where a connection may go: to public addresses, and to the subnets that somebody has allowed.
//!
//! The rule: what is judged is the address that is connected to, at the moment of connecting, and nothing else. A name
//! is no reason to trust an address. Refused is every range of IANA's special-purpose registries (RFC 6890 and what was
//! registered since, in the state of 2026), those that are globally reachable included: no merchant lives there. Of IPv6
//! all that is no global unicast (outside of 2000::/3) is refused. An address that carries an IPv4 address is never
//! judged more mildly than that one.
//!
//! Deliberately absent: lists of names. Which names and ports a plugin may address is said by the origins of the
//! merchant's file ([`crate::domain::UncheckedRequest::check`]); the ports are looked at here once more.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::proxy::Proxy;

/// Where a client's connections may go, and by which way. Clones share the lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    bounds: Bounds,
    proxy: Option<Proxy>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Bounds {
    Anywhere,
    Guarded { allowed: Arc<[Subnet]>, ports: Arc<[u16]> },
}

/// The ports that need not be named.
const USUAL_PORTS: [u16; 2] = [80, 443];

impl Reach {
    /// Everywhere. For addresses that the gateway's operator wrote, never for a merchant's.
    #[must_use]
    pub fn anywhere() -> Self {
        Self { bounds: Bounds::Anywhere, proxy: None }
    }

    /// Public addresses and those of the `allowed` subnets, at the ports 80, 443 and `ports`.
    #[must_use]
    pub fn guarded(allowed: impl IntoIterator<Item = Subnet>, ports: impl IntoIterator<Item = u16>) -> Self {
        let mut ports: Vec<_> = ports.into_iter().chain(USUAL_PORTS).collect();
        ports.sort_unstable();
        ports.dedup();
        let bounds = Bounds::Guarded { allowed: allowed.into_iter().collect(), ports: ports.into() };
        Self { bounds, proxy: None }
    }

    /// No further than this, and through that proxy if there is one. Where the proxy itself may be it says.
    #[must_use]
    pub fn through(self, proxy: Option<Proxy>) -> Self {
        Self { proxy, ..self }
    }

    /// The proxy on the way.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Judges one address that is about to be connected to.
    ///
    /// # Errors
    /// Why there is to be no connection to it.
    pub fn check(&self, address: SocketAddr) -> Result<(), Refusal> {
        match &self.bounds {
            Bounds::Anywhere => Ok(()),
            Bounds::Guarded { ports, .. } if !ports.contains(&address.port()) => {
                Err(Refusal::Port(address.port()))
            }
            Bounds::Guarded { allowed, .. } => match refused(allowed, address.ip()) {
                None => Ok(()),
                Some(range) => Err(Refusal::Address { address: address.ip(), range }),
            },
        }
    }

    /// Judges a URL's host as far as that can be done without looking it up: an address in any of the forms in which
    /// URLs have them. Names are fine until they are connected to.
    ///
    /// # Errors
    /// Why no connection to it can ever come about.
    pub fn check_host(&self, host: &str, port: u16) -> Result<(), Refusal> {
        let address = match url::Host::parse(host) {
            Ok(url::Host::Ipv4(address)) => IpAddr::V4(address),
            Ok(url::Host::Ipv6(address)) => IpAddr::V6(address),
            Ok(url::Host::Domain(_)) | Err(_) => return Ok(()),
        };
        self.check(SocketAddr::new(address, port))
    }
}

/// Why there is no connection to an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not public, and no allowed subnet has it.
    #[error("{address} is not a public address ({range}), and no `allow_addresses` has it")]
    Address {
        /// The address.
        address: IpAddr,
        /// The range that it lies in, for people.
        range: &'static str,
    },
    /// Nobody has named the port.
    #[error("port {0} is none of 80, 443 and those that the merchant's file names")]
    Port(u16),
}

/// A range of addresses that is allowed: `10.1.0.0/16`, `fd00:1::/32`, or one address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet(IpNet);

impl FromStr for Subnet {
    type Err = InvalidSubnet;

    fn from_str(text: &str) -> Result<Self, InvalidSubnet> {
        let single = || text.parse::<IpAddr>().map(IpNet::from);
        let net = text.parse::<IpNet>().or_else(|_| single()).map_err(|_| InvalidSubnet::Form)?;
        if net.trunc() != net {
            return Err(InvalidSubnet::Bits(net.trunc()));
        }
        match net {
            IpNet::V6(net) if MAPPED.contains(&net) => Err(InvalidSubnet::Mapped),
            IpNet::V4(_) | IpNet::V6(_) => Ok(Self(net)),
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Why a text is no subnet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubnet {
    /// It has not the form of one.
    #[error("is no subnet such as `10.1.0.0/16` or `fd00:1::/32`, and no address")]
    Form,
    /// It could be another one.
    #[error("has bits beyond its length: is `{0}` meant, or one address without a length?")]
    Bits(IpNet),
    /// IPv4 in IPv6.
    #[error("is an IPv4 subnet written as IPv6: write it as IPv4")]
    Mapped,
}

/// The range that an address is refused for, if it is.
fn refused(allowed: &[Subnet], address: IpAddr) -> Option<&'static str> {
    let itself = || {
        let is_allowed = allowed.iter().any(|subnet| subnet.0.contains(&address));
        if is_allowed { None } else { special(address) }
    };
    let inside = |inner: Ipv4Addr| refused(allowed, IpAddr::V4(inner));
    match address {
        IpAddr::V4(_) => itself(),
        IpAddr::V6(address) => match Carried::by(address) {
            Carried::Nothing => itself(),
            Carried::Stands(inner) => inside(inner),
            Carried::Beside(carried) => itself().or_else(|| carried.into_iter().find_map(inside)),
        },
    }
}

/// What an IPv6 address has in it of IPv4.
enum Carried {
    Nothing,
    /// The IPv4 address stands for the whole: what is reached is that one.
    Stands(Ipv4Addr),
    /// The form is special by itself, and what is reached by it in the end are these.
    Beside([Ipv4Addr; 2]),
}

impl Carried {
    fn by(address: Ipv6Addr) -> Self {
        let octets = address.octets();
        let at = |index: usize| {
            Ipv4Addr::new(octets[index], octets[index + 1], octets[index + 2], octets[index + 3])
        };
        let both = |inner| Self::Beside([inner, inner]);
        if MAPPED.contains(&address) || NAT64.contains(&address) {
            Self::Stands(at(12))
        } else if SIX_TO_FOUR.contains(&address) {
            both(at(2))
        } else if TEREDO.contains(&address) {
            // The server, and the client with its bits turned over (RFC 4380 section 4).
            Self::Beside([at(4), Ipv4Addr::from_bits(!at(12).to_bits())])
        } else if address == Ipv6Addr::LOCALHOST || address == Ipv6Addr::UNSPECIFIED {
            Self::Nothing
        } else if COMPATIBLE.contains(&address)
            || TRANSLATED.contains(&address)
            || LOCAL_NAT64.contains(&address)
        {
            // Of a local NAT64 prefix this is the form with 96 bits (RFC 6052 section 2.2); in the others these bits are
            // zero, and refused.
            both(at(12))
        } else {
            Self::Nothing
        }
    }
}

/// The special-purpose range that the address lies in.
fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            SPECIAL_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, name)| *name)
        }
        IpAddr::V6(address) => {
            let named = SPECIAL_V6.iter().find(|(net, _)| net.contains(&address)).map(|(_, name)| *name);
            named.or_else(|| (!GLOBAL_UNICAST.contains(&address)).then_some("no global unicast address"))
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>, and multicast.
const SPECIAL_V4: [(Ipv4Net, &str); 19] = [
    (v4(0, 0, 0, 0, 8), "0.0.0.0/8, this network"),
    (v4(10, 0, 0, 0, 8), "10.0.0.0/8, private"),
    (v4(100, 64, 0, 0, 10), "100.64.0.0/10, shared by a provider"),
    (v4(127, 0, 0, 0, 8), "127.0.0.0/8, loopback"),
    (v4(169, 254, 0, 0, 16), "169.254.0.0/16, link local"),
    (v4(172, 16, 0, 0, 12), "172.16.0.0/12, private"),
    (v4(192, 0, 0, 0, 24), "192.0.0.0/24, IETF protocol assignments"),
    (v4(192, 0, 2, 0, 24), "192.0.2.0/24, documentation"),
    (v4(192, 31, 196, 0, 24), "192.31.196.0/24, AS112"),
    (v4(192, 52, 193, 0, 24), "192.52.193.0/24, AMT"),
    (v4(192, 88, 99, 0, 24), "192.88.99.0/24, 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "192.168.0.0/16, private"),
    (v4(192, 175, 48, 0, 24), "192.175.48.0/24, AS112"),
    (v4(198, 18, 0, 0, 15), "198.18.0.0/15, benchmarking"),
    (v4(198, 51, 100, 0, 24), "198.51.100.0/24, documentation"),
    (v4(203, 0, 113, 0, 24), "203.0.113.0/24, documentation"),
    (v4(224, 0, 0, 0, 4), "224.0.0.0/4, multicast"),
    (v4(255, 255, 255, 255, 32), "255.255.255.255, broadcast"),
    (v4(240, 0, 0, 0, 4), "240.0.0.0/4, reserved"),
];

/// <https://www.iana.org/assignments/iana-ipv6-address-space>: all that is given out to anybody as of today.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
/// RFC 4291 section 2.5.5.2.
const MAPPED: Ipv6Net = v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96);
/// RFC 4291 section 2.5.5.1.
const COMPATIBLE: Ipv6Net = v6([0, 0, 0, 0, 0, 0, 0, 0], 96);
/// RFC 2765 section 2.1.
const TRANSLATED: Ipv6Net = v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96);
/// RFC 6052.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
/// RFC 8215.
const LOCAL_NAT64: Ipv6Net = v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48);
/// RFC 3056.
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
/// RFC 4380.
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32);

/// <https://www.iana.org/assignments/iana-ipv6-special-registry>, multicast, and what was given back. Those outside of
/// [`GLOBAL_UNICAST`] would be refused without; they are here for their names.
const SPECIAL_V6: [(Ipv6Net, &str); 21] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "::, unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "::1, loopback"),
    (COMPATIBLE, "::/96, IPv4-compatible"),
    (TRANSLATED, "::ffff:0:0:0/96, IPv4-translated"),
    (LOCAL_NAT64, "64:ff9b:1::/48, local NAT64"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "100::/64, discard only"),
    (v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64), "100:0:0:1::/64, dummy"),
    (TEREDO, "2001::/32, Teredo"),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), "2001:2::/48, benchmarking"),
    (v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28), "2001:10::/28, ORCHID"),
    (v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), "2001:20::/28, ORCHIDv2"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "2001::/23, IETF protocol assignments"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "2001:db8::/32, documentation"),
    (SIX_TO_FOUR, "2002::/16, 6to4"),
    (v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), "2620:4f:8000::/48, AS112"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "3fff::/20, documentation"),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), "5f00::/16, SRv6"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "fc00::/7, unique local"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "fe80::/10, link local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "fec0::/10, site local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "ff00::/8, multicast"),
];

#[cfg(test)]
#[path = "address_guard_tests.rs"]
mod tests;
