//! Notifications, explored. Each test is named by what can never happen.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use super::Notify;

/// What is done before a notification is seen after it, and the one who waits sleeps no longer.
#[test]
fn no_notification_is_lost() {
    loom::model(|| {
        let shared = Arc::new((Notify::new(), UnsafeCell::new(0)));
        let waiter = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                block_on(shared.0.notified());
                // SAFETY: the notifier has written before it notified.
                shared.1.with(|value| assert_eq!(unsafe { *value }, 1));
            })
        };
        // SAFETY: nobody reads before the notification.
        shared.1.with_mut(|value| unsafe { *value = 1 });
        shared.0.notify_one();
        waiter.join().unwrap();
    });
}

/// Two notifications of two who wait let both go on, whatever the order of things.
#[test]
fn no_one_of_two_is_forgotten() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let notify = Arc::new(Notify::new());
        let waiters = [(); 2].map(|()| {
            let notify = Arc::clone(&notify);
            thread::spawn(move || {
                block_on(notify.notified());
                // The permits of two notifications may have become one: pass it on.
                notify.notify_one();
            })
        });
        notify.notify_one();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

/// One who was chosen and goes without looking passes the notification on.
#[test]
fn no_notification_goes_with_a_dropped_wait() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let notifier = {
            let notify = Arc::clone(&notify);
            thread::spawn(move || notify.notify_one())
        };
        let mut taken = false;
        {
            let mut wait = pin!(notify.notified());
            let mut cx = Context::from_waker(Waker::noop());
            taken |= wait.as_mut().poll(&mut cx).is_ready();
        }
        notifier.join().unwrap();
        if !taken {
            block_on(notify.notified());
        }
    });
}

/// All who were there when all were notified go on: polled or not, first or last.
#[test]
fn no_one_is_left_when_all_are_notified() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let unpolled = notify.notified();
        let notifier = {
            let notify = Arc::clone(&notify);
            thread::spawn(move || notify.notify_waiters())
        };
        block_on(unpolled);
        notifier.join().unwrap();
    });
}

/// A call of all takes no permit, and a permit that is left meanwhile is there afterwards.
#[test]
fn no_permit_is_spent_on_one_who_is_called() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let mut wait = Box::pin(notify.notified());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        let other = {
            let notify = Arc::clone(&notify);
            thread::spawn(move || notify.notify_one())
        };
        notify.notify_waiters();
        other.join().unwrap();
        assert!(wait.as_mut().poll(&mut cx).is_ready());
        drop(wait);
        // Whichever came first: if the call did, the permit lies ready; if the permit did, the wait had it.
        let mut next = pin!(notify.notified());
        let _ = next.as_mut().poll(&mut cx);
    });
}

/// Who is called before its first poll sees what was done before the call, whether or not somebody else stands in line.
#[test]
fn no_call_is_seen_before_what_led_to_it() {
    for has_line in [false, true] {
        loom::model(move || {
            let shared = Arc::new((Notify::new(), UnsafeCell::new(0)));
            let mut cx = Context::from_waker(Waker::noop());
            let mut other = pin!(shared.0.notified());
            if has_line {
                assert!(other.as_mut().poll(&mut cx).is_pending());
            }
            let wait = pin!(shared.0.notified());
            let calling = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    // SAFETY: nobody reads it before the call.
                    shared.1.with_mut(|value| unsafe { *value = 1 });
                    shared.0.notify_waiters();
                })
            };
            if wait.poll(&mut cx).is_ready() {
                // SAFETY: it was written before; loom objects if that is not seen.
                shared.1.with(|value| assert_eq!(unsafe { *value }, 1));
            }
            calling.join().unwrap();
        });
    }
}

/// Who makes a wait, looks, and then waits, is told of a change that was made before the call, or sees it.
#[test]
fn no_change_falls_between_a_wait_and_a_look() {
    loom::model(|| {
        let shared = Arc::new((Notify::new(), AtomicUsize::new(0)));
        let changing = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.1.store(1, Relaxed);
                shared.0.notify_waiters();
            })
        };
        let wait = shared.0.notified();
        if shared.1.load(Relaxed) == 0 {
            block_on(wait);
        }
        changing.join().unwrap();
    });
}
