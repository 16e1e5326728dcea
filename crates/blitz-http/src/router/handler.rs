//! What answers at the end of a route.

use crate::{Answer, Body, BoxError, Reply, Request, Response};
use http::StatusCode;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

/// Answers requests. Every function from a request to a future of a [`Reply`] does; [`now`] makes one of a function that needs no
/// future, and then nothing is allocated for the call.
pub trait Handler: Send + Sync + 'static {
    /// Answers one.
    fn call(&self, request: Request) -> RouterFuture;

    /// The bytes that a body may have here, if not what the server allows; see [`limited`].
    fn body_limit(&self) -> Option<u64> {
        None
    }

    /// Itself, if it answers by a look at the request; see [`look`]. It does that then for every request that has no body and asks for no
    /// other protocol.
    fn as_look(&self) -> Option<&dyn Look> {
        None
    }
}

/// Answers by a look at the request; see [`look`].
pub trait Look: Send + Sync + 'static {
    /// Answers one.
    fn answer(&self, request: &Request) -> Answer;
}

impl<F, Fut> Handler for F
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Reply,
{
    fn call(&self, request: Request) -> RouterFuture {
        let future = self(request);
        RouterFuture(State::Later(Box::pin(async move {
            future.await.into_response()
        })))
    }
}

/// See [`now`].
#[derive(Clone, Copy, Debug)]
pub struct Now<F>(F);

/// A handler that answers at once.
pub fn now<F, R>(function: F) -> Now<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Reply,
{
    Now(function)
}

impl<F, R> Handler for Now<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Reply,
{
    #[inline]
    fn call(&self, request: Request) -> RouterFuture {
        RouterFuture(State::Now(Some((self.0)(request).into_response())))
    }
}

/// See [`look`].
#[derive(Clone, Copy, Debug)]
pub struct Looker<F>(F);

/// A handler that answers at once, and only looks at the request.
///
/// It costs the least: a request that its client repeats need not be made again, and nothing is allocated for the call. A request's body is not
/// read by it.
///
/// ```
/// use blitz_http::{Request, Router, look};
/// use http::{HeaderValue, StatusCode};
///
/// const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// let router = Router::new()
///     .get("/", look(|_| "Hello, World!"))
///     .get("/health", look(|_| (JSON, r#"{"is":"well"}"#)))
///     .fallback(look(|request| (StatusCode::NOT_FOUND, format!("there is no {}", request.uri()))));
/// # let _ = router;
/// ```
pub fn look<F, R>(function: F) -> Looker<F>
where
    F: Fn(&Request) -> R + Send + Sync + 'static,
    R: Reply,
{
    Looker(function)
}

impl<F, R> Look for Looker<F>
where
    F: Fn(&Request) -> R + Send + Sync + 'static,
    R: Reply,
{
    #[inline]
    fn answer(&self, request: &Request) -> Answer {
        (self.0)(request).into_answer()
    }
}

impl<F, R> Handler for Looker<F>
where
    F: Fn(&Request) -> R + Send + Sync + 'static,
    R: Reply,
{
    fn call(&self, request: Request) -> RouterFuture {
        RouterFuture::ready((self.0)(&request).into_response())
    }

    fn as_look(&self) -> Option<&dyn Look> {
        Some(self)
    }
}

/// See [`limited`].
#[derive(Clone, Copy, Debug)]
pub struct Limited<H> {
    bytes: u64,
    handler: H,
}

/// A handler whose requests may have bodies of so many bytes, whatever the server allows.
pub fn limited<H: Handler>(bytes: u64, handler: H) -> Limited<H> {
    Limited { bytes, handler }
}

impl<H: Handler> Handler for Limited<H> {
    fn call(&self, request: Request) -> RouterFuture {
        self.handler.call(request)
    }

    fn body_limit(&self) -> Option<u64> {
        Some(self.bytes)
    }

    fn as_look(&self) -> Option<&dyn Look> {
        self.handler.as_look()
    }
}

/// A service of another kind as a handler.
pub(super) struct Mounted<S>(pub(super) S);

impl<S, B> Handler for Mounted<S>
where
    S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn call(&self, request: Request) -> RouterFuture {
        let mut service = self.0.clone();
        RouterFuture(State::Later(Box::pin(async move {
            let ready = std::future::poll_fn(|cx| service.poll_ready(cx));
            let answer = match ready.await.map_err(Into::into) {
                Ok(()) => service.call(request).await.map_err(Into::into),
                Err(error) => Err(error),
            };
            match answer {
                Ok(response) => response.map(Body::new),
                Err(error) => {
                    tracing::error!(
                        error = &*error as &dyn std::error::Error,
                        "a mounted service failed"
                    );
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
            }
        })))
    }
}

/// The future of a [`Router`](crate::Router): a response that is there, or one that is on its way.
#[must_use = "futures do nothing unless they are polled"]
pub struct RouterFuture(State);

enum State {
    Now(Option<Response>),
    Later(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl RouterFuture {
    /// A response that is there.
    #[inline]
    pub fn ready(response: Response) -> RouterFuture {
        RouterFuture(State::Now(Some(response)))
    }

    /// The response, if it is there.
    #[inline]
    pub(crate) fn answer(&mut self) -> Option<&mut Response> {
        match &mut self.0 {
            State::Now(response) => response.as_mut(),
            State::Later(_) => None,
        }
    }

    /// A response that a future makes.
    pub(crate) fn later(future: impl Future<Output = Response> + Send + 'static) -> RouterFuture {
        RouterFuture(State::Later(Box::pin(future)))
    }
}

impl Future for RouterFuture {
    type Output = Result<Response, Infallible>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Now(response) => {
                Poll::Ready(Ok(response.take().expect("polled after it was ready")))
            }
            State::Later(future) => future.as_mut().poll(cx).map(Ok),
        }
    }
}

impl fmt::Debug for RouterFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterFuture").finish_non_exhaustive()
    }
}
