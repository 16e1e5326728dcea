//! The PROXY protocol, versions 1 and 2: what a proxy sends before the first byte of a connection that it passes on.
//!
//! The description is HAProxy's, `doc/proxy-protocol.txt`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest header that is taken, in bytes. Version 1 has 107 at most; version 2 could say 65,551, for notes of which none is used here.
pub const PROXY_HEADER_MAX: usize = 4 * 1024;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2's signature, version and command, family, length.
const FIXED: usize = 16;
/// A line of version 1 with its end.
const LINE_MAX: usize = 107;
const CRC32C: u8 = 0x03;

/// What a proxy says of a connection that it passes on.
///
/// ```
/// use blitz_http_proto::ProxyHeader;
///
/// let bytes = b"PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\nGET / HTTP/1.1\r\n";
/// assert_eq!(ProxyHeader::decode(&bytes[..20])?, None, "the rest has to come");
/// let (header, taken) = ProxyHeader::decode(bytes)?.expect("it is whole");
/// let (client, server) = header.ends.expect("it says whose");
/// assert_eq!((client.to_string(), server.port()), ("192.0.2.1:56324".to_owned(), 443));
/// assert_eq!(&bytes[taken..], b"GET / HTTP/1.1\r\n");
/// # Ok::<(), blitz_http_proto::ProxyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyHeader {
    /// The client's address, and the one that it connected to. None where the proxy speaks for itself (a check of health), does not
    /// know, or passes on what is no TCP over IP: then the connection's own ends are the right ones.
    pub ends: Option<(SocketAddr, SocketAddr)>,
}

/// Why what came is no header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// It begins otherwise.
    NoHeader,
    /// It begins so, and is malformed.
    Malformed,
    /// It is longer than [`PROXY_HEADER_MAX`], or a line longer than version 1 allows.
    TooLong,
    /// Its checksum is wrong.
    Checksum,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyError::NoHeader => "connection does not begin with a PROXY header",
            ProxyError::Malformed => "malformed PROXY header",
            ProxyError::TooLong => "PROXY header is too long",
            ProxyError::Checksum => "PROXY header has a wrong checksum",
        })
    }
}

impl std::error::Error for ProxyError {}

impl ProxyHeader {
    /// The header at the beginning of `bytes`, and how many of them it has; `None` while it is not whole.
    ///
    /// Whoever waits for the rest calls it again with all that came. That is bounded: a header has [`PROXY_HEADER_MAX`] bytes at most, and
    /// of version 2 only the first sixteen are looked at before it is whole.
    ///
    /// # Errors
    /// As soon as the bytes cannot become a header.
    pub fn decode(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
        const LINE: &[u8] = b"PROXY ";
        if agrees(bytes, &SIGNATURE) {
            binary(bytes)
        } else if agrees(bytes, LINE) {
            if bytes.len() < LINE.len() {
                return Ok(None);
            }
            line(bytes)
        } else {
            Err(ProxyError::NoHeader)
        }
    }
}

/// Whether the shorter one begins the other.
fn agrees(bytes: &[u8], beginning: &[u8]) -> bool {
    bytes.iter().zip(beginning).all(|(a, b)| a == b)
}

/// Version 1: a line of text.
fn line(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
    let looked = &bytes[..bytes.len().min(LINE_MAX)];
    let Some(end) = looked.iter().position(|byte| *byte == b'\n') else {
        return match looked.len() {
            LINE_MAX => Err(ProxyError::TooLong),
            _ => Ok(None),
        };
    };
    let text = looked[..end]
        .strip_suffix(b"\r")
        .and_then(|text| std::str::from_utf8(text).ok())
        .ok_or(ProxyError::Malformed)?;
    if text.contains('\r') {
        return Err(ProxyError::Malformed);
    }
    let mut words = text.split(' ').skip(1);
    let ends = match words.next() {
        // Whatever it says behind that is not meant for anybody.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(ends::<Ipv4Addr>(words)?),
        Some("TCP6") => Some(ends::<Ipv6Addr>(words)?),
        _ => return Err(ProxyError::Malformed),
    };
    Ok(Some((ProxyHeader { ends }, end + 1)))
}

fn ends<'a, A: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Result<(SocketAddr, SocketAddr), ProxyError> {
    let mut next = || words.next().ok_or(ProxyError::Malformed);
    let (source, destination, from, to) = (next()?, next()?, next()?, next()?);
    if words.next().is_some() {
        return Err(ProxyError::Malformed);
    }
    let addr = |text: &str| {
        let addr = text.parse::<A>().map_err(|_| ProxyError::Malformed)?;
        Ok(addr.into())
    };
    Ok((
        SocketAddr::new(addr(source)?, port(from)?),
        SocketAddr::new(addr(destination)?, port(to)?),
    ))
}

