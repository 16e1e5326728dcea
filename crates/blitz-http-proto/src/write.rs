//! Heads, written. How the body is framed is decided here and nowhere else: a handler that says otherwise is corrected.

use crate::head::{Asked, Framing, Lines, is_listed};
use crate::{BodyEncoder, HttpDate};
use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Uri, Version};

/// A response's head on its way out.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// What came of the request.
    pub status: StatusCode,
    /// The handler's fields. What frames the body is left out of them: that follows from `length` and from the request.
    pub headers: &'a HeaderMap,
    /// The method that is answered: after HEAD and CONNECT there is no body.
    pub method: &'a Method,
    /// The version that was asked in: chunks are for HTTP/1.1 only.
    pub version: Version,
    /// How long the body is, if that is known.
    pub length: Option<u64>,
    /// Whether the connection goes on after the answer.
    pub keep_alive: bool,
    /// The `Date`, where the handler gave none.
    pub date: Option<HttpDate>,
}

impl ResponseHead<'_> {
    /// Writes the head, and returns what writes the body and whether the connection may go on after it.
    ///
    /// It may not where `keep_alive` is false, where the handler's fields say `Connection: close`, and where the body's end is
    /// the connection's.
    pub fn write(&self, out: &mut BytesMut) -> (BodyEncoder, bool) {
        let out = &mut Lines::new(out);
        let (framing, announced) = self.framing();
        if self.status == StatusCode::OK {
            out.put(b"HTTP/1.1 200 OK\r\n");
        } else {
            out.put(b"HTTP/1.1 ");
            out.put(self.status.as_str().as_bytes());
            out.put(b" ");
            out.put(self.status.canonical_reason().unwrap_or("").as_bytes());
            out.put(b"\r\n");
        }
        // A length that the handler gave for a body that is not sent is worth keeping (RFC 9110 §8.6).
        let bodiless = matches!(framing, Framing::None)
            && (self.method == Method::HEAD || self.status == StatusCode::NOT_MODIFIED);
        let (mut named, mut says_close, mut dated) = (false, false, false);
        for (name, value) in self.headers {
            if name == TRANSFER_ENCODING
                || (name == CONTENT_LENGTH && (!bodiless || announced.is_some()))
            {
                // That is ours to say.
                continue;
            }
            if name == CONNECTION {
                named = true;
                says_close |= is_listed(value, b"close");
            }
            dated |= name == DATE;
            out.field(name.as_str().as_bytes(), value.as_bytes());
        }
        let keep = self.keep_alive && framing != Framing::UntilClose && !says_close;
        if let Some(length) = announced {
            out.put(b"content-length: ");
            out.decimal(length);
            out.put(b"\r\n");
        }
        if framing == Framing::Chunked {
            out.put(b"transfer-encoding: chunked\r\n");
        }
        let tunnel = framing == Framing::Tunnel;
        if !keep && !says_close && !tunnel && !self.status.is_informational() {
            out.put(b"connection: close\r\n");
        } else if keep && self.version < Version::HTTP_11 && !named {
            out.put(b"connection: keep-alive\r\n");
        }
        if let Some(date) = self.date.filter(|_| !dated) {
            // Lengths that are known here cost a few moves; those of `field` are not.
            out.put(b"date: ");
            out.put(date.as_bytes());
            out.put(b"\r\n");
        }
        out.put(b"\r\n");
        out.end();
        (BodyEncoder::new(framing), keep)
    }

    /// How the body is framed, and the length that the head names.
    fn framing(&self) -> (Framing, Option<u64>) {
        let asked = Asked::from(self.method);
        if self.status == StatusCode::SWITCHING_PROTOCOLS
            || (asked == Asked::Connect && self.status.is_success())
        {
            return (Framing::Tunnel, None);
        }
        if self.status.is_informational() || self.status == StatusCode::NO_CONTENT {
            return (Framing::None, None);
        }
        if self.status == StatusCode::NOT_MODIFIED {
            return (Framing::None, None);
        }
        // Who streams and knows the length says so in the field.
        let length = self.length.or_else(|| {
            let digits = self.headers.get(CONTENT_LENGTH)?.to_str().ok()?;
            digits.parse().ok()
        });
        if asked == Asked::Head {
            // An empty body is what handlers give for HEAD whatever GET would say: not a length to name, but theirs is.
            return (Framing::None, length.filter(|length| *length > 0));
        }
        match length {
            Some(0) => (Framing::None, Some(0)),
            Some(length) => (Framing::Length(length), Some(length)),
            None if self.version >= Version::HTTP_11 => (Framing::Chunked, None),
            None => (Framing::UntilClose, None),
        }
    }
}

/// Whom a request is for, in the words of its address.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// `http` or `https`; only a proxy is told.
    pub scheme: &'a str,
    /// The host, and the port if it is not the scheme's own. A user and a password in front of them are left out.
    pub authority: &'a str,
    /// The path with the query. `/` stands for nothing, and is put before a query without one.
    pub path: &'a str,
}

impl<'a> From<&'a Uri> for Target<'a> {
    fn from(uri: &'a Uri) -> Target<'a> {
        Target {
            scheme: uri.scheme_str().unwrap_or_default(),
            authority: uri.authority().map_or("", |authority| authority.as_str()),
            path: uri.path_and_query().map_or("", |path| path.as_str()),
        }
    }
}

/// A request's head on its way out.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// What to do.
    pub method: &'a Method,
    /// To what. Written as a path, after CONNECT as host and port, and whole for a proxy.
    pub target: Target<'a>,
    /// The fields. `Host` comes from the address if it is not among them; what frames the body is left out.
    pub headers: &'a HeaderMap,
    /// How long the body is, if that is known; without it the body goes in chunks.
    pub length: Option<u64>,
    /// Whether the request goes to a proxy, which needs the whole address.
    pub to_proxy: bool,
}

impl RequestHead<'_> {
    /// Writes the head, and returns what writes the body.
    pub fn write(&self, out: &mut BytesMut) -> BodyEncoder {
        let out = &mut Lines::new(out);
        out.put(self.method.as_str().as_bytes());
        out.put(b" ");
        let Target {
            scheme,
            authority,
            path,
        } = self.target;
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        if self.method == Method::CONNECT {
            out.put(authority.as_bytes());
        } else {
            if self.to_proxy && !scheme.is_empty() && !authority.is_empty() {
                out.put(scheme.as_bytes());
                out.put(b"://");
                out.put(authority.as_bytes());
            }
            if path.is_empty() || path.starts_with('?') {
                out.put(b"/");
            }
            out.put(path.as_bytes());
        }
        out.put(b" HTTP/1.1\r\n");
        if !self.headers.contains_key(HOST) {
            out.field(b"host", authority.as_bytes());
        }
        for (name, value) in self.headers {
            if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
                out.field(name.as_str().as_bytes(), value.as_bytes());
            }
        }
        let framing = match self.length {
            Some(0) => {
                // Who sends something names its length, even if that is none (RFC 9110 §8.6).
                if matches!(*self.method, Method::POST | Method::PUT | Method::PATCH) {
                    out.put(b"content-length: 0\r\n");
                }
                Framing::None
            }
            Some(length) => {
                out.put(b"content-length: ");
                out.decimal(length);
                out.put(b"\r\n");
                Framing::Length(length)
            }
            None => {
                out.put(b"transfer-encoding: chunked\r\n");
                Framing::Chunked
            }
        };
        out.put(b"\r\n");
        out.end();
        BodyEncoder::new(framing)
    }
}
