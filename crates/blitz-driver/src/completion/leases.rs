//! A connection's received bytes, buffer by buffer.

use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use blitz_core::primitive::sync::Mutex;
use blitz_core::slab::Key;
use blitz_sys::completion::{Opcode, Sqe, cqe_flags};
use blitz_sys::descriptor::{AsFd, AsRawFd};
use blitz_sys::errno;

use super::seat::{Found, Seat};
use super::socket::near;
use crate::flight::{BufferPool, BufferView, Carries, Delivery, GROUP, Group, Lease, Many, Next};
use crate::interest::Direction;
use crate::readiness::shutting_down;
use crate::registration::Registration;
use crate::shared::Handle;
use crate::submission::Submission;

/// The stream of a socket's received bytes in leased buffers.
///
/// It holds no buffer while the socket is idle. Where the kernel can, one entry stays armed and fills buffers as
/// bytes come, up to [`per_connection`](super::BufferConfig::per_connection) ahead of the reader;
/// beyond that it is paused, and the peer is held back as by any reader that does not read. When the provided
/// buffers have run out the socket's readiness and a buffer of the driver's [`BufferPool`] serve, so no connection
/// starves behind another; the entry is armed again when enough buffers have come home.
///
/// It stands on the ring where it was polled first, and moves to another of the runtime when it was polled there time and again.
///
/// Bytes that came ahead of the reader are here and not in the socket: whoever mixes this with reads of another kind
/// must ask [`try_next`](Self::try_next) first.
pub struct Leases {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seat: Option<Seat>,
    /// What most streams never need.
    aside: Option<Box<Aside>>,
    /// No provided buffers on this driver: do not try again.
    is_plain: bool,
}

#[derive(Default)]
struct Aside {
    /// Our place in the pool's line, and whose pool it is.
    ticket: Option<u64>,
    pool: Option<BufferPool>,
    /// Put back by readers, the last one first: two that read at once may both have something left.
    unread: Vec<BufferView>,
}

/// What the ring has to say about the next buffer.
enum FromRing {
    Ready(io::Result<BufferView>),
    Waits,
    /// The readiness path is to be taken this time.
    Plain,
}

