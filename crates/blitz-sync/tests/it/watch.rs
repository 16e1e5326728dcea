//! The channel that keeps the latest value.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use blitz_sync::watch;
use futures::executor::block_on;

use crate::harness::Hand;

#[test]
fn a_change_is_seen_once_by_each() {
    let (sender, mut first) = watch::channel(1);
    let mut second = first.clone();
    assert_eq!(first.has_changed(), Ok(false));
    sender.send(2).unwrap();
    assert!(first.borrow().has_changed());
    Hand::new(first.changed()).done().unwrap();
    assert!(!first.borrow().has_changed());
    Hand::new(first.changed()).waits();
    assert_eq!(*second.borrow_and_update(), 2);
    assert_eq!(second.has_changed(), Ok(false));
    first.mark_changed();
    assert_eq!(first.has_changed(), Ok(true));
    first.mark_unchanged();
    assert_eq!(first.has_changed(), Ok(false));
}

#[test]
fn whoever_waits_is_woken_by_a_change_and_by_the_end() {
    let (sender, receiver) = watch::channel(1);
    let (mut one, mut other) = (receiver.clone(), receiver);
    {
        let mut waits = [Hand::new(one.changed()), Hand::new(other.changed())];
        for wait in &mut waits {
            wait.waits();
        }
        sender.send_modify(|value| *value += 1);
        for wait in &mut waits {
            assert_eq!(wait.wakes(), 1);
            wait.done().unwrap();
        }
    }
    let second = sender.clone();
    assert_eq!(sender.sender_count(), 2);
    drop(sender);
    let mut wait = Hand::new(one.changed());
    wait.waits();
    drop(second);
    assert_eq!(wait.wakes(), 1);
    assert!(wait.done().is_err());
    drop(wait);
    assert!(one.has_changed().is_err() && one.is_closed());
}

#[test]
fn the_last_value_is_seen_though_the_sender_is_gone() {
    let (sender, mut receiver) = watch::channel(1);
    sender.send(2).unwrap();
    drop(sender);
    Hand::new(receiver.changed()).done().unwrap();
    assert_eq!(*receiver.borrow(), 2);
    assert!(Hand::new(receiver.changed()).done().is_err());
}

#[test]
fn without_a_receiver_send_gives_the_value_back_and_replace_keeps_it() {
    let sender = watch::Sender::new(1);
    assert!(sender.is_closed());
    assert_eq!(sender.send(2).unwrap_err().0, 2);
    assert_eq!(*sender.borrow(), 1);
    assert_eq!(sender.send_replace(3), 1);
    let receiver = sender.subscribe();
    assert_eq!((*receiver.borrow(), receiver.has_changed()), (3, Ok(false)));
    assert_eq!(sender.receiver_count(), 1);
    let mut closed = Hand::new(sender.closed());
    closed.waits();
    drop(receiver);
    assert_eq!(closed.wakes(), 1);
    closed.done();
}

#[test]
fn a_change_that_is_none_or_panics_is_not_told() {
    let (sender, receiver) = watch::channel(1);
    assert!(!sender.send_if_modified(|_| false));
    assert_eq!(receiver.has_changed(), Ok(false));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        sender.send_modify(|value| {
            *value = 5;
            panic!("half way");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!((receiver.has_changed(), *receiver.borrow()), (Ok(false), 5));
}

#[test]
fn what_is_waited_for_is_found_at_once_later_or_never() {
    let (sender, mut receiver) = watch::channel(5);
    let found = Hand::new(receiver.wait_for(|value| *value == 5)).done();
    assert!(!found.unwrap().has_changed());
    {
        let mut wait = Hand::new(async { *receiver.wait_for(|value| *value > 7).await.unwrap() });
        wait.waits();
        sender.send(6).unwrap();
        wait.waits();
        sender.send(8).unwrap();
        assert_eq!(wait.done(), 8);
    }
    sender.send(9).unwrap();
    drop(sender);
    assert!(
        Hand::new(receiver.wait_for(|value| *value == 9))
            .done()
            .is_ok()
    );
    assert!(
        Hand::new(receiver.wait_for(|value| *value == 1))
            .done()
            .is_err()
    );
}

#[test]
fn no_final_value_is_missed_by_threads() {
    for _ in 0..200 {
        let (sender, receiver) = watch::channel(0);
        let watchers: Vec<_> = (0..3)
            .map(|_| {
                let mut receiver = receiver.clone();
                thread::spawn(move || {
                    block_on(async {
                        let mut last = 0;
                        while receiver.changed().await.is_ok() {
                            let now = *receiver.borrow_and_update();
                            assert!(now > last, "values come in order");
                            last = now;
                        }
                        last
                    })
                })
            })
            .collect();
        drop(receiver);
        for value in 1..=20 {
            sender.send_replace(value);
        }
        drop(sender);
        for watcher in watchers {
            assert_eq!(watcher.join().unwrap(), 20);
        }
    }
}
