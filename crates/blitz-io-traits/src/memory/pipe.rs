//! Bytes on their way from one end to the other, and who waits for them.
//!
//! A [`Pipe`] is plain data behind whatever lock its user has. It never runs a waker: each move returns the ones
//! to wake or to drop as [`Leftover`], for after the unlock.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Poll, Waker};

use crate::ReadBuf;

/// A bounded queue of bytes with two ends.
#[derive(Debug)]
pub(super) struct Pipe {
    bytes: VecDeque<u8>,
    capacity: usize,
    write_closed: bool,
    read_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A waker that has to leave the pipe, and is dealt with once the lock is released.
#[derive(Debug, Default)]
#[must_use = "who is not woken sleeps for ever"]
pub(super) struct Leftover {
    wake: [Option<Waker>; 2],
    /// Only dropped, but that is foreign code too.
    replaced: Option<Waker>,
}

impl Leftover {
    fn to_wake(waker: Option<Waker>) -> Self {
        Leftover {
            wake: [waker, None],
            replaced: None,
        }
    }

    /// Wakes who has to be woken.
    pub(super) fn settle(self) {
        for waker in self.wake.into_iter().flatten() {
            waker.wake();
        }
        drop(self.replaced);
    }
}

/// What to write: one slice, or several.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    One(&'a [u8]),
    Many(&'a [IoSlice<'a>]),
}

impl Input<'_> {
    fn is_empty(self) -> bool {
        match self {
            Input::One(slice) => slice.is_empty(),
            Input::Many(slices) => slices.iter().all(|slice| slice.is_empty()),
        }
    }
}

impl Pipe {
    /// # Panics
    /// If `capacity` is zero: nothing could ever be written.
    #[track_caller]
    pub(super) fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "max_buf_size must be greater than zero");
        Pipe {
            bytes: VecDeque::new(),
            capacity,
            write_closed: false,
            read_closed: false,
            reader: None,
            writer: None,
        }
    }

    /// Reads what there is. `Pending` when there is nothing yet: then [`wait_to_read`](Pipe::wait_to_read).
    pub(super) fn read(&mut self, buf: &mut ReadBuf<'_>) -> (Poll<io::Result<()>>, Leftover) {
        if buf.remaining() == 0 {
            return (Poll::Ready(Ok(())), Leftover::default());
        }
        if self.bytes.is_empty() {
            let answer = if self.write_closed {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
            return (answer, Leftover::default());
        }
        let (front, back) = self.bytes.as_slices();
        let front = &front[..front.len().min(buf.remaining())];
        buf.put_slice(front);
        let back = &back[..back.len().min(buf.remaining())];
        buf.put_slice(back);
        let n = front.len() + back.len();
        self.bytes.drain(..n);
        (Poll::Ready(Ok(())), Leftover::to_wake(self.writer.take()))
    }

    /// Writes what fits. `Pending` when nothing does: then [`wait_to_write`](Pipe::wait_to_write).
    pub(super) fn write(&mut self, input: Input<'_>) -> (Poll<io::Result<usize>>, Leftover) {
        if self.write_closed || self.read_closed {
            let err = io::Error::from(io::ErrorKind::BrokenPipe);
            return (Poll::Ready(Err(err)), Leftover::default());
        }
        if input.is_empty() {
            return (Poll::Ready(Ok(0)), Leftover::default());
        }
        let room = self.capacity - self.bytes.len();
        if room == 0 {
            return (Poll::Pending, Leftover::default());
        }
        let mut n = 0;
        let mut put = |slice: &[u8]| {
            let part = &slice[..slice.len().min(room - n)];
            self.bytes.extend(part);
            n += part.len();
        };
        match input {
            Input::One(slice) => put(slice),
            Input::Many(slices) => slices.iter().for_each(|slice| put(slice)),
        }
        (Poll::Ready(Ok(n)), Leftover::to_wake(self.reader.take()))
    }

    /// Returns whether `waker` is where the next bytes would wake it.
    pub(super) fn reader_waits(&self, waker: &Waker) -> bool {
        self.reader
            .as_ref()
            .is_some_and(|reader| reader.will_wake(waker))
    }

    /// Returns whether `waker` is where the next room would wake it.
    pub(super) fn writer_waits(&self, waker: &Waker) -> bool {
        self.writer
            .as_ref()
            .is_some_and(|writer| writer.will_wake(waker))
    }

    /// Leaves the reader's waker.
    pub(super) fn wait_to_read(&mut self, waker: Waker) -> Leftover {
        Leftover {
            replaced: self.reader.replace(waker),
            ..Leftover::default()
        }
    }

    /// Leaves the writer's waker.
    pub(super) fn wait_to_write(&mut self, waker: Waker) -> Leftover {
        Leftover {
            replaced: self.writer.replace(waker),
            ..Leftover::default()
        }
    }

    /// No more will be written: the reader reads to the end. A writer that waits learns it too.
    pub(super) fn close_write(&mut self) -> Leftover {
        self.write_closed = true;
        Leftover {
            wake: [self.reader.take(), self.writer.take()],
            replaced: None,
        }
    }

    /// Nobody will read: writing is an error from now on.
    pub(super) fn close_read(&mut self) -> Leftover {
        self.read_closed = true;
        // Nobody can ask for these bytes any more.
        self.bytes = VecDeque::new();
        Leftover {
            wake: [self.writer.take(), None],
            replaced: self.reader.take(),
        }
    }
}
