//! What rooms have for this socket: out of its outbox, and written.

use super::super::outbox::{Item, Next, Outbox};
use super::super::{CloseCode, Error};
use super::out::GATHERED;
use super::{Life, State};
use crate::buffers;
use std::task::{Context, Poll, Waker};

/// Rounds of writing before other tasks get their turn.
const ROUNDS_A_POLL: u32 = 32;

/// Why the pump of an outbox ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ws) enum Pumped {
    /// The socket is in no room any more, and all is written.
    Idle,
    /// The peer is too slow.
    Slow,
    /// The socket is over.
    Over,
}

impl State {
    /// Takes messages out of the outbox and writes them. Ready when there is no more to come; `taken` counts.
    pub(in crate::ws) fn poll_shared(
        &mut self,
        cx: &mut Context<'_>,
        writes: &Waker,
        outbox: &Outbox,
        taken: &mut usize,
    ) -> Poll<Pumped> {
        for _ in 0..ROUNDS_A_POLL {
            if self.life != Life::Open {
                return Poll::Ready(Pumped::Over);
            }
            let next = match self.poll_flush(&mut Context::from_waker(writes)) {
                Poll::Ready(Ok(())) => outbox.next(cx.waker()),
                Poll::Ready(Err(_)) => Next::Over,
                Poll::Pending => outbox.watch(cx.waker()),
            };
            match next {
                Next::Item(item) => self.gather(item, outbox, taken),
                Next::Wait => return Poll::Pending,
                Next::Idle => return Poll::Ready(Pumped::Idle),
                Next::Slow => return Poll::Ready(Pumped::Slow),
                Next::Over => return Poll::Ready(Pumped::Over),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes an item to be written, and the short ones behind it.
    fn gather(&mut self, first: Item, outbox: &Outbox, taken: &mut usize) {
        let mut next = Some(first);
        while let Some(item) = next {
            *taken += 1;
            self.tally.sent();
            match item {
                Item::Whole(message) => {
                    // The room's own copy.
                    drop(self.takes(message));
                    return;
                }
                Item::Frame {
                    bytes,
                    is_compressed,
                } => {
                    if is_compressed {
                        self.encoder.forget();
                    }
                    if bytes.len() > GATHERED {
                        // All before it is written.
                        self.out.then(bytes);
                        return;
                    }
                    self.out.buffer().extend_from_slice(&bytes);
                }
            }
            next = match self.out.len() < buffers::SIZE - GATHERED {
                true => outbox.next_within(GATHERED),
                false => None,
            };
        }
    }

    /// Ends it because its peer is too slow: in good order, if somebody receives.
    pub(in crate::ws) fn is_slow(&mut self, is_received_from: bool) {
        if self.life != Life::Open {
            return;
        }
        self.tally.slow();
        if is_received_from {
            self.say_close(Some((CloseCode::POLICY, "too slow")));
            self.failed.get_or_insert(Error::slow());
            self.leave();
        } else {
            self.fails(Error::slow());
        }
    }
}
