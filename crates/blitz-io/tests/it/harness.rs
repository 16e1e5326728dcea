//! Runs a test on every back end and flavour, or on some of them.
//!
//! `BLITZ_IO_DRIVER` narrows the back ends to one, as it does for every program.

use std::fmt;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use blitz_io::runtime::{Backend, Builder, Runtime};

/// How long anything may take that should take no time: long enough for a busy machine, short enough to be noticed.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// One place to run a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// Which back end.
    pub(crate) backend: Backend,
    /// Which scheduler.
    pub(crate) flavor: Flavor,
}

/// Which scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// `current_thread`
    CurrentThread,
    /// `multi_thread` with two workers
    MultiThread,
    /// `thread_per_core` with two workers
    ThreadPerCore,
}

/// All flavours.
pub(crate) const FLAVORS: [Flavor; 3] = [
    Flavor::CurrentThread,
    Flavor::MultiThread,
    Flavor::ThreadPerCore,
];

impl Case {
    /// A builder for this case, for tests that set more.
    pub(crate) fn builder(self) -> Builder {
        let mut builder = match self.flavor {
            Flavor::CurrentThread => Builder::new_current_thread(),
            Flavor::MultiThread => Builder::new_multi_thread(),
            Flavor::ThreadPerCore => Builder::new_thread_per_core(),
        };
        builder
            .worker_threads(2)
            .driver_backend(self.backend)
            .enable_all();
        builder
    }

    /// A builder for one worker that is never replaced: for tests that say in which order it does things. (A poll whose thread has no
    /// processor for a while looks stuck, and then two threads run what one had.)
    pub(crate) fn builder_of_one(self) -> Builder {
        let mut builder = self.builder();
        builder.worker_threads(1).stuck_rescue_after(Duration::MAX);
        builder
    }

    /// A runtime for this case.
    pub(crate) fn runtime(self) -> Runtime {
        match self.builder().build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("{self}: no runtime: {error}"),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {:?}", self.backend, self.flavor)
    }
}

/// The back ends to test: the one that `BLITZ_IO_DRIVER` names, else all that this kernel allows.
pub(crate) fn backends() -> Vec<Backend> {
    match Backend::from_env() {
        Ok(Some(backend)) => vec![backend],
        Ok(None) => {
            let ring = Builder::new_current_thread()
                .driver_backend(Backend::IoUring)
                .build();
            if let Err(error) = &ring {
                eprintln!("io_uring is not tested: {error}");
            }
            ring.is_ok()
                .then_some(Backend::IoUring)
                .into_iter()
                .chain([Backend::Epoll])
                .collect()
        }
        Err(error) => panic!("{error}"),
    }
}

/// Every back end with each of these flavours.
pub(crate) fn cases(flavors: &[Flavor]) -> Vec<Case> {
    let backends = backends();
    backends
        .iter()
        .flat_map(|&backend| flavors.iter().map(move |&flavor| Case { backend, flavor }))
        .collect()
}

/// Calls `test` for each case, and says which one failed.
pub(crate) fn each_case(flavors: &[Flavor], test: impl Fn(Case)) {
    for case in cases(flavors) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(case))) {
            eprintln!("failed on {case}");
            resume_unwind(panic);
        }
    }
}

/// Calls `test` with a runtime of every back end and flavour.
pub(crate) fn on_every(test: impl Fn(&Runtime)) {
    each_case(&FLAVORS, |case| test(&case.runtime()));
}

/// Calls `test` with a `multi_thread` runtime of every back end.
pub(crate) fn on_both(test: impl Fn(&Runtime)) {
    each_case(&[Flavor::MultiThread], |case| test(&case.runtime()));
}

/// A runtime of every back end and flavour.
pub(crate) fn every_runtime() -> impl Iterator<Item = Runtime> {
    cases(&FLAVORS).into_iter().map(Case::runtime)
}

/// Runs `future` on `runtime`, no longer than [`GUARD`].
#[track_caller]
pub(crate) fn run<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    guarded(GUARD, || runtime.block_on(future))
}

/// Runs `future` on `runtime`, no longer than `limit`.
#[track_caller]
pub(crate) fn within<F: Future>(runtime: &Runtime, limit: Duration, future: F) -> F::Output {
    guarded(limit, || runtime.block_on(future))
}

/// More stack than there is room for: an error, and not a panic of the standard library, which musl's limit of a quarter of all
/// addresses would be.
pub(crate) const NO_ROOM: usize = if usize::BITS > 32 {
    usize::MAX / 16
} else {
    usize::MAX / 4 * 3
};

/// What `limit` is on this machine: `BLITZ_TEST_PATIENCE` says how many times slower than others it may be, where it is emulated.
pub(crate) fn patient(limit: Duration) -> Duration {
    let patience = std::env::var("BLITZ_TEST_PATIENCE").ok();
    limit * patience.map_or(1, |times| times.parse().expect("a number of times"))
}

/// Calls `f`, and ends the test process with a message if it takes longer than `limit`, or than the machine makes of it.
#[track_caller]
pub(crate) fn guarded<R>(limit: Duration, f: impl FnOnce() -> R) -> R {
    let watch = Watch::begin(limit);
    let result = f();
    drop(watch);
    result
}

/// Tries until it fails: a descriptor that was closed may be held for a moment yet, by another thread's driver or by a process that
/// was forked and has not begun its program.
pub(crate) async fn until_refused<T, F>(mut attempt: impl FnMut() -> F) -> std::io::Error
where
    F: Future<Output = std::io::Result<T>>,
{
    loop {
        match attempt().await {
            Err(error) => return error,
            Ok(_) => blitz_io::task::yield_now().await,
        }
    }
}

/// Ends the process after a while, since a thread that hangs in a poll cannot be stopped otherwise; until it is dropped.
struct Watch {
    done: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    #[track_caller]
    fn begin(limit: Duration) -> Self {
        let (place, limit) = (std::panic::Location::caller(), patient(limit));
        let (done, wait) = mpsc::channel::<()>();
        let test = thread::current().name().map(str::to_owned);
        let thread = thread::spawn(move || {
            if wait.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                // Not by the macro: what libtest keeps for the end would go with the process.
                let name = test.as_deref().unwrap_or("a test");
                let words = format!("{name}, {place}: not done after {limit:?}: it hangs\n");
                std::io::stderr().write_all(words.as_bytes()).ok();
                std::process::abort();
            }
        });
        Self {
            done: Some(done),
            thread: Some(thread),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
