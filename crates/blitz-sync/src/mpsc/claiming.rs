//! How a send finds its place that need not wait, and has not found it [at once](super::channel::Channel::claim_now).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_core::budget;

use super::bounded::Shared;
use super::channel::Claimed;

/// A place for a value, in room that is there or comes within a moment; `None` if one has to wait for it.
#[must_use = "futures do nothing unless awaited"]
pub(super) struct Claiming<'a, T>(pub(super) &'a Shared<T>);

impl<'a, T> Future for Claiming<'a, T> {
    type Output = Option<Claimed<'a, T>>;

    #[cold]
    #[inline(never)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let channel = self.0;
        loop {
            // Who goes last for want of budget does so in line, if there is no room: see there.
            if !channel.has_room() && !is_room_coming(channel) {
                return Poll::Ready(None);
            }
            let coop = ready!(budget::poll_proceed(cx));
            // Or another sender was faster, or the receiver closes the channel.
            if let Some(claimed) = channel.claim_in_room() {
                coop.made_progress();
                return Poll::Ready(Some(claimed));
            }
        }
    }
}

/// Whether the receiver has made room, or does so within a moment.
fn is_room_coming<T>(channel: &Shared<T>) -> bool {
    (channel.fetch_room() && channel.has_room())
        || (!channel.bound.permits().is_closed()
            && channel.is_room_made()
            && channel.fetch_room()
            && channel.has_room())
}
