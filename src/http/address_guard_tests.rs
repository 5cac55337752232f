//! Every range at its edges, and every form in which an IPv4 address can hide.

use proptest::prelude::*;

use super::*;

fn allowed(reach: &Reach, address: IpAddr) -> bool {
    reach.check(SocketAddr::new(address, 443)).is_ok()
}

fn with(subnets: &[&str]) -> Reach {
    Reach::guarded(subnets.iter().map(|subnet| subnet.parse().expect("a subnet")), [])
}

/// What lies beside a range.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beside {
    Public,
    Refused,
    /// Nothing: it is the first, or the last, of all.
    End,
}
use Beside::{End, Public, Refused};

/// First and last address of each range, and what is one before and one after.
const RANGES: [(&str, &str, Beside, Beside); 43] = [
    ("0.0.0.0", "0.255.255.255", End, Public),
    ("10.0.0.0", "10.255.255.255", Public, Public),
    ("100.64.0.0", "100.127.255.255", Public, Public),
    ("127.0.0.0", "127.255.255.255", Public, Public),
    ("169.254.0.0", "169.254.255.255", Public, Public),
    ("172.16.0.0", "172.31.255.255", Public, Public),
    ("192.0.0.0", "192.0.0.255", Public, Public),
    ("192.0.2.0", "192.0.2.255", Public, Public),
    ("192.31.196.0", "192.31.196.255", Public, Public),
    ("192.52.193.0", "192.52.193.255", Public, Public),
    ("192.88.99.0", "192.88.99.255", Public, Public),
    ("192.168.0.0", "192.168.255.255", Public, Public),
    ("192.175.48.0", "192.175.48.255", Public, Public),
    ("198.18.0.0", "198.19.255.255", Public, Public),
    ("198.51.100.0", "198.51.100.255", Public, Public),
    ("203.0.113.0", "203.0.113.255", Public, Public),
    ("224.0.0.0", "239.255.255.255", Public, Refused),
    ("240.0.0.0", "255.255.255.255", Refused, End),
    ("255.255.255.255", "255.255.255.255", Refused, End),
    ("::", "::", End, Refused),
    ("::1", "::1", Refused, Refused),
    ("::", "::ffff:ffff", End, Refused),
    ("::ffff:0:0:0", "::ffff:0:ffff:ffff", Refused, Refused),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Refused, Refused),
    ("100::", "100::ffff:ffff:ffff:ffff", Refused, Refused),
    ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", Refused, Refused),
    // All that is below the global unicast addresses, and all that is above.
    ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", End, Public),
    ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public, End),
    ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Public, Refused),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Public, Public),
    ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", Refused, Refused),
    ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", Refused, Refused),
    ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", Refused, Refused),
    ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", Refused, Refused),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Public, Public),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public, Public),
    ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", Public, Public),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Public, Public),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Refused, Refused),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Refused, Refused),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Refused, Refused),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Refused, Refused),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Refused, End),
];

/// The address so many further on; `None` beyond the first and the last.
fn step(address: IpAddr, by: i8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            address.to_bits().checked_add_signed(by.into()).map(|bits| Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(address) => {
            address.to_bits().checked_add_signed(by.into()).map(|bits| Ipv6Addr::from_bits(bits).into())
        }
    }
}

#[test]
fn every_range_is_refused_from_its_first_address_to_its_last() {
    let reach = with(&[]);
    for (first, last, before, after) in RANGES {
        let [first, last]: [IpAddr; 2] = [first, last].map(|text| text.parse().expect("an address"));
        let beside = |address| match step(address, if address == first { -1 } else { 1 }) {
            None => End,
            Some(address) if allowed(&reach, address) => Public,
            Some(_) => Refused,
        };
        assert!(!allowed(&reach, first) && !allowed(&reach, last), "{first} to {last}");
        assert_eq!(beside(first), before, "before {first}");
        if first != last {
            assert_eq!(beside(last), after, "after {last}");
        }
    }
}

/// The code's table, each of its ranges at its edges, holds nothing that the one above has not.
#[test]
fn no_range_of_the_code_is_missing_in_the_test() {
    let edges = |first: IpAddr, last: IpAddr| (first.to_string(), last.to_string());
    let of_v4 = SPECIAL_V4.iter().map(|(net, _)| edges(net.network().into(), net.broadcast().into()));
    let of_v6 = SPECIAL_V6.iter().map(|(net, _)| edges(net.network().into(), net.broadcast().into()));
    for (first, last) in of_v4.chain(of_v6) {
        let same = |row: &&(&str, &str, Beside, Beside)| {
            let [from, to]: [IpAddr; 2] = [row.0, row.1].map(|text| text.parse().expect("an address"));
            edges(from, to) == (first.clone(), last.clone())
        };
        assert!(RANGES.iter().any(|row| same(&row)), "{first} to {last}");
    }
}

