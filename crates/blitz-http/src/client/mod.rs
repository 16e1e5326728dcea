//! An HTTP/1.1 client, with every wait bounded and every bound told.
//!
//! [`Client`] keeps connections and sends requests; [`RequestBuilder`] makes them, and [`Response`] is what comes, its body a
//! stream. Each phase of a request has a limit ([`Timeouts`]) and is measured ([`Timings`]); an [`Error`] says in which phase it came
//! about, and how long those before it took.
//!
//! ```
//! # #[blitz_io::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use blitz_http::{Request, Router, Server};
//! # let server = Server::bind("127.0.0.1:0").await?;
//! # let (addr, handle) = (server.local_addrs()[0], server.handle());
//! # let router = Router::new().post("/greet", |request: Request| async move {
//! #     format!("{{\"got\":{}}}", request.into_body().collect().await.unwrap().len())
//! # });
//! # let serving = blitz_io::spawn(server.serve(router));
//! use blitz_http::Client;
//! use std::time::Duration;
//!
//! let client = Client::builder().timeout(Duration::from_secs(10)).build()?;
//! let mut response = client
//!     .post(format!("http://{addr}/greet"))
//!     .json(&["Ada", "Grace"])
//!     .send()
//!     .await?
//!     .error_for_status()?;
//! let answer: serde_json::Value = response.json().await?;
//! assert_eq!(answer["got"], 15);
//! println!("the head took {:?}", response.timings().head);
//! # client.drop_idle();
//! # handle.shut_down(Duration::from_secs(1));
//! # serving.await?;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! builder ── Client ── request ── send ──┬── pool ──────────────── wire
//!                                        ├── dial ── resolve, race, proxy, tunnel, public
//!                                        ├── exchange (one request and its response on one wire)
//!                                        ├── redirect, retry, cookies
//!                                        └── response ── arriving ── decode
//! ```
//!
//! | file | what |
//! |---|---|
//! | `builder`, `request`, `address`, `response`, `multipart` | what users see |
//! | `send` | the way of a request: attempts, redirects, and the response in the end |
//! | `pool`, `wire`, `warm` | connections that are kept (in a `blitz_io::pool`), what lies between two exchanges, and those that are made beforehand |
//! | `dial`, `resolve`, `race`, `proxy`, `tunnel`, `public` | how a connection comes about |
//! | `exchange`, `arriving`, `decode` | a request going out while a response comes in; its body, and what it was packed in |
//! | `redirect`, `retry`, `cookies`, `digest` | what browsers do, by the letter of their RFCs |
//! | `timing`, `error` | the phases, and what can go wrong in each |
//! | `events` | server-sent events |
//! | `local` | servers within the process, for tests |

mod address;
mod arriving;
mod builder;
mod cookies;
mod decode;
mod dial;
mod digest;
mod error;
mod events;
mod exchange;
mod local;
mod multipart;
mod pool;
mod proxy;
mod public;
mod race;
mod redirect;
mod request;
mod resolve;
mod response;
mod retry;
mod send;
mod timing;
mod tunnel;
mod warm;
mod wire;

pub use builder::ClientBuilder;
pub use cookies::CookieJar;
pub use dial::{Connect, Connecting};
pub use error::Error;
pub use events::EventSource;
pub use local::Mock;
pub use multipart::{Multipart, Part};
pub use pool::{PoolConfig, PoolState};
pub use proxy::Proxy;
pub use public::is_public;
pub use redirect::{Redirect, RedirectPolicy};
pub use request::{IntoUrl, Request, RequestBuilder};
pub use resolve::{Resolve, Resolving};
pub use response::Response;
pub use retry::RetryPolicy;
pub use timing::{Phase, Timeouts, Timings};
pub use wire::{BoxStream, Stream};

/// An event as [`EventSource`] gives it.
pub use blitz_http_proto::sse::Received as Event;
pub use url::Url;

use self::decode::Measure;
use self::dial::Dialer;
use self::pool::Pool;
use self::proxy::Proxies;
use self::request::Options;
use self::retry::Budget;
use crate::Body;
use blitz_http_proto::Limits;
use http::{HeaderMap, Method};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// A client: connections that are kept, and how requests are sent. A clone is the same client.
///
/// It is a [`Service`] of [`http::Request`] too, for layers of `tower`.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    headers: Fields,
    options: Options,
    retries: RetryPolicy,
    budget: Budget,
    cookies: Option<CookieJar>,
    measure: Measure,
    collect_bytes_max: u64,
    limits: Limits,
    proxies: Proxies,
    unix_socket: Option<PathBuf>,
    pool: Pool,
    dialer: Dialer,
}

/// The fields that each request has which does not have them itself. Most requests have no others, and then share these.
struct Fields {
    plain: Arc<HeaderMap>,
    /// With the codings that we can undo; the same, where `plain` asks for some or for a part.
    accepting: Arc<HeaderMap>,
}

impl Client {
    /// A client with the defaults, which are meant to be used.
    ///
    /// # Panics
    /// If the environment names a proxy that is none; [`builder`](Client::builder) returns that as an error.
    #[track_caller]
    pub fn new() -> Client {
        match Client::builder().build() {
            Ok(client) => client,
            Err(error) => panic!(
                "Client::new: {}; use Client::builder().no_proxy()",
                error.chain()
            ),
        }
    }

    /// A client in the making.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// A client that goes to public addresses only, for who fetches what strangers name: see
    /// [`ClientBuilder::public_only`].
    pub fn public_only() -> Client {
        let built = ClientBuilder::new().no_proxy().public_only(true).build();
        built.expect("without a proxy nothing can be wrong")
    }

    /// A request in the making.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, url.into_url())
    }

    /// A GET in the making.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A POST in the making.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A PUT in the making.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// A PATCH in the making.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// A DELETE in the making.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// A HEAD in the making.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// How the connections are doing.
    pub fn pool_state(&self) -> PoolState {
        self.0.pool.counts()
    }

    /// Closes the connections that nobody uses.
    ///
    /// While some are kept a task waits to close them in time; a runtime that is to end gracefully need not wait for it after this.
    pub fn drop_idle(&self) {
        self.0.pool.drop_idle();
    }

    fn default_options(&self) -> Options {
        self.0.options.clone()
    }
}

impl Default for Client {
    fn default() -> Self {
        Client::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pool", &self.pool_state())
            .finish_non_exhaustive()
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Error>> + Send>>;

impl<B: Into<Body>> Service<http::Request<B>> for Client {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = Answering;

    /// Always: requests wait in line by themselves, with a limit.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answering {
        (&*self).call(request)
    }
}

impl<B: Into<Body>> Service<http::Request<B>> for &Client {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answering {
        let (parts, body) = request.into_parts();
        let client = (*self).clone();
        let builder = client.request(parts.method, &parts.uri);
        let builder = builder.headers(parts.headers).body(body);
        Box::pin(async move { Ok(builder.send().await?.into_http()) })
    }
}
