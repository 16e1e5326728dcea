//! Room in a bounded channel that was reserved and not filled yet.

use std::fmt;
use std::iter::FusedIterator;
use std::mem::{self, ManuallyDrop};

use super::bounded::{Sender, Shared};

fn fill<T>(channel: &Shared<T>, value: T) {
    if channel.push(value).is_err() {
        unreachable!("a bounded channel's list is never closed");
    }
}

/// Gives `count` places back that nobody fills.
fn give_back<T>(channel: &Shared<T>, count: usize) {
    if count != 0 {
        channel.bound.permits().release(count);
        channel.unused_room();
    }
}

/// Room for one value, given back on drop.
#[must_use = "dropped at once, it gives its room back"]
pub struct Permit<'a, T> {
    channel: &'a Shared<T>,
}

impl<'a, T> Permit<'a, T> {
    /// The caller has taken the room.
    pub(super) fn new(channel: &'a Shared<T>) -> Self {
        Self { channel }
    }

    /// Sends `value`. It is received even if the receiver was closed since: the room counts.
    pub fn send(self, value: T) {
        let channel = self.channel;
        mem::forget(self);
        fill(channel, value);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        give_back(self.channel, 1);
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// Room for some values, as one [`Permit`] each; what is left is given back on drop.
#[must_use = "dropped at once, it gives its room back"]
pub struct PermitIterator<'a, T> {
    channel: &'a Shared<T>,
    left: usize,
}

impl<'a, T> PermitIterator<'a, T> {
    /// The caller has taken the room.
    pub(super) fn new(channel: &'a Shared<T>, left: usize) -> Self {
        Self { channel, left }
    }
}

impl<'a, T> Iterator for PermitIterator<'a, T> {
    type Item = Permit<'a, T>;

    fn next(&mut self) -> Option<Permit<'a, T>> {
        self.left = self.left.checked_sub(1)?;
        Some(Permit::new(self.channel))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for PermitIterator<'_, T> {}
impl<T> FusedIterator for PermitIterator<'_, T> {}

impl<T> Drop for PermitIterator<'_, T> {
    fn drop(&mut self) {
        give_back(self.channel, self.left);
    }
}

impl<T> fmt::Debug for PermitIterator<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitIterator")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// Room for one value, in place of the sender that reserved it; given back on drop, and the sender with it.
#[must_use = "dropped at once, it gives its room back"]
pub struct OwnedPermit<T> {
    sender: ManuallyDrop<Sender<T>>,
}

impl<T> OwnedPermit<T> {
    /// The caller has taken the room.
    pub(super) fn new(sender: Sender<T>) -> Self {
        Self {
            sender: ManuallyDrop::new(sender),
        }
    }

    fn into_sender(self) -> Sender<T> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, and not used again.
        unsafe { ManuallyDrop::take(&mut this.sender) }
    }

    /// Sends `value`, and gives the sender back. It is received even if the receiver was closed since: the room counts.
    pub fn send(self, value: T) -> Sender<T> {
        let sender = self.into_sender();
        fill(sender.channel(), value);
        sender
    }

    /// Gives the room back unused, and the sender.
    pub fn release(self) -> Sender<T> {
        let sender = self.into_sender();
        give_back(sender.channel(), 1);
        sender
    }

    /// Whether both are of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.sender.same_channel(&other.sender)
    }

    /// Whether the sender is of the same channel.
    pub fn same_channel_as_sender(&self, sender: &Sender<T>) -> bool {
        self.sender.same_channel(sender)
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        // SAFETY: it is taken once: `into_sender` forgets the rest.
        let sender = unsafe { ManuallyDrop::take(&mut self.sender) };
        give_back(sender.channel(), 1);
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").finish_non_exhaustive()
    }
}
