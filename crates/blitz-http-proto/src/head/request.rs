//! A request's head, read and checked.

use super::again::Guess;
use super::fields::{Present, has_element, into_map, parsed, parsed_fields};
use super::framing::{self, Framing};
use super::host;
use super::received::{Kept, ReceivedHead};
use super::scan::METHOD_MAX;
use crate::error::Kind;
use crate::{Error, Limits, taken};
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT};
use http::{HeaderMap, Method, Request, Uri, Version};
use std::mem::MaybeUninit;

/// Reads a first line, with its end, for what makes it none: who speaks another protocol may wait for an answer before it sends more.
pub(crate) fn check_line(line: &[u8], limits: &Limits) -> Result<(), Error> {
    let mut request = httparse::Request::new(&mut []);
    request
        .parse(line)
        .map_err(|error| refused(error, line, limits))?;
    if request.method.is_some_and(|name| name.len() > METHOD_MAX) {
        return Err(Kind::Method.into());
    }
    Ok(())
}

/// Reads `head`, which ends with its empty line. `request` is a new one.
pub(crate) fn parse<B>(
    head: &Bytes,
    limits: &Limits,
    guess: &mut Guess,
    request: &mut Request<B>,
) -> Result<ReceivedHead, Error> {
    let (present, section) = parsed_fields(limits.fields, |room| {
        let mut read = httparse::Request::new(&mut []);
        match read.parse_with_uninit_headers(head, room) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(Kind::RequestLine.into()),
            Err(error) => return Err(refused(error, head, limits)),
        }
        // All three are there in a head that is complete.
        let (name, path) = (
            read.method.unwrap_or_default(),
            read.path.unwrap_or_default(),
        );
        if name.len() > METHOD_MAX {
            return Err(Kind::Method.into());
        }
        if path.len() > limits.uri_bytes {
            return Err(Kind::UriTooLong.into());
        }
        *request.version_mut() = version(read.version);
        let method = Method::from_bytes(name.as_bytes()).map_err(|_| Kind::RequestLine)?;
        *request.uri_mut() = target(head, path.as_bytes(), &method)?;
        *request.method_mut() = method;
        let first = read.headers.first().map_or(head.len(), |field| {
            field.name.as_ptr().addr() - head.as_ptr().addr()
        });
        let present = into_map(parsed(head, read.headers), request.headers_mut())?;
        Ok((present, first))
    })?;
    let read = checked(request, present)?;
    if section < head.len() {
        guess.note(&head[section..], request.headers(), present);
    }
    Ok(read)
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(1) {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    }
}

/// Reads a head that its client has sent before, or behind whose first line stands what it has sent before, if it is here whole. `None`
/// leaves it to others; nothing has left `input` then, and nothing is in `request`.
#[inline]
pub(crate) fn parse_again<B>(
    input: &mut BytesMut,
    limits: &Limits,
    guess: &mut Guess,
    request: &mut Request<B>,
) -> Option<Result<ReceivedHead, Error>> {
    if guess.is_none() {
        return None;
    }
    if let Some((len, head)) = guess.recall_whole(input, limits, request) {
        taken::skip(input, len);
        return Some(Ok(head));
    }
    let line = memchr::memchr(b'\n', input)? + 1;
    let mut read = httparse::Request::new(&mut []);
    // A line alone is a part of a head.
    let Ok(httparse::Status::Partial) = read.parse(&input[..line]) else {
        return None;
    };
    let (name, path) = (read.method?, read.path?);
    let fits = name.len() <= METHOD_MAX
        && path.len() <= limits.uri_bytes
        && read.version == Some(1)
        && input[..line].ends_with(b"\r\n");
    if !fits {
        return None;
    }
    let method = Method::from_bytes(name.as_bytes()).ok()?;
    let bytes_max = limits.head_bytes.checked_sub(line)?;
    let rest = &input[line..];
    let (behind, present) = guess.recall(rest, bytes_max, limits.fields, request.headers_mut())?;
    let at = name.len() + 1;
    let path = at..at + path.len();
    *request.version_mut() = Version::HTTP_11;
    *request.method_mut() = method;
    let head = input.split_to(line + behind).freeze();
    let read = target(&head, &head[path], request.method()).and_then(|uri| {
        *request.uri_mut() = uri;
        let mut read = checked(request, present)?;
        read.kept = Kept::Fields;
        guess.note_line(&head[..line], request, read, target);
        Ok(read)
    });
    Some(read)
}

/// Fields that a head may have to be read at once.
const AT_ONCE: usize = 32;

