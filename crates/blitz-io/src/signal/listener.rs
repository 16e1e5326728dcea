//! One listener for one signal, on every system.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_core::slab::Key;
use blitz_core::waiting::{self, Resource, Site};

use super::hub::{Heard, Hub};

static HEAR: Site = Site::new("a signal", Resource::Signal);

/// Hears one signal of one runtime.
pub(super) struct Listener {
    hub: Arc<Hub>,
    number: i32,
    key: Key,
    /// How often the signal had come when this listener last heard of it.
    seen: u64,
}

impl Listener {
    /// Listens for signal `number` from now on; `what` is the call that asked.
    #[track_caller]
    pub(super) fn new(what: &'static str, number: i32) -> io::Result<Listener> {
        let hub = Hub::current(what)?;
        let (key, seen) = hub.listen(number)?;
        Ok(Listener {
            hub,
            number,
            key,
            seen,
        })
    }

    /// Which signal.
    #[cfg(unix)]
    pub(super) fn number(&self) -> i32 {
        self.number
    }

    /// Whether it came; `None` once it cannot come any more.
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let budget = std::task::ready!(blitz_core::budget::poll_proceed(cx));
        match self.hub.poll(self.key, self.number, self.seen, cx.waker()) {
            Heard::Signal(count) => {
                self.seen = count;
                budget.made_progress();
                Poll::Ready(Some(()))
            }
            Heard::Closed => Poll::Ready(None),
            Heard::Nothing => {
                waiting::note(&HEAR, self.number as u64, None);
                Poll::Pending
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.hub.forget(self.key);
    }
}
