//! Where a request comes from when proxies stand before the server: whose word is taken, and what they said.

use crate::Peer;
use blitz_http_proto::{Forwarded, Node, XForwardedFor};
use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    addr: IpAddr,
    prefix: u8,
}

/// A text that is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotANetwork(String);

impl fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.0;
        write!(
            f,
            "`{text}` is no range of addresses: it wants an address, and a length of its prefix that leaves the rest zero, as 10.0.0.0/8"
        )
    }
}

impl std::error::Error for NotANetwork {}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Network, NotANetwork> {
        let bad = || NotANetwork(text.to_owned());
        let (addr, prefix) = match text.split_once('/') {
            Some((addr, prefix)) => (addr, Some(prefix)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| bad())?;
        let width = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| bad())?
            }
            Some(_) => return Err(bad()),
        };
        let network = Network { addr, prefix };
        // Bits behind the prefix are a slip: one number or the other is not what was meant.
        if prefix > width || (prefix < width && bits(addr) << (128 - width + prefix) != 0) {
            return Err(bad());
        }
        Ok(network)
    }
}

/// The bits of an address, to the right.
fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => u128::from(addr.to_bits()),
        IpAddr::V6(addr) => addr.to_bits(),
    }
}

impl Network {
    /// Whether the address is of this range. An IPv4 address that is written as an IPv6 one (`::ffff:10.0.0.1`, as a socket for both sees
    /// it) is the IPv4 address.
    pub fn contains(&self, addr: IpAddr) -> bool {
        let (own, addr) = (self.addr.to_canonical(), addr.to_canonical());
        let (width, prefix) = match (own, self.addr) {
            (IpAddr::V4(_), IpAddr::V6(_)) => (32, self.prefix.saturating_sub(96)),
            (IpAddr::V4(_), _) => (32, self.prefix),
            _ => (128, self.prefix),
        };
        if own.is_ipv4() != addr.is_ipv4() {
            return false;
        }
        let shift = width - u32::from(prefix);
        let differ = bits(own) ^ bits(addr);
        differ.checked_shr(shift).unwrap_or(0) == 0
    }
}

/// Whose word is taken on where a connection or a request comes from. Nobody's, at first.
///
/// ```
/// use blitz_http::Trusted;
///
/// let trusted = Trusted::nobody().and("10.0.0.0/8".parse()?).and("2001:db8::1".parse()?);
/// assert!(trusted.contains("10.1.2.3".parse()?));
/// assert!(!trusted.contains("192.0.2.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    networks: Arc<[Network]>,
    unix: bool,
}

impl Trusted {
    /// Nobody.
    pub fn nobody() -> Trusted {
        Trusted::default()
    }

    /// Everybody: for a port that nobody but a proxy reaches.
    pub fn everybody() -> Trusted {
        let any = |addr: IpAddr| Network { addr, prefix: 0 };
        Trusted {
            networks: Arc::new([any([0; 4].into()), any([0u8; 16].into())]),
            unix: true,
        }
    }

    /// Those of this range, too.
    #[must_use]
    pub fn and(mut self, network: Network) -> Trusted {
        self.networks = self.networks.iter().copied().chain([network]).collect();
        self
    }

    /// Those who connect by a Unix socket, too.
    #[must_use]
    pub fn and_unix(mut self) -> Trusted {
        self.unix = true;
        self
    }

    /// Whether this address is among them.
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(addr))
    }

    pub(crate) fn is_nobody(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    pub(crate) fn trusts(&self, peer: &Peer) -> bool {
        match peer.addr {
            Some(addr) => self.contains(addr.ip()),
            None => self.unix,
        }
    }
}

/// In which field a proxy says whom it speaks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedBy {
    /// `X-Forwarded-For`, as most do.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies before a server that add fields to requests. None, at first: then [`ClientAddr`] is the peer's.
///
/// Which field is read has to be said, because a proxy passes on the one that it does not write as the client sent it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Proxies {
    /// Whose word is taken.
    pub trusted: Trusted,
    /// Where it stands.
    pub field: ForwardedBy,
}

/// Where a request comes from, as far as that can be known.
///
/// Without proxies that are trusted ([`Config::proxies`](crate::Config::proxies)) it is the peer. With them the field that they write is
/// read from the right, and each address that is trusted is taken for another proxy: the first that is not is the client's. Where a
/// proxy tells no address, or something that is none, the last one that is known counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientAddr {
    /// The address.
    pub ip: IpAddr,
    /// The port, where it is known.
    pub port: Option<u16>,
}

impl ClientAddr {
    /// Where this request comes from; `None` if all that is known is that it came by a Unix socket.
    ///
    /// ```
    /// use blitz_http::{ClientAddr, Request};
    ///
    /// fn who(request: &Request) -> String {
    ///     ClientAddr::of(request).map_or("somebody here".to_owned(), |client| client.ip.to_string())
    /// }
    /// # let _ = who;
    /// ```
    pub fn of<B>(request: &http::Request<B>) -> Option<ClientAddr> {
        let extensions = request.extensions();
        let told = extensions.get::<ClientAddr>().copied();
        told.or_else(|| ClientAddr::of_peer(extensions.get::<Peer>()?))
    }

    fn of_peer(peer: &Peer) -> Option<ClientAddr> {
        let addr = peer.addr?;
        Some(ClientAddr {
            ip: addr.ip(),
            port: Some(addr.port()),
        })
    }

