//! A socket's bytes on their way out: copies of what was written, which the kernel takes one entry after the other.
//!
//! A send does not wait for room and answers only if it has not taken all. So once the kernel has been entered with it and all
//! answers were taken, no answer is one: all went. That costs a word in a list, where an answer would cost the kernel, the driver and a
//! second entering, for an answer that is there at once ends the wait.
//!
//! ```text
//!  state of a lane   move                              to       what happens
//!  idle              queue                             flying   a send is queued
//!  flying            queue                             flying   the bytes wait behind those that fly
//!  flying            a turn ends without an answer     flying   what waited is queued, who waits is woken
//!  flying            the same, and nothing waited      idle     the memory goes back, who waits is woken
//!  flying            answer: a part, or would block    parked   a poll is queued, who watches is woken
//!  parked            answer                            flying   the rest is queued
//!  flying            answer: an error                  failed   what waited is dropped, who waits or watches is woken
//!  flying, parked    abandon                           the same; what cannot go at once fails, and the connection is reset
//!  idle, failed      abandon                           (none)
//! ```

use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use blitz_sys::completion::{Sqe, sqe_flags};
use blitz_sys::descriptor::{AsFd, AsRawFd, OwnedFd};
use blitz_sys::errno;
use blitz_sys::file::message_flags;
use blitz_sys::readiness::{bits, mask_for};
use blitz_sys::socket::SockRef;

use super::delivery::{Delivery, Remains};

/// What a short piece of memory holds: messages of this kind lie close together.
const SHORT: usize = 256;
/// What any other holds, and so what may wait behind the bytes that fly.
pub(crate) const LONG: usize = 4096;
/// So much memory of each length is kept for the next.
const KEPT: usize = 128;

/// Memory for bytes on their way, kept by the driver while nobody needs it.
#[derive(Default)]
pub(crate) struct Parcels {
    short: Vec<Vec<u8>>,
    long: Vec<Vec<u8>>,
}

impl Parcels {
    fn take(&mut self, len: usize) -> Vec<u8> {
        let (kept, size) = if len <= SHORT {
            (&mut self.short, SHORT)
        } else {
            (&mut self.long, LONG)
        };
        kept.pop().unwrap_or_else(|| Vec::with_capacity(size))
    }

    fn give(&mut self, mut bytes: Vec<u8>) {
        let kept = match bytes.capacity() {
            SHORT => &mut self.short,
            LONG => &mut self.long,
            _ => return,
        };
        if kept.len() < KEPT {
            bytes.clear();
            kept.push(bytes);
        }
    }

    /// Bytes of what is kept.
    pub(crate) fn bytes(&self) -> usize {
        self.short.len() * SHORT + self.long.len() * LONG
    }
}

/// One socket's bytes on their way out.
pub(crate) struct Lane {
    /// Keeps the number from being used again while an entry that names it is under way.
    fd: Arc<OwnedFd>,
    /// The kernel reads it, from `sent` on, while `is_flying`.
    front: Vec<u8>,
    sent: usize,
    /// What was written meanwhile.
    behind: Vec<u8>,
    waker: Option<Waker>,
    /// The waker's task waits for room, or for the end of it all; else it only watches for what does not go, and its waker stays.
    is_awaited: bool,
    /// The first error, which is told once; nothing is taken after it.
    failed: Option<i32>,
    is_flying: bool,
    /// The entry under way is a poll, and what is in front goes when it answers.
    is_parked: bool,
    is_abandoned: bool,
}

/// What to do with bytes to be written.
pub(crate) enum Queued {
    /// So many were taken, and this is to be queued for them.
    Begins(usize, Sqe),
    /// So many were taken; they go when those before them have gone.
    Follows(usize),
    /// There is no room; whoever wrote is woken when there is. The waker that was replaced is to be dropped after the lock.
    Full(Option<Waker>),
    /// The same, and the waker there is another task's: come again with a clone of yours.
    WantsWaker,
    /// The socket failed before.
    Failed(i32),
}

impl Lane {
    pub(crate) fn new(fd: Arc<OwnedFd>) -> Self {
        Self {
            fd,
            front: Vec::new(),
            sent: 0,
            behind: Vec::new(),
            waker: None,
            is_awaited: false,
            failed: None,
            is_flying: false,
            is_parked: false,
            is_abandoned: false,
        }
    }

    /// True while the kernel will answer.
    pub(crate) const fn is_flying(&self) -> bool {
        self.is_flying
    }

    /// True while it is a poll that it will answer, and there is no room in the socket.
    pub(crate) const fn is_parked(&self) -> bool {
        self.is_parked
    }

