//! WebSocket (RFC 6455) with compression (RFC 7692), both ends.
//!
//! A server answers with what [`accept`] makes of a request; a client asks with [`Client::websocket`](crate::Client::websocket), or
//! [`connect`]. Both get a [`WebSocket`], which sends and receives [`Message`]s, is a `Stream` and a `Sink`, and [splits](WebSocket::split)
//! into halves that are owned.
//!
//! While somebody receives, pings are answered, pings go out, and a peer that has vanished is noticed; see [`Config`] for the times and limits,
//! all of which hold by default. A server that ends says so to its sockets with code 1001. What many are to get goes through a [`Room`].
//!
//! ```
//! # #[blitz_io::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use blitz_http::ws::{self, Message, WebSocket};
//! use blitz_http::{Request, Router, Server, now};
//!
//! async fn echo(mut socket: WebSocket) -> Result<(), ws::Error> {
//!     while let Some(message) = socket.recv().await? {
//!         socket.send(message).await?;
//!     }
//!     Ok(())
//! }
//!
//! let router = Router::new().get("/ws", now(|mut request: Request| ws::accept(&mut request).run(echo)));
//! let server = Server::bind("127.0.0.1:0").await?;
//! let (addr, handle) = (server.local_addrs()[0], server.handle());
//! let serving = blitz_io::spawn(server.serve(router));
//!
//! let mut socket = ws::connect(format!("ws://{addr}/ws")).await?;
//! socket.send(Message::text("hello")).await?;
//! assert_eq!(socket.recv().await?, Some(Message::text("hello")));
//! socket.close(ws::CloseCode::NORMAL, "").await?;
//! # handle.shut_down(std::time::Duration::from_secs(1));
//! # serving.await?;
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | `accept`, `connect` | how a socket comes about: the server's side, and the client's |
//! | `socket`, `split` | what users hold: the whole, and its halves |
//! | `room`, `outbox` | one message for many, and what waits for one of them |
//! | `state` | what both are made of: frames to messages and back, and the end in good order |
//! | `beat` | when to ping, and whom to take for dead |
//! | `masks` | what a client's frames are mixed with |
//! | `config`, `error` | limits and times, and what goes wrong |
//! | `tally` | what a socket counts for its server |

mod accept;
mod beat;
mod config;
mod connect;
mod error;
mod masks;
mod outbox;
mod room;
mod socket;
mod split;
mod state;
mod tally;

pub use accept::{Accept, accept, accept_parts};
pub use blitz_http_proto::ws::{
    Agreed, CloseCode, Deflate, DeflateParams, HandshakeError, Limits, Message, Role,
};
pub use config::{Config, Slow};
pub use connect::{Connect, ConnectError, connect};
pub use error::{Error, TrySendError};
pub use room::{Member, Room, RoomCounters};
pub use socket::WebSocket;
pub use split::{Receiver, ReuniteError, Sender};
