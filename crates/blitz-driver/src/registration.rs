//! What a socket holds: its descriptor, and its place in a driver.
//!
//! The operation is tried first; the driver is asked only when it would block. At that moment the resource is armed,
//! once, with the driver of the thread that polls it; it moves to another after it was polled there time and again.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use blitz_core::budget;
use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::Ordering::Relaxed;
use blitz_core::primitive::sync::atomic::{AtomicU8, AtomicUsize};
use blitz_core::slab::Key;
use blitz_core::waiting::{self, Resource, Site};
use blitz_sys::descriptor::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use blitz_sys::errno;
use blitz_sys::readiness::EDGE;

use crate::interest::{Direction, Interest, Ready, ReadyEvent};
use crate::readiness::Source;
use crate::{Handle, current, grant};

static READ: Site = Site::new("read", Resource::Descriptor);
static WRITE: Site = Site::new("write", Resource::Descriptor);
static READY: Site = Site::new("readiness", Resource::Descriptor);

/// After so many polls in a row on another driver of the same runtime a resource moves there.
pub(crate) const FOREIGN_POLLS_MAX: u8 = 16;
/// `armed_on` of a resource that no driver knows.
const NOWHERE: usize = 0;

/// A resource that can be waited for.
///
/// One task that reads and one that writes have reserved places ([`poll_ready`](Self::poll_ready),
/// [`poll_io`](Self::poll_io)); any number may wait with [`ready`](Self::ready) and [`async_io`](Self::async_io).
#[repr(C)]
pub struct Registration {
    // What each call needs comes first: with thousands of them each line of the processor's cache is one that is not there.
    source: Arc<Source>,
    /// The number of the driver that knows the resource.
    armed_on: AtomicUsize,
    /// That of `fd`.
    raw: RawFd,
    foreign_polls: AtomicU8,
    reopens: bool,
    interest: Interest,
    home: Handle,
    fd: Arc<OwnedFd>,
    place: Mutex<Option<Place>>,
}

struct Place {
    handle: Handle,
    key: Key,
}

impl Registration {
    /// A registration of `fd`, which must not block, for reading and writing. Nothing is armed yet.
    ///
    /// `home` is the driver that serves polls of threads which hold none of its siblings.
    #[inline]
    pub fn new(fd: Arc<OwnedFd>, home: Handle) -> Self {
        Self::with_interest(fd, home, Interest::default_for_sockets())
    }

    /// The same, for other interests than reading and writing.
    #[inline]
    pub fn with_interest(fd: Arc<OwnedFd>, home: Handle, interest: Interest) -> Self {
        Self {
            raw: fd.as_raw_fd(),
            fd,
            source: Arc::new(Source::new()),
            home,
            interest,
            reopens: false,
            foreign_polls: AtomicU8::new(0),
            armed_on: AtomicUsize::new(NOWHERE),
            place: Mutex::new(None),
        }
    }

    /// The same for a resource that can be open again after it was closed, such as a pipe that another writer opens: a call that
    /// would block then takes back that it is closed, too.
    #[must_use]
    pub fn reopening(mut self) -> Self {
        self.reopens = true;
        self
    }

    /// The descriptor.
    #[inline]
    pub fn fd(&self) -> &Arc<OwnedFd> {
        &self.fd
    }

