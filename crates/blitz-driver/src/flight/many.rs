//! A stream of answers to one entry: what has come and is not yet taken.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use blitz_sys::completion::cqe_flags;
use blitz_sys::descriptor::{FromRawFd, OwnedFd};
use blitz_sys::errno;

use super::delivery::{Delivery, Remains};
use super::lease::Group;

/// What the answers carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// A new descriptor each.
    Sockets,
    /// A provided buffer each.
    Buffers,
}

/// A multishot operation's table entry.
pub(crate) struct Many {
    carries: Carries,
    /// Keeps the number from being used again while an entry that names it may still be queued.
    #[expect(dead_code, reason = "held, and never looked at")]
    fd: Arc<OwnedFd>,
    queue: Answers,
    queue_max: u16,
    waker: Option<Waker>,
    is_armed: bool,
    /// It was in flight before.
    was_armed: bool,
    is_pausing: bool,
    is_starved: bool,
    is_abandoned: bool,
}

/// What came and was not taken: rarely more than one, for which no memory is asked.
struct Answers {
    first: Option<(i32, u32)>,
    /// What came behind it.
    #[expect(
        clippy::box_collection,
        reason = "a word, and not three, while there is none"
    )]
    more: Option<Box<VecDeque<(i32, u32)>>>,
}

impl Answers {
    const fn new() -> Self {
        Self {
            first: None,
            more: None,
        }
    }

    fn len(&self) -> usize {
        let more = self.more.as_ref().map_or(0, |more| more.len());
        usize::from(self.first.is_some()) + more
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline]
    fn push(&mut self, answer: (i32, u32)) {
        if self.first.is_none() {
            self.first = Some(answer);
        } else {
            self.more.get_or_insert_default().push_back(answer);
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<(i32, u32)> {
        let next = self.more.as_mut().and_then(|more| more.pop_front());
        mem::replace(&mut self.first, next)
    }
}

/// What a stream's reader finds.
pub(crate) enum Next {
    /// The oldest answer.
    Answer(i32, u32),
    /// None yet; the reader will be woken. The waker that was replaced is to be dropped after the lock.
    Waits(Option<Waker>),
    /// None yet, and the waker there is another task's: come again with a clone of yours.
    WantsWaker,
    /// None, and no entry in flight: arm one.
    Unarmed,
    /// None, and the last entry ended for want of provided buffers.
    Starved,
}

impl Many {
    pub(crate) const fn new(carries: Carries, fd: Arc<OwnedFd>, queue_max: u16) -> Self {
        Self {
            carries,
            fd,
            queue: Answers::new(),
            queue_max,
            waker: None,
            is_armed: false,
            was_armed: false,
            is_pausing: false,
            is_starved: false,
            is_abandoned: false,
        }
    }

    /// True while the kernel will answer again.
    #[inline]
    pub(crate) const fn is_armed(&self) -> bool {
        self.is_armed
    }

    /// True if nothing waits to be taken, and nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        !self.is_armed && self.queue.is_empty()
    }

    /// Has the entry in flight cancelled; false if there is none, or it is being cancelled already.
    pub(crate) fn pause(&mut self) -> bool {
        self.is_armed && !std::mem::replace(&mut self.is_pausing, true)
    }

    /// True if nobody reads any more.
    #[inline]
    pub(crate) const fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }

    /// An entry was queued: answers will come. Tells whether one was queued before.
    pub(crate) fn arm(&mut self) -> bool {
        self.is_armed = true;
        mem::replace(&mut self.was_armed, true)
    }

    /// The starvation is over: buffers came home.
    pub(crate) fn feed(&mut self) {
        self.is_starved = false;
    }

