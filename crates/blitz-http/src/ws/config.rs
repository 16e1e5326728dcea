//! Limits and times of a socket.

use super::{Deflate, Limits};
use std::time::Duration;

/// What holds for a socket. The defaults are meant to be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How much the peer may send at once: 16 MiB a message, after it was inflated, and a frame; 131,072 frames a message.
    pub limits: Limits,
    /// Compression, where the peer wants it too. None.
    pub deflate: Option<Deflate>,
    /// How often a ping goes out while somebody receives. 30 s; zero turns pings off, and with them the search for dead peers.
    pub ping_interval: Duration,
    /// For how long a peer may say nothing at all after a ping, before it is taken for dead. 10 s.
    ///
    /// One that takes nothing of what is sent for both times together is taken for dead as well.
    pub pong_timeout: Duration,
    /// How long the end in good order may take. 10 s.
    pub close_timeout: Duration,
    /// So many bytes may wait to be written before [`send`](super::WebSocket::send) waits for room; a message may be larger than that. 64 KiB.
    pub buffer_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: Limits::default(),
            deflate: None,
            ping_interval: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(10),
            buffer_bytes: 64 * 1024,
        }
    }
}