    /// What the proxies say, if `peer` is one that is trusted and they say anything.
    #[inline]
    pub(crate) fn told(peer: &Peer, headers: &HeaderMap, by: &Proxies) -> Option<ClientAddr> {
        if by.trusted.is_nobody() || !by.trusted.trusts(peer) {
            return None;
        }
        ClientAddr::told_by_trusted(headers, by)
    }

    fn told_by_trusted(headers: &HeaderMap, by: &Proxies) -> Option<ClientAddr> {
        let field = match by.field {
            ForwardedBy::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ForwardedBy::Forwarded => FORWARDED,
        };
        let mut known = None;
        // Of several fields the last was added last.
        for value in headers.get_all(field).iter().rev() {
            let value = value.as_bytes();
            let goes_on = match by.field {
                ForwardedBy::XForwardedFor => {
                    walk(XForwardedFor::new(value), &by.trusted, &mut known)
                }
                ForwardedBy::Forwarded => walk(Forwarded::new(value), &by.trusted, &mut known),
            };
            if !goes_on {
                break;
            }
        }
        known
    }
}

/// Goes from proxy to proxy for as long as they are trusted; `known` is how far that was. `false` if it ends here.
fn walk(
    mut nodes: impl Iterator<Item = Option<Node>>,
    trusted: &Trusted,
    known: &mut Option<ClientAddr>,
) -> bool {
    nodes.all(|node| {
        let Some(Node::Addr(ip, port)) = node else {
            return false;
        };
        let ip = ip.to_canonical();
        *known = Some(ClientAddr { ip, port });
        trusted.contains(ip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().expect("a range")
    }

    #[test]
    fn ranges_hold_what_they_say() {
        let holds = |range: &str, addr: &str| network(range).contains(addr.parse().expect("one"));
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.1.1") && !holds("10.0.0.0/8", "::a00:1"));
        assert!(
            holds("::ffff:10.0.0.0/104", "10.1.1.1") && !holds("::ffff:10.0.0.0/104", "11.1.1.1")
        );
        assert!(holds("192.0.2.1", "192.0.2.1") && !holds("192.0.2.1", "192.0.2.2"));
        assert!(holds("192.0.2.0/31", "192.0.2.1") && !holds("192.0.2.0/31", "192.0.2.2"));
        assert!(holds("0.0.0.0/0", "255.1.2.3") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "fe80::1") && !holds("::/0", "1.2.3.4"));
        assert!(
            holds("2001:db8::/33", "2001:db8:7fff::") && !holds("2001:db8::/33", "2001:db8:8000::")
        );
        for bad in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "::/129",
            "::1/127",
            "10.0.0/8",
            "10.0.0.0/8/8",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        let all = Trusted::everybody();
        assert!(all.trusts(&Peer::default()) && all.contains([1, 2, 3, 4].into()));
        assert!(all.contains("fe80::1".parse().expect("one")));
    }

    fn told(peer: &str, fields: &[&str], field: ForwardedBy) -> Option<String> {
        let name = match field {
            ForwardedBy::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ForwardedBy::Forwarded => FORWARDED,
        };
        let mut headers = HeaderMap::new();
        for value in fields {
            headers.append(&name, value.parse().expect("a value"));
        }
        let by = Proxies {
            trusted: Trusted::nobody().and(network("10.0.0.0/8")),
            field,
        };
        let peer = Peer::new(
            peer.parse().expect("an address"),
            ([127, 0, 0, 1], 80).into(),
        );
        ClientAddr::told(&peer, &headers, &by).map(|client| client.ip.to_string())
    }

    #[test]
    fn the_first_that_is_no_proxy_is_the_client() {
        let x = |peer, fields: &[&str]| told(peer, fields, ForwardedBy::XForwardedFor);
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(
            x("10.0.0.1:1", &["1.1.1.1, 2.2.2.2, 10.9.9.9"]),
            is("2.2.2.2")
        );
        assert_eq!(
            x("10.0.0.1:1", &["1.1.1.1", "2.2.2.2", "10.9.9.9"]),
            is("2.2.2.2")
        );
        assert_eq!(
            x("9.0.0.1:1", &["1.1.1.1"]),
            None,
            "of nobody who is trusted"
        );
        assert_eq!(x("[::ffff:10.0.0.1]:1", &["1.1.1.1"]), is("1.1.1.1"));
        assert_eq!(x("10.0.0.1:1", &[]), None);
        assert_eq!(
            x("10.0.0.1:1", &["10.3.3.3, 10.2.2.2"]),
            is("10.3.3.3"),
            "all are proxies"
        );
        assert_eq!(
            x("10.0.0.1:1", &["1.1.1.1, unknown, 10.2.2.2"]),
            is("10.2.2.2")
        );
        assert_eq!(
            x("10.0.0.1:1", &["1.1.1.1, what?, 10.2.2.2"]),
            is("10.2.2.2")
        );
        assert_eq!(x("10.0.0.1:1", &["1.1.1.1", "what?"]), None);
        let list = [
            "for=1.1.1.1, for=\"[2001:db8::1]:8\";proto=https",
            "for=10.1.1.1",
        ];
        assert_eq!(
            told("10.0.0.1:1", &list, ForwardedBy::Forwarded),
            is("2001:db8::1")
        );
        assert_eq!(
            told("10.0.0.1:1", &list, ForwardedBy::XForwardedFor),
            None,
            "another says nothing"
        );
    }
}
