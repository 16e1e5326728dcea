//! A channel for one value, explored. Each test is named by what can never happen.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::{TryRecvError, channel};

/// Whenever the value is sent, the receiver gets it.
#[test]
fn no_value_is_lost() {
    loom::model(|| {
        let (sender, receiver) = channel();
        let sending = thread::spawn(move || sender.send(7).unwrap());
        assert_eq!(block_on(receiver), Ok(7));
        sending.join().unwrap();
    });
}

/// A receiver whose task changes is woken by the waker that it left last.
#[test]
fn no_stale_waker_is_woken() {
    loom::model(|| {
        let (sender, mut receiver) = channel();
        let sending = thread::spawn(move || sender.send(7).unwrap());
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut receiver).poll(&mut cx) {
            std::task::Poll::Ready(value) => assert_eq!(value, Ok(7)),
            std::task::Poll::Pending => {
                let value = block_on(poll_fn(|cx| Pin::new(&mut receiver).poll(cx)));
                assert_eq!(value, Ok(7));
            }
        }
        sending.join().unwrap();
    });
}

/// Sent against closed: the value comes back, or it is received; never both, never neither.
#[test]
fn no_value_is_both_refused_and_received() {
    loom::model(|| {
        let (sender, mut receiver) = channel();
        let sending = thread::spawn(move || sender.send(7).is_ok());
        receiver.close();
        let received = loop {
            match receiver.try_recv() {
                Ok(value) => break value == 7,
                Err(TryRecvError::Closed) => break false,
                Err(TryRecvError::Empty) => thread::yield_now(),
            }
        };
        assert_eq!(sending.join().unwrap(), received);
    });
}

/// Sent against dropped: the value is dropped once, whoever does it.
#[test]
fn no_value_outlives_the_channel() {
    loom::model(|| {
        let value = Arc::new(());
        let (sender, receiver) = channel();
        let sending = {
            let value = Arc::clone(&value);
            thread::spawn(move || drop(sender.send(value)))
        };
        drop(receiver);
        sending.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

/// A sender that waits for the receiver's end is told of it.
#[test]
fn no_sender_waits_for_a_receiver_that_is_gone() {
    loom::model(|| {
        let (mut sender, receiver) = channel::<u8>();
        let closing = thread::spawn(move || drop(receiver));
        let mut cx = Context::from_waker(Waker::noop());
        if sender.poll_closed(&mut cx).is_pending() {
            block_on(sender.closed());
        }
        closing.join().unwrap();
    });
}

/// A receiver is told of a sender that goes without a value.
#[test]
fn no_receiver_waits_for_a_sender_that_is_gone() {
    loom::model(|| {
        let (sender, receiver) = channel::<u8>();
        let going = thread::spawn(move || drop(sender));
        assert!(block_on(receiver).is_err());
        going.join().unwrap();
    });
}

/// Whichever side goes last frees the memory, with what the other has left in it: its waker, and a value that nobody takes.
#[test]
fn no_memory_is_freed_under_the_other_side() {
    loom::model(|| {
        let value = Arc::new(());
        let (sender, mut receiver) = channel();
        let sending = {
            let value = Arc::clone(&value);
            thread::spawn(move || drop(sender.send(value)))
        };
        let mut cx = Context::from_waker(Waker::noop());
        drop(Pin::new(&mut receiver).poll(&mut cx));
        drop(receiver);
        sending.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}
