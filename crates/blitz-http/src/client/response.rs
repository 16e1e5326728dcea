//! Responses, as users get them.

use super::arriving::Arriving;
use super::error::{Error, Kind};
use super::timing::Timings;
use crate::{Body, Upgraded};
use bytes::{Bytes, BytesMut};
use encoding_rs::Encoding;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Version};
use http_body::{Body as _, Frame};
use serde::de::DeserializeOwned;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use url::Url;

/// A response whose head is here and whose body comes as it is read.
///
/// Dropped, it gives the connection back if all of it had come, and closes it otherwise.
#[derive(Debug)]
pub struct Response {
    parts: http::response::Parts,
    body: Arriving,
    trailers: Option<HeaderMap>,
    peer: Option<SocketAddr>,
    redirects: Vec<Url>,
    collect_max: u64,
}

impl Response {
    pub(super) fn new(
        parts: http::response::Parts,
        body: Arriving,
        peer: Option<SocketAddr>,
        redirects: Vec<Url>,
        collect_max: u64,
    ) -> Response {
        Response {
            parts,
            body,
            trailers: None,
            peer,
            redirects,
            collect_max,
        }
    }

    /// What came of the request.
    pub fn status(&self) -> StatusCode {
        self.parts.status
    }

    /// HTTP/1.0 or HTTP/1.1.
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// The fields of the head.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Where the request went that this answers: after redirects the last one.
    pub fn url(&self) -> &Url {
        self.body.url()
    }

    /// Where the requests went that were answered by a redirect, in order.
    pub fn redirects(&self) -> &[Url] {
        &self.redirects
    }

    /// The server's address, or the proxy's; none for what is no IP socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// How long each phase took; that of the body is there when the body is.
    pub fn timings(&self) -> &Timings {
        self.body.timings()
    }

    /// The length of the body as it will be read, where it is known.
    pub fn content_length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The fields behind the body, once it is whole and if there are any.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// What the client's layers and connections have attached.
    pub fn extensions(&self) -> &http::Extensions {
        &self.parts.extensions
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Cancel safety
    /// Safe: a piece leaves the body in the poll that returns it.
    ///
    /// # Errors
    /// When the body is cut off, malformed, too large or too slow.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.frame().await {
            match frame?.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
        Ok(None)
    }

    async fn frame(&mut self) -> Option<Result<Frame<Bytes>, Error>> {
        poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await
    }

    /// All of the body that is still to come.
    ///
    /// [`ClientBuilder::collect_bytes_max`](super::ClientBuilder::collect_bytes_max) bounds what that costs.
    ///
    /// # Cancel safety
    /// **Not safe**: what came is lost with the future.
    ///
    /// # Errors
    /// As [`chunk`](Response::chunk).
    pub async fn bytes(&mut self) -> Result<Bytes, Error> {
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        while let Some(data) = self.chunk().await? {
            if (first.len() + all.len() + data.len()) as u64 > self.collect_max {
                let limit = self.collect_max;
                return Err(Error::from(Kind::TooLarge { limit }).at(self.url()));
            }
            if first.is_empty() && all.is_empty() {
                first = data;
            } else {
                all.extend_from_slice(&std::mem::take(&mut first));
                all.extend_from_slice(&data);
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }

    /// All of it, as text: in the encoding that `charset` in its `Content-Type` names, by the labels of the WHATWG's Encoding Standard, or else
    /// in UTF-8. A byte order mark at the beginning counts for more than either. What is malformed becomes `U+FFFD`.
    ///
    /// # Cancel safety
    /// **Not safe**: what came is lost with the future.
    ///
    /// # Errors
    /// As [`chunk`](Response::chunk).
    pub async fn text(&mut self) -> Result<String, Error> {
        let bytes = self.bytes().await?;
        let encoding = encoding(self.headers()).unwrap_or(encoding_rs::UTF_8);
        let (text, ..) = encoding.decode(&bytes);
        Ok(text.into_owned())
    }

    /// All of it, as what its JSON stands for.
    ///
    /// # Cancel safety
    /// **Not safe**: what came is lost with the future.
    ///
    /// # Errors
    /// As [`chunk`](Response::chunk), and when it is no JSON, or of something else.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let bytes = self.bytes().await?;
        let parsed = serde_json::from_slice(&bytes);
        parsed.map_err(|error| Error::from(Kind::Json(error)).at(self.url()))
    }

    /// Itself, unless its status says that the request failed.
    ///
    /// # Errors
    /// For a status from 400 on.
    pub fn error_for_status(self) -> Result<Response, Error> {
        let status = self.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(Error::from(Kind::Status(status)).at(self.url()));
        }
        Ok(self)
    }

    /// The connection, after `101 Switching Protocols`.
    ///
    /// # Errors
    /// When the server has answered otherwise.
    pub fn upgrade(self) -> Result<Upgraded, Error> {
        let url = self.url().clone();
        let switched = self.status() == StatusCode::SWITCHING_PROTOCOLS;
        let upgraded = switched.then(|| self.body.into_upgraded()).flatten();
        upgraded.ok_or_else(|| Error::from(Kind::NoUpgrade).at(&url))
    }

    /// As a message of the `http` crate, whose body is read as a server's is. Its errors have an [`Error`] as their source.
    pub fn into_http(self) -> http::Response<Body> {
        http::Response::from_parts(self.parts, Body::new(self.body))
    }
}

/// What the `charset` of a `Content-Type` names, if that is known.
fn encoding(headers: &HeaderMap) -> Option<&'static Encoding> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let mut parameters = value.split(';').skip(1);
    let label = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    })?;
    Encoding::for_label(label.trim().trim_matches('"').as_bytes())
}

#[cfg(test)]
mod tests {
    use super::encoding;
    use http::HeaderMap;
    use http::header::CONTENT_TYPE;

    #[test]
    fn encodings_are_found_by_their_labels() {
        let named = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().expect("a value"));
            encoding(&headers).map(|encoding| encoding.name())
        };
        assert_eq!(named("text/html; charset=latin1"), Some("windows-1252"));
        assert_eq!(
            named("text/html;a=b; CHARSET=\"Shift_JIS\""),
            Some("Shift_JIS")
        );
        assert_eq!(
            named("text/plain; charset = utf-16le ;x=y"),
            Some("UTF-16LE")
        );
        for value in [
            "text/html",
            "text/html; charset",
            "text/html; charset=klingon",
            "charset=utf-8",
        ] {
            assert_eq!(named(value), None, "{value}");
        }
        assert_eq!(encoding(&HeaderMap::new()), None);
    }
}
