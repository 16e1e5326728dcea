//! Received bytes in buffers on loan, and what a read of another kind makes of them.
//!
//! Once `recv_lease` was called the driver may receive ahead of the reader: bytes that came are
//! in the stream's [`Leases`] and no longer in the socket. So every other read asks there first.

use std::io;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use blitz_driver::completion::Leases;

use super::Stream;
use crate::net::{BufferView, copied};

/// A stream's leases: nothing but a word until the first is asked for.
#[derive(Debug, Default)]
pub(super) struct Leased(OnceLock<Box<Leases>>);

impl Leased {
    pub(super) const fn new() -> Leased {
        Leased(OnceLock::new())
    }

    /// The leases, if there ever were any.
    #[inline]
    pub(super) fn get(&self) -> Option<&Leases> {
        self.0.get().map(|leases| &**leases)
    }
}

impl Stream {
    /// The next bytes in a buffer on loan; an empty one is the end of the stream.
    pub(in crate::net) fn poll_recv_lease(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<BufferView>> {
        let leases = self.leased.0.get_or_init(Box::default);
        leases.poll_next(cx, &self.source)
    }

    /// Whether bytes may have been received ahead of the reader.
    pub(in crate::net) fn has_leases(&self) -> bool {
        self.leased.get().is_some()
    }

    /// Hands `take` the next leased bytes, waiting for them; what it leaves, and all of it when `keeps`, stays.
    pub(super) fn poll_leased(
        &self,
        leases: &Leases,
        cx: &mut Context<'_>,
        keeps: bool,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<usize>> {
        let view = ready!(leases.poll_next(cx, &self.source))?;
        Poll::Ready(Ok(take_of(leases, view, keeps, take)))
    }

    /// As `poll_leased`, without waiting.
    pub(super) fn try_leased(
        &self,
        leases: &Leases,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> io::Result<usize> {
        match leases.try_next() {
            Some(view) => Ok(take_of(leases, view?, false, take)),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

fn take_of(
    leases: &Leases,
    mut view: BufferView,
    keeps: bool,
    take: impl FnOnce(&[u8]) -> usize,
) -> usize {
    let taken = take(&view);
    copied::count(taken);
    if keeps {
        leases.put_back(view);
    } else if taken < view.len() {
        leases.put_back(view.split_off(taken));
    }
    taken
}
