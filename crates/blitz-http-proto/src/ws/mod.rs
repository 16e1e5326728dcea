//! WebSocket (RFC 6455) with compression (RFC 7692) for both ends: bytes in, messages out.
//!
//! | part | what it is |
//! |---|---|
//! | `handshake`, `extension` | the request and answer by which two parties agree, and on what |
//! | `head`, `mask` | a frame's first bytes, and the masking of the rest |
//! | `decoder`, `encoder` | frames to messages and back |
//! | `deflate`, `utf8` | compression of messages, and the check of text, piece by piece |
//! | `close`, `error` | why a connection ends |
//!
//! Reading is strict: what RFC 6455 forbids is an [`Error`], whose [`close_code`](Error::close_code) is to be told to the peer before
//! the connection ends. Limits hold for what a message is after it was inflated, and no buffer grows because a frame announces
//! something. Text is checked as it comes, so a message that is none fails with its first wrong byte.
//!
//! ```
//! use blitz_http_proto::ws::{Decoder, Encoder, Event, Limits, Message, Role};
//! use bytes::BytesMut;
//!
//! let mut wire = BytesMut::new();
//! // A real client's masks cannot be guessed.
//! let mut client = Encoder::client(|| [1, 2, 3, 4]);
//! client.message(&Message::text("hello"), &mut wire);
//! client.ping(b"there?", &mut wire);
//!
//! let mut server = Decoder::new(Role::Server, Limits::default());
//! assert_eq!(server.decode(&mut wire)?, Some(Event::Message(Message::text("hello"))));
//! assert_eq!(server.decode(&mut wire)?, Some(Event::Ping("there?".into())));
//! assert_eq!(server.decode(&mut wire)?, None);
//! # Ok::<(), blitz_http_proto::ws::Error>(())
//! ```

mod close;
mod decoder;
mod deflate;
mod encoder;
mod error;
mod extension;
mod handshake;
mod head;
mod mask;
mod message;
mod utf8;

pub use close::CloseCode;
pub use decoder::{Decoder, Event, Limits};
pub use encoder::Encoder;
pub use error::Error;
pub use extension::{Deflate, DeflateParams};
pub use handshake::{Agreed, ClientHandshake, HandshakeError, ServerHandshake, accept_key};
pub use message::{Message, Role};
