//! Servers within this process, for tests: a service behind a pipe in memory, and one that answers what it was told to.

use super::dial::{Connect, Connecting};
use super::wire::BoxStream;
use crate::{Body, BoxError, Config, Connection, Handle, Peer};
use blitz_io::io::duplex;
use http::{Method, Response, StatusCode};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tower_service::Service;

/// Bytes that may be on their way in each direction.
const ROOM: usize = 64 * 1024;

/// A service that is reached through memory: every connection is served by a task of its own, as the server would.
pub(super) struct Local {
    serve: Box<dyn Fn() -> BoxStream + Send + Sync>,
}

impl Local {
    pub(super) fn new<S, B>(service: S) -> Local
    where
        S: Service<crate::Request, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let handle = Handle::new(Config::default());
        Local {
            serve: Box::new(move || {
                let (ours, theirs) = duplex(ROOM);
                let connection = Connection::new(theirs, service.clone(), &handle, Peer::default());
                drop(blitz_io::spawn(connection));
                Box::new(ours)
            }),
        }
    }
}

impl Connect for Local {
    fn connect(&self, _: &str, _: u16) -> Connecting {
        Box::pin(ready(Ok::<_, io::Error>((self.serve)())))
    }
}

/// A service that expects requests, and answers each as it was told to; for tests of programs that have a client.
///
/// Requests are expected in any order, each once. One that is not expected is answered with 501, and [`verify`](Mock::verify) tells
/// of it. A clone is the same mock.
///
/// ```
/// # #[blitz_io::main]
/// # async fn main() -> Result<(), blitz_http::client::Error> {
/// use blitz_http::client::Mock;
/// use blitz_http::Client;
///
/// let mock = Mock::new()
///     .expect("GET", "/users/1", r#"{"name":"Ada"}"#)
///     .expect("DELETE", "/users/1", http::StatusCode::NO_CONTENT);
/// let client = Client::builder().service(mock.clone()).build()?;
///
/// let mut user = client.get("http://api/users/1").send().await?;
/// assert_eq!(user.text().await?, r#"{"name":"Ada"}"#);
/// assert_eq!(client.delete("http://api/users/1").send().await?.status(), 204);
/// mock.verify();
/// assert_eq!(mock.requests()[0].uri.path(), "/users/1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Mock(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    expected: VecDeque<Expected>,
    unexpected: Vec<String>,
    seen: Vec<http::request::Parts>,
}

struct Expected {
    method: String,
    target: String,
    response: Response<Body>,
}

impl Mock {
    /// A mock that expects nothing.
    pub fn new() -> Mock {
        Mock::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Expects a request of this method and target (path and query), once, and answers it so.
    pub fn expect(self, method: &str, target: &str, response: impl crate::Reply) -> Mock {
        self.state().expected.push_back(Expected {
            method: method.to_owned(),
            target: target.to_owned(),
            response: response.into_response(),
        });
        self
    }

    /// The heads of the requests that came, in their order.
    pub fn requests(&self) -> Vec<http::request::Parts> {
        self.state().seen.clone()
    }

    /// Holds that all came that was expected, and nothing else.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn verify(&self) {
        let state = self.state();
        let missing = state.expected.iter();
        let missing: Vec<_> = missing
            .map(|expected| format!("{} {}", expected.method, expected.target))
            .collect();
        assert!(
            missing.is_empty() && state.unexpected.is_empty(),
            "a mock was used otherwise than expected: did not come: {missing:?}; came without being expected: {:?}",
            state.unexpected
        );
    }

    fn answer(&self, method: &Method, target: &str, parts: http::request::Parts) -> Response<Body> {
        let mut state = self.state();
        state.seen.push(parts);
        let at = state
            .expected
            .iter()
            .position(|expected| expected.method == method.as_str() && expected.target == target);
        match at.and_then(|at| state.expected.remove(at)) {
            Some(expected) => expected.response,
            None => {
                state.unexpected.push(format!("{method} {target}"));
                let mut response = Response::new(Body::from("a mock did not expect this"));
                *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
                response
            }
        }
    }
}

impl Service<crate::Request> for Mock {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: crate::Request) -> Self::Future {
        let (parts, _) = request.into_parts();
        let target = parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let (method, target) = (parts.method.clone(), target.to_owned());
        ready(Ok(self.answer(&method, &target, parts)))
    }
}

impl fmt::Debug for Mock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Mock")
            .field("expected", &state.expected.len())
            .field("unexpected", &state.unexpected)
            .finish_non_exhaustive()
    }
}