#[test]
fn an_allowed_subnet_is_allowed_and_nothing_beside_it() {
    let reach = with(&["10.1.0.0/16", "fd00:1::/32", "127.0.0.1", "::1"]);
    let judged = |text: &str| allowed(&reach, text.parse().expect("an address"));
    for address in ["10.1.0.0", "10.1.255.255", "fd00:1::7", "127.0.0.1", "::1", "1.1.1.1", "2606:4700::1"] {
        assert!(judged(address), "{address}");
    }
    // What is allowed is allowed in every form that stands for it.
    assert!(judged("::ffff:10.1.2.3") && judged("64:ff9b::10.1.2.3"));
    for address in ["10.0.255.255", "10.2.0.0", "fd00:2::", "127.0.0.2", "::2", "2002:a01:203::1"] {
        assert!(!judged(address), "{address}");
    }
}

#[test]
fn ports_are_those_of_the_web_and_those_that_are_named() {
    let reach = Reach::guarded([], [8443]);
    let judged = |port| reach.check(SocketAddr::new(IpAddr::from([1, 1, 1, 1]), port));
    assert_eq!([80, 443, 8443].map(judged), [Ok(()), Ok(()), Ok(())]);
    assert_eq!([0, 22, 8080, 8444].map(judged), [0, 22, 8080, 8444].map(|port| Err(Refusal::Port(port))));
    assert_eq!(Reach::anywhere().check("127.0.0.1:22".parse().expect("an address")), Ok(()));
}

#[test]
fn an_address_is_told_in_every_form_that_a_url_can_have() {
    let reach = with(&[]);
    for host in
        ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]"]
    {
        let told = reach.check_host(host, 443);
        assert!(matches!(told, Err(Refusal::Address { .. })), "{host}: {told:?}");
    }
    for host in ["1.1.1.1", "[2606:4700::1]", "shop.example", "localhost"] {
        assert_eq!(reach.check_host(host, 443), Ok(()), "{host}");
    }
}

#[test]
fn what_is_no_subnet_is_told() {
    let wrong = |text: &str| text.parse::<Subnet>().expect_err("no subnet").to_string();
    for text in ["", "10.0.0.0/33", "shop.example", "10.0.0", "10.0.0.0/8/8", "::/129"] {
        assert!(wrong(text).contains("is no subnet"), "{text}");
    }
    assert!(wrong("10.1.2.3/16").contains("`10.1.0.0/16`"));
    assert!(wrong("::ffff:10.0.0.0/104").contains("as IPv4"));
    assert_eq!("10.0.0.1".parse::<Subnet>().expect("one address").to_string(), "10.0.0.1/32");
}

/// Addresses at the edges of ranges as often as any.
fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    let nets = proptest::sample::select(&SPECIAL_V4[..]);
    prop_oneof![
        any::<u32>().prop_map(Ipv4Addr::from_bits),
        nets.prop_flat_map(|(net, _)| {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            prop_oneof![
                Just(first),
                Just(last),
                Just(first.wrapping_sub(1)),
                Just(last.wrapping_add(1)),
                first..=last
            ]
            .prop_map(Ipv4Addr::from_bits)
        }),
    ]
}

/// The address with the IPv4 address's bits so many from the right.
fn holding(prefix: &str, inner: Ipv4Addr, shift: u32) -> IpAddr {
    let prefix: Ipv6Addr = prefix.parse().expect("an address");
    Ipv6Addr::from_bits(prefix.to_bits() | (u128::from(inner.to_bits()) << shift)).into()
}

proptest! {
    /// Mapped and translated by the well-known prefix, an address is what it is.
    #[test]
    fn a_form_that_stands_for_an_address_is_judged_like_it(inner in any_v4(), narrow in any_v4()) {
        for reach in [with(&[]), with(&[&narrow.to_string(), "10.1.0.0/16", "64:ff9b::/96"])] {
            let expected = allowed(&reach, inner.into());
            prop_assert_eq!(allowed(&reach, holding("::ffff:0:0", inner, 0)), expected);
            prop_assert_eq!(allowed(&reach, holding("64:ff9b::", inner, 0)), expected);
        }
    }

    /// The other forms are refused by themselves; where somebody has allowed the form, it is judged like what is in it.
    #[test]
    fn a_form_that_leads_to_an_address_is_never_judged_more_mildly(inner in any_v4()) {
        let turned_over = Ipv4Addr::from_bits(!inner.to_bits());
        // 8.8.8.8 in the other half of a Teredo address: as server, and, turned over, as client.
        let forms = [
            ("2002::/16", holding("2002::1", inner, 80)),
            ("2001::/32", holding("2001::f7f7:f7f7", inner, 64)),
            ("2001::/32", holding("2001:0:808:808::", turned_over, 0)),
            ("::ffff:0:0:0/96", holding("::ffff:0:0:0", inner, 0)),
            ("64:ff9b:1::/48", holding("64:ff9b:1::", inner, 0)),
        ];
        for (form, address) in forms {
            prop_assert!(!allowed(&with(&[]), address), "{address}");
            prop_assert!(!allowed(&with(&[&inner.to_string()]), address), "{address}");
            prop_assert_eq!(allowed(&with(&[form]), address), allowed(&with(&[]), inner.into()), "{}", address);
        }
        let compatible = holding("::", inner, 0);
        prop_assert!(!allowed(&with(&[]), compatible));
        if inner.to_bits() > 1 {
            prop_assert_eq!(allowed(&with(&["::/96"]), compatible), allowed(&with(&[]), inner.into()));
        }
    }
}
