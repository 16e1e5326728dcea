//! What one socket counts for its server.

use crate::Handle;
use crate::counters::{SocketCounters, add};
use std::sync::atomic::Ordering::Relaxed;

/// Counts for a server, if there is one, until it is dropped with its socket.
#[derive(Debug, Default)]
pub(super) struct Tally {
    server: Option<Handle>,
    /// What the server was told of bytes that wait.
    waiting: u64,
}

// ORDERING: Relaxed throughout: these are numbers for people.
impl Tally {
    pub(super) fn of(server: Handle) -> Tally {
        add(&server.counters().sockets().opened);
        Tally {
            server: Some(server),
            waiting: 0,
        }
    }

    /// That server.
    #[inline]
    pub(super) fn server(&self) -> Option<&Handle> {
        self.server.as_ref()
    }

    fn counters(&self) -> Option<&SocketCounters> {
        self.server
            .as_ref()
            .map(|server| server.counters().sockets())
    }

    pub(super) fn received(&self) {
        if let Some(counters) = self.counters() {
            counters.received.add(1);
        }
    }

    pub(super) fn sent(&self) {
        if let Some(counters) = self.counters() {
            counters.sent.add(1);
        }
    }

    pub(super) fn dead(&self) {
        if let Some(counters) = self.counters() {
            add(&counters.dead);
        }
    }

    pub(super) fn slow(&self) {
        if let Some(counters) = self.counters() {
            add(&counters.slow);
        }
    }

    /// So many bytes wait now.
    pub(super) fn waits(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes == self.waiting {
            return;
        }
        if let Some(counters) = self.counters() {
            // ORDERING: a count; what is taken off was added before, by this socket.
            counters
                .bytes_waiting
                .fetch_add(bytes.wrapping_sub(self.waiting), Relaxed);
        }
        self.waiting = bytes;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.waits(0);
        if let Some(counters) = self.counters() {
            add(&counters.closed);
        }
    }
}
