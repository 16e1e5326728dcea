//! What ends a socket before its time.

use super::{CloseCode, Message};
use blitz_http_proto::ws;
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// Why a socket ended otherwise than in good order, or takes no message.
#[derive(Debug)]
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    Peer(ws::Error),
    Io(io::Error),
    Cut,
    Dead,
    NoClose,
    Slow,
    Closed,
}

impl Error {
    pub(super) fn peer(error: ws::Error) -> Error {
        Error(Kind::Peer(error))
    }

    pub(super) fn io(error: io::Error) -> Error {
        Error(Kind::Io(error))
    }

    pub(super) fn cut() -> Error {
        Error(Kind::Cut)
    }

    pub(super) fn dead() -> Error {
        Error(Kind::Dead)
    }

    pub(super) fn no_close() -> Error {
        Error(Kind::NoClose)
    }

    pub(super) fn slow() -> Error {
        Error(Kind::Slow)
    }

    pub(super) fn closed() -> Error {
        Error(Kind::Closed)
    }

    /// The same, of a message that was not taken.
    pub(super) fn unsent(message: Message) -> Error {
        drop(message);
        Error::closed()
    }

    /// What the peer was told, if it broke the protocol or a limit, or was too slow.
    pub fn close_code(&self) -> Option<CloseCode> {
        match &self.0 {
            Kind::Peer(error) => Some(error.close_code()),
            Kind::Slow => Some(CloseCode::POLICY),
            _ => None,
        }
    }

    /// Whether the socket was closed already, by either end, when a message was to be sent.
    pub fn is_closed(&self) -> bool {
        matches!(self.0, Kind::Closed)
    }

    /// Whether the connection ended without a word of the peer (what browsers call 1006).
    pub fn is_cut(&self) -> bool {
        matches!(self.0, Kind::Cut)
    }

    /// Whether the socket was closed because its peer was too slow for a room; see [`Slow::Disconnect`](super::Slow::Disconnect).
    pub fn is_slow(&self) -> bool {
        matches!(self.0, Kind::Slow)
    }

    /// Whether the peer was silent for too long, or did not close when it was asked to.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0, Kind::Dead | Kind::NoClose)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Peer(_) => "peer broke the rules of WebSocket, or a limit",
            Kind::Io(_) => "connection of a WebSocket failed",
            Kind::Cut => "connection of a WebSocket ended without a close",
            Kind::Dead => "peer of a WebSocket does not answer",
            Kind::NoClose => "peer of a WebSocket did not close in time",
            Kind::Slow => "peer of a WebSocket is too slow for its room",
            Kind::Closed => "WebSocket is closed and sends nothing more",
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Kind::Peer(error) => Some(error),
            Kind::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// A message that was not taken; it comes back.
#[derive(Debug)]
pub struct TrySendError {
    message: Message,
    is_full: bool,
}

impl TrySendError {
    pub(super) fn full(message: Message) -> TrySendError {
        TrySendError {
            message,
            is_full: true,
        }
    }

    pub(super) fn closed(message: Message) -> TrySendError {
        TrySendError {
            message,
            is_full: false,
        }
    }

    /// Whether [`Config::buffer_bytes`](super::Config::buffer_bytes) wait already: later there may be room.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether the socket is closed.
    pub fn is_closed(&self) -> bool {
        !self.is_full
    }

    /// The message.
    pub fn into_message(self) -> Message {
        self.message
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full {
            "no room for a message: wait, or drop it"
        } else {
            "WebSocket is closed and sends nothing more"
        })
    }
}

impl StdError for TrySendError {}
