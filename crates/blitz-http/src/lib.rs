//! An HTTP/1.1 server and a [client] on blitz-io, and [WebSocket](ws) for both; strict, timed and bounded without being asked to.
//!
//! [`Server`] accepts connections, and hands each request to a [`tower_service::Service`] of [`http::Request`]: the
//! small [`Router`] here, a function through [`service_fn`], or whatever else is one. What a request is, where its body ends and
//! what is refused is `blitz-http-proto`'s; the types of messages are those of `http` and `http-body`.
//!
//! Every wait for a client has a limit ([`Config`]), and every limit that fires is counted by its phase ([`Counters`]). A
//! connection that waits holds no buffer. Requests that came together are answered together, in one write.
//!
//! ```
//! use blitz_http::{Request, Router, Server};
//! use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
//! use blitz_io::net::TcpStream;
//! use std::time::Duration;
//!
//! # #[blitz_io::main]
//! # async fn main() -> std::io::Result<()> {
//! let router = Router::new().get("/hello/{name}", |request: Request| async move {
//!     let name = blitz_http::param(&request, "name").unwrap_or("nobody").to_owned();
//!     format!("Hello, {name}!")
//! });
//! let server = Server::bind("127.0.0.1:0").await?;
//! let (addr, handle) = (server.local_addrs()[0], server.handle());
//! let serving = blitz_io::spawn(server.serve(router));
//!
//! let mut client = TcpStream::connect(addr).await?;
//! client.write_all(b"GET /hello/you HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nHello, you!"));
//!
//! handle.shut_down(Duration::from_secs(1));
//! assert!(serving.await.unwrap().cut.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! - `compression`, on by default: Brotli and Zstandard, for [files] that are compressed on the way and for what the [client] reads. Without it
//!   both have gzip, and the client deflate, which [WebSocket](ws) needs in any case.
//! - `axum`: a handler of axum's `Router` takes [`ws::Accept`] as an argument.
#![forbid(unsafe_code)]

mod body;
mod buffers;
pub mod client;
mod config;
mod conn;
mod counters;
mod error;
mod file_body;
pub mod files;
mod handle;
mod hints;
mod incoming;
mod peer;
mod proxies;
mod reply;
mod router;
mod server;
mod service;
mod spare;
pub mod sse;
pub mod supervisor;
mod upgrade;
pub mod ws;

pub use body::Body;
pub use client::Client;
pub use config::{Config, Timeouts};
pub use conn::Connection;
pub use counters::{Counters, Phase, SocketCounters};
pub use error::{BoxError, Error};
pub use handle::{Cut, Handle, Report};
pub use hints::early_hints;
pub use peer::{Peer, TlsPeer};
pub use proxies::{ClientAddr, ForwardedBy, Network, NotANetwork, Proxies, Trusted};
pub use reply::{Answer, Reply, reply, reply_as};
pub use router::{
    Handler, Limited, Look, Looker, Now, Router, RouterFuture, limited, look, now, param,
};
pub use server::{ListenOptions, Listener, PortSharing, Server};
pub use service::{ServiceFn, Sure, service_fn};
pub use upgrade::{Upgraded, upgrade};

/// A request as a handler gets it.
pub type Request = http::Request<Body>;
/// A response as the router's handlers give it.
pub type Response = http::Response<Body>;
