//! Permits and their line, explored. Each test is named by what can never happen.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::{Permits, TryAcquireError};
use crate::called::call;

#[track_caller]
fn here() -> super::Call {
    call!("a model")
}

/// Two who want the one permit are never inside together, and neither sleeps for ever.
#[test]
fn no_two_hold_one_permit() {
    loom::model(|| {
        let shared = Arc::new((Permits::new(1), UnsafeCell::new(0)));
        let work = |shared: &(Permits, UnsafeCell<i32>)| {
            block_on(shared.0.acquire(1, here())).unwrap();
            // SAFETY: the permit gives the cell; loom objects if it does not.
            shared.1.with_mut(|count| unsafe { *count += 1 });
            shared.0.release(1);
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || work(&shared))
        };
        work(&shared);
        other.join().unwrap();
        assert_eq!(shared.0.available(), 1);
        // SAFETY: nobody else is left.
        shared.1.with(|count| assert_eq!(unsafe { *count }, 2));
    });
}

/// A wait that is dropped, whenever that is, keeps no permit.
#[test]
fn no_permit_goes_with_a_dropped_wait() {
    loom::model(|| {
        let permits = Arc::new(Permits::new(0));
        let giver = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.release(2))
        };
        {
            let mut wait = pin!(permits.acquire(2, here()));
            let mut cx = Context::from_waker(Waker::noop());
            if wait.as_mut().poll(&mut cx).is_ready() {
                permits.release(2);
            }
        }
        giver.join().unwrap();
        assert_eq!(permits.available(), 2);
    });
}

/// One who leaves the line lets those behind it through, whether or not permits come at that moment.
#[test]
fn no_one_behind_a_leaver_is_forgotten() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let permits = Arc::new(Permits::new(0));
        let mut large = Box::pin(permits.acquire(2, here()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(large.as_mut().poll(&mut cx).is_pending());
        let small = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || block_on(permits.acquire(1, here())).unwrap())
        };
        let giver = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.release(1))
        };
        drop(large);
        giver.join().unwrap();
        small.join().unwrap();
        assert_eq!(permits.available(), 0);
    });
}

/// Whoever waits when the permits are closed is told, and so is who comes after.
#[test]
fn no_one_waits_for_closed_permits() {
    loom::model(|| {
        let permits = Arc::new(Permits::new(0));
        let waiter = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || block_on(permits.acquire(1, here())).is_err())
        };
        permits.close();
        assert!(waiter.join().unwrap());
    });
}

/// A wait that moves to another task wakes that one.
#[test]
fn no_wake_goes_to_a_waker_that_was_replaced() {
    loom::model(|| {
        let permits = Arc::new(Permits::new(0));
        let giver = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.release(1))
        };
        let mut wait = pin!(permits.acquire(1, here()));
        let mut cx = Context::from_waker(Waker::noop());
        let ready = wait.as_mut().poll(&mut cx).is_ready();
        if !ready {
            block_on(poll_fn(|cx| wait.as_mut().poll(cx))).unwrap();
        }
        giver.join().unwrap();
        assert_eq!(permits.available(), 0);
    });
}

/// A permit given while somebody queues is not passed by: it is in the queuer's hand or it wakes the queuer.
#[test]
fn no_permit_lies_free_beside_a_line() {
    loom::model(|| {
        let permits = Arc::new(Permits::new(1));
        let giver = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.release(1))
        };
        let got: Poll<()> = block_on(async {
            permits.acquire(2, here()).await.unwrap();
            Poll::Ready(())
        });
        assert!(got.is_ready());
        giver.join().unwrap();
    });
}

/// What those did who gave permits is seen by who has them, also where another hands them over.
#[test]
fn no_permit_comes_before_what_was_done_under_it() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let shared = Arc::new((Permits::new(0), [UnsafeCell::new(0), UnsafeCell::new(0)]));
        let givers = [0, 1].map(|which| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // SAFETY: nobody reads it before it has both permits.
                shared.1[which].with_mut(|cell| unsafe { *cell = 1 });
                shared.0.release(1);
            })
        });
        block_on(shared.0.acquire(2, here())).unwrap();
        for cell in &shared.1 {
            // SAFETY: nobody writes it any more; loom objects if that is not seen.
            cell.with(|cell| assert_eq!(unsafe { *cell }, 1));
        }
        for giver in givers {
            giver.join().unwrap();
        }
    });
}

/// The same of permits that are new, and of a number and an end that are only looked at.
#[test]
fn no_look_is_ahead_of_what_was_done_before() {
    fn seen_with(gives: fn(&Permits), sees: fn(&Permits) -> bool) {
        loom::model(move || {
            let shared = Arc::new((Permits::new(0), UnsafeCell::new(0)));
            // Who looks is the thread that begins later: loom takes the last access to a word for the only one to change places with,
            // and would not let a giver that first loads it go before a look.
            let looking = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    if sees(&shared.0) {
                        // SAFETY: nobody writes it any more; loom objects if that is not seen.
                        shared.1.with(|cell| assert_eq!(unsafe { *cell }, 1));
                    }
                })
            };
            // SAFETY: nobody reads it before it sees what is given.
            shared.1.with_mut(|cell| unsafe { *cell = 1 });
            gives(&shared.0);
            looking.join().unwrap();
        });
    }
    seen_with(|all| assert!(all.add(1)), |all| all.try_acquire(1).is_ok());
    seen_with(|all| assert!(all.add(1)), |all| all.available() == 1);
    seen_with(|all| all.release(1), |all| all.available() == 1);
    seen_with(|all| all.release(1), |all| all.forget(1) == 1);
    seen_with(Permits::close, Permits::is_closed);
    seen_with(Permits::close, |all| {
        all.try_acquire(1) == Err(TryAcquireError::Closed)
    });
}