    pub(crate) const fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }

    /// Bytes that the kernel has not taken.
    pub(crate) fn len(&self) -> usize {
        self.front.len() - self.sent + self.behind.len()
    }

    pub(crate) const fn failure(&self) -> Option<i32> {
        self.failed
    }

    /// Takes a copy of as many of the `bytes`, which are some, as there is room for.
    pub(crate) fn queue(&mut self, bytes: &[u8], parcels: &mut Parcels) -> Option<Queued> {
        if let Some(error) = self.failed {
            return Some(Queued::Failed(error));
        }
        let taken = bytes.len().min(LONG);
        if !self.is_flying {
            self.front = parcels.take(taken);
            self.front.extend_from_slice(&bytes[..taken]);
            return Some(Queued::Begins(taken, self.begin()));
        }
        let room = LONG - self.behind.len();
        if room == 0 {
            return None;
        }
        let taken = taken.min(room);
        if self.behind.capacity() - self.behind.len() < taken {
            let mut longer = parcels.take(self.behind.len() + taken);
            longer.extend_from_slice(&self.behind);
            parcels.give(mem::replace(&mut self.behind, longer));
        }
        self.behind.extend_from_slice(&bytes[..taken]);
        Some(Queued::Follows(taken))
    }

    /// Leaves the waker of whoever waits for room, or for the end of it all.
    pub(crate) fn wait(&mut self, waker: &Waker, fresh: &mut Option<Waker>) -> Queued {
        self.is_awaited = true;
        self.leave(waker, fresh)
    }

    /// Leaves the waker of whoever wants to know if the bytes do not go.
    pub(crate) fn watch(&mut self, waker: &Waker, fresh: &mut Option<Waker>) -> Queued {
        self.is_awaited = false;
        self.leave(waker, fresh)
    }

    fn leave(&mut self, waker: &Waker, fresh: &mut Option<Waker>) -> Queued {
        match &self.waker {
            Some(stored) if stored.will_wake(waker) => Queued::Full(None),
            _ => match fresh.take() {
                Some(fresh) => Queued::Full(self.waker.replace(fresh)),
                None => Queued::WantsWaker,
            },
        }
    }

    /// The entry for what is in front: a send that answers only if it did not take all, or a poll.
    fn begin(&mut self) -> Sqe {
        self.is_flying = true;
        let fd = self.fd.as_raw_fd();
        if self.is_parked {
            return Sqe::poll(fd, mask_for(bits::WRITABLE));
        }
        let rest = &self.front[self.sent..];
        let flags = message_flags::DONTWAIT | message_flags::WAITALL | message_flags::NOSIGNAL;
        Sqe::send(fd, rest.as_ptr(), rest.len() as u32, flags).flags(sqe_flags::CQE_SKIP_SUCCESS)
    }

    /// The kernel has taken all that flew.
    pub(crate) fn went(&mut self, parcels: &mut Parcels, out: &mut Delivery) -> Option<Sqe> {
        self.is_flying = false;
        self.sent = 0;
        let behind = mem::take(&mut self.behind);
        parcels.give(mem::replace(&mut self.front, behind));
        if self.is_awaited {
            self.wake(out);
        }
        (!self.front.is_empty()).then(|| self.begin())
    }

    /// Takes the kernel's answer: of a send that did not take all, or of a poll. What is to be queued next, if anything is.
    pub(crate) fn answered(
        &mut self,
        result: i32,
        is_closed: bool,
        parcels: &mut Parcels,
        out: &mut Delivery,
    ) -> Option<Sqe> {
        self.is_flying = false;
        if mem::take(&mut self.is_parked) {
            if result >= 0 {
                return Some(self.begin());
            }
        } else {
            self.sent += usize::try_from(result).unwrap_or(0);
            if self.sent == self.front.len() {
                return self.went(parcels, out);
            }
        }
        let may_wait = !self.is_abandoned && !is_closed;
        let is_short = result >= 0 || result == -errno::EAGAIN || errno::is_undone(result);
        if is_short && may_wait {
            self.is_parked = true;
            if !self.is_awaited {
                self.wake(out);
            }
            return Some(self.begin());
        }
        self.failed = Some(if is_short { errno::ECANCELED } else { -result });
        // When it is closed: whoever reads must not take what has come for all. What is no stream of TCP has no such option.
        let _ = SockRef::from(&self.fd.as_fd()).set_linger(Some(Duration::ZERO));
        self.sent = 0;
        parcels.give(mem::take(&mut self.front));
        parcels.give(mem::take(&mut self.behind));
        self.wake(out);
        None
    }

    fn wake(&mut self, out: &mut Delivery) {
        if let Some(waker) = self.waker.take() {
            out.wakes.push(waker);
        }
    }

    /// Nobody writes any more.
    pub(crate) fn abandon(&mut self, out: &mut Delivery) {
        self.is_abandoned = true;
        if let Some(waker) = self.waker.take() {
            out.leave(Remains::Waker(waker));
        }
    }
}

// One of these is what a connection that has written costs here.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Lane>() <= 96);

#[cfg(all(test, not(loom)))]
mod tests {
    use std::os::unix::net::UnixStream;

    use blitz_sys::completion::Opcode;

    use super::*;

    fn lane() -> (Lane, Parcels, Delivery) {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let lane = Lane::new(Arc::new(socket.into()));
        (lane, Parcels::default(), Delivery::new())
    }

