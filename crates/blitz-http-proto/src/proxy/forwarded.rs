//! Fields in which proxies say whom they speak for: `Forwarded` (RFC 7239) and its forerunner `X-Forwarded-For`, from right to left.
//!
//! Each proxy adds to the right, so what stands left of the last one that is trusted may be anybody's invention. It is read backwards for
//! that reason: no quote that a client left open can swallow what a proxy wrote behind it.

use crate::characters::is_token;
use std::net::{IpAddr, Ipv6Addr};

/// Whom a proxy has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// An address, and a port if it was said.
    Addr(IpAddr, Option<u16>),
    /// It does not know, or does not tell (`unknown`, and names that only it understands).
    Hidden,
}

/// The nodes of a value of `X-Forwarded-For`, the last one first; `None` for one that cannot be understood, after which nothing comes.
///
/// ```
/// use blitz_http_proto::{Node, XForwardedFor};
///
/// let mut nodes = XForwardedFor::new(b"192.0.2.1, [2001:db8::1]:80");
/// assert_eq!(nodes.next(), Some(Some(Node::Addr("2001:db8::1".parse().unwrap(), Some(80)))));
/// assert_eq!(nodes.next(), Some(Some(Node::Addr("192.0.2.1".parse().unwrap(), None))));
/// assert_eq!(nodes.next(), None);
/// ```
#[derive(Clone, Debug)]
pub struct XForwardedFor<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> XForwardedFor<'a> {
    /// The nodes of `value`.
    pub fn new(value: &'a [u8]) -> Self {
        XForwardedFor { rest: Some(value) }
    }
}

impl Iterator for XForwardedFor<'_> {
    type Item = Option<Node>;

    fn next(&mut self) -> Option<Option<Node>> {
        loop {
            let rest = self.rest.take()?;
            let comma = rest.iter().rposition(|byte| *byte == b',');
            let begin = comma.map_or(0, |at| at + 1);
            let element = rest[begin..].trim_ascii();
            self.rest = comma.map(|at| &rest[..at]);
            // A list may have empty elements (RFC 9110 §5.6.1).
            if !element.is_empty() {
                let node = node(element, true);
                if node.is_none() {
                    self.rest = None;
                }
                return Some(node);
            }
        }
    }
}

/// The nodes after `for=` in a value of `Forwarded`, the last one first; `None` for an element that cannot be understood, after which
/// nothing comes.
///
/// An element without `for=` is [`Hidden`](Node::Hidden).
///
/// ```
/// use blitz_http_proto::{Forwarded, Node};
///
/// let mut nodes = Forwarded::new(b"for=\"_a\\\"b, for=192.0.2.1;proto=https");
/// assert_eq!(nodes.next(), Some(Some(Node::Addr("192.0.2.1".parse().unwrap(), None))));
/// assert_eq!(nodes.next(), Some(None), "a quote that was left open");
/// assert_eq!(nodes.next(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Forwarded<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Forwarded<'a> {
    /// The nodes of `value`.
    pub fn new(value: &'a [u8]) -> Self {
        Forwarded { rest: Some(value) }
    }
}

impl Iterator for Forwarded<'_> {
    type Item = Option<Node>;

    fn next(&mut self) -> Option<Option<Node>> {
        loop {
            let rest = self.rest.take()?;
            let Some((before, last)) = last_element(rest) else {
                return Some(None);
            };
            self.rest = before;
            let last = last.trim_ascii();
            if !last.is_empty() {
                let node = element(last);
                if node.is_none() {
                    self.rest = None;
                }
                return Some(node);
            }
        }
    }
}

/// What stands before the last comma that is in no quotes, and behind it. `None` if quotes are left open.
fn last_element(value: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let mut at = value.len();
    while at > 0 {
        at -= 1;
        match value[at] {
            b',' => return Some((Some(&value[..at]), &value[at + 1..])),
            b'"' => at = opening(value, at)?,
            _ => {}
        }
    }
    Some((None, value))
}

/// Where the quotes begin that end at `close`.
fn opening(value: &[u8], close: usize) -> Option<usize> {
    let escaped = |at: usize| {
        let before = value[..at].iter().rev();
        before.take_while(|byte| **byte == b'\\').count() % 2 == 1
    };
    if escaped(close) {
        return None;
    }
    (0..close)
        .rev()
        .find(|at| value[*at] == b'"' && !escaped(*at))
}

/// The node of one element (RFC 7239 §4): pairs with semicolons between them, each name once.
fn element(text: &[u8]) -> Option<Node> {
    let (mut rest, mut found, mut seen) = (text, None, [false; 4]);
    loop {
        rest = rest.trim_ascii_start();
        let name_ends = rest.iter().position(|byte| !is_token(*byte));
        let (name, behind) = rest.split_at(name_ends.unwrap_or(rest.len()));
        if !name.is_empty() {
            let behind = behind.strip_prefix(b"=")?;
            let (value, behind) = value(behind)?;
            const KNOWN: [&[u8]; 4] = [b"for", b"by", b"host", b"proto"];
            let known = KNOWN.iter().position(|of| name.eq_ignore_ascii_case(of));
            if let Some(known) = known
                && std::mem::replace(&mut seen[known], true)
            {
                return None;
            }
            if known == Some(0) {
                found = Some(node(&value, false)?);
            }
            rest = behind;
        } else {
            rest = behind;
        }
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            None => return Some(found.unwrap_or(Node::Hidden)),
            Some((b';', behind)) => rest = behind,
            Some(_) => return None,
        }
    }
}

