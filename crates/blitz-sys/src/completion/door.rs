//! The two halves as the driver holds them: a ring, or what stands in for one in tests.
//!
//! Which it is was chosen when it was opened. The ring's own way is the first arm of one comparison; nothing else of it knows
//! that there are others.

use std::fmt;
use std::io;
use std::time::Duration;

use super::faults::{filter, kernel};
use super::{Cqe, Entered, Features, Refusal, Setup, Sqe, uring};

pub use super::faults::Faults;
pub use super::probe::probe;

/// Where entries are queued. One thread at a time: the driver's lock.
pub struct Submissions(Queue);

enum Queue {
    Ring(uring::Submissions),
    Filtered(Box<filter::Submissions>),
    Fake(Box<kernel::Submissions>),
}

/// Where answers come out, and where a thread waits. One thread at a time: the core's holder.
pub struct Completions(Answers);

enum Answers {
    Ring(uring::Completions),
    Filtered(Box<filter::Completions>),
    Fake(Box<kernel::Completions>),
}

macro_rules! submissions {
    ($this:expr, $half:ident => $call:expr) => {
        match &mut $this.0 {
            Queue::Ring($half) => $call,
            Queue::Filtered($half) => $call,
            Queue::Fake($half) => $call,
        }
    };
}

macro_rules! completions {
    ($this:expr, $half:ident => $call:expr) => {
        match &mut $this.0 {
            Answers::Ring($half) => $call,
            Answers::Filtered($half) => $call,
            Answers::Fake($half) => $call,
        }
    };
}

/// Opens a ring as `setup` asks; flags that the kernel does not know are left out, one after the other.
///
/// A ring for a [`Mode::SingleThread`](super::Mode::SingleThread) is disabled until [`enable`] is called on its thread.
///
/// # Errors
/// If the kernel refuses even the plainest ring, or lacks what the driver cannot do without.
pub fn open(setup: &Setup) -> Result<(Submissions, Completions, Features), Refusal> {
    match &setup.faults {
        None => {
            let (submissions, completions, features) = uring::open(setup)?;
            let submissions = Submissions(Queue::Ring(submissions));
            let completions = Completions(Answers::Ring(completions));
            Ok((submissions, completions, features))
        }
        Some(Faults::Plan(plan)) => {
            let (submissions, completions, features) = filter::open(setup, plan)?;
            let submissions = Submissions(Queue::Filtered(Box::new(submissions)));
            let completions = Completions(Answers::Filtered(Box::new(completions)));
            Ok((submissions, completions, features))
        }
        Some(Faults::Kernel(kernel)) => {
            let (submissions, completions, features) = kernel.open()?;
            let submissions = Submissions(Queue::Fake(Box::new(submissions)));
            let completions = Completions(Answers::Fake(Box::new(completions)));
            Ok((submissions, completions, features))
        }
    }
}

/// Lets a ring for one thread begin; that thread is the caller. A ring for any thread is left as it is.
///
/// # Errors
/// If it was enabled on another thread.
pub fn enable(submissions: &Submissions) -> io::Result<()> {
    match &submissions.0 {
        Queue::Ring(ring) => uring::enable(ring),
        Queue::Filtered(filter) => filter.enable(),
        Queue::Fake(_) => Ok(()),
    }
}

impl Submissions {
    /// Queues `sqe`; false if the queue is full.
    ///
    /// # Safety
    /// The memory that the entry names must stay valid, and untouched where the kernel writes, until the last
    /// answer to it has been read.
    #[inline]
    pub unsafe fn push(&mut self, sqe: &Sqe) -> bool {
        // SAFETY: the caller's promise, whoever stands behind the door.
        submissions!(self, half => unsafe { half.push(sqe) })
    }

    /// How many entries wait to be taken by the kernel.
    #[inline]
    pub fn len(&mut self) -> usize {
        submissions!(self, half => half.len())
    }

    /// True if the kernel has taken every entry.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    /// How many entries fit in now.
    #[inline]
    pub fn room(&mut self) -> usize {
        submissions!(self, half => half.room())
    }

    /// How many entries the queue has.
    #[inline]
    pub fn capacity(&self) -> usize {
        match &self.0 {
            Queue::Ring(half) => half.capacity(),
            Queue::Filtered(half) => half.capacity(),
            Queue::Fake(half) => half.capacity(),
        }
    }

    /// True if the kernel keeps answers back until it is entered: after an overflow, or work put off.
    #[inline]
    pub fn wants_entering(&mut self) -> bool {
        submissions!(self, half => half.wants_entering())
    }

    /// True if the completion queue is full and the kernel keeps answers that did not fit.
    pub fn has_overflowed(&mut self) -> bool {
        submissions!(self, half => half.has_overflowed())
    }

    /// How many answers the completion queue holds.
    pub fn answers(&self) -> usize {
        match &self.0 {
            Queue::Ring(half) => half.answers(),
            Queue::Filtered(half) => half.answers(),
            Queue::Fake(half) => half.capacity(),
        }
    }

    /// Hands every queued entry to the kernel and runs what it has put off, without waiting.
    ///
    /// Only on the ring's thread, if it is for one thread.
    pub fn submit(&mut self) -> Entered {
        submissions!(self, half => half.submit())
    }

    /// Registers the ring of provided buffers at `address` as group `group`.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// # Safety
    /// `address` must be `entries` aligned buffer entries that stay until the group is unregistered.
    pub unsafe fn register_buf_ring(
        &mut self,
        address: *mut u8,
        entries: u16,
        group: u16,
    ) -> io::Result<()> {
        // SAFETY: the caller's promise.
        submissions!(self, half => unsafe { half.register_buf_ring(address, entries, group) })
    }

    /// Ends the group of provided buffers `group`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn unregister_buf_ring(&mut self, group: u16) -> io::Result<()> {
        submissions!(self, half => half.unregister_buf_ring(group))
    }

    /// Registers `len` bytes from `start` on as the one fixed buffer, number 0.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// # Safety
    /// They must stay valid until they are unregistered or the ring is gone.
    pub unsafe fn register_buffer(&mut self, start: *mut u8, len: usize) -> io::Result<()> {
        // SAFETY: the caller's promise.
        submissions!(self, half => unsafe { half.register_buffer(start, len) })
    }

    /// Ends the registration of the fixed buffers.
    ///
    /// # Errors
    /// The kernel's.
    pub fn unregister_buffers(&mut self) -> io::Result<()> {
        submissions!(self, half => half.unregister_buffers())
    }
}

impl Completions {
    /// Hands `to_submit` entries to the kernel and waits for one answer, no longer than `limit`.
    ///
    /// `None` waits without limit, zero does not wait. `to_submit` must not be more than are queued.
    pub fn enter(&mut self, to_submit: u32, limit: Option<Duration>) -> Entered {
        completions!(self, half => half.enter(to_submit, limit))
    }

    /// Hands the full queue over without waiting for answers: there is room in it afterwards, if the kernel took any.
    pub fn make_room(&mut self, to_submit: u32) -> Entered {
        completions!(self, half => half.make_room(to_submit))
    }

    /// True if there is no answer to read.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        completions!(self, half => half.is_empty())
    }

    /// Moves up to `max` answers into `batch`.
    #[inline]
    pub fn reap(&mut self, batch: &mut Vec<Cqe>, max: usize) {
        completions!(self, half => half.reap(batch, max));
    }
}

impl fmt::Debug for Submissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submissions")
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Completions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completions").finish_non_exhaustive()
    }
}
