//! The channel for one value.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use blitz_sync::oneshot::{self, TryRecvError};

use crate::harness::Hand;

#[test]
fn a_value_sent_before_or_after_the_look_is_received() {
    let (sender, receiver) = oneshot::channel();
    assert_eq!(sender.send(1), Ok(()));
    assert_eq!(Hand::new(receiver).done(), Ok(1));

    let (sender, receiver) = oneshot::channel();
    let mut receiver = Hand::new(receiver);
    receiver.waits();
    assert_eq!(sender.send(2), Ok(()));
    assert_eq!(receiver.wakes(), 1);
    assert_eq!(receiver.done(), Ok(2));
}

#[test]
fn each_side_is_told_of_the_others_end() {
    let (sender, receiver) = oneshot::channel::<u8>();
    let mut receiver = Hand::new(receiver);
    receiver.waits();
    drop(sender);
    assert_eq!(receiver.wakes(), 1);
    assert_eq!(receiver.done().unwrap_err().to_string(), "channel closed");

    let (mut sender, receiver) = oneshot::channel();
    {
        let mut closed = Hand::new(sender.closed());
        closed.waits().waits();
        drop(receiver);
        assert_eq!(closed.wakes(), 1);
        closed.done();
    }
    assert!(sender.is_closed());
    assert_eq!(sender.send("back"), Err("back"));
}

#[test]
fn what_was_sent_before_the_closing_is_received() {
    let (sender, mut receiver) = oneshot::channel();
    assert!(receiver.is_empty());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.send(5).unwrap();
    assert!(!receiver.is_empty());
    receiver.close();
    assert_eq!(receiver.try_recv(), Ok(5));
    assert!(receiver.is_terminated());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));

    let (sender, mut receiver) = oneshot::channel();
    receiver.close();
    assert!(sender.is_closed());
    assert_eq!(sender.send(6), Err(6));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_value_that_nobody_receives_goes_with_the_receiver() {
    let value = Arc::new(());
    let (sender, receiver) = oneshot::channel();
    sender.send(Arc::clone(&value)).unwrap();
    assert_eq!(Arc::strong_count(&value), 2);
    drop(receiver);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn polled_after_its_end_it_says_so() {
    let (sender, mut receiver) = oneshot::channel();
    sender.send(1).unwrap();
    assert_eq!(Hand::new(&mut receiver).done(), Ok(1));
    let again = catch_unwind(AssertUnwindSafe(|| Hand::new(&mut receiver).poll()));
    assert!(again.is_err());
}

#[test]
fn threads_send_and_wait() {
    for _ in 0..500 {
        let (sender, receiver) = oneshot::channel();
        let sending = thread::spawn(move || sender.send(Cell::new(3)).unwrap());
        assert_eq!(receiver.blocking_recv().unwrap().get(), 3);
        sending.join().unwrap();
    }
}
