//! A server's side of the handshake.

use super::{Config, HandshakeError, Slow, WebSocket};
use crate::upgrade::upgrade_by;
use crate::{Body, Error, Reply, Response, Upgraded};
use blitz_http_proto::ws::ServerHandshake;
use http::header::{ALLOW, CONNECTION, HOST, ORIGIN, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use url::Url;

/// Looks at a request for a WebSocket. What it is answered with, [`Accept::run`] gives.
///
/// A page may ask for a socket of any server, and the browser sends that server's cookies along. So a request that names another
/// origin than its own host (RFC 6454) is refused, unless [`allow_origin`](Accept::allow_origin) says otherwise; one that names none
/// does not come from a page.
///
/// ```
/// use blitz_http::ws::{self, Message, WebSocket};
/// use blitz_http::{Request, Router, now};
///
/// let router = Router::new().get("/time", now(|mut request: Request| {
///     ws::accept(&mut request).protocols(&["iso8601"]).run(async |mut socket: WebSocket| {
///         socket.send(Message::text("2026-11-28")).await?;
///         socket.close(ws::CloseCode::NORMAL, "").await
///     })
/// }));
/// # let _ = router;
/// ```
pub fn accept<B>(request: &mut http::Request<B>) -> Accept {
    let upgrading = Box::pin(upgrade_by(request.extensions_mut()));
    let handshake = ServerHandshake::of(request.method(), request.version(), request.headers());
    Accept::new(handshake, request.uri(), request.headers(), upgrading)
}

/// The same by a request's head, for extractors of frameworks. With the feature `axum`, [`Accept`] is one of axum's.
pub fn accept_parts(parts: &mut Parts) -> Accept {
    let upgrading = Box::pin(upgrade_by(&mut parts.extensions));
    let handshake = ServerHandshake::of(&parts.method, parts.version, &parts.headers);
    Accept::new(handshake, &parts.uri, &parts.headers, upgrading)
}

/// `async fn route(accept: Accept) -> blitz_http::Response { accept.run(echo) }` in a `Router` of axum's, which blitz-http serves.
#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for Accept {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Accept, Self::Rejection> {
        Ok(accept_parts(parts))
    }
}

/// Whether a page of this origin and a request to this host belong together. A proxy may have taken TLS off: the scheme is the page's.
fn is_same(origin: &Url, host: &str) -> bool {
    let own = Url::parse(&format!("{}://{host}/", origin.scheme()));
    own.is_ok_and(|own| own.username().is_empty() && own.origin() == origin.origin())
}

type Upgrading = Pin<Box<dyn Future<Output = Result<Upgraded, Error>> + Send>>;

/// A request for a WebSocket, and what is to be said to it; see [`accept`].
#[must_use = "it becomes an answer by `run`"]
pub struct Accept {
    handshake: Result<ServerHandshake, HandshakeError>,
    /// Where the request comes from, if it says so and that can be understood.
    origin: Option<Url>,
    is_allowed: bool,
    upgrading: Upgrading,
    protocols: Vec<String>,
    config: Config,
}

impl Accept {
    fn new(
        handshake: Result<ServerHandshake, HandshakeError>,
        uri: &Uri,
        headers: &HeaderMap,
        upgrading: Upgrading,
    ) -> Accept {
        let mut origins = headers.get_all(ORIGIN).into_iter();
        let first = origins.next();
        let origin = first.filter(|_| origins.next().is_none());
        let origin = origin.and_then(|origin| Url::parse(origin.to_str().ok()?).ok());
        let named = uri.authority().map(Authority::as_str);
        let host = headers.get(HOST);
        let host = named.or_else(|| host?.to_str().ok());
        let same = origin.as_ref().zip(host);
        let is_allowed =
            first.is_none() || same.is_some_and(|(origin, host)| is_same(origin, host));
        Accept {
            handshake,
            origin,
            is_allowed,
            upgrading,
            protocols: Vec::new(),
            config: Config::default(),
        }
    }

    /// Limits, times and compression.
    pub fn config(mut self, config: Config) -> Accept {
        self.config = config;
        self
    }

    /// What happens where a room's messages come faster than this peer takes them; the same as [`Config::slow`].
    pub fn slow(mut self, slow: Slow) -> Accept {
        self.config.slow = slow;
        self
    }

