//! A function as a service.

use std::convert::Infallible;
use std::future::Future;
use std::task::{Context, Poll};
use tower_service::Service;

/// A service that calls a function; see [`service_fn`].
#[derive(Clone, Copy, Debug)]
pub struct ServiceFn<F>(F);

/// Makes a service of a function that answers requests.
///
/// Its future lives in the connection, so nothing is allocated for it.
///
/// ```
/// use blitz_http::{Body, Request, service_fn};
///
/// let service = service_fn(|_request: Request| async { http::Response::new(Body::from("Hello")) });
/// # let _ = service;
/// ```
pub fn service_fn<F>(function: F) -> ServiceFn<F> {
    ServiceFn(function)
}

impl<F, R, Fut, T> Service<R> for ServiceFn<F>
where
    F: FnMut(R) -> Fut,
    Fut: Future<Output = T>,
{
    type Response = T;
    type Error = Infallible;
    type Future = Sure<Fut>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Sure<Fut> {
        Sure {
            future: (self.0)(request),
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of a [`ServiceFn`].
    #[derive(Debug)]
    pub struct Sure<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Sure<F> {
    type Output = Result<F::Output, Infallible>;

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx).map(Ok)
    }
}