/// A token, or what stands in quotes, and what follows.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let ends = text.iter().position(|byte| !is_token(*byte));
        let (token, behind) = text.split_at(ends.unwrap_or(text.len()));
        return (!token.is_empty()).then(|| (token.to_vec(), behind));
    };
    let (mut plain, mut bytes) = (Vec::new(), quoted.iter().enumerate());
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((plain, &quoted[at + 1..])),
            b'\\' => plain.push(*bytes.next()?.1),
            byte => plain.push(*byte),
        }
    }
    None
}

/// A node (RFC 7239 §6). `bare`: an IPv6 address may stand without brackets, as it does in `X-Forwarded-For`.
fn node(text: &[u8], bare: bool) -> Option<Node> {
    let text = std::str::from_utf8(text).ok()?;
    if bare && let Ok(addr) = text.parse::<Ipv6Addr>() {
        return Some(Node::Addr(addr.into(), None));
    }
    let (name, port) = match text.strip_prefix('[') {
        Some(text) => {
            let (addr, behind) = text.split_once(']')?;
            let addr = IpAddr::V6(addr.parse().ok()?);
            let port = match behind {
                "" => None,
                behind => Some(behind.strip_prefix(':')?),
            };
            return Some(Node::Addr(addr, numbered(port)?));
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port = numbered(port)?;
    if let Ok(addr) = name.parse() {
        return Some(Node::Addr(IpAddr::V4(addr), port));
    }
    let is_name = |name: &str| {
        name.strip_prefix('_').is_some_and(|name| {
            let mut bytes = name.bytes();
            !name.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        })
    };
    (name.eq_ignore_ascii_case("unknown") || is_name(name)).then_some(Node::Hidden)
}

/// A port that is a number; one that is a name counts as none. The outer `None` is for what is neither.
fn numbered(port: Option<&str>) -> Option<Option<u16>> {
    match port {
        None => Some(None),
        Some(port) if port.starts_with('_') && port.len() > 1 => Some(None),
        Some(port) if (1..=5).contains(&port.len()) => {
            let plain = port.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| port.parse().ok())?.map(Some)
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(nodes: impl Iterator<Item = Option<Node>>) -> String {
        let told = nodes.map(|node| match node {
            Some(Node::Addr(addr, Some(port))) => format!("{addr}|{port}"),
            Some(Node::Addr(addr, None)) => addr.to_string(),
            Some(Node::Hidden) => "hidden".to_owned(),
            None => "?".to_owned(),
        });
        told.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn x_forwarded_for_is_read_from_the_right() {
        for (value, is) in [
            ("", ""),
            (" , ,", ""),
            ("1.2.3.4", "1.2.3.4"),
            ("1.2.3.4,  5.6.7.8 ", "5.6.7.8 1.2.3.4"),
            ("1.2.3.4:80,::1,[::2],[::3]:9", "::3|9 ::2 ::1 1.2.3.4|80"),
            ("unknown, 1.2.3.4", "1.2.3.4 hidden"),
            ("1.1.1.1, evil, 1.2.3.4", "1.2.3.4 ?"),
            ("1.2.3.4:99999", "?"),
            ("01.2.3.4", "?"),
            ("1.2.3.4:", "?"),
            ("\"1.2.3.4\"", "?"),
        ] {
            assert_eq!(told(XForwardedFor::new(value.as_bytes())), is, "{value}");
        }
    }

    #[test]
    fn forwarded_is_read_from_the_right() {
        for (value, is) in [
            ("", ""),
            ("for=192.0.2.43", "192.0.2.43"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17|4711"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            (
                "for=192.0.2.43, for=198.51.100.17",
                "198.51.100.17 192.0.2.43",
            ),
            (
                "for=_gazonk, for=unknown, proto=https",
                "hidden hidden hidden",
            ),
            (
                "for=1.1.1.1;host=\"a,b\\\",c\", for=2.2.2.2",
                "2.2.2.2 1.1.1.1",
            ),
            ("for=\"1.1.1.1\\\\\", for=2.2.2.2", "2.2.2.2 ?"),
            ("for=\"1.1.1.1, for=2.2.2.2", "2.2.2.2 ?"),
            ("for=\"1.1.1.1\\\", for=2.2.2.2", "2.2.2.2 ?"),
            ("for=1.1.1.1;for=2.2.2.2", "?"),
            ("for=2001:db8::1", "?"),
            ("for=\"2001:db8::1\"", "?"),
            ("for", "?"),
            ("for=", "?"),
            ("for=1.1.1.1 for=2.2.2.2", "?"),
            ("for=1.1.1.1; proto=http;", "1.1.1.1"),
            ("for=\"1.1.1.1:_port\"", "1.1.1.1"),
        ] {
            assert_eq!(told(Forwarded::new(value.as_bytes())), is, "{value}");
        }
    }
}
