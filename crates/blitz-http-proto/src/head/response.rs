//! A response's head, read and checked.

use super::fields::{has_element, into_map, parsed, parsed_fields};
use super::framing::{self, Asked, Framing};
use crate::error::Kind;
use crate::{Error, Limits};
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderMap, StatusCode, Version};

/// A response's head as it came, and what follows from it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedResponse {
    /// What came of the request.
    pub status: StatusCode,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The fields, in their order.
    pub headers: HeaderMap,
    /// How long the body is.
    pub framing: Framing,
    /// Whether the connection may carry another request after this one, as far as the server goes.
    pub keep_alive: bool,
}

/// Reads `head`, which ends with its empty line. `headers` is empty and lends its memory.
pub(crate) fn parse(
    head: &Bytes,
    limits: &Limits,
    asked: Asked,
    mut headers: HeaderMap,
) -> Result<ReceivedResponse, Error> {
    let (status, version) = parsed_fields(limits.fields, |room| {
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        match config.parse_response_with_uninit_headers(&mut response, head, room) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(Kind::StatusLine.into()),
            Err(httparse::Error::HeaderName) => return Err(Kind::FieldName.into()),
            Err(httparse::Error::HeaderValue) => return Err(Kind::FieldValue.into()),
            Err(httparse::Error::TooManyHeaders) => return Err(Kind::TooManyFields.into()),
            Err(httparse::Error::Version) => return Err(Kind::UnknownVersion.into()),
            Err(_) => return Err(Kind::StatusLine.into()),
        }
        let status = StatusCode::from_u16(response.code.unwrap_or_default())
            .ok()
            .filter(|status| status.as_u16() < 600)
            .ok_or(Kind::StatusLine)?;
        let version = if response.version == Some(1) {
            Version::HTTP_11
        } else {
            Version::HTTP_10
        };
        into_map(parsed(head, response.headers), &mut headers)?;
        Ok::<_, Error>((status, version))
    })?;
    let framing = framing::of_response(asked, status, version, &headers)?;
    let close = has_element(&headers, &CONNECTION, b"close");
    let keep = version >= Version::HTTP_11 || has_element(&headers, &CONNECTION, b"keep-alive");
    Ok(ReceivedResponse {
        keep_alive: keep && !close && !matches!(framing, Framing::UntilClose | Framing::Tunnel),
        status,
        version,
        headers,
        framing,
    })
}
