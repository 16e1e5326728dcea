//! A listener's connections, accepted ahead of those who ask for them.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use blitz_core::primitive::sync::Mutex;
use blitz_core::slab::Key;
use blitz_sys::completion::{Opcode, Sqe};
use blitz_sys::descriptor::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use blitz_sys::errno;
use blitz_sys::file::socket_flags;

use super::seat::{Found, Seat};
use super::socket::near;
use crate::flight::{Carries, Delivery, Many, Next};
use crate::interest::{Direction, Interest};
use crate::readiness::shutting_down;
use crate::registration::Registration;
use crate::shared::Handle;

/// What is accepted of a listener's connections before somebody asks for them.
///
/// Where the kernel can, one entry stays armed while a [`stream`](Self::stream) that was polled lives, and brings a socket for
/// each connection, up to [`per_listener`](super::BufferConfig::per_listener) ahead of the readers; beyond that it is paused,
/// and connections wait in the listener's backlog. Elsewhere the listener's readiness and `accept` serve.
///
/// What has come belongs to the listener and to no stream: all of them take of it, and so does whoever accepts by readiness, who
/// is told as of an event and calls [`take`](Self::take) first. With the last stream the entry is cancelled; what it has brought,
/// and still brings, stays here. Sockets that are here when this is dropped are closed.
///
/// It stands on the ring where it was polled first, and moves to another of the runtime when it was polled there time and again.
pub struct Accepts {
    stand: Mutex<Stand>,
}

struct Stand {
    seat: Option<Seat>,
    /// How many streams live that were polled.
    streams: usize,
}

/// Who looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// A stream, which has an entry armed.
    Stream,
    /// Somebody who waits for readiness.
    Other,
}

/// What one look finds.
enum Step {
    Accepted(io::Result<OwnedFd>),
    /// Nothing; readiness tells when that changes.
    Later,
    /// Nothing, and nothing is armed: readiness, and a call.
    Plain,
}

impl Accepts {
    /// Nothing is armed before a stream's first [`poll_next`](AcceptStream::poll_next).
    pub fn new() -> Self {
        Self {
            stand: Mutex::new(Stand {
                seat: None,
                streams: 0,
            }),
        }
    }

    /// The connections of `registration`'s listener, which is the same one each time. Any number of streams share them.
    pub fn stream<'a>(&'a self, registration: &'a Registration) -> AcceptStream<'a> {
        AcceptStream {
            accepts: self,
            registration,
            id: None,
            is_counted: false,
        }
    }

    /// A connection that was accepted ahead: a non-blocking socket, closed on exec. For those who accept by readiness, before each
    /// try of theirs.
    ///
    /// # Errors
    /// Those of `accept(2)`; the next try is a new one.
    #[inline]
    pub fn take(&self, registration: &Registration) -> Option<io::Result<OwnedFd>> {
        if registration.source().is_ahead() {
            self.take_ahead(registration)
        } else {
            None
        }
    }

