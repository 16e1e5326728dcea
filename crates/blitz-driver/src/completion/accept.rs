//! A listener's stream of connections.

use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use blitz_core::primitive::sync::Mutex;
use blitz_core::slab::Key;
use blitz_sys::completion::{Opcode, Sqe};
use blitz_sys::descriptor::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use blitz_sys::errno;
use blitz_sys::file::socket_flags;

use super::seat::{Found, Seat};
use super::socket::near;
use crate::flight::{Carries, Delivery, Many, Next};
use crate::interest::Direction;
use crate::readiness::shutting_down;
use crate::registration::Registration;
use crate::shared::Handle;

/// The stream of a listener's connections.
///
/// Where the kernel can, one entry stays armed and brings a socket for each connection, up to
/// [`per_listener`](super::BufferConfig::per_listener) ahead of the reader; beyond that it is paused, and
/// connections wait in the listener's backlog. Elsewhere the listener's readiness and `accept` serve.
///
/// It stands on the ring where it was polled first, and moves to another of the runtime when it was polled there time and again.
///
/// Sockets that came ahead of the reader and are not taken are closed when the stream is dropped.
pub struct Accepts {
    seat: Mutex<Option<Seat>>,
}

impl Accepts {
    /// A stream; nothing is armed before the first [`poll_next`](Self::poll_next).
    pub fn new() -> Self {
        Self {
            seat: Mutex::new(None),
        }
    }

    /// Accepts the next connection of `registration`'s listener: a non-blocking socket, closed on exec.
    ///
    /// One task at a time may wait: the last one that polled is woken.
    ///
    /// # Errors
    /// Those of `accept(2)`, after which the next poll tries anew; or that the driver is shutting down.
    pub fn poll_next(
        &self,
        cx: &mut Context<'_>,
        registration: &Registration,
    ) -> Poll<io::Result<OwnedFd>> {
        let mut found = self.find(registration);
        let mut coop = None;
        let mut fresh = None;
        let mut is_queued = false;
        loop {
            let Some(Found {
                handle,
                key,
                is_leaving,
            }) = &found
            else {
                return plain(cx, registration);
            };
            handle.check_process()?;
            if coop.is_none() {
                coop = Some(ready!(blitz_core::budget::poll_proceed(cx)));
            }
            let mut submission = handle.submission();
            let Some((many, _)) = submission.ops.find_many(*key) else {
                // Another poll had it move meanwhile.
                drop(submission);
                found = self.find(registration);
                continue;
            };
            match many.next(cx.waker(), &mut fresh) {
                Next::Answer(result, _) if result == -errno::EAGAIN => {
                    // It would not wait for us in the ring: readiness does.
                    drop((submission, coop));
                    return plain(cx, registration);
                }
                Next::Answer(result, _) => {
                    drop(submission);
                    if let Some(coop) = coop {
                        coop.made_progress();
                    }
                    // SAFETY: the kernel made the descriptor for this answer, and nobody else has seen it.
                    let socket =
                        errno::check(result).map(|_| unsafe { OwnedFd::from_raw_fd(result) });
                    return Poll::Ready(socket);
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
                    return Poll::Pending;
                }
                Next::WantsWaker => {
                    drop(submission);
                    fresh = Some(cx.waker().clone());
                }
                Next::Unarmed | Next::Starved if submission.ops.is_closed() => {
                    return Poll::Ready(Err(shutting_down()));
                }
                Next::Unarmed | Next::Starved if *is_leaving => {
                    drop(submission);
                    let mut remains = Delivery::new();
                    if let Some(left) = &found {
                        Seat::leave(&mut self.seat.lock(), left, &mut remains);
                    }
                    remains.finish();
                    found = self.find(registration);
                }
                Next::Unarmed | Next::Starved => {
                    let fd = registration.fd().as_raw_fd();
                    is_queued = true;
                    submission.arm_many(*key, Sqe::accept_multishot(fd, socket_flags::NEW));
                }
            }
        }
    }

    /// Where the stream stands; it takes its seat at the first call.
    fn find(&self, registration: &Registration) -> Option<Found> {
        let mut seat = self.seat.lock();
        if seat.is_none() {
            *seat = open(registration).map(Seat::new);
        }
        seat.as_mut().map(Seat::find)
    }
}

/// Readiness, and a call.
fn plain(cx: &mut Context<'_>, registration: &Registration) -> Poll<io::Result<OwnedFd>> {
    registration.poll_io(cx, Direction::Read, || {
        blitz_sys::socket::accept(registration.fd().as_fd()).map(|(socket, _)| socket)
    })
}

/// Makes the stream's place on the nearest ring that accepts so.
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
        let seat = self.seat.lock().take();
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
