//! For whom a request is (RFC 9112 §3.2): one Host field, and one that can be a host.

use crate::Error;
use crate::characters::alphanumeric_and;
use crate::error::Kind;
use http::Version;
use std::net::Ipv6Addr;

/// The Host fields that a head has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hosts {
    #[default]
    None,
    /// One that can be a host.
    Good,
    /// One that cannot.
    Bad,
    Many,
}

impl Hosts {
    /// Another one.
    #[inline]
    pub(super) fn add(&mut self, host: &[u8]) {
        *self = match self {
            Hosts::None if is_authority(host, false) => Hosts::Good,
            Hosts::None => Hosts::Bad,
            _ => Hosts::Many,
        };
    }

    #[inline]
    pub(super) fn check(self, version: Version) -> Result<(), Error> {
        match self {
            Hosts::Good => Ok(()),
            Hosts::None if version < Version::HTTP_11 => Ok(()),
            Hosts::None => Err(Kind::NoHost.into()),
            Hosts::Bad => Err(Kind::BadHost.into()),
            Hosts::Many => Err(Kind::ManyHosts.into()),
        }
    }
}

/// Whether this is `host` or `host:port` (RFC 3986 §3.2.2): no user, nothing empty but, after a colon, the port.
pub(super) fn is_authority(bytes: &[u8], port_needed: bool) -> bool {
    // Most are a name without codes, and maybe a port.
    let other = bytes.iter().position(|byte| !IN_NAMES[usize::from(*byte)]);
    let plain = other.unwrap_or(bytes.len());
    match bytes.get(plain) {
        None => return plain > 0 && !port_needed,
        Some(b':') if plain > 0 => return is_port(&bytes[plain + 1..], port_needed),
        Some(_) => {}
    }
    let (host, port) = if bytes.first() == Some(&b'[') {
        let Some(end) = memchr::memchr(b']', bytes) else {
            return false;
        };
        let inside = str::from_utf8(&bytes[1..end]).unwrap_or_default();
        if inside.parse::<Ipv6Addr>().is_err() {
            return false;
        }
        match &bytes[end + 1..] {
            [] => return !port_needed,
            [b':', port @ ..] => (&b"v6"[..], Some(port)),
            _ => return false,
        }
    } else {
        match memchr::memchr(b':', bytes) {
            Some(colon) => (&bytes[..colon], Some(&bytes[colon + 1..])),
            None => (bytes, None),
        }
    };
    let port_fits = match port {
        None => !port_needed,
        Some(digits) => is_port(digits, port_needed),
    };
    port_fits && is_name(host)
}

/// Whether this is a port; where none is needed it may be empty.
fn is_port(digits: &[u8], needed: bool) -> bool {
    if digits.is_empty() {
        return !needed;
    }
    if digits.len() > 5 {
        return false;
    }
    let mut port = 0u32;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return false;
        }
        port = port * 10 + u32::from(digit);
    }
    port <= u32::from(u16::MAX)
}

/// The characters of a name that stand for themselves.
const IN_NAMES: [bool; 256] = alphanumeric_and(b"-._~!$&'()*+,;=");

/// A name of RFC 3986: unreserved, sub-delims and whole percent codes.
fn is_name(host: &[u8]) -> bool {
    let mut at = 0;
    while at < host.len() {
        match host[at] {
            b'%' => {
                let whole = host
                    .get(at + 1..at + 3)
                    .is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit));
                if !whole {
                    return false;
                }
                at += 3;
            }
            byte if IN_NAMES[usize::from(byte)] => at += 1,
            _ => return false,
        }
    }
    !host.is_empty()
}

#[cfg(test)]
mod tests {
    use super::is_authority;

    #[test]
    fn a_host_is_a_name_or_an_address_and_maybe_a_port() {
        for good in [
            "a",
            "a:80",
            "a:",
            "1.2.3.4:5",
            "[::1]",
            "[::1]:80",
            "x_y",
            "a%20b",
            "a.:1",
        ] {
            assert!(is_authority(good.as_bytes(), false), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a:b", "a:65536", "a:000080", "u@a", "a/b", "[::1", "[x]", "[::1]x",
            "a%2", "a,b c", "a?b", "a#", "a:1:2", "::1", "[]",
        ] {
            assert!(!is_authority(bad.as_bytes(), false), "{bad}");
        }
        assert!(!is_authority(b"a", true));
        assert!(!is_authority(b"a:", true));
        assert!(!is_authority(b"[::1]", true));
    }
}