    #[cold]
    fn take_ahead(&self, registration: &Registration) -> Option<io::Result<OwnedFd>> {
        match self.step(registration, Who::Other) {
            Ok(Step::Accepted(accepted)) => Some(accepted),
            Ok(Step::Later | Step::Plain) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn step(&self, registration: &Registration, who: Who) -> io::Result<Step> {
        // Everyone who waits does so for the listener's readiness: the one waker that the table keeps tells all of them.
        let everyone = Waker::from(Arc::clone(registration.source()));
        let mut found = self.find(registration, who);
        let mut fresh = None;
        let mut is_queued = false;
        loop {
            let Some(place) = &found else {
                return Ok(Step::Plain);
            };
            let Found {
                handle,
                key,
                is_leaving,
            } = place;
            handle.check_process()?;
            let mut submission = handle.submission();
            let Some((many, _)) = submission.ops.find_many(*key) else {
                // Another poll had it move meanwhile.
                drop(submission);
                found = self.find(registration, who);
                continue;
            };
            match many.next(&everyone, &mut fresh) {
                // It would not wait for us in the ring: readiness does.
                Next::Answer(result, _) if result == -errno::EAGAIN => return Ok(Step::Plain),
                Next::Answer(result, _) => {
                    drop(submission);
                    // SAFETY: the kernel made the descriptor for this answer, and nobody else has seen it.
                    let socket =
                        errno::check(result).map(|_| unsafe { OwnedFd::from_raw_fd(result) });
                    return Ok(Step::Accepted(socket));
                }
                Next::Waits(replaced) => {
                    if *is_leaving {
                        submission.ops.pause_many(*key);
                        submission.push_pending();
                    }
                    drop(submission);
                    drop(replaced);
                    if is_queued || *is_leaving {
                        handle.notify_submitted();
                    }
                    return Ok(Step::Later);
                }
                Next::WantsWaker => {
                    drop(submission);
                    fresh = Some(everyone.clone());
                }
                Next::Unarmed | Next::Starved if who == Who::Other => {
                    drop(submission);
                    self.end_unless_streamed(registration, place);
                    return Ok(Step::Plain);
                }
                Next::Unarmed | Next::Starved if submission.ops.is_closed() => {
                    return Err(shutting_down());
                }
                Next::Unarmed | Next::Starved if *is_leaving => {
                    drop(submission);
                    let mut remains = Delivery::new();
                    Seat::leave(&mut self.stand.lock().seat, place, &mut remains);
                    remains.finish();
                    found = self.find(registration, who);
                }
                Next::Unarmed | Next::Starved => {
                    let fd = registration.fd().as_raw_fd();
                    is_queued = true;
                    submission.arm_many(*key, Sqe::accept_multishot(fd, socket_flags::NEW));
                }
            }
        }
    }

    /// Where it stands; a stream's first call takes a seat.
    fn find(&self, registration: &Registration, who: Who) -> Option<Found> {
        let seat = &mut self.stand.lock().seat;
        if who == Who::Other {
            return seat.as_ref().map(Seat::look);
        }
        if seat.is_none() {
            *seat = open(registration).map(Seat::new);
            if seat.is_some() {
                registration.source().begin_ahead();
            }
        }
        seat.as_mut().map(Seat::find)
    }

    /// Nothing is left in the place that was `found`, and nothing is armed: without streams that is the end, and who accepts by
    /// readiness need not look here any more.
    fn end_unless_streamed(&self, registration: &Registration, found: &Found) {
        let mut remains = Delivery::new();
        let mut stand = self.stand.lock();
        if stand.streams == 0 {
            Seat::leave(&mut stand.seat, found, &mut remains);
            if stand.seat.is_none() {
                registration.source().end_ahead();
            }
        }
        drop(stand);
        remains.finish();
    }

    /// A stream that was polled is gone: after the last one no more is accepted ahead.
    fn leave(&self) {
        let mut stand = self.stand.lock();
        stand.streams -= 1;
        let seat = stand.seat.as_ref().filter(|_| stand.streams == 0);
        let Some((handle, key)) = seat.map(|seat| (seat.handle().clone(), seat.key())) else {
            return;
        };
        if handle.check_process().is_err() {
            return;
        }
        let mut submission = handle.submission();
        submission.ops.pause_many(key);
        submission.push_pending();
        drop((submission, stand));
        handle.notify_submitted();
    }
}

/// Makes a place on the nearest ring that accepts so.
fn open(registration: &Registration) -> Option<(Handle, Key)> {
    let handle = near(registration);
    if !handle.features()?.multishot_accept || handle.check_process().is_err() {
        return None;
    }
    let mut submission = handle.submission();
    if submission.ops.is_closed() {
        return None;
    }
    let queue_max = submission.ops.config.per_listener.max(1);
    let many = Many::new(Carries::Sockets, registration.fd().clone(), queue_max);
    let key = submission.ops.insert_many(many, Opcode::ACCEPT);
    drop(submission);
    Some((handle, key))
}

impl Drop for Accepts {
    fn drop(&mut self) {
        let seat = self.stand.lock().seat.take();
        if let Some(seat) = seat {
            seat.handle().abandon_stream(seat.key());
        }
    }
}

impl Default for Accepts {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepts").finish_non_exhaustive()
    }
}

/// A reader of a listener's connections: see [`Accepts`].
pub struct AcceptStream<'a> {
    accepts: &'a Accepts,
    registration: &'a Registration,
    /// Our place in the list of those who wait.
    id: Option<u64>,
    is_counted: bool,
}

impl AcceptStream<'_> {
    /// Accepts the next connection of the listener: a non-blocking socket, closed on exec.
    ///
    /// # Errors
    /// Those of `accept(2)`, after which the next poll tries anew; or that the driver is shutting down.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<OwnedFd>> {
        let Self {
            accepts,
            registration,
            ..
        } = *self;
        if !self.is_counted {
            self.is_counted = true;
            accepts.stand.lock().streams += 1;
        }
        let mask = Direction::Read.mask();
        loop {
            let coop = ready!(blitz_core::budget::poll_proceed(cx));
            // Observed before the look, so that what comes after the look is not cleared.
            let event = registration.look(Interest::READABLE)?;
            let (accepted, is_plain) = match accepts.step(registration, Who::Stream)? {
                Step::Accepted(accepted) => (accepted, false),
                Step::Later => (Err(io::ErrorKind::WouldBlock.into()), false),
                Step::Plain => (
                    blitz_sys::socket::accept(registration.fd().as_fd()).map(|(socket, _)| socket),
                    true,
                ),
            };
            let would_block =
                matches!(&accepted, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            if !would_block {
                coop.made_progress();
                return Poll::Ready(accepted);
            }
            if !event.ready.is_empty() {
                // Also a false alarm costs a unit.
                coop.made_progress();
                registration.clear(event);
            }
            ready!(registration.poll_listed(&mut self.id, mask, cx.waker(), is_plain)?);
        }
    }
}

impl Drop for AcceptStream<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.registration.source().leave(id);
        }
        if self.is_counted {
            self.accepts.leave();
        }
    }
}

impl fmt::Debug for AcceptStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptStream").finish_non_exhaustive()
    }
}