    /// The descriptor, for a call.
    #[inline]
    pub fn lent(&self) -> BorrowedFd<'_> {
        // SAFETY: `fd` keeps it open for longer than this borrow of both.
        unsafe { BorrowedFd::borrow_raw(self.raw) }
    }

    /// The driver that serves polls of threads which hold none of its siblings.
    #[inline]
    pub fn home(&self) -> &Handle {
        &self.home
    }

    /// True if a short read or write proves that the next would block: see [`clear_on_short`](Self::clear_on_short).
    #[inline]
    pub fn is_edge(&self) -> bool {
        EDGE || self.home.is_ring()
    }

    /// Arms the resource now instead of at the first wait, so that it is known whether it can be.
    ///
    /// # Errors
    /// If the driver is shutting down; `PermissionDenied` if the resource cannot be waited for (a regular file).
    pub fn arm(&self) -> io::Result<()> {
        self.check()?;
        self.ensure_armed()
    }

    /// Whether the resource can be waited for at all. Nothing is armed.
    ///
    /// # Errors
    /// As for [`arm`](Self::arm).
    pub fn check(&self) -> io::Result<()> {
        self.home.check_pollable(&self.fd)
    }

    /// Ends the registration and gives the descriptor back.
    ///
    /// Others may still hold it for a moment: a driver of another thread does until its next turn.
    pub fn into_fd(self) -> Arc<OwnedFd> {
        Arc::clone(&self.fd)
    }

    /// Takes the resource for ready until a call finds otherwise: for one that very likely is, such as a connection
    /// just accepted. Before the first wait only.
    pub fn assume(&self, ready: Ready) {
        self.source.assume(ready);
    }

    /// What is ready of `interest` as far as is known, without waiting or asking.
    ///
    /// # Errors
    /// If the driver has shut down.
    #[inline]
    pub fn look(&self, interest: Interest) -> io::Result<ReadyEvent> {
        self.source.look(interest.mask())
    }

    /// Waits in the direction's reserved place until it is ready; the last waker left there is woken.
    ///
    /// Takes one unit of the task's budget when it is ready.
    ///
    /// # Errors
    /// If the driver has shut down, or the resource cannot be polled.
    #[inline]
    pub fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<ReadyEvent>> {
        let coop = ready!(budget::poll_proceed(cx));
        let event = ready!(self.poll_event(cx, direction));
        coop.made_progress();
        Poll::Ready(event)
    }

    #[inline]
    fn poll_event(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<ReadyEvent>> {
        let event = self.source.look(direction.mask())?;
        if !event.ready.is_empty() {
            return Poll::Ready(Ok(event));
        }
        self.poll_next_event(cx, direction)
    }

    /// The same for who has looked already, and found nothing.
    #[inline]
    fn poll_next_event(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<ReadyEvent>> {
        self.source.register(direction, cx.waker());
        self.ensure_armed()?;
        let event = self.source.look(direction.mask())?;
        if event.ready.is_empty() {
            let site = match direction {
                Direction::Read => &READ,
                Direction::Write => &WRITE,
            };
            waiting::note(site, self.raw as u64, None);
            return Poll::Pending;
        }
        Poll::Ready(Ok(event))
    }

    /// Waits until the resource is ready for any of `interest`.
    ///
    /// Returns what is ready, of what was asked for. It may be a false alarm.
    ///
    /// # Cancel safety
    /// Safe: waiting takes nothing.
    ///
    /// # Errors
    /// If the driver has shut down, or the resource cannot be polled.
    #[inline]
    pub fn ready(&self, interest: Interest) -> Readiness<'_> {
        Readiness {
            registration: self,
            mask: interest.mask(),
            id: None,
        }
    }

    /// The place where events meet those who wait.
    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Stands in the list of those who wait until something of `mask` is ready, with `id` as the place there.
    ///
    /// An event of the driver comes only if it `arms`; else somebody else has to tell of one.
    pub(crate) fn poll_listed(
        &self,
        id: &mut Option<u64>,
        mask: Ready,
        waker: &Waker,
        arms: bool,
    ) -> Poll<io::Result<ReadyEvent>> {
        let mut event = self.source.look(mask)?;
        if event.ready.is_empty() {
            event = self.source.join(id, mask, waker)?;
        }
        if !event.ready.is_empty() {
            return Poll::Ready(Ok(event));
        }
        if arms {
            self.ensure_armed()?;
        }
        waiting::note(&READY, self.raw as u64, None);
        Poll::Pending
    }

    /// Says that the resource was not ready after all, as of `event`: nothing happens if another event came since.
    ///
    /// What closed stays closed, but of what is [`reopening`](Self::reopening).
    #[inline]
    pub fn clear(&self, event: ReadyEvent) {
        if self.reopens {
            self.source.clear_closed(event);
        } else {
            self.source.clear(event);
        }
        if !self.is_edge() {
            self.renew();
        }
    }

    /// Says that a read or write was shorter than asked for: where events are edges, the next would block.
    ///
    /// `event` is what was observed *before* the call.
    #[inline]
    pub fn clear_on_short(&self, event: ReadyEvent) {
        if self.is_edge() {
            self.source.clear(event);
        }
    }

    /// Tries `io` if the resource is ready for `interest` as far as is known.
    ///
    /// # Errors
    /// `WouldBlock` if it is not ready, else what `io` returns. If that is `WouldBlock`, the readiness is cleared.
    #[inline]
    pub fn try_io<R>(
        &self,
        interest: Interest,
        io: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let event = self.observe(interest.mask(), false)?;
        let Some(event) = event else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let result = io();
        if would_block(&result) {
            self.clear(event);
        }
        result
    }

    /// Tries `io` until it does not block, waiting in the direction's reserved place meanwhile.
    ///
    /// # Errors
    /// What `io` returns, but for `WouldBlock`; or as for [`poll_ready`](Self::poll_ready).
    #[inline]
    pub fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut io: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let mut tried = false;
        loop {
            let coop = ready!(budget::poll_proceed(cx));
            let event = match self.observe(direction.mask(), tried)? {
                Some(event) => event,
                None => ready!(self.poll_next_event(cx, direction))?,
            };
            let result = io();
            // Also a false alarm costs a unit: a resource that is always closed and always blocks must end somewhere.
            coop.made_progress();
            if !would_block(&result) {
                return Poll::Ready(result);
            }
            self.clear(event);
            tried = true;
        }
    }

    /// The same for a transfer of up to `len` bytes on a stream: a short one proves that the next would block.
    ///
    /// # Errors
    /// As for [`poll_io`](Self::poll_io).
    #[inline]
    pub fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        len: usize,
        mut io: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_io(cx, direction, || {
            let event = self.source.look(direction.mask());
            let done = io()?;
            if 0 < done
                && done < len
                && let Ok(event) = event
            {
                self.clear_on_short(event);
            }
            Ok(done)
        })
    }

    /// Tries `io` until it does not block, waiting for `interest` meanwhile. Any number of tasks may.
    ///
    /// # Cancel safety
    /// Safe if `io` is: it runs within one poll or not at all.
    ///
    /// # Errors
    /// What `io` returns, but for `WouldBlock`; or as for [`ready`](Self::ready).
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut io: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let mut tried = false;
        loop {
            let event = match self.observe(interest.mask(), tried)? {
                Some(event) => event,
                None => self.ready(interest).await?,
            };
            let coop = poll_fn(budget::poll_proceed).await;
            let result = io();
            coop.made_progress();
            if !would_block(&result) {
                return result;
            }
            self.clear(event);
            tried = true;
        }
    }

    /// What is ready of `mask`; `None` if nothing is. One try is worth it where nobody may have told us yet.
    #[inline]
    fn observe(&self, mask: Ready, tried: bool) -> io::Result<Option<ReadyEvent>> {
        let event = self.source.look(mask)?;
        if !event.ready.is_empty() {
            Ok(Some(event))
        } else if !tried && self.is_worth_a_try() {
            Ok(Some(ReadyEvent::UNTRIED))
        } else {
            Ok(None)
        }
    }

    /// Whether a call may find what no event has told: no driver knows the resource, or one of another runtime does, which may
    /// stand still.
    #[inline]
    fn is_worth_a_try(&self) -> bool {
        // ORDERING: Relaxed: out of date it costs one try too many; whoever waits looks again in `ensure_armed`.
        let armed_on = self.armed_on.load(Relaxed);
        armed_on == NOWHERE || !grant::is_here(armed_on) && self.is_foreign()
    }

    /// Whether this thread works for another runtime than the resource's.
    #[cold]
    fn is_foreign(&self) -> bool {
        current::with(|here| !here.is_sibling(&self.home)).unwrap_or(false)
    }

    /// Makes sure that a driver will tell us of changes: the one of this thread if it is of our runtime, else our home.
    #[inline]
    fn ensure_armed(&self) -> io::Result<()> {
        // ORDERING: Relaxed: only compared. The place itself is behind its lock, and out of date it costs one more look there.
        let armed_on = self.armed_on.load(Relaxed);
        if grant::is_here(armed_on) {
            // ORDERING: Relaxed, here and below: a count that decides nothing but when to move; a lost step delays that.
            self.foreign_polls.store(0, Relaxed);
            return Ok(());
        }
        current::with(|here| self.ensure_armed_elsewhere(armed_on, Some(here)))
            .unwrap_or_else(|| self.ensure_armed_elsewhere(armed_on, None))
    }

    #[cold]
    fn ensure_armed_elsewhere(&self, armed_on: usize, here: Option<&Handle>) -> io::Result<()> {
        let here = here.filter(|here| here.is_sibling(&self.home));
        if armed_on == NOWHERE {
            return self.arm_on(here.unwrap_or(&self.home));
        }
        let Some(here) = here else { return Ok(()) };
        // ORDERING: Relaxed: see `ensure_armed`.
        let polls = self.foreign_polls.load(Relaxed).saturating_add(1);
        self.foreign_polls.store(polls, Relaxed);
        if polls < FOREIGN_POLLS_MAX {
            return Ok(());
        }
        self.foreign_polls.store(0, Relaxed);
        self.arm_on(here)
    }

    /// Arms with `driver`, and leaves the one before.
    fn arm_on(&self, driver: &Handle) -> io::Result<()> {
        let mut place = self.place.lock();
        if place
            .as_ref()
            .is_some_and(|place| place.handle.same_as(driver))
        {
            return Ok(());
        }
        let key = driver.arm(&self.source, &self.fd, self.interest.bits())?;
        let left = place.replace(Place {
            handle: driver.clone(),
            key,
        });
        // ORDERING: Relaxed: see `ensure_armed`.
        self.armed_on.store(driver.number(), Relaxed);
        drop(place);
        if let Some(Place { handle, key }) = left {
            handle.disarm(&self.fd, key);
        }
        Ok(())
    }

    /// Asks for the next event, where readiness is reported once.
    #[cold]
    fn renew(&self) {
        let place = self.place.lock();
        let renewed = match &*place {
            Some(Place { handle, key }) => handle.renew(&self.fd, *key, self.interest.bits()),
            None => Ok(()),
        };
        drop(place);
        if let Err(error) = renewed {
            // No event will come any more: everyone who waits is told why, now and later.
            let mut wakers = Vec::new();
            let number = error.raw_os_error().unwrap_or(errno::EIO);
            self.source.fail(number, &mut |waker| wakers.push(waker));
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

#[inline]
fn would_block<R>(result: &io::Result<R>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

impl Drop for Registration {
    fn drop(&mut self) {
        let place = self.place.lock().take();
        if let Some(Place { handle, key }) = place {
            handle.disarm(&self.fd, key);
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("fd", &self.fd.as_raw_fd())
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Registration>();
};

/// The future of [`Registration::ready`].
#[must_use = "futures do nothing unless awaited"]
pub struct Readiness<'a> {
    registration: &'a Registration,
    mask: Ready,
    /// Our place in the list of those who wait.
    id: Option<u64>,
}

impl Future for Readiness<'_> {
    type Output = io::Result<ReadyEvent>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // No budget is asked here: waiting moves no bytes, and a call that finds the resource ready must be told so.
        let this = &mut *self;
        this.registration
            .poll_listed(&mut this.id, this.mask, cx.waker(), true)
    }
}

impl Drop for Readiness<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.registration.source.leave(id);
        }
    }
}

impl fmt::Debug for Readiness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("mask", &self.mask)
            .finish_non_exhaustive()
    }
}
