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
    /// What happens where the messages of a [`Room`](super::Room) come faster than this peer takes them. `Disconnect(256)`.
    pub slow: Slow,
}

/// What is done with a member of a [`Room`](super::Room) that takes messages more slowly than they come.
///
/// Messages wait for it in a queue of its own, which has room for the number given, and for one at least. All queues hold the same bytes:
/// a message that waits for a thousand members is there once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slow {
    /// Who sends to the room waits until there is room: nothing is lost, and the room is as slow as its slowest member. One that takes nothing
    /// at all is taken for dead after [`Config::ping_interval`] and [`Config::pong_timeout`] together, and then nobody waits for it.
    Block(usize),
    /// The oldest message of the queue is dropped, and counted.
    DropOldest(usize),
    /// Only the newest message waits: for what is a state, and not a story. The others are dropped, and counted.
    Latest,
    /// The socket is closed with 1008 (`too slow`), and counted.
    Disconnect(usize),
}

impl Slow {
    /// How many messages may wait.
    pub(super) fn room(self) -> usize {
        match self {
            Slow::Block(room) | Slow::DropOldest(room) | Slow::Disconnect(room) => room.max(1),
            Slow::Latest => 1,
        }
    }
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
            slow: Slow::Disconnect(256),
        }
    }
}
