//! The request and answer by which two ends change to WebSocket (RFC 6455 §4).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use super::extension;
use super::{Deflate, DeflateParams};

/// What a server makes of a key, to show that it has read the request.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Accept` to a `Sec-WebSocket-Key`.
///
/// ```
/// // RFC 6455 §1.3
/// assert_eq!(blitz_http_proto::ws::accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &str) -> String {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID);
    STANDARD.encode(hash.digest().bytes())
}

/// Why there is no WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeError {
    status: StatusCode,
    why: &'static str,
}

impl HandshakeError {
    const fn new(why: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            why,
        }
    }

    /// The answer of a server: 405, 426 (with `Sec-WebSocket-Version: 13` and `Upgrade: websocket`) or 400.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no WebSocket: {}", self.why)
    }
}

impl std::error::Error for HandshakeError {}

/// What two ends agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed {
    /// The subprotocol, if one.
    pub protocol: Option<String>,
    /// Compression, if there is to be any.
    pub deflate: Option<DeflateParams>,
}

/// Whether one of the comma-separated words of a field is this, in letters of any case.
fn has_word(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|one| one.trim().eq_ignore_ascii_case(word))
}

/// The value of a field that is there once.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}

/// A client's request, as a server sees it.
#[derive(Clone, Debug)]
pub struct ServerHandshake {
    accept: String,
    protocols: Vec<String>,
    extensions: HeaderMap,
}

impl ServerHandshake {
    /// Looks at a request.
    ///
    /// # Errors
    /// When it does not ask for a WebSocket, or not as RFC 6455 §4.2.1 wants it.
    pub fn of(
        method: &Method,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Self, HandshakeError> {
        if method != Method::GET {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let why = "the method is not GET";
            return Err(HandshakeError { status, why });
        }
        if version != Version::HTTP_11 {
            return Err(HandshakeError::new("the version is not HTTP/1.1"));
        }
        if !has_word(headers, UPGRADE, "websocket") || !has_word(headers, CONNECTION, "upgrade") {
            let status = StatusCode::UPGRADE_REQUIRED;
            let why = "the request asks for no upgrade to websocket";
            return Err(HandshakeError { status, why });
        }
        if single(headers, SEC_WEBSOCKET_VERSION).map(str::trim) != Some("13") {
            let status = StatusCode::UPGRADE_REQUIRED;
            let why = "the version of WebSocket is not 13";
            return Err(HandshakeError { status, why });
        }
        let key = single(headers, SEC_WEBSOCKET_KEY).map(str::trim);
        let key = key.filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16));
        let key = key.ok_or(HandshakeError::new(
            "Sec-WebSocket-Key is not 16 bytes, once",
        ))?;
        let mut protocols = Vec::new();
        for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
            let value = value
                .to_str()
                .map_err(|_| HandshakeError::new("a subprotocol without a name"))?;
            protocols.extend(value.split(',').map(|name| name.trim().to_owned()));
        }
        protocols.retain(|name| !name.is_empty());
        let mut extensions = HeaderMap::new();
        for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
            extensions.append(SEC_WEBSOCKET_EXTENSIONS, value.clone());
        }
        Ok(Self {
            accept: accept_key(key),
            protocols,
            extensions,
        })
    }

    /// The subprotocols that the client speaks, the dearest first.
    pub fn protocols(&self) -> &[String] {
        &self.protocols
    }

    /// The fields of the answer, whose status is 101, and what is agreed on by it: the first of the client's subprotocols that
    /// `protocols` has too, and compression if `deflate` is given and the client offers it.
    pub fn accept(self, protocols: &[&str], deflate: Option<&Deflate>) -> (HeaderMap, Agreed) {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, value(&self.accept));
        let protocol = self
            .protocols
            .into_iter()
            .find(|name| protocols.contains(&name.as_str()));
        if let Some(name) = &protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, value(name));
        }
        let deflate = deflate.and_then(|config| extension::accept(&self.extensions, config));
        let deflate = deflate.map(|(params, answer)| {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, value(&answer));
            params
        });
        (headers, Agreed { protocol, deflate })
    }
}

/// What came in a field, or was made of letters and digits, may stand in one.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("visible characters")
}

/// A client's request, and what its answer has to be.
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    key: String,
    protocols: Vec<String>,
    deflate: Option<Deflate>,
}

impl ClientHandshake {
    /// `nonce` is chosen at random for each connection.
    ///
    /// # Errors
    /// If a subprotocol is no token (RFC 9110 §5.6.2).
    pub fn new(
        nonce: [u8; 16],
        protocols: &[&str],
        deflate: Option<Deflate>,
    ) -> Result<Self, HandshakeError> {
        // A method is a token, too.
        if protocols
            .iter()
            .any(|name| Method::from_bytes(name.as_bytes()).is_err())
        {
            return Err(HandshakeError::new("a subprotocol's name is no token"));
        }
        Ok(Self {
            key: STANDARD.encode(nonce),
            protocols: protocols.iter().map(|name| (*name).to_owned()).collect(),
            deflate,
        })
    }

    /// The fields of the request, a GET over HTTP/1.1; `Host` is not among them.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_KEY, value(&self.key));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if !self.protocols.is_empty() {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, value(&self.protocols.join(", ")));
        }
        if let Some(config) = &self.deflate {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, value(&extension::offer(config)));
        }
        headers
    }

    /// Looks at the answer.
    ///
    /// # Errors
    /// When the server does not agree, or to what was not asked for (RFC 6455 §4.1).
    pub fn agreed(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Agreed, HandshakeError> {
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(HandshakeError::new(
                "the server answered with another status than 101",
            ));
        }
        if !has_word(headers, UPGRADE, "websocket") || !has_word(headers, CONNECTION, "upgrade") {
            return Err(HandshakeError::new("the server changes to something else"));
        }
        if single(headers, SEC_WEBSOCKET_ACCEPT).map(str::trim) != Some(&accept_key(&self.key)) {
            return Err(HandshakeError::new(
                "Sec-WebSocket-Accept is not made of the key",
            ));
        }
        let protocol = match headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
            false => None,
            true => {
                let name = single(headers, SEC_WEBSOCKET_PROTOCOL).map(str::trim);
                let name = name.filter(|name| self.protocols.iter().any(|asked| asked == name));
                let name = name.ok_or(HandshakeError::new(
                    "the server chose a subprotocol that was not asked for",
                ))?;
                Some(name.to_owned())
            }
        };
        let deflate =
            extension::agreed(headers, self.deflate.as_ref()).map_err(HandshakeError::new)?;
        Ok(Agreed { protocol, deflate })
    }
}