    /// An answer came. `cancel` is set if too many wait now.
    pub(crate) fn deliver(
        &mut self,
        result: i32,
        flags: u32,
        group: Option<&mut Group>,
        out: &mut Delivery,
        cancel: &mut bool,
    ) {
        let is_last = flags & cqe_flags::MORE == 0;
        if is_last {
            self.is_armed = false;
            self.is_pausing = false;
        }
        let mut group = group;
        if let (Some(_), Some(group)) = (cqe_flags::buffer(flags), group.as_deref_mut()) {
            group.count_picked();
        }
        if self.is_abandoned {
            destroy(self.carries, result, flags, group, out);
            return;
        }
        if result == -errno::ENOBUFS && self.carries == Carries::Buffers {
            self.is_starved = true;
            destroy(self.carries, result, flags, group, out);
        } else if errno::is_undone(result) {
            // Nothing was done: the reader arms it again.
            destroy(self.carries, result, flags, group, out);
        } else {
            self.queue.push((result, flags));
        }
        if self.queue.len() >= usize::from(self.queue_max) && !is_last && !self.is_pausing {
            self.is_pausing = true;
            *cancel = true;
        }
        if let Some(waker) = self.waker.take() {
            out.wakes.push(waker);
        }
    }

    /// The oldest answer, or what to do without one.
    pub(crate) fn next(&mut self, waker: &Waker, fresh: &mut Option<Waker>) -> Next {
        if let Some((result, flags)) = self.queue.pop() {
            return Next::Answer(result, flags);
        }
        if self.is_starved {
            return Next::Starved;
        }
        if !self.is_armed {
            return Next::Unarmed;
        }
        match &self.waker {
            Some(stored) if stored.will_wake(waker) => Next::Waits(None),
            _ => match fresh.take() {
                Some(fresh) => Next::Waits(self.waker.replace(fresh)),
                None => Next::WantsWaker,
            },
        }
    }

    /// The oldest answer, if there is one.
    pub(crate) fn pop(&mut self) -> Option<(i32, u32)> {
        self.queue.pop()
    }

    /// Nobody reads any more: destroys what waits.
    pub(crate) fn abandon(&mut self, mut group: Option<&mut Group>, out: &mut Delivery) {
        self.is_abandoned = true;
        let mut left = mem::replace(&mut self.queue, Answers::new());
        while let Some((result, flags)) = left.pop() {
            destroy(self.carries, result, flags, group.as_deref_mut(), out);
        }
        if let Some(waker) = self.waker.take() {
            out.leave(Remains::Waker(waker));
        }
    }
}

/// Destroys an answer that nobody will take; one that is a failure may have a buffer, too.
fn destroy(
    carries: Carries,
    result: i32,
    flags: u32,
    group: Option<&mut Group>,
    out: &mut Delivery,
) {
    match carries {
        Carries::Sockets if result >= 0 => {
            // SAFETY: the kernel made the descriptor for this answer, and nobody else has seen it.
            out.leave(Remains::Descriptor(unsafe { OwnedFd::from_raw_fd(result) }));
        }
        Carries::Sockets => {}
        Carries::Buffers => {
            if let (Some(number), Some(group)) = (cqe_flags::buffer(flags), group) {
                group.give_back(number);
            }
        }
    }
}

// One of these is what an idle connection costs here.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Many>() <= 56);

#[cfg(all(test, not(loom)))]
mod tests {
    use std::os::unix::net::UnixStream;

    use blitz_sys::completion::{self, Mode, Setup};

    use super::*;

    /// An answer that is no more than a cancellation, or that says there were no buffers, may still carry one.
    #[test]
    fn a_failed_answer_gives_its_buffer_back() {
        let setup = Setup {
            sq_entries: 16,
            cq_entries: 16,
            mode: Mode::Shared,
            sqpoll: None,
            faults: None,
        };
        let Ok((mut submissions, _completions, _)) = completion::open(&setup) else {
            return;
        };
        let Ok(mut group) = Group::register(&mut submissions, 4, 64) else {
            return;
        };
        let (socket, _peer) = UnixStream::pair().unwrap();
        let mut many = Many::new(Carries::Buffers, Arc::new(socket.into()), 8);
        let mut out = Delivery::new();
        for errno in [errno::ECANCELED, errno::ENOBUFS] {
            many.arm();
            let mut cancel = false;
            many.deliver(
                -errno,
                cqe_flags::BUFFER | (2 << 16),
                Some(&mut group),
                &mut out,
                &mut cancel,
            );
            assert_eq!((group.available(), many.queue.len(), cancel), (4, 0, false));
        }
        group.release(&mut submissions);
    }
}