/// A decimal number without a sign and without zeros in front.
fn port(text: &str) -> Result<u16, ProxyError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return Err(ProxyError::Malformed);
    }
    text.parse().map_err(|_| ProxyError::Malformed)
}

/// Version 2: sixteen bytes, and as many as they say.
fn binary(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
    let (version, command) = match bytes.get(SIGNATURE.len()) {
        None => return Ok(None),
        Some(byte) => (byte >> 4, byte & 0x0f),
    };
    if version != 2 || command > 1 {
        return Err(ProxyError::Malformed);
    }
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let whole = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if whole > PROXY_HEADER_MAX {
        return Err(ProxyError::TooLong);
    }
    let Some(header) = bytes.get(..whole) else {
        return Ok(None);
    };
    let rest = &header[FIXED..];
    // The addresses of a family, and how many bytes they have.
    let (ends, addresses) = match fixed[13] {
        // Datagrams and what is unspecified come by no TCP; what the block then says is not for us.
        0x00 => (None, None),
        0x11 | 0x12 => (v4(rest), Some(12)),
        0x21 | 0x22 => (v6(rest), Some(36)),
        0x31 | 0x32 => (None, Some(216)),
        _ => return Err(ProxyError::Malformed),
    };
    let is_stream = fixed[13] & 0x0f == 1;
    // A proxy that speaks for itself may say what it likes behind that.
    if command == 1
        && let Some(addresses) = addresses
    {
        let notes = rest.get(addresses..).ok_or(ProxyError::Malformed)?;
        check_notes(header, notes)?;
    }
    let ends = ends.filter(|_| command == 1 && is_stream);
    Ok(Some((ProxyHeader { ends }, whole)))
}

fn v4(block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = block.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    let [a, b, c, d] = *rest.first_chunk()?;
    Some((
        SocketAddr::new(Ipv4Addr::from(*source).into(), u16::from_be_bytes([a, b])),
        SocketAddr::new(
            Ipv4Addr::from(*destination).into(),
            u16::from_be_bytes([c, d]),
        ),
    ))
}

fn v6(block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = block.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let [a, b, c, d] = *rest.first_chunk()?;
    Some((
        SocketAddr::new(Ipv6Addr::from(*source).into(), u16::from_be_bytes([a, b])),
        SocketAddr::new(
            Ipv6Addr::from(*destination).into(),
            u16::from_be_bytes([c, d]),
        ),
    ))
}

/// The notes behind the addresses (type, length, value) fill their place, and the checksum among them is right.
fn check_notes(header: &[u8], notes: &[u8]) -> Result<(), ProxyError> {
    let mut rest = notes;
    while !rest.is_empty() {
        let ([kind, high, low], behind) = rest.split_first_chunk().ok_or(ProxyError::Malformed)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, next) = behind
            .split_at_checked(length)
            .ok_or(ProxyError::Malformed)?;
        if *kind == CRC32C {
            let said = value.try_into().map_err(|_| ProxyError::Malformed)?;
            let at = header.len() - behind.len();
            if crc32c(header, at..at + 4) != u32::from_be_bytes(said) {
                return Err(ProxyError::Checksum);
            }
        }
        rest = next;
    }
    Ok(())
}

