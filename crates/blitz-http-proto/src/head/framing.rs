//! How long a body is (RFC 9112 §6), with nothing left to interpretation.

use super::fields::elements;
use crate::Error;
use crate::error::Kind;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, the last of which is empty, and trailers.
    Chunked,
    /// All that comes until the connection ends; of responses only.
    UntilClose,
    /// What follows is no HTTP: the answer to CONNECT, or a protocol that was switched to.
    Tunnel,
}

/// What a response answers, as far as it changes what follows its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Head,
    Connect,
    Other,
}

impl From<&Method> for Asked {
    fn from(method: &Method) -> Asked {
        match *method {
            Method::HEAD => Asked::Head,
            Method::CONNECT => Asked::Connect,
            _ => Asked::Other,
        }
    }
}

/// The one Content-Length, digits only.
fn length(fields: &HeaderMap) -> Result<Option<u64>, Error> {
    let mut all = fields.get_all(CONTENT_LENGTH).iter();
    let Some(value) = all.next() else {
        return Ok(None);
    };
    if all.next().is_some() {
        return Err(Kind::ManyContentLengths.into());
    }
    let digits = value.as_bytes();
    if digits.contains(&b',') {
        return Err(Kind::ManyContentLengths.into());
    }
    if digits.is_empty() {
        return Err(Kind::ContentLength.into());
    }
    let mut length = 0u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(Kind::ContentLength.into());
        }
        length = length
            .checked_mul(10)
            .and_then(|length| length.checked_add(u64::from(digit - b'0')))
            .ok_or(Kind::ContentLength)?;
    }
    Ok(Some(length))
}

/// What Transfer-Encoding says.
enum Coding {
    /// `chunked` and nothing else.
    Chunked,
    /// Something else below `chunked`, which is last.
    ChunkedOverOther,
    /// Anything else.
    Other,
}

fn coding(fields: &HeaderMap) -> Option<Coding> {
    if !fields.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    let (mut count, mut chunked, mut last) = (0, 0, false);
    for element in elements(fields, &TRANSFER_ENCODING) {
        last = element.eq_ignore_ascii_case(b"chunked");
        chunked += usize::from(last);
        count += 1;
    }
    Some(match (count, chunked, last) {
        (1, 1, _) => Coding::Chunked,
        (_, 1, true) => Coding::ChunkedOverOther,
        _ => Coding::Other,
    })
}

pub(super) fn of_request(version: Version, fields: &HeaderMap) -> Result<Framing, Error> {
    let length = length(fields)?;
    match coding(fields) {
        None => Ok(length
            .filter(|length| *length > 0)
            .map_or(Framing::None, Framing::Length)),
        Some(_) if version < Version::HTTP_11 => Err(Kind::EncodingInOld.into()),
        Some(_) if length.is_some() => Err(Kind::LengthAndEncoding.into()),
        Some(Coding::Chunked) => Ok(Framing::Chunked),
        Some(Coding::ChunkedOverOther) => Err(Kind::UnknownEncoding.into()),
        Some(Coding::Other) => Err(Kind::Encoding.into()),
    }
}

pub(super) fn of_response(
    asked: Asked,
    status: StatusCode,
    version: Version,
    fields: &HeaderMap,
) -> Result<Framing, Error> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Framing::Tunnel);
    }
    if asked == Asked::Connect && status.is_success() {
        return Ok(Framing::Tunnel);
    }
    let length = length(fields)?;
    let coding = coding(fields);
    if coding.is_some() && version < Version::HTTP_11 {
        return Err(Kind::EncodingInOld.into());
    }
    if coding.is_some() && length.is_some() {
        return Err(Kind::LengthAndEncoding.into());
    }
    let bare = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if asked == Asked::Head || bare {
        return Ok(Framing::None);
    }
    match (coding, length) {
        (Some(Coding::Chunked), _) => Ok(Framing::Chunked),
        (Some(Coding::ChunkedOverOther), _) => Err(Kind::UnknownEncoding.into()),
        (Some(Coding::Other), _) => Err(Kind::Encoding.into()),
        (None, Some(0)) => Ok(Framing::None),
        (None, Some(length)) => Ok(Framing::Length(length)),
        (None, None) => Ok(Framing::UntilClose),
    }
}
