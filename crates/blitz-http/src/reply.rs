//! What handlers answer with.

use crate::{Body, Error, Request, Response, spare};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use std::convert::Infallible;

/// What becomes a response: a status, text, bytes, a whole response, or a `Result` of two of them.
pub trait Reply {
    /// The response.
    fn into_response(self) -> Response;
}

/// An answer in the memory of its request: 200, without fields, with this body.
///
/// The request goes back to its thread, which uses it for the next one, and the response has the map of fields of one that was sent. So
/// a handler that answers with this allocates nothing, however many requests come.
#[inline]
pub fn reply(request: Request, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    spare::give_for_map(request, response.headers_mut());
    response
}

/// The same with one field, the `Content-Type`.
///
/// It costs less than to insert the field where a type is given again and again as the same memory, as of a constant: the map that comes
/// back has it already.
///
/// ```
/// use blitz_http::{Request, Router, now, reply_as};
/// use http::HeaderValue;
///
/// const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// let router = Router::new().get("/health", now(|request: Request| reply_as(request, JSON, r#"{"is":"well"}"#)));
/// # let _ = router;
/// ```
#[inline(always)]
pub fn reply_as(request: Request, kind: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    spare::give_for_type(request, response.headers_mut(), kind);
    response
}

impl Reply for Response {
    #[inline]
    fn into_response(self) -> Response {
        self
    }
}

impl Reply for StatusCode {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self;
        response
    }
}

impl Reply for () {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

fn typed(body: Body, kind: &'static str) -> Response {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

impl Reply for &'static str {
    fn into_response(self) -> Response {
        typed(Body::from(self), "text/plain; charset=utf-8")
    }
}

impl Reply for String {
    fn into_response(self) -> Response {
        typed(Body::from(self), "text/plain; charset=utf-8")
    }
}

impl Reply for Bytes {
    fn into_response(self) -> Response {
        typed(Body::from(self), "application/octet-stream")
    }
}

impl Reply for Vec<u8> {
    fn into_response(self) -> Response {
        typed(Body::from(self), "application/octet-stream")
    }
}

impl Reply for Body {
    fn into_response(self) -> Response {
        Response::new(self)
    }
}

impl<R: Reply> Reply for (StatusCode, R) {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        *response.status_mut() = self.0;
        response
    }
}

/// A body that did not come: the status that says why, and the phrase.
impl Reply for Error {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}

impl Reply for Infallible {
    fn into_response(self) -> Response {
        match self {}
    }
}

impl<T: Reply, E: Reply> Reply for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}
