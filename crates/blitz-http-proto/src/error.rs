//! Why a message was refused, and what to answer.

use http::StatusCode;
use std::fmt;

/// A message that is malformed, ambiguous or too large.
///
/// After one the place in the stream is not known any more: answer with [`status`](Error::status) where an answer is due, and
/// close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(pub(crate) Kind);

/// What is wrong. One row each in [`Kind::says`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    RequestLine,
    StatusLine,
    Version,
    UnknownVersion,
    Method,
    Target,
    UriTooLong,
    BareLf,
    FieldName,
    FieldValue,
    HeadTooLarge,
    TooManyFields,
    NoHost,
    ManyHosts,
    BadHost,
    ContentLength,
    ManyContentLengths,
    LengthAndEncoding,
    EncodingInOld,
    Encoding,
    UnknownEncoding,
    ContentOfConnect,
    Expectation,
    ChunkSize,
    ChunkEnd,
    Extension,
    Trailer,
    ForbiddenTrailer,
    TrailersTooLarge,
    BodyTooLarge,
    Truncated,
    Unsolicited,
    TooManyInformational,
    TooMuch,
    TooLittle,
}

impl Kind {
    /// The phrase, and the status of the answer.
    const fn says(self) -> (&'static str, u16) {
        match self {
            Kind::RequestLine => ("malformed request line", 400),
            Kind::StatusLine => ("malformed status line", 502),
            Kind::Version => ("malformed protocol version", 400),
            Kind::UnknownVersion => ("protocol version is not HTTP/1.0 or HTTP/1.1", 505),
            Kind::Method => ("method is longer than any that is known", 501),
            Kind::Target => ("malformed request target", 400),
            Kind::UriTooLong => ("request target is too long", 414),
            Kind::BareLf => ("line ends without a carriage return", 400),
            Kind::FieldName => ("malformed field name", 400),
            Kind::FieldValue => ("malformed field value", 400),
            Kind::HeadTooLarge => ("head is too large", 431),
            Kind::TooManyFields => ("too many fields", 431),
            Kind::NoHost => ("no Host field", 400),
            Kind::ManyHosts => ("several Host fields", 400),
            Kind::BadHost => ("malformed Host field", 400),
            Kind::ContentLength => ("malformed Content-Length", 400),
            Kind::ManyContentLengths => ("several Content-Length fields", 400),
            Kind::LengthAndEncoding => ("both Content-Length and Transfer-Encoding", 400),
            Kind::EncodingInOld => ("Transfer-Encoding in an HTTP/1.0 message", 400),
            Kind::Encoding => ("Transfer-Encoding does not end with one chunked", 400),
            Kind::UnknownEncoding => ("transfer coding is not implemented", 501),
            Kind::ContentOfConnect => ("CONNECT with content", 400),
            Kind::Expectation => ("unknown expectation", 417),
            Kind::ChunkSize => ("malformed chunk size", 400),
            Kind::ChunkEnd => ("chunk does not end where its size says", 400),
            Kind::Extension => ("malformed or endless chunk extension", 400),
            Kind::Trailer => ("malformed trailers", 400),
            Kind::ForbiddenTrailer => ("a field that may not stand in trailers", 400),
            Kind::TrailersTooLarge => ("trailers are too large", 431),
            Kind::BodyTooLarge => ("body is too large", 413),
            Kind::Truncated => ("connection ended within a message", 400),
            Kind::Unsolicited => ("response that nobody asked for", 502),
            Kind::TooManyInformational => ("heads that only inform, without end", 502),
            Kind::TooMuch => ("body is longer than was announced", 500),
            Kind::TooLittle => ("body is shorter than was announced", 500),
        }
    }
}

impl Error {
    /// The status to answer a request with that failed so; a client that reads it of a response hands it on as a gateway would.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.says().1).unwrap_or(StatusCode::BAD_REQUEST)
    }

    /// Whether the message was well-formed so far, and only larger than a limit.
    pub fn is_too_large(&self) -> bool {
        matches!(
            self.0,
            Kind::UriTooLong
                | Kind::HeadTooLarge
                | Kind::TooManyFields
                | Kind::TooManyInformational
                | Kind::TrailersTooLarge
                | Kind::BodyTooLarge
        )
    }

    /// Whether the connection ended before the message did.
    pub fn is_truncated(&self) -> bool {
        self.0 == Kind::Truncated
    }

    /// The error of a body that is longer than `Limits::body_bytes`; for who counts by itself.
    pub fn body_too_large() -> Error {
        Error(Kind::BodyTooLarge)
    }

    /// The error of a message that the connection's end cut off.
    pub fn truncated() -> Error {
        Error(Kind::Truncated)
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Error(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.says().0)
    }
}

impl std::error::Error for Error {}