/// Reads a head without a search for its end first, if it is here whole and as most are. `None` leaves it to [`parse`], which has the
/// last word on what is refused; nothing has left `input` then.
pub(crate) fn parse_at_once<B>(
    input: &mut BytesMut,
    limits: &Limits,
    guess: &mut Guess,
    request: &mut Request<B>,
) -> Option<Result<ReceivedHead, Error>> {
    let mut room = [const { MaybeUninit::uninit() }; AT_ONCE];
    let mut read = httparse::Request::new(&mut []);
    let Ok(httparse::Status::Complete(end)) = read.parse_with_uninit_headers(input, &mut room)
    else {
        return None;
    };
    let (name, path) = (read.method?, read.path?);
    let fits = end <= limits.head_bytes.min(usize::from(u16::MAX))
        && read.headers.len() <= limits.fields
        && name.len() <= METHOD_MAX
        && path.len() <= limits.uri_bytes;
    // The parser takes a bare LF for a line's end; every line has to end with both.
    if !fits || !input[..end].ends_with(b"\r\n\r\n") {
        return None;
    }
    let first = input.as_ptr().addr();
    let place = |part: &[u8]| {
        let at = part.as_ptr().addr() - first;
        (at as u16, (at + part.len()) as u16)
    };
    let mut places = [((0, 0), (0, 0)); AT_ONCE];
    for (places, field) in places.iter_mut().zip(&*read.headers) {
        *places = (place(field.name.as_bytes()), place(field.value));
        if !input[..usize::from(places.0.0)].ends_with(b"\r\n") {
            return None;
        }
    }
    let count = read.headers.len();
    *request.method_mut() = Method::from_bytes(name.as_bytes()).ok()?;
    *request.version_mut() = version(read.version);
    let path = place(path.as_bytes());
    let head = input.split_to(end).freeze();
    let range = |(from, to): (u16, u16)| usize::from(from)..usize::from(to);
    let fields = places[..count].iter();
    let fields = fields.map(|(name, value)| (&head[range(*name)], head.slice(range(*value))));
    let read = target(&head, &head[range(path)], request.method()).and_then(|uri| {
        *request.uri_mut() = uri;
        let present = into_map(fields, request.headers_mut())?;
        let read = checked(request, present)?;
        if let Some((name, _)) = places[..count].first() {
            guess.note(&head[usize::from(name.0)..], request.headers(), present);
        }
        Ok(read)
    });
    Some(read)
}

/// What follows from a head that was read.
#[inline]
fn checked<B>(request: &Request<B>, present: Present) -> Result<ReceivedHead, Error> {
    let (version, headers) = (request.version(), request.headers());
    present.hosts.check(version)?;
    let framing = if present.length || present.encoding {
        framing::of_request(version, headers)?
    } else {
        Framing::None
    };
    // Content of CONNECT means nothing (RFC 9110 §9.3.6), and whether it is there would decide where the tunnel begins.
    let connect = *request.method() == Method::CONNECT;
    if connect && framing != Framing::None {
        return Err(Kind::ContentOfConnect.into());
    }
    let new = version >= Version::HTTP_11;
    let named = present.connection;
    let keep_alive = if new {
        !(named && has_element(headers, &CONNECTION, b"close"))
    } else {
        named
            && has_element(headers, &CONNECTION, b"keep-alive")
            && !has_element(headers, &CONNECTION, b"close")
    };
    // An HTTP/1.0 client does not know what to expect (RFC 9110 §10.1.1).
    let expects_continue = new && present.expect && expects(headers)? && framing != Framing::None;
    let asks = new && named && present.upgrade && has_element(headers, &CONNECTION, b"upgrade");
    Ok(ReceivedHead {
        upgrade: asks || connect,
        framing,
        keep_alive,
        expects_continue,
        kept: Kept::Nothing,
    })
}

fn expects(headers: &HeaderMap) -> Result<bool, Error> {
    let mut expects = false;
    for value in headers.get_all(EXPECT) {
        if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Kind::Expectation.into());
        }
        expects = true;
    }
    Ok(expects)
}

/// The target, of the one form that belongs to the method (RFC 9112 §3.2).
fn target(head: &Bytes, path: &[u8], method: &Method) -> Result<Uri, Error> {
    // The most common of all.
    if path == b"/" && *method != Method::CONNECT {
        return Ok(Uri::default());
    }
    // A fragment is never sent, and a parser that drops it reads another target than one that does not.
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
    if !path.iter().all(plain) {
        return Err(Kind::Target.into());
    }
    let uri = Uri::from_maybe_shared(head.slice_ref(path)).map_err(|_| Kind::Target)?;
    let fits = if *method == Method::CONNECT {
        host::is_authority(path, true) && uri.authority().is_some()
    } else if path.first() == Some(&b'/') {
        true
    } else if path == b"*" {
        *method == Method::OPTIONS
    } else {
        uri.scheme().is_some()
            && uri
                .authority()
                .is_some_and(|authority| host::is_authority(authority.as_str().as_bytes(), false))
    };
    if fits {
        Ok(uri)
    } else {
        Err(Kind::Target.into())
    }
}

/// Which of ours an error of the parser is.
fn refused(error: httparse::Error, head: &[u8], limits: &Limits) -> Error {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match error {
        httparse::Error::HeaderName | httparse::Error::NewLine => Kind::FieldName.into(),
        httparse::Error::HeaderValue => Kind::FieldValue.into(),
        httparse::Error::TooManyHeaders => Kind::TooManyFields.into(),
        httparse::Error::Version => {
            let words = line.split(|byte| *byte == b' ').count();
            let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            match version {
                // Well-formed, and another one (RFC 9112 §2.3).
                [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                    if major.is_ascii_digit() && minor.is_ascii_digit() && words == 3 =>
                {
                    Kind::UnknownVersion.into()
                }
                _ => Kind::Version.into(),
            }
        }
        httparse::Error::Token => {
            let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
            let path = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            if path.len() > limits.uri_bytes {
                Kind::UriTooLong.into()
            } else if method.iter().all(|byte| byte.is_ascii_alphanumeric()) && !path.is_empty() {
                Kind::Target.into()
            } else {
                Kind::RequestLine.into()
            }
        }
        _ => Kind::RequestLine.into(),
    }
}