    fn begins(queued: Option<Queued>) -> usize {
        match queued {
            Some(Queued::Begins(taken, entry)) => {
                assert!(entry.has_flags(sqe_flags::CQE_SKIP_SUCCESS));
                taken
            }
            _ => panic!("it was to begin"),
        }
    }

    #[test]
    fn bytes_wait_behind_those_that_fly_up_to_a_bound() {
        let (mut lane, mut parcels, mut out) = lane();
        assert_eq!(begins(lane.queue(&[1; 100], &mut parcels)), 100);
        let mut taken = 0;
        while let Some(Queued::Follows(n)) = lane.queue(&[2; 1000], &mut parcels) {
            taken += n;
        }
        assert_eq!((taken, lane.len()), (LONG, LONG + 100));
        // All that flew went: what waited flies.
        assert!(lane.went(&mut parcels, &mut out).is_some());
        assert_eq!((lane.len(), lane.is_flying()), (LONG, true));
        assert!(lane.went(&mut parcels, &mut out).is_none());
        assert_eq!((lane.len(), lane.is_flying()), (0, false));
        // The memory is there for the next.
        assert_eq!((parcels.short.len(), parcels.long.len()), (1, 1));
        assert_eq!(parcels.bytes(), SHORT + LONG);
    }

    #[test]
    fn what_was_taken_in_part_waits_for_room_and_goes_on() {
        let (mut lane, mut parcels, mut out) = lane();
        begins(lane.queue(&[1; 100], &mut parcels));
        for answer in [30, -errno::EAGAIN, -errno::EINTR, -errno::ECANCELED] {
            let parked = lane.answered(answer, false, &mut parcels, &mut out);
            assert_eq!(parked.unwrap().opcode(), Opcode::POLL_ADD);
            assert!(lane.is_parked() && lane.len() == 70);
            let sends = lane.answered(4, false, &mut parcels, &mut out);
            assert_eq!(sends.unwrap().opcode(), Opcode::SEND);
        }
        assert!(lane.answered(70, false, &mut parcels, &mut out).is_none());
        assert_eq!((lane.len(), lane.failure()), (0, None));
    }

    /// A waker, and how often it is known to somebody else.
    fn waker() -> (Waker, impl Fn() -> usize) {
        let counted = Arc::new(Unwoken);
        let waker = Waker::from(Arc::clone(&counted));
        (waker, move || Arc::strong_count(&counted) - 2)
    }

    struct Unwoken;

    impl std::task::Wake for Unwoken {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn who_watches_is_woken_by_what_does_not_go_and_who_waits_by_what_goes() {
        let (mut lane, mut parcels, mut out) = lane();
        let (waker, known) = waker();
        for (is_awaited, answer, woken) in [
            (false, None, 0),
            (true, None, 1),
            (false, Some(-errno::EAGAIN), 1),
            (true, Some(-errno::EAGAIN), 0),
            (false, Some(-errno::EIO), 1),
        ] {
            begins(lane.queue(&[1; 100], &mut parcels));
            let mut fresh = Some(waker.clone());
            let left = match is_awaited {
                true => lane.wait(&waker, &mut fresh),
                false => lane.watch(&waker, &mut fresh),
            };
            assert!(matches!(left, Queued::Full(_)));
            drop((left, fresh));
            let next = match answer {
                None => lane.went(&mut parcels, &mut out),
                Some(answer) => lane.answered(answer, false, &mut parcels, &mut out),
            };
            assert_eq!(out.wakes.len(), woken, "{is_awaited} {answer:?}");
            // Whoever was not woken is known still.
            assert_eq!(known(), 1, "{is_awaited} {answer:?}");
            out.wakes.wake_all();
            assert_eq!(known(), 1 - woken);
            if next.is_some() {
                assert!(lane.answered(0, false, &mut parcels, &mut out).is_some());
                lane.went(&mut parcels, &mut out);
                out.wakes.wake_all();
            }
        }
    }

    #[test]
    fn nothing_waits_for_room_once_nobody_writes() {
        for is_closed in [false, true] {
            let (mut lane, mut parcels, mut out) = lane();
            begins(lane.queue(&[1; 100], &mut parcels));
            if !is_closed {
                lane.abandon(&mut out);
            }
            let next = lane.answered(99, is_closed, &mut parcels, &mut out);
            assert!(next.is_none() && !lane.is_flying());
            assert_eq!((lane.len(), lane.failure()), (0, Some(errno::ECANCELED)));
        }
    }

    #[test]
    fn nothing_is_taken_after_an_error() {
        let (mut lane, mut parcels, mut out) = lane();
        begins(lane.queue(&[1; 100], &mut parcels));
        lane.queue(&[1; 100], &mut parcels);
        let next = lane.answered(-errno::EIO, false, &mut parcels, &mut out);
        assert!(next.is_none());
        assert_eq!((lane.len(), lane.failure()), (0, Some(errno::EIO)));
        let queued = lane.queue(&[1; 100], &mut parcels);
        assert!(matches!(queued, Some(Queued::Failed(errno::EIO))));
    }
}