impl Leases {
    /// A stream; nothing is armed before the first [`poll_next`](Self::poll_next).
    pub fn new() -> Self {
        let state = State {
            seat: None,
            aside: None,
            is_plain: false,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// True if bytes may be here that are no longer in the socket.
    pub fn is_armed(&self) -> bool {
        let state = self.state.lock();
        state.seat.is_some()
            || state
                .aside
                .as_ref()
                .is_some_and(|aside| !aside.unread.is_empty())
    }

    /// Receives the next buffer of `registration`'s socket; an empty one is the end of the stream.
    ///
    /// One task at a time may wait: the last one that polled is woken.
    ///
    /// # Errors
    /// The socket's, or that the driver is shutting down.
    pub fn poll_next(
        &self,
        cx: &mut Context<'_>,
        registration: &Registration,
    ) -> Poll<io::Result<BufferView>> {
        let coop = ready!(blitz_core::budget::poll_proceed(cx));
        let mut state = self.state.lock();
        if let Some(view) = state.pop_unread() {
            coop.made_progress();
            return Poll::Ready(Ok(view));
        }
        let found = state.find(registration);
        drop(state);
        match self.poll_ring(cx, registration, found) {
            FromRing::Ready(result) => {
                coop.made_progress();
                Poll::Ready(result)
            }
            FromRing::Waits => Poll::Pending,
            FromRing::Plain => {
                drop(coop);
                self.poll_plain(cx, registration)
            }
        }
    }

    /// The next buffer if it is here already; never touches the socket.
    ///
    /// # Errors
    /// As for [`poll_next`](Self::poll_next), if an error is what came.
    pub fn try_next(&self) -> Option<io::Result<BufferView>> {
        let mut state = self.state.lock();
        if let Some(view) = state.pop_unread() {
            return Some(Ok(view));
        }
        let seat = state.seat.as_ref()?;
        let mut submission = seat.handle().submission();
        let (many, group) = submission.ops.many(seat.key());
        let (result, flags) = many.pop()?;
        Some(view_of(result, flags, group))
    }

    /// Puts back what a reader did not use; the next one gets it first.
    pub fn put_back(&self, view: BufferView) {
        if !view.is_empty() {
            self.state.lock().aside().unread.push(view);
        }
    }
}

impl Leases {
    fn poll_ring(
        &self,
        cx: &mut Context<'_>,
        registration: &Registration,
        mut found: Option<Found>,
    ) -> FromRing {
        let mut fresh = None;
        let mut is_queued = false;
        loop {
            let Some(Found {
                handle,
                key,
                is_leaving,
            }) = &found
            else {
                return FromRing::Plain;
            };
            if let Err(error) = handle.check_process() {
                return FromRing::Ready(Err(error));
            }
            let mut submission = handle.submission();
            let Some((many, group)) = submission.ops.find_many(*key) else {
                // Another poll had it move meanwhile.
                drop(submission);
                found = self.state.lock().find(registration);
                continue;
            };
            match many.next(cx.waker(), &mut fresh) {
                Next::Answer(result, flags)
                    if result == -errno::EAGAIN && cqe_flags::buffer(flags).is_none() =>
                {
                    // It would not wait for us in the ring: readiness does.
                    return FromRing::Plain;
                }
                Next::Answer(result, flags) => {
                    return FromRing::Ready(view_of(result, flags, group));
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
                    return FromRing::Waits;
                }
                Next::WantsWaker => {
                    drop(submission);
                    fresh = Some(cx.waker().clone());
                }
                _ if submission.ops.is_closed() => {
                    return FromRing::Ready(Err(shutting_down()));
                }
                Next::Starved | Next::Unarmed if *is_leaving => {
                    drop(submission);
                    self.leave_line();
                    let mut remains = Delivery::new();
                    if let Some(left) = &found {
                        Seat::leave(&mut self.state.lock().seat, left, &mut remains);
                    }
                    remains.finish();
                    found = self.state.lock().find(registration);
                }
                Next::Starved if !feed(&mut submission, *key) => {
                    let pool = submission.ops.pool();
                    drop(submission);
                    self.state.lock().aside().pool = Some(pool);
                    return FromRing::Plain;
                }
                Next::Starved | Next::Unarmed => {
                    let fd = registration.fd().as_raw_fd();
                    is_queued = true;
                    submission.arm_many(*key, Sqe::recv_multishot(fd, GROUP));
                    drop(submission);
                    self.leave_line();
                }
            }
        }
    }

    /// Readiness, and a buffer of the pool.
    fn poll_plain(
        &self,
        cx: &mut Context<'_>,
        registration: &Registration,
    ) -> Poll<io::Result<BufferView>> {
        let pool = self.state.lock().pool();
        let pool = pool.unwrap_or_else(|| {
            let pool = near(registration).buffer_pool();
            self.state.lock().aside().pool = Some(pool.clone());
            pool
        });
        let mut lease: Option<Lease> = None;
        loop {
            let mut is_short = false;
            let received = registration.poll_io(cx, Direction::Read, || {
                if lease.is_none() {
                    lease = pool.try_lease();
                }
                let Some(lease) = &mut lease else {
                    // Not the socket's fault: its readiness stays.
                    is_short = true;
                    return Ok(0);
                };
                blitz_sys::socket::read(registration.fd().as_fd(), lease.as_mut_slice())
            });
            let len = ready!(received)?;
            if is_short {
                lease = Some(ready!(self.poll_pool(cx, &pool)));
                continue;
            }
            let lease = lease.expect("what was received lies in a buffer");
            return Poll::Ready(Ok(lease.freeze(len)));
        }
    }

    /// Stands in the pool's line.
    fn poll_pool(&self, cx: &mut Context<'_>, pool: &BufferPool) -> Poll<Lease> {
        let mut ticket = self.state.lock().take_ticket();
        let polled = pool.poll_lease(cx, &mut ticket);
        let mut state = self.state.lock();
        let mut other = std::mem::replace(&mut state.aside().ticket, ticket);
        drop(state);
        // Another task polled meanwhile: the last one waits, and one place in the line is enough.
        pool.leave(&mut other);
        polled
    }

    fn leave_line(&self) {
        let mut state = self.state.lock();
        let mut ticket = state.take_ticket();
        let pool = if ticket.is_some() { state.pool() } else { None };
        drop(state);
        if let Some(pool) = pool {
            pool.leave(&mut ticket);
        }
    }
}

impl State {
    fn aside(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    #[inline]
    fn pop_unread(&mut self) -> Option<BufferView> {
        self.aside.as_mut()?.unread.pop()
    }

    fn pool(&self) -> Option<BufferPool> {
        self.aside.as_ref()?.pool.clone()
    }

    fn take_ticket(&mut self) -> Option<u64> {
        self.aside.as_mut()?.ticket.take()
    }

    /// Where the stream stands, on a ring that provides buffers; it takes its seat at the first call, on the nearest one.
    fn find(&mut self, registration: &Registration) -> Option<Found> {
        if self.seat.is_none() && !self.is_plain {
            self.seat = open(registration).map(Seat::new);
            self.is_plain = self.seat.is_none();
        }
        self.seat.as_mut().map(Seat::find)
    }
}

fn open(registration: &Registration) -> Option<(Handle, Key)> {
    let handle = near(registration);
    let features = handle.features()?;
    if !features.multishot_recv || !features.buffer_ring || handle.check_process().is_err() {
        return None;
    }
    let mut submission = handle.submission();
    if !submission.provide() {
        return None;
    }
    let queue_max = submission.ops.config.per_connection.max(1);
    let many = Many::new(Carries::Buffers, registration.fd().clone(), queue_max);
    let key = submission.ops.insert_many(many, Opcode::RECV);
    drop(submission);
    Some((handle, key))
}

/// Whether enough buffers came home to arm a starved stream again.
///
/// Not at the first one: every starved stream would take it in turn, and the kernel would turn all but one away.
fn feed(submission: &mut Submission, key: Key) -> bool {
    submission.ops.collect_returns();
    let Some(group) = &submission.ops.group else {
        return false;
    };
    let enough = group.available() >= group.count().div_ceil(4);
    if enough {
        submission.ops.many(key).0.feed();
    }
    enough
}

/// What an answer brought.
fn view_of(result: i32, flags: u32, group: Option<&mut Group>) -> io::Result<BufferView> {
    let number = cqe_flags::buffer(flags);
    match (errno::check(result), number, group) {
        (Ok(len), Some(number), Some(group)) if len > 0 => Ok(group.view(number, len as usize)),
        // The bytes went with the ring.
        (Ok(len), ..) if len > 0 => Err(shutting_down()),
        (answer, Some(number), Some(group)) => {
            group.give_back(number);
            answer.map(|_| BufferView::empty())
        }
        (answer, ..) => answer.map(|_| BufferView::empty()),
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        self.leave_line();
        let seat = self.state.lock().seat.take();
        if let Some(seat) = seat {
            seat.handle().abandon_stream(seat.key());
        }
    }
}

impl Default for Leases {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases")
            .field("is_armed", &self.is_armed())
            .finish_non_exhaustive()
    }
}
