//! How long one poll may go on when the stream below is always ready.

use std::task::{Context, Poll};

/// Items that one poll takes without giving any: a stream of values in memory knows no budget.
const ITEMS_MAX: u32 = 128;

/// Counts the items of one poll.
#[derive(Debug, Default)]
pub(super) struct Turn(u32);

impl Turn {
    /// Pending when it was enough for this poll; the task is woken then, to go on in its next.
    pub(super) fn poll_item(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.0 == ITEMS_MAX {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.0 += 1;
        Poll::Ready(())
    }
}
