//! hyper's runtime traits over blitz-io, for a program that does not put blitz-io in tokio's place.
//!
//! hyper asks its user for streams, a timer and a way to spawn. [`BlitzIo`] makes hyper's streams of blitz-io's and the other way
//! round, [`BlitzTimer`] keeps hyper's timeouts, and [`BlitzExecutor`] runs its connections of HTTP/2. hyper itself needs of
//! tokio no more than its channels, which know no runtime, so nothing of tokio's runs.
//!
//! ```
//! use std::convert::Infallible;
//! use blitz_hyper::{BlitzIo, BlitzTimer};
//! use blitz_io::net::{TcpListener, TcpStream};
//! use http_body_util::{BodyExt, Empty, Full};
//! use hyper::body::{Bytes, Incoming};
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(Full::from("hello")))
//! }
//!
//! #[blitz_io::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let addr = listener.local_addr()?;
//!     blitz_io::spawn(async move {
//!         let (stream, _) = listener.accept().await?;
//!         let mut http = hyper::server::conn::http1::Builder::new();
//!         http.timer(BlitzTimer::new());
//!         let served = http.serve_connection(BlitzIo::new(stream), service_fn(hello)).await;
//!         served.map_err(std::io::Error::other)
//!     });
//!
//!     let stream = BlitzIo::new(TcpStream::connect(addr).await?);
//!     let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await?;
//!     blitz_io::spawn(connection);
//!     let answer = client.send_request(Request::new(Empty::<Bytes>::new())).await?;
//!     assert_eq!(answer.into_body().collect().await?.to_bytes(), "hello");
//!     Ok(())
//! }
//! ```

mod executor;
mod io;
mod timer;

pub use executor::{BlitzExecutor, BlitzLocalExecutor};
pub use io::BlitzIo;
pub use timer::{BlitzSleep, BlitzTimer};