/// CRC-32C (RFC 9260, appendix A) with the bytes at `but` taken for zeros.
fn crc32c(bytes: &[u8], but: std::ops::Range<usize>) -> u32 {
    let mut crc = u32::MAX;
    for (at, byte) in bytes.iter().enumerate() {
        crc ^= if but.contains(&at) {
            0
        } else {
            u32::from(*byte)
        };
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Result<Option<String>, ProxyError> {
        let told = |(header, taken): (ProxyHeader, usize)| {
            let ends = header.ends.map(|(from, to)| format!("{from} {to}"));
            format!("{} {taken}", ends.unwrap_or_default())
        };
        ProxyHeader::decode(bytes).map(|header| header.map(told))
    }

    #[test]
    fn the_checksum_is_the_one_of_the_book() {
        assert_eq!(crc32c(b"123456789", 0..0), 0xe306_9283);
    }

    #[test]
    fn lines_of_version_1() {
        let good = |line: &str| decoded(line.as_bytes()).expect("taken").expect("whole");
        let is = "1.2.3.4:5 6.7.8.9:65535 36";
        assert_eq!(good("PROXY TCP4 1.2.3.4 6.7.8.9 5 65535\r\n...."), is);
        assert_eq!(
            good("PROXY TCP6 ::1 fe80::2 1 2\r\n"),
            "[::1]:1 [fe80::2]:2 28"
        );
        assert_eq!(good("PROXY UNKNOWN\r\n"), " 15");
        assert_eq!(good("PROXY UNKNOWN ffff:: x y\r\n"), " 26");
        for bad in [
            "PROXY TCP4 1.2.3.4 6.7.8.9 5 65536\r\n",
            "PROXY TCP4 1.2.3.4 6.7.8.9 05 6\r\n",
            "PROXY TCP4 1.2.3.4 6.7.8.9 +5 6\r\n",
            "PROXY TCP4 1.2.3.4 6.7.8.9 5\r\n",
            "PROXY TCP4 1.2.3.4 6.7.8.9 5 6 7\r\n",
            "PROXY TCP4  1.2.3.4 6.7.8.9 5 6\r\n",
            "PROXY TCP4 01.2.3.4 6.7.8.9 5 6\r\n",
            "PROXY TCP4 ::1 ::2 5 6\r\n",
            "PROXY TCP6 1.2.3.4 6.7.8.9 5 6\r\n",
            "PROXY tcp4 1.2.3.4 6.7.8.9 5 6\r\n",
            "PROXY TCP4 1.2.3.4 6.7.8.9 5 6\n",
            "PROXY TCP4 1.2.3.4 6.7.8.9 5 6\r\r\n",
            "PROXY \r\n",
        ] {
            assert_eq!(decoded(bad.as_bytes()), Err(ProxyError::Malformed), "{bad}");
        }
        assert_eq!(decoded(b"GET / HTTP/1.1\r\n"), Err(ProxyError::NoHeader));
        assert_eq!(decoded(b"PROXYTCP4"), Err(ProxyError::NoHeader));
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        assert_eq!(decoded(long.as_bytes()), Err(ProxyError::TooLong));
        assert_eq!(decoded(&long.as_bytes()[..106]), Ok(None));
    }

    fn version_2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend((block.len() as u16).to_be_bytes());
        bytes.extend(block);
        bytes
    }

    const FOUR: [u8; 12] = [1, 2, 3, 4, 6, 7, 8, 9, 0, 5, 1, 0];

    #[test]
    fn headers_of_version_2() {
        let is = |bytes: &[u8]| decoded(bytes).expect("taken").expect("whole");
        assert_eq!(
            is(&version_2(0x21, 0x11, &FOUR)),
            "1.2.3.4:5 6.7.8.9:256 28"
        );
        let mut six = [0; 36];
        (six[15], six[31], six[33], six[35]) = (1, 2, 3, 4);
        assert_eq!(is(&version_2(0x21, 0x21, &six)), "[::1]:3 [::2]:4 52");
        assert_eq!(
            is(&version_2(0x20, 0x11, &FOUR)),
            " 28",
            "it speaks for itself"
        );
        assert_eq!(is(&version_2(0x20, 0x00, &[])), " 16");
        assert_eq!(is(&version_2(0x21, 0x00, &[1, 2, 3])), " 19");
        assert_eq!(
            is(&version_2(0x21, 0x12, &FOUR)),
            " 28",
            "no datagram comes here"
        );
        assert_eq!(is(&version_2(0x21, 0x31, &[0; 216])), " 232");
        for (command, family, block) in [
            (0x11, 0x11, &FOUR[..]),
            (0x22, 0x11, &FOUR),
            (0x21, 0x13, &FOUR),
            (0x21, 0x41, &FOUR),
            (0x21, 0x11, &FOUR[..11]),
            (0x21, 0x21, &FOUR),
        ] {
            let bytes = version_2(command, family, block);
            assert_eq!(decoded(&bytes), Err(ProxyError::Malformed), "{bytes:?}");
        }
        let long = version_2(0x21, 0x00, &[0; PROXY_HEADER_MAX]);
        assert_eq!(decoded(&long[..16]), Err(ProxyError::TooLong));
    }

    #[test]
    fn notes_of_version_2() {
        let with = |notes: &[u8]| version_2(0x21, 0x11, &[&FOUR[..], notes].concat());
        assert!(decoded(&with(&[4, 0, 2, 0, 0])).is_ok());
        assert_eq!(decoded(&with(&[4, 0, 3, 0, 0])), Err(ProxyError::Malformed));
        assert_eq!(decoded(&with(&[4, 0])), Err(ProxyError::Malformed));
        assert_eq!(decoded(&with(&[3, 0, 2, 0, 0])), Err(ProxyError::Malformed));
        let mut checked = with(&[4, 0, 1, 9, 3, 0, 4, 0, 0, 0, 0]);
        assert_eq!(decoded(&checked), Err(ProxyError::Checksum));
        let crc = crc32c(&checked, 0..0).to_be_bytes();
        let at = checked.len() - 4;
        checked[at..].copy_from_slice(&crc);
        assert!(decoded(&checked).is_ok());
    }
}
