//! Which runtime this thread is on, and what the leaves ask of it.
//!
//! A thread is *in* a runtime while a worker runs on it, while `block_on` does, in a blocking call, and while an
//! [`EnterGuard`] lives. Leaves (net, fs, time, signal) come here for a driver, a clock, a task or a blocking thread.

mod call;
mod handle;
mod histogram;
mod info;
mod metrics;
mod presence;
mod process_thread;
mod prometheus;
mod random;
#[cfg(feature = "tracing")]
pub(crate) mod spans;
#[cfg(not(feature = "tracing"))]
#[path = "spans_off.rs"]
pub(crate) mod spans;
mod stuck;
mod stuck_waits;
pub(crate) mod tasks;
mod wait;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::rc::Rc;

use blitz_core::budget;
use blitz_driver::Clock;
use blitz_exec::task::JoinHandle;

use random::Row;

pub(crate) use call::call;
pub use handle::Handle;
pub(crate) use handle::Inner;
pub use histogram::{
    HistogramConfiguration, HistogramScale, InvalidHistogramConfiguration, LogHistogram,
    LogHistogramBuilder,
};
pub(crate) use info::Enabled;
pub use info::{Id, RuntimeFlavor, UnhandledPanic};
pub use metrics::RuntimeMetrics;
use presence::Presence;
pub(crate) use process_thread::{remember_place, start_process_thread};
pub(crate) use random::Seeds;
pub(crate) use stuck::StuckLog;
pub use stuck::{StuckFrame, StuckOutcome, StuckPlace, StuckReport, StuckStack, StuckTask};

