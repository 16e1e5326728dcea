//! The budget of a poll, and where a thread stands.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Wake, Waker};

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        // ORDERING: one thread counts.
        self.0.fetch_add(1, Relaxed);
    }
}

fn take(cx: &mut Context<'_>) -> bool {
    match poll_proceed(cx) {
        Poll::Ready(unit) => {
            unit.made_progress();
            true
        }
        Poll::Pending => false,
    }
}

#[test]
fn a_used_up_budget_wakes_the_task_and_refuses() {
    let wakes = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);
    take_forced_yields();
    with_budget(|| {
        for _ in 0..UNITS {
            assert!(has_remaining());
            assert!(take(&mut cx));
        }
        assert!(!has_remaining());
        assert!(!take(&mut cx));
        // An executor inside of the task sees the same budget; a poll of its own task begins anew.
        assert!(with_unconstrained(|| take(&mut cx)));
        assert!(with_budget(|| take(&mut cx)));
        assert!(!take(&mut cx));
    });
    // ORDERING: one thread.
    assert_eq!(wakes.0.load(Relaxed), 2);
    assert_eq!(
        (take_forced_yields(), take_forced_yields()),
        (1, 0),
        "one poll"
    );
    assert!(take(&mut cx), "outside a poll nothing is refused");
}

#[test]
fn who_has_to_wait_anyway_is_not_woken_for_want_of_budget() {
    let wakes = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);
    take_forced_yields();
    with_budget(|| {
        for _ in 0..UNITS {
            let polled = poll_proceed_unless(&mut cx, |_| unreachable!("there are units"));
            let Poll::Ready(unit) = polled else {
                panic!("there are units")
            };
            unit.made_progress();
        }
        assert!(poll_proceed_unless(&mut cx, |_| true).is_pending());
        // ORDERING: one thread.
        assert_eq!((wakes.0.load(Relaxed), take_forced_yields()), (0, 0));
        assert!(poll_proceed_unless(&mut cx, |_| false).is_pending());
        // ORDERING: as above.
        assert_eq!((wakes.0.load(Relaxed), take_forced_yields()), (1, 1));
    });
    assert!(poll_proceed_unless(&mut cx, |_| unreachable!("outside a poll")).is_ready());
}

#[test]
fn an_operation_that_made_no_progress_costs_nothing() {
    let mut cx = Context::from_waker(Waker::noop());
    with_budget(|| {
        for _ in 0..3 * UNITS {
            assert!(poll_proceed(&mut cx).is_ready());
        }
        for _ in 0..UNITS {
            assert!(take(&mut cx));
        }
        assert!(!take(&mut cx));
    });
}

#[test]
fn a_panic_in_a_poll_leaves_the_thread_as_it_was() {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        with_budget(|| {
            let _entered = enter_runtime(true);
            panic!("in a poll");
        })
    }));
    assert!(panicked.is_err());
    assert!(!is_entered());
    let mut cx = Context::from_waker(Waker::noop());
    assert!((0..2 * UNITS).all(|_| take(&mut cx)));
}

#[test]
fn stop_lifts_the_budget_until_the_poll_ends() {
    let mut cx = Context::from_waker(Waker::noop());
    with_budget(|| {
        with_budget(|| {
            stop();
            assert!((0..2 * UNITS).all(|_| take(&mut cx)));
        });
        assert!((0..UNITS).all(|_| take(&mut cx)));
        assert!(!take(&mut cx));
    });
}

#[test]
fn a_runtime_is_not_entered_twice_but_from_outside_it() {
    assert!(!is_entered());
    let outer = enter_runtime(true).expect("this thread drives none");
    assert_eq!(entered(), Entered::MayBlock);
    assert!(enter_runtime(true).is_none());
    {
        let _set = forbid_block();
        assert_eq!(entered(), Entered::MayNotBlock);
    }
    assert_eq!(entered(), Entered::MayBlock);
    exit(|| {
        assert!(!is_entered());
        let _inner = enter_runtime(false).expect("outside for a while");
        assert_eq!(entered(), Entered::MayNotBlock);
    });
    assert_eq!(entered(), Entered::MayBlock);
    drop(outer);
    let _set = forbid_block();
    assert!(!is_entered());
}
