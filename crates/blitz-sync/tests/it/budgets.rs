//! What one does in a channel who may do no more in this poll: it waits if there is nothing, and goes last if there is something.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use blitz_core::wake::is_in_turn;
use blitz_sync::{mpmc, mpsc};

use crate::harness::Hand;

/// Both kinds; the bounded one has room for `buffer`.
fn both_mpmc<T>(buffer: usize) -> [(mpmc::Sender<T>, mpmc::Receiver<T>); 2] {
    [mpmc::channel(buffer), mpmc::unbounded_channel()]
}

/// Polls in a task that has done as much as it may.
fn without_budget(poll: impl FnOnce()) {
    blitz_core::budget::with_budget(|| {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        while let std::task::Poll::Ready(coop) = blitz_core::budget::poll_proceed(&mut cx) {
            coop.made_progress();
        }
        poll();
    });
}

#[test]
fn an_mpsc_receiver_without_budget_goes_to_rest_if_there_is_nothing() {
    let (sender, mut receiver) = mpsc::channel(2);
    let mut recv = Hand::new(receiver.recv());
    without_budget(|| {
        recv.waits();
        assert_eq!(recv.wakes(), 0, "a value will wake it, and nothing before");
    });
    sender.try_send(1).unwrap();
    assert_eq!(recv.wakes(), 1);
    assert_eq!(recv.done(), Some(1));
    drop(recv);

    let mut values = Vec::new();
    let mut recv = Hand::new(receiver.recv_many(&mut values, 8));
    without_budget(|| {
        recv.waits();
        assert_eq!(recv.wakes(), 0);
    });
    drop(sender);
    assert_eq!(recv.wakes(), 1, "so does the end");
    assert_eq!(recv.done(), 0);
}

#[test]
fn an_mpsc_receiver_without_budget_goes_last_if_there_is_something() {
    let (sender, mut receiver) = mpsc::channel(2);
    sender.try_send(1).unwrap();
    let mut recv = Hand::new(receiver.recv());
    without_budget(|| {
        recv.waits();
        assert_eq!(recv.wakes(), 1, "there is a value");
    });
    assert_eq!(recv.done(), Some(1));
    drop(recv);

    let mut values: Vec<u8> = Vec::new();
    let mut recv = Hand::new(receiver.recv_many(&mut values, 0));
    without_budget(|| {
        recv.waits();
        assert_eq!(recv.wakes(), 1, "nothing is asked for, which is there");
    });
    assert_eq!(recv.done(), 0);
    drop(recv);

    drop(sender);
    let mut recv = Hand::new(receiver.recv());
    without_budget(|| {
        recv.waits();
        assert_eq!(recv.wakes(), 1, "there is the end");
    });
    assert_eq!(recv.done(), None);
}

#[test]
fn who_in_mpmc_has_no_budget_waits_in_line_and_is_not_polled_for_nothing() {
    for (sender, receiver) in both_mpmc(1) {
        let mut recv = Hand::new(receiver.recv());
        without_budget(|| {
            recv.waits();
            assert_eq!(recv.wakes(), 0, "a value will wake it, and nothing before");
        });
        sender.try_send(1).unwrap();
        assert_eq!(recv.wakes(), 1);
        assert_eq!(recv.done(), Some(1));
    }
    let (sender, receiver) = mpmc::channel(1);
    sender.try_send(1).unwrap();
    let mut send = Hand::new(sender.send(2));
    without_budget(|| {
        send.waits();
        assert_eq!(send.wakes(), 0, "room will wake it, and nothing before");
    });
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(send.wakes(), 1);
    assert_eq!(send.done(), Ok(()));
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn who_in_mpmc_has_no_budget_goes_last_if_there_is_something() {
    for (sender, receiver) in both_mpmc(2) {
        sender.try_send(1).unwrap();
        let mut recv = Hand::new(receiver.recv());
        let mut send = Hand::new(sender.send(2));
        without_budget(|| {
            recv.waits();
            assert_eq!(recv.wakes(), 1, "there is a value");
            send.waits();
            assert_eq!(send.wakes(), 1, "there is room");
        });
        assert_eq!(send.done(), Ok(()));
        assert_eq!(recv.done(), Some(1));
    }
}

/// One who came to the line without budget, was woken and goes, leaves the wake to the next.
#[test]
fn who_in_mpmc_had_no_budget_and_is_dropped_wakes_the_next() {
    for (sender, receiver) in both_mpmc(1) {
        let mut first = Hand::new(receiver.recv());
        without_budget(|| {
            first.waits();
        });
        let mut second = Hand::new(receiver.recv());
        second.waits();
        sender.try_send(1).unwrap();
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        drop(first);
        assert_eq!(second.wakes(), 1);
        assert_eq!(second.done(), Some(1));
    }
}

/// Who is woken for room goes behind those who have some; one whom they have beaten to it time and again goes before them.
#[test]
fn who_in_mpmc_was_beaten_too_often_is_in_a_hurry() {
    const WAKES: usize = 20;

    /// Notes of each wake whether it is in turn.
    #[derive(Default)]
    struct Notes(Mutex<Vec<bool>>);

    impl Wake for Notes {
        fn wake(self: Arc<Self>) {
            self.0.lock().unwrap().push(is_in_turn());
        }
    }

    let notes = Arc::new(Notes::default());
    let waker = Waker::from(Arc::clone(&notes));
    let (sender, receiver) = mpmc::channel(1);
    sender.try_send(0).unwrap();
    let mut waiting = pin!(sender.send(1));
    for _ in 0..WAKES {
        let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        assert_eq!(receiver.try_recv(), Ok(0));
        // Faster than who waits.
        sender.try_send(0).unwrap();
    }
    let notes = notes.0.lock().unwrap();
    assert_eq!(notes.len(), WAKES);
    let patient = notes.iter().take_while(|in_turn| **in_turn).count();
    assert!((1..WAKES / 2).contains(&patient), "{patient}");
    assert!(notes[patient..].iter().all(|in_turn| !in_turn));
}