    /// The subprotocols that are spoken here. The first of the client's that is among them is agreed on; where there is none, the socket
    /// comes about without one, and clients that insist will leave.
    pub fn protocols(mut self, names: &[&str]) -> Accept {
        self.protocols = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Takes pages of this origin, `https://example.com`, beside those of this server.
    pub fn allow_origin(mut self, origin: &str) -> Accept {
        if let (Some(theirs), Ok(allowed)) = (&self.origin, Url::parse(origin)) {
            self.is_allowed |= theirs.origin() == allowed.origin();
        }
        self
    }

    /// Takes pages of any origin: for what is public, or asks for more than cookies.
    pub fn allow_any_origin(mut self) -> Accept {
        self.is_allowed = true;
        self
    }

    /// The subprotocols that the client speaks, the dearest first.
    pub fn offered(&self) -> &[String] {
        match &self.handshake {
            Ok(handshake) => handshake.protocols(),
            Err(_) => &[],
        }
    }

    /// The answer. If that is a yes, `function` gets the socket, in a task of its own; what it returns is for itself.
    ///
    /// A no is 403 for another origin, and otherwise 400, 405 or 426, as the request deserves.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn run<F, Fut>(self, function: F) -> Response
    where
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
    {
        let handshake = match self.handshake {
            Ok(handshake) => handshake,
            Err(error) => return refused(&error),
        };
        if !self.is_allowed {
            let why = "no WebSocket for a page of another origin\n";
            return (StatusCode::FORBIDDEN, why).into_response();
        }
        let protocols: Vec<&str> = self.protocols.iter().map(String::as_str).collect();
        let (headers, agreed) = handshake.accept(&protocols, self.config.deflate.as_ref());
        let (upgrading, config) = (self.upgrading, self.config);
        // A box, for what the task has begun with is of no use to it later, and would be there as long as it is.
        let begin =
            Box::new(move |upgraded| function(WebSocket::of_server(upgraded, agreed, config)));
        drop(blitz_io::spawn(Serves::Waits { upgrading, begin }));
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;
        response
    }
}

pin_project! {
    /// The task of a socket. By hand, for it is one step that each poll takes, and one line of the processor's cache, before the user's.
    #[project = Step]
    #[project_replace = Was]
    enum Serves<Fut> {
        Waits {
            upgrading: Upgrading,
            begin: Box<dyn FnOnce(Upgraded) -> Fut + Send>,
        },
        Runs {
            #[pin]
            future: Fut,
        },
        Over,
    }
}

impl<Fut: Future> Future for Serves<Fut> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.as_mut().project() {
                Step::Runs { future } => return future.poll(cx).map(drop),
                Step::Waits { upgrading, .. } => {
                    let upgraded = ready!(upgrading.as_mut().poll(cx));
                    let before = self.as_mut().project_replace(Serves::Over);
                    // A connection that ended before has nobody to be told of it.
                    if let (Was::Waits { begin, .. }, Ok(upgraded)) = (before, upgraded) {
                        let future = begin(upgraded);
                        self.set(Serves::Runs { future });
                    }
                }
                Step::Over => return Poll::Ready(()),
            }
        }
    }
}

fn refused(error: &HandshakeError) -> Response {
    let mut response = (error.status(), format!("{error}\n")).into_response();
    let headers = response.headers_mut();
    match error.status() {
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        StatusCode::UPGRADE_REQUIRED => {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        _ => {}
    }
    response
}

impl fmt::Debug for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept")
            .field("handshake", &self.handshake)
            .field("is_allowed", &self.is_allowed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::is_same;
    use url::Url;

    #[test]
    fn an_origin_is_a_host_and_a_port() {
        for (origin, host, same) in [
            ("http://a.example", "a.example", true),
            ("http://a.example", "A.EXAMPLE:80", true),
            ("https://a.example", "a.example", true),
            ("https://a.example", "a.example:443", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("https://a.example", "a.example:80", false),
            ("http://a.example:8080", "a.example", false),
            ("http://b.example", "a.example", false),
            ("http://a.example.evil", "a.example", false),
            ("http://a.example", "u@a.example", false),
            ("chrome-extension://a.example", "a.example", false),
        ] {
            let parsed = Url::parse(origin).unwrap();
            assert_eq!(is_same(&parsed, host), same, "{origin} {host}");
        }
        assert!(Url::parse("null").is_err());
    }
}
