//! HTTP/1.1, WebSocket and server-sent events as state machines: bytes go in, events come out.
//!
//! Nothing here knows a socket, a clock or an executor. Who has a connection hands the bytes that it received to a decoder
//! ([`RequestDecoder`] at a server, [`ResponseDecoder`] at a client), and sends the bytes that an encoder
//! ([`ResponseHead`], [`RequestHead`] with [`BodyEncoder`] behind it) wrote. `blitz-http` does that; so do the tests, the
//! property tests and the fuzz targets, which need no network therefore.
//!
//! Framing is strict, as RFC 9112 allows a server to be: whatever two parties could read in two ways is an [`Error`], whose
//! [`status`](Error::status) is the answer to give before the connection is closed. There is no lenient mode.
//!
//! No byte is searched again because more have come, in whatever pieces they come:
//! [`looked_at`](RequestDecoder::looked_at) counts them, and a test holds the count.
//!
//! ```
//! use blitz_http_proto::{RequestDecoder, RequestEvent};
//! use bytes::BytesMut;
//!
//! let mut decoder = RequestDecoder::default();
//! let mut input = BytesMut::from(&b"GET /a?b HTTP/1.1\r\nHost: example.org\r\n\r\n"[..]);
//! let Some(RequestEvent::Head(head)) = decoder.decode(&mut input)? else { panic!("a whole head") };
//! assert_eq!(head.uri.path(), "/a");
//! assert!(matches!(decoder.decode(&mut input)?, Some(RequestEvent::End)));
//!
//! // Two lengths: which one counts would be a guess.
//! let mut input = BytesMut::from(&b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"[..]);
//! assert_eq!(RequestDecoder::default().decode(&mut input).unwrap_err().status(), 400);
//! # Ok::<(), blitz_http_proto::Error>(())
//! ```
#![forbid(unsafe_code)]

mod body;
mod characters;
mod date;
mod error;
mod head;
mod limits;
mod proxy;
mod request;
mod response;
pub mod sse;
mod taken;
mod write;
mod written;
pub mod ws;

pub use body::{BodyDecoder, BodyEncoder, BodyEvent};
pub use date::HttpDate;
pub use error::Error;
pub use head::{
    Framing, HeadMark, Kept, KnownHead, ReceivedHead, ReceivedRequest, ReceivedResponse,
};
pub use limits::Limits;
pub use proxy::{Forwarded, Node, PROXY_HEADER_MAX, ProxyError, ProxyHeader, XForwardedFor};
pub use request::{RequestDecoder, RequestEvent};
pub use response::{ResponseDecoder, ResponseEvent};
pub use write::{RequestHead, ResponseHead, Target};
pub use written::WrittenHeads;
