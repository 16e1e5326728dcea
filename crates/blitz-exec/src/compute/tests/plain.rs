//! Bridges with a crew of plain threads: what a call gives, and how a bridge begins and ends.

use super::super::{Bridge, ComputeError, Crew, Job, ThreadConfig, Threads};
use super::call;
use crate::park::{NoWatch, ThreadParker, Watch};
use crate::scheduler::block_on;
use blitz_core::budget;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

/// Long enough for a busy machine.
const GUARD: Duration = Duration::from_secs(60);

/// Threads that take jobs from one channel.
struct Plain(Sender<Job>);

impl Crew for Plain {
    fn submit(&self, job: Job) {
        let _ = self.0.send(job);
    }
}

pub(super) fn hire(threads: &Threads) -> io::Result<Box<dyn Crew>> {
    let (sender, receiver) = channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for index in 0..threads.count() {
        let receiver = Arc::clone(&receiver);
        threads.start(index, move || {
            while let Some(job) = next(&receiver) {
                job.run();
            }
        })?;
    }
    Ok(Box::new(Plain(sender)))
}

fn next(receiver: &Mutex<Receiver<Job>>) -> Option<Job> {
    let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
    receiver.recv().ok()
}

fn bridge(count: usize) -> Bridge {
    let threads = ThreadConfig {
        count,
        ..ThreadConfig::default()
    };
    Bridge::new(threads, Arc::new(NoWatch), hire)
}

fn wait<F: Future>(future: F) -> F::Output {
    block_on(future, &ThreadParker::new(Arc::new(NoWatch)))
}

/// Ends the bridge and its threads.
fn end(bridge: &Bridge) {
    bridge.close();
    assert!(bridge.wait_gone(None));
    assert_eq!(bridge.metrics().threads, 0);
}

/// A call that runs until the sender goes, and has begun when this returns.
fn busy(bridge: &Bridge) -> (super::super::Call<()>, Sender<()>) {
    let (begun, wait_begun) = channel();
    let (go, wait_go) = channel::<()>();
    let call = bridge.call(move || {
        let _ = begun.send(());
        let _ = wait_go.recv();
    });
    wait_begun.recv_timeout(GUARD).expect("the call begins");
    (call, go)
}

/// Counts what comes to a crew by its queue.
static QUEUED: AtomicUsize = AtomicUsize::new(0);

struct Counted(Box<dyn Crew>);

impl Crew for Counted {
    fn submit(&self, job: Job) {
        QUEUED.fetch_add(1, SeqCst);
        self.0.submit(job);
    }
}

/// Until one call was taken out of its caller's hand, which the machine decides; those who come one at a time meet that soon.
#[test]
fn who_calls_again_at_once_finds_a_thread_that_stands_by() {
    let threads = ThreadConfig::default();
    let hire = |threads: &Threads| {
        let crew = hire(threads)?;
        Ok(Box::new(Counted(crew)) as Box<dyn Crew>)
    };
    let bridge = Bridge::new(threads, Arc::new(NoWatch), hire);
    let start = std::time::Instant::now();
    let mut calls = 0;
    while QUEUED.load(SeqCst) == calls {
        assert!(start.elapsed() < GUARD, "{calls} calls, all by the queue");
        assert_eq!(wait(bridge.call(move || calls)).ok(), Some(calls));
        calls += 1;
    }
    assert_eq!(bridge.metrics().done, calls as u64);
    end(&bridge);
}

#[test]
fn a_call_gives_its_result_or_its_panic() {
    let bridge = bridge(2);
    assert_eq!(
        bridge.metrics().threads,
        0,
        "no thread before the first call"
    );
    assert_eq!(wait(bridge.call(|| 6 * 7)).ok(), Some(42));
    assert_eq!(bridge.metrics().threads, 2);
    let error = wait(bridge.call(|| -> u8 { panic!("on purpose {}", std::hint::black_box(1)) }))
        .expect_err("it panicked");
    assert!(error.is_panic() && !error.is_cancelled() && !error.is_no_threads());
    assert_eq!(
        error.to_string(),
        "the computation panicked with message \"on purpose 1\""
    );
    let payload = error.into_panic();
    assert_eq!(
        payload.downcast_ref::<String>().map(String::as_str),
        Some("on purpose 1")
    );
    end(&bridge);
    let metrics = bridge.metrics();
    assert_eq!((metrics.done, metrics.panicked), (2, 1));
    assert_eq!(
        (metrics.queued, metrics.running, metrics.cancelled),
        (0, 0, 0)
    );
}