thread_local! {
    // Without a destructor, so that reading it is one load; a thread leaves nothing here, because guards take back what
    // they put.
    // Counted by the thread, so that a use costs no atomic operation and holds no borrow while it calls foreign code.
    static CURRENT: RefCell<ManuallyDrop<Option<Rc<Place>>>> = const { RefCell::new(ManuallyDrop::new(None)) };
    /// How many guards live on this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A runtime that this thread is in, and the one it was in before. The chain stays on its thread, not in the guards: they are
/// `Sync`.
struct Place {
    handle: Handle,
    before: Option<Rc<Place>>,
    random: Row,
}

fn current() -> Option<Rc<Place>> {
    CURRENT.with_borrow(|current| Option::clone(current))
}

/// A number below `bound`, which is not 0 (for the macros): by the seed of this thread's runtime, if it is in one.
pub fn random_below(bound: u32) -> u32 {
    thread_local! {
        // The address of a thread-local is different from thread to thread.
        static OUTSIDE: Row = Row::new(std::ptr::from_ref(&DEPTH) as usize as u64);
    }
    match current() {
        Some(place) => place.random.below(bound),
        None => OUTSIDE.with(|row| row.below(bound)),
    }
}

/// The runtime of this thread. Panics, naming the call `what` and the remedies, where there is none.
#[track_caller]
pub(crate) fn handle(what: &'static str) -> Handle {
    match try_handle() {
        Some(handle) => handle,
        None => no_runtime(what),
    }
}

/// The runtime of this thread, if it is in one.
pub(crate) fn try_handle() -> Option<Handle> {
    current().map(|place| place.handle.clone())
}

/// Calls `f` with the runtime of this thread, at the price of no atomic operation. Panics as [`handle`] does.
#[inline]
#[track_caller]
pub(crate) fn with_handle<R>(what: &'static str, f: impl FnOnce(&Handle) -> R) -> R {
    match current() {
        Some(place) => f(&place.handle),
        None => no_runtime(what),
    }
}

/// The driver that a new resource or timer belongs to: the one this thread holds if it is of this runtime, else one of the
/// runtime's, in turn. Panics as [`handle`] does.
#[track_caller]
pub(crate) fn driver(what: &'static str) -> blitz_driver::Handle {
    with_handle(what, home)
}

/// As [`driver`], for a socket or another descriptor. Panics too where I/O is not enabled, which only a facade can bring about.
#[track_caller]
pub(crate) fn io_driver(what: &'static str) -> blitz_driver::Handle {
    let driver = with_handle(what, |handle| {
        handle.inner().enabled.io.then(|| home(handle))
    });
    match driver {
        Some(driver) => driver,
        None => io_is_disabled(what),
    }
}

/// As [`driver`], for a timer. Panics too where time is not enabled, which only a facade can bring about.
#[track_caller]
#[inline]
pub(crate) fn time_driver(what: &'static str) -> blitz_driver::Handle {
    let driver = with_handle(what, |handle| {
        handle.inner().enabled.time.then(|| home(handle))
    });
    match driver {
        Some(driver) => driver,
        None => time_is_disabled(what),
    }
}

/// Whether errors of this thread's runtime say more than the kernel does. They do outside of a runtime.
pub(crate) fn explains_errors() -> bool {
    current().is_none_or(|place| place.handle.inner().enabled.explained_errors)
}

/// This thread's driver if it is of this runtime, else one of the runtime's, in turn.
fn home(handle: &Handle) -> blitz_driver::Handle {
    let held = blitz_driver::with_current(|held| {
        // Under the guard of another runtime this thread's driver is not the one to ask.
        held.clock().same_as(handle.clock()).then(|| held.clone())
    });
    held.flatten().unwrap_or_else(|| handle.next_driver())
}

/// Whether the driver is turned by whoever polls on this thread, or by workers. It is not where a runtime of one thread was entered by another
/// (`Handle::block_on`, `enter`): that thread may be the only one.
pub(crate) fn is_driven() -> bool {
    current().is_none_or(|place| {
        let handle = &place.handle;
        let holds = |held: &blitz_driver::Handle| held.clock().same_as(handle.clock());
        handle.runtime_flavor() != RuntimeFlavor::CurrentThread
            || blitz_driver::with_current(holds) == Some(true)
    })
}

/// The clock of this thread's runtime, if it is in one.
pub(crate) fn clock() -> Option<Clock> {
    with_clock(Clock::clone)
}

/// Calls `f` with the clock of this thread's runtime, if it is in one.
pub(crate) fn with_clock<R>(f: impl FnOnce(&Clock) -> R) -> Option<R> {
    current().map(|place| f(place.handle.clock()))
}

/// This thread is in a call that blocks: paused time of its runtime, if it is in one, stands still until the guard goes, but
/// for waits within.
pub(crate) fn blocking() -> Option<Presence> {
    with_clock(Presence::blocking)
}

/// Runs `f` on the blocking pool of this thread's runtime. Panics as [`handle`] does.
#[track_caller]
pub(crate) fn spawn_blocking<F, R>(what: &'static str, f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    with_handle(what, |handle| handle.spawn_blocking(f))
}

#[cold]
#[track_caller]
fn no_runtime(what: &'static str) -> ! {
    panic!(
        "no runtime here: `{what}` was called on a thread that is not in a blitz-io runtime. Remedies: call it from async \
         code that a runtime polls (`#[blitz_io::main]`, `Runtime::block_on`, a spawned task); or enter a runtime on this \
         thread first (`let _guard = runtime.enter();`); or keep a `runtime::Handle` and use its methods from other threads. In tokio's \
         words: there is no reactor running, must be called from the context of a Tokio 1.x runtime."
    )
}

// These two are heard under tokio's name alone, and begin with the words that its programs' tests wait for.
#[cold]
#[track_caller]
fn io_is_disabled(what: &'static str) -> ! {
    panic!(
        "A Tokio 1.x context was found, but IO is disabled. Call `enable_io` on the runtime builder to enable IO. \
         (`{what}` needs it; `enable_all` does too.)"
    )
}

#[cold]
#[track_caller]
fn time_is_disabled(what: &'static str) -> ! {
    panic!(
        "A Tokio 1.x context was found, but timers are disabled. Call `enable_time` on the runtime builder to enable timers. \
         (`{what}` needs it; `enable_all` does too.)"
    )
}

#[cold]
#[track_caller]
pub(crate) fn no_local_place() -> ! {
    panic!(
        "`spawn_local` called from outside of a `task::LocalSet` or `runtime::LocalRuntime`, or of a worker of \
         `thread_per_core`: a task that is not `Send` needs a place that stays on this thread. Remedies: call it inside of \
         `LocalSet::run_until`, in a task of a `LocalRuntime` on its own thread, or in a task of `thread_per_core`."
    )
}

#[cold]
#[track_caller]
fn local_place_elsewhere() -> ! {
    panic!(
        "Local tasks can only be spawned on a LocalRuntime from the thread the runtime was created on: a task that is not \
         `Send` stays there, and this is another. Remedies: spawn it in code that runs in the runtime; or make it `Send` and \
         use `Handle::spawn`."
    )
}

#[cold]
#[track_caller]
pub(crate) fn nested_block_on() -> ! {
    if budget::entered() == budget::Entered::Computing {
        panic!(
            "`block_on` was called in a computation (`blitz_io::compute` and its kin): its thread is one of the few that \
             compute, and a processor would idle while it waits; if all of them waited, nothing would go on. Remedies: \
             `.await` what it needs before, and what comes of it after, in the async code that awaits the computation; or \
             `Handle::current().spawn` a task from here, and do not wait for it; or use `spawn_blocking` for code that waits."
        )
    }
    // Begins with the words that the tests of tokio's programs wait for.
    panic!(
        "Cannot start a runtime from within a runtime. This happens because a function (like `block_on`) attempted to block \
         the current thread while the thread is being used to drive asynchronous tasks. If you are in an async function, use \
         `.await` on the future instead of blocking on it. All tasks of this thread would stop while it waits; other \
         remedies: `spawn` the future; or wrap the call in `spawn_blocking`, or in `block_in_place` on the `multi_thread` flavor."
    )
}

/// Makes `handle` the runtime of this thread until the guard is dropped.
#[must_use]
pub(crate) fn enter(handle: Handle) -> Entered {
    CURRENT.with_borrow_mut(|current| {
        let before = current.take();
        let random = handle.inner().seeds.next();
        **current = Some(Rc::new(Place {
            handle,
            before,
            random,
        }));
    });
    let depth = DEPTH.get() + 1;
    DEPTH.set(depth);
    Entered {
        depth,
        _not_send: PhantomData,
    }
}

/// What [`enter`] replaced, put back on drop.
#[derive(Debug)]
pub(crate) struct Entered {
    depth: usize,
    /// It belongs to its thread, as a lock's guard does, which others may look at.
    _not_send: PhantomData<std::sync::MutexGuard<'static, ()>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if DEPTH.get() != self.depth {
            if !std::thread::panicking() {
                panic!(
                    "`EnterGuard` values dropped out of order. Guards returned by `Handle::enter()` must be dropped in the \
                     reverse order in which they were acquired."
                );
            }
            return;
        }
        DEPTH.set(self.depth - 1);
        // The old handle may be the last of its runtime: it is dropped after the borrow.
        drop(CURRENT.with_borrow_mut(|current| {
            let before = current.as_ref().and_then(|place| place.before.clone());
            mem::replace(&mut **current, before)
        }));
    }
}

/// Keeps this thread in a runtime: see [`Handle::enter`].
#[derive(Debug)]
#[must_use = "dropping the guard leaves the runtime again"]
pub struct EnterGuard<'a> {
    _entered: Entered,
    _handle: PhantomData<&'a Handle>,
}

impl EnterGuard<'_> {
    pub(crate) fn new(handle: &Handle) -> Self {
        Self {
            _entered: enter(handle.clone()),
            _handle: PhantomData,
        }
    }
}

/// Why [`Handle::try_current`] found no runtime.
pub struct TryCurrentError {
    _private: (),
}

impl TryCurrentError {
    pub(crate) fn new() -> Self {
        Self { _private: () }
    }

    /// Whether the thread is in no runtime.
    pub fn is_missing_context(&self) -> bool {
        true
    }

    /// Whether the thread is ending and its thread-locals are gone. blitz-io's context has no destructor, so it never is.
    pub fn is_thread_local_destroyed(&self) -> bool {
        false
    }
}

impl fmt::Debug for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryCurrentError")
            .field("kind", &"NoContext")
            .finish()
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no runtime here: this thread is in no blitz-io runtime")
    }
}

impl Error for TryCurrentError {}
