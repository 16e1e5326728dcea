//! What handlers answer with.

use crate::{Body, Error, Request, Response, spare};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use std::convert::Infallible;

/// What becomes a response: a status, text, bytes, a whole response, or a `Result` of two of them.
pub trait Reply {
    /// The response.
    fn into_response(self) -> Response;

    /// The same, as what costs least to send.
    fn into_answer(self) -> Answer
    where
        Self: Sized,
    {
        Answer::from(self.into_response())
    }
}

/// What a handler that looks says: see [`look`](crate::look).
///
/// It is a response, or what most responses consist of: a status, one type, a body. That takes less to be sent than a response does, where a
/// type is given again and again as the same memory, as of a constant.
#[derive(Debug)]
pub struct Answer(pub(crate) Said);

// It goes from hand to hand once, and boxing it would cost an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(crate) enum Said {
    Typed {
        status: StatusCode,
        kind: HeaderValue,
        body: Body,
    },
    Whole(Response),
}

impl Answer {
    /// A body with its `Content-Type`.
    #[inline]
    pub fn typed(status: StatusCode, kind: HeaderValue, body: impl Into<Body>) -> Answer {
        let body = body.into();
        Answer(Said::Typed { status, kind, body })
    }

    /// The response that it is.
    pub fn into_response(self) -> Response {
        match self.0 {
            Said::Typed { status, kind, body } => {
                let mut response = Response::new(body);
                spare::map_of_type(response.headers_mut(), kind);
                *response.status_mut() = status;
                response
            }
            Said::Whole(response) => response,
        }
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Answer {
        Answer(Said::Whole(response))
    }
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

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

macro_rules! typed {
    ($($type:ty: $kind:expr),*) => { $(
        impl Reply for $type {
            fn into_response(self) -> Response {
                self.into_answer().into_response()
            }

            #[inline]
            fn into_answer(self) -> Answer {
                Answer::typed(StatusCode::OK, $kind, self)
            }
        }
    )* };
}
typed!(&'static str: TEXT, String: TEXT, Bytes: BYTES, Vec<u8>: BYTES);

/// A body with its `Content-Type`.
impl<B: Into<Body>> Reply for (HeaderValue, B) {
    fn into_response(self) -> Response {
        self.into_answer().into_response()
    }

    #[inline]
    fn into_answer(self) -> Answer {
        Answer::typed(StatusCode::OK, self.0, self.1)
    }
}

impl Reply for Answer {
    fn into_response(self) -> Response {
        Answer::into_response(self)
    }

    #[inline]
    fn into_answer(self) -> Answer {
        self
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

    #[inline]
    fn into_answer(self) -> Answer {
        let mut answer = self.1.into_answer();
        match &mut answer.0 {
            Said::Typed { status, .. } => *status = self.0,
            Said::Whole(response) => *response.status_mut() = self.0,
        }
        answer
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

    #[inline]
    fn into_answer(self) -> Answer {
        match self {
            Ok(value) => value.into_answer(),
            Err(error) => error.into_answer(),
        }
    }
}