#[test]
fn a_dropped_call_that_has_not_begun_is_gone_at_once() {
    let bridge = bridge(1);
    let (first, go) = busy(&bridge);
    let held = Arc::new(());
    let in_closure = Arc::clone(&held);
    let second = bridge.call(move || drop(in_closure));
    assert_eq!((bridge.metrics().running, bridge.metrics().queued), (1, 1));
    drop(second);
    assert_eq!(Arc::strong_count(&held), 1, "the closure is still there");
    assert_eq!(
        (bridge.metrics().cancelled, bridge.metrics().queued),
        (1, 0)
    );
    drop(go);
    assert!(wait(first).is_ok());
    end(&bridge);
    assert_eq!(bridge.metrics().done, 1);
}

#[test]
fn a_dropped_call_that_has_begun_goes_on_and_its_output_is_dropped() {
    let bridge = bridge(1);
    let held = Arc::new(());
    let (begun, wait_begun) = channel();
    let (go, wait_go) = channel::<()>();
    let output = Arc::clone(&held);
    let call = bridge.call(move || {
        let _ = begun.send(());
        let _ = wait_go.recv();
        output
    });
    wait_begun.recv_timeout(GUARD).expect("it begins");
    drop(call);
    assert_eq!(Arc::strong_count(&held), 2);
    drop(go);
    end(&bridge);
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn the_end_cancels_what_has_not_begun_and_waits_for_what_has() {
    let bridge = bridge(1);
    let (first, go) = busy(&bridge);
    let ran = Arc::new(AtomicBool::new(false));
    let runs = Arc::clone(&ran);
    let second = bridge.call(move || runs.store(true, SeqCst));
    bridge.close();
    assert!(!bridge.wait_gone(Some(Duration::ZERO)));
    assert!(!bridge.wait_gone(Some(Duration::from_millis(5))));
    drop(go);
    assert!(bridge.wait_gone(None));
    assert!(wait(first).is_ok());
    assert!(wait(second).is_err_and(|error| error.is_cancelled()));
    assert!(!ran.load(SeqCst));
    // And nothing begins any more.
    let late = bridge.call(|| ());
    assert!(late.is_finished());
    assert!(wait(late).is_err_and(|error| error.is_cancelled()));
    assert_eq!(bridge.metrics().cancelled, 2);
}

#[test]
fn a_system_without_threads_is_named_and_asked_again() {
    static REFUSALS: AtomicUsize = AtomicUsize::new(0);
    fn stingy(threads: &Threads) -> io::Result<Box<dyn Crew>> {
        if REFUSALS.fetch_add(1, SeqCst) == 0 {
            return Err(io::Error::from(io::ErrorKind::WouldBlock));
        }
        hire(threads)
    }
    let bridge = Bridge::new(ThreadConfig::default(), Arc::new(NoWatch), stingy);
    let error = wait(bridge.call(|| ())).expect_err("no threads");
    assert!(error.is_no_threads() && !error.is_panic());
    assert!(error.to_string().contains("cpu_threads"), "{error}");
    assert!(io::Error::from(error).to_string().contains("no threads"));
    assert_eq!(wait(bridge.call(|| 1)).ok(), Some(1));
    end(&bridge);
}

/// A crew half hired is let go.
#[test]
fn threads_started_for_nothing_leave() {
    fn fails(threads: &Threads) -> io::Result<Box<dyn Crew>> {
        drop(hire(threads)?);
        Err(io::Error::from(io::ErrorKind::OutOfMemory))
    }
    let bridge = Bridge::new(ThreadConfig::default(), Arc::new(NoWatch), fails);
    assert!(wait(bridge.call(|| ())).is_err_and(|error| error.is_no_threads()));
    end(&bridge);
}

/// From the making of the call until its waker has been called.
#[test]
fn virtual_time_stands_still_until_the_caller_is_awake() {
    #[derive(Default)]
    struct Holds {
        now: AtomicIsize,
        at_wake: AtomicIsize,
    }
    impl Watch for Holds {
        fn begin(&self) {
            self.now.fetch_add(1, SeqCst);
        }
        fn end(&self) {
            self.now.fetch_sub(1, SeqCst);
        }
    }
    impl Wake for Holds {
        fn wake(self: Arc<Self>) {
            self.at_wake.store(self.now.load(SeqCst), SeqCst);
        }
    }
    let holds = Arc::new(Holds::default());
    let watch: Arc<dyn Watch> = Arc::<Holds>::clone(&holds);
    let bridge = Bridge::new(ThreadConfig::default(), watch, hire);
    let (go, wait_go) = channel::<()>();
    let mut call = bridge.call(move || {
        let _ = wait_go.recv();
    });
    let waker = Waker::from(Arc::clone(&holds));
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(std::pin::Pin::new(&mut call).poll(&mut cx).is_pending());
    let cancelled = bridge.call(|| ());
    assert_eq!(holds.now.load(SeqCst), 2);
    drop(cancelled);
    assert_eq!(holds.now.load(SeqCst), 1);
    drop(go);
    end(&bridge);
    assert_eq!(holds.at_wake.load(SeqCst), 1, "let go before the wake");
    assert_eq!(holds.now.load(SeqCst), 0);
}

#[test]
fn crew_threads_know_that_they_compute() {
    let bridge = bridge(1);
    let seen = wait(bridge.call(|| {
        let nested = budget::enter_runtime(true).is_some();
        let handed_on = catch_unwind(|| crate::scheduler::block_in_place(|| ()));
        let name = std::thread::current().name().map(str::to_owned);
        (budget::entered(), nested, handed_on.is_err(), name)
    }));
    let expected = Some("blitz-io-cpu-0".to_owned());
    assert_eq!(
        seen.ok(),
        Some((budget::Entered::Computing, false, true, expected))
    );
    end(&bridge);
}

#[test]
fn foreign_panics_reach_nobody_else() {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            panic!("on purpose: a drop");
        }
    }
    struct LoudWaker;
    impl Wake for LoudWaker {
        fn wake(self: Arc<Self>) {
            panic!("on purpose: a wake");
        }
    }
    // A closure dropped by its caller, and one by its runner.
    for by_caller in [true, false] {
        let loud = Loud;
        let (job, mut waits) = call(move || drop(loud));
        if by_caller {
            drop(waits);
            job.run();
        } else {
            drop(job);
            let polled = std::pin::Pin::new(&mut waits)
                .poll(&mut std::task::Context::from_waker(Waker::noop()));
            let std::task::Poll::Ready(Err(error)) = polled else {
                panic!("it was cancelled")
            };
            assert!(error.is_cancelled());
        }
    }
    // An output dropped by its runner, and one by its caller.
    for detached in [true, false] {
        let (job, waits) = call(|| Loud);
        if detached {
            waits.detach();
            job.run();
        } else {
            job.run();
            assert!(waits.is_finished());
            drop(waits);
        }
    }
    let (job, mut waits) = call(|| 1);
    let waker = Waker::from(Arc::new(LoudWaker));
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(std::pin::Pin::new(&mut waits).poll(&mut cx).is_pending());
    job.run();
    assert_eq!(wait(&mut waits).ok(), Some(1));
    let again = catch_unwind(AssertUnwindSafe(|| wait(&mut waits)));
    assert!(again.is_err(), "an output is given once");
    assert!(waits.is_finished());
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    const fn movable<T: Send + Unpin>() {}
    shared::<Bridge>();
    shared::<ComputeError>();
    shared::<super::super::Call<std::cell::Cell<u8>>>();
    movable::<super::super::Call<std::cell::Cell<u8>>>();
    movable::<Job>();
};
