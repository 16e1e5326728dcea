//! What proxies say of their clients, written and read back, and bytes of any kind.

use crate::checks::check_proxies;
use blitz_http_proto::{Forwarded, Node, ProxyHeader, XForwardedFor};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn line(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let kind = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    let (source, destination) = (from.ip(), to.ip());
    let (out, into) = (from.port(), to.port());
    format!("PROXY {kind} {source} {destination} {out} {into}\r\n").into_bytes()
}

fn block(from: SocketAddr, to: SocketAddr, notes: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let octets = |addr: SocketAddr| match addr.ip() {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    };
    let mut rest = [octets(from), octets(to)].concat();
    rest.extend(from.port().to_be_bytes());
    rest.extend(to.port().to_be_bytes());
    for (kind, value) in notes {
        rest.push(*kind);
        rest.extend((value.len() as u16).to_be_bytes());
        rest.extend(value);
    }
    let family = if from.is_ipv4() { 0x11 } else { 0x21 };
    let length = (rest.len() as u16).to_be_bytes();
    [SIGNATURE, &[0x21, family], &length, &rest].concat()
}

fn ends() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let port = any::<u16>;
    prop_oneof![
        (any::<[u8; 4]>(), any::<[u8; 4]>(), port(), port())
            .prop_map(|(a, b, c, d)| (SocketAddr::from((a, c)), SocketAddr::from((b, d)))),
        (any::<[u16; 8]>(), any::<[u16; 8]>(), port(), port())
            .prop_map(|(a, b, c, d)| (SocketAddr::from((a, c)), SocketAddr::from((b, d)))),
    ]
}

/// Any bytes, and often such as begin as a header does.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let rest = || prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        rest(),
        rest().prop_map(|rest| [b"PROXY TCP4 ", &rest[..]].concat()),
        (
            prop::sample::select(vec![0x20u8, 0x21]),
            prop::sample::select(vec![0u8, 0x11, 0x21]),
            rest()
        )
            .prop_map(|(command, family, rest)| [SIGNATURE, &[command, family, 0], &rest].concat()),
        "[ -~]{0,60}".prop_map(String::into_bytes),
        "(for=|by=|\"|\\\\|,|;|:|\\[|\\]|1\\.2\\.3\\.4|::1| ){0,20}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn no_bytes_are_too_much(bytes in bytes()) {
        check_proxies(&bytes);
    }

    #[test]
    fn reading_undoes_writing((from, to) in ends(), notes in prop::collection::vec((4u8..200, prop::collection::vec(any::<u8>(), 0..20)), 0..4), behind in "[ -~]{0,20}") {
        for header in [line(from, to), block(from, to, &notes)] {
            let all = [&header[..], behind.as_bytes()].concat();
            let (read, taken) = ProxyHeader::decode(&all).expect("a header").expect("a whole one");
            prop_assert_eq!(read.ends, Some((from, to)));
            prop_assert_eq!(taken, header.len());
        }
    }

    #[test]
    fn nodes_come_back_from_the_right(all in prop::collection::vec(ends(), 1..6)) {
        let addrs: Vec<SocketAddr> = all.iter().map(|(from, _)| *from).collect();
        let expected: Vec<_> = addrs.iter().rev().map(|addr| Some(Node::Addr(addr.ip(), Some(addr.port())))).collect();
        let list = addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        prop_assert_eq!(XForwardedFor::new(list.as_bytes()).collect::<Vec<_>>(), expected.clone());
        let list = addrs.iter().map(|addr| format!("by=_x;for=\"{addr}\";proto=http")).collect::<Vec<_>>().join(", ");
        prop_assert_eq!(Forwarded::new(list.as_bytes()).collect::<Vec<_>>(), expected);
    }
}
