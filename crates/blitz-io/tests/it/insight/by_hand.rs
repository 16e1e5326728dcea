//! Traces of one future, taken by who polls it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use blitz_io::runtime::dump::{Root, Trace, trace_with};
use blitz_io::sync::oneshot;
use blitz_io::task::yield_now;

use super::until;
use crate::harness::{on_every, run};

/// Counts its wakes.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        // ORDERING: a count.
        self.0.fetch_add(1, Relaxed);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        // ORDERING: a count.
        self.0.load(Relaxed)
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(wakes));
    future.poll(&mut Context::from_waker(&waker))
}

/// A leaf that is ready says "pending" when it is looked at, and is woken so that the next poll takes what is there.
#[test]
fn a_leaf_that_was_looked_at_is_woken_and_has_lost_nothing() {
    on_every(|runtime| {
        run(runtime, async {
            let (sender, receiver) = oneshot::channel();
            let mut receiver = pin!(receiver);
            let wakes = Arc::new(Wakes::default());
            assert!(poll(receiver.as_mut(), &wakes).is_pending());
            sender.send(7).expect("the receiver is here");
            assert_eq!(wakes.count(), 1);

            let mut leaves = 0;
            let polled = trace_with(|| poll(receiver.as_mut(), &wakes), |_| leaves += 1);
            assert_eq!((polled, leaves), (Poll::Pending, 1));
            until("the leaf is woken", || wakes.count() == 2).await;
            assert_eq!(poll(receiver.as_mut(), &wakes), Poll::Ready(Ok(7)));
        });
    });
}

/// Every branch has its budget, so a poll comes to all of them.
#[test]
fn each_branch_is_looked_at() {
    on_every(|runtime| {
        run(runtime, async {
            let mut both = pin!(async {
                let (_one, first) = oneshot::channel::<()>();
                let (_two, second) = oneshot::channel::<()>();
                blitz_io::select! {
                    biased;
                    _ = async { blitz_io::join!(first, second) } => 1,
                    () = yield_now() => 2,
                }
            });
            let wakes = Arc::default();
            let mut leaves = 0;
            let polled = trace_with(|| poll(both.as_mut(), &wakes), |_| leaves += 1);
            assert_eq!((polled, leaves), (Poll::Pending, 3));
        });
    });
}

const STANDS: u32 = line!() + 3;
#[inline(never)]
async fn stands_here() {
    yield_now().await;
}

/// The stack of a leaf, from its own code down to the root.
#[test]
fn a_stack_ends_at_the_root() {
    on_every(|runtime| {
        run(runtime, async {
            let mut future = pin!(Trace::root(stands_here()));
            let wakes = Arc::default();
            let (polled, trace) = Trace::capture(|| poll(future.as_mut(), &wakes));
            assert!(polled.is_pending());
            let text = trace.to_string();
            let last = text.lines().last().unwrap_or_default();
            assert!(text.contains("yield_now"), "{text}");
            // With line tables alone an async function has its line and no name of its own; without them it has its name.
            let is_root = last.contains(&format!("by_hand.rs:{STANDS}"))
                || last.contains("by_hand::stands_here");
            assert!(is_root, "{text}");
        });
    });
}

#[test]
fn the_root_is_told_where_there_is_one() {
    let wakes = Arc::default();
    let root_of = |mut future: Pin<Box<dyn Future<Output = ()>>>| {
        let mut roots = Vec::new();
        let polled = trace_with(
            || poll(future.as_mut(), &wakes),
            |leaf| roots.push(leaf.root_addr),
        );
        assert!(polled.is_pending());
        roots
    };
    assert_eq!(root_of(Box::pin(yield_now())), [None]);
    let roots = root_of(Box::pin(Trace::root(yield_now())));
    assert!(matches!(roots[..], [Some(_)]), "{roots:?}");
}

/// Outside of a runtime as well, and after a panic nobody looks any more.
#[test]
fn after_a_panic_the_leaf_is_woken_and_polls_are_ordinary() {
    let wakes = Arc::new(Wakes::default());
    let (sender, receiver) = oneshot::channel();
    let mut receiver: Pin<Box<Root<_>>> = Box::pin(Trace::root(receiver));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        trace_with(
            || poll(receiver.as_mut(), &wakes),
            |_| panic!("as this test wants it"),
        )
    }));
    assert!(panicked.is_err());
    assert_eq!(wakes.count(), 1);
    assert!(poll(receiver.as_mut(), &wakes).is_pending());
    assert_eq!(wakes.count(), 1);
    sender.send(7).expect("the receiver is here");
    assert_eq!(wakes.count(), 2);
    assert_eq!(poll(receiver.as_mut(), &wakes), Poll::Ready(Ok(7)));
}
