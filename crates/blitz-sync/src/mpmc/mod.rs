//! Channels with many senders and many receivers: each value goes to one of the receivers.
//!
//! [`channel`] takes so many values and no more: whoever sends waits for room. [`unbounded_channel`] takes what comes. Both have
//! the same two ends, [`Sender`] and [`Receiver`], which can be cloned.
//!
//! Values are received in the order in which they were sent. Those who wait are woken in the order in which they came, a value
//! or a place for each; but whoever comes at that moment and does not have to wait may be faster, and then the one that was
//! woken is the next again. That is what lets a busy receiver take many values without a switch of tasks between them.
//!
//! On a `multi_thread` runtime a task that is woken since there is room runs behind those that wait to run, and before them once it was
//! beaten there eight times in a row. Where every woken task runs behind the others, as on `current_thread`, a task that sends whatever
//! fits, turn after turn, keeps one that waits from its room for as long as it does so.
//!
//! Sending and receiving take no lock while nobody waits, and one exchange each on a word that those of one side share. In
//! steady state nothing is allocated: the bounded channel's slots are made with it, the unbounded one uses a block of them
//! again; a wait lies in the future that waits.
//!
//! The channel is closed when the last sender goes, or the last receiver, or by [`Sender::close`] or [`Receiver::close`]. What
//! was sent before is still received; when the last receiver goes, it is dropped.
//!
//! The parts: `ring` and `list` are the two kinds of queue, `queue` is either of them, `channel` is what both sides share and how
//! they wait, `end` is what both ends can do.

mod channel;
mod end;
pub mod error;
mod list;
mod pause;
mod queue;
mod receiver;
mod ring;
mod sender;

use channel::Channel;
use list::List;
use queue::Queue;
use ring::Ring;

pub use receiver::{Iter, Receiver, RecvStream, TryIter, WeakReceiver};
pub use sender::{Sender, WeakSender};

/// A channel that holds up to `buffer` values.
///
/// # Panics
/// If `buffer` is 0, or above `usize::MAX >> 3`.
///
/// # Examples
/// ```
/// use blitz_sync::mpmc;
/// # futures::executor::block_on(async {
/// let (sender, first) = mpmc::channel(2);
/// let second = first.clone();
/// sender.send("one").await.expect("a receiver is there");
/// sender.send("other").await.expect("a receiver is there");
/// assert!(sender.try_send("third").is_err(), "there is no room");
/// drop(sender);
/// assert_eq!(first.recv().await, Some("one"));
/// assert_eq!(second.recv().await, Some("other"));
/// assert_eq!(first.recv().await, None);
/// # });
/// ```
#[track_caller]
pub fn channel<T>(buffer: usize) -> (Sender<T>, Receiver<T>) {
    assert!(buffer > 0, "mpmc bounded channel requires buffer > 0");
    assert!(
        buffer <= ring::MAX,
        "a bounded channel may not hold more than {} values",
        ring::MAX
    );
    ends(Queue::Bounded(Ring::new(buffer)))
}

/// A channel that takes as many values as come. Receivers that are slower than the senders will use up the memory.
///
/// # Examples
/// ```
/// use blitz_sync::mpmc;
/// # futures::executor::block_on(async {
/// let (sender, receiver) = mpmc::unbounded_channel();
/// sender.try_send("hello").expect("there is always room");
/// assert_eq!(receiver.recv().await, Some("hello"));
/// drop(receiver);
/// assert_eq!(sender.send("too late").await.unwrap_err().0, "too late");
/// # });
/// ```
pub fn unbounded_channel<T>() -> (Sender<T>, Receiver<T>) {
    ends(Queue::Unbounded(List::new()))
}

fn ends<T>(queue: Queue<T>) -> (Sender<T>, Receiver<T>) {
    let channel = Channel::new(queue);
    let receiver = Receiver::entered(blitz_core::primitive::sync::Arc::clone(&channel));
    (Sender::entered(channel), receiver)
}

const _: () = {
    const fn shared<T: Send + Sync + Unpin>() {}
    shared::<Sender<std::cell::Cell<u8>>>();
    shared::<WeakSender<std::cell::Cell<u8>>>();
    shared::<Receiver<std::cell::Cell<u8>>>();
    shared::<WeakReceiver<std::cell::Cell<u8>>>();
};

#[cfg(all(test, loom))]
#[path = "../tests/loom_mpmc.rs"]
mod models;
