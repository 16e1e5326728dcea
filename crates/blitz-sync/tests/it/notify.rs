//! Signals: who is notified, in which order, and what happens to a notification that nobody sees.

use std::pin::pin;
use std::sync::Arc;

use blitz_sync::Notify;

use crate::harness::Hand;

#[test]
fn a_notification_before_anyone_waits_lies_ready_once() {
    let notify = Notify::new();
    notify.notify_one();
    notify.notify_one();
    Hand::new(notify.notified()).done();
    Hand::new(notify.notified()).waits();
}

#[test]
fn the_first_is_notified_first_and_the_last_by_notify_last() {
    let notify = Notify::new();
    let mut waits: Vec<_> = (0..3).map(|_| Hand::new(notify.notified())).collect();
    for wait in &mut waits {
        wait.waits();
    }
    notify.notify_one();
    notify.notify_last();
    let wakes: Vec<_> = waits.iter().map(Hand::wakes).collect();
    assert_eq!(wakes, [1, 0, 1]);
    waits[0].done();
    waits[1].waits();
    waits[2].done();
}

#[test]
fn all_who_exist_are_notified_and_nobody_later() {
    let notify = Notify::new();
    let mut polled: Vec<_> = (0..70).map(|_| Hand::new(notify.notified())).collect();
    for wait in &mut polled {
        wait.waits();
    }
    let mut unpolled = Hand::new(notify.notified());
    notify.notify_waiters();
    for wait in &mut polled {
        assert_eq!(wait.wakes(), 1);
        wait.done();
    }
    unpolled.done();
    Hand::new(notify.notified()).waits();
}

#[test]
fn a_call_of_all_leaves_the_permit_for_another() {
    let notify = Notify::new();
    let mut early = Hand::new(notify.notified());
    notify.notify_one();
    notify.notify_waiters();
    early.done();
    Hand::new(notify.notified()).done();
    Hand::new(notify.notified()).waits();
}

#[test]
fn a_notification_that_nobody_sees_goes_on() {
    for last in [false, true] {
        let notify = Notify::new();
        let mut waits: Vec<_> = (0..3).map(|_| Hand::new(notify.notified())).collect();
        for wait in &mut waits {
            wait.waits();
        }
        if last {
            notify.notify_last();
            drop(waits.pop());
            assert_eq!(
                (waits[0].wakes(), waits[1].wakes()),
                (0, 1),
                "the last again"
            );
        } else {
            notify.notify_one();
            drop(waits.remove(0));
            assert_eq!(
                (waits[0].wakes(), waits[1].wakes()),
                (1, 0),
                "the first again"
            );
        }
        drop(waits);
        Hand::new(notify.notified()).done();
    }
}

#[test]
fn a_call_of_all_that_nobody_sees_does_not_go_on() {
    let notify = Notify::new();
    let mut wait = Hand::new(notify.notified());
    wait.waits();
    notify.notify_waiters();
    drop(wait);
    Hand::new(notify.notified()).waits();
}

#[test]
fn enabled_it_is_found_without_being_polled() {
    let notify = Notify::new();
    {
        let mut wait = pin!(notify.notified());
        assert!(!wait.as_mut().enable());
        assert!(!wait.as_mut().enable());
        notify.notify_one();
        assert!(wait.as_mut().enable());
        // It is ready, and has the notification: nobody else gets it.
        Hand::new(wait).done();
    }
    Hand::new(notify.notified()).waits();
    notify.notify_one();
    let mut wait = pin!(notify.notified());
    assert!(wait.as_mut().enable(), "it lay ready");
}

#[test]
fn an_owned_wait_keeps_its_signal() {
    let notify = Arc::new(Notify::new());
    let mut wait = Hand::new(Arc::clone(&notify).notified_owned());
    wait.waits();
    let weak = Arc::downgrade(&notify);
    notify.notify_one();
    drop(notify);
    wait.done();
    drop(wait);
    assert!(weak.upgrade().is_none());
}
