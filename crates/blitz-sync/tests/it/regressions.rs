//! What went wrong elsewhere, a test for each; the numbers are issues of tokio-rs/tokio.

use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;

use blitz_sync::broadcast;
use blitz_sync::mpsc::{self, error::TryRecvError, error::TrySendError};
use blitz_sync::{Semaphore, TryAcquireError, mpmc};
use futures::executor::block_on;

use crate::harness::Hand;

/// Notes its number when it is woken.
struct Noted {
    number: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap().push(self.number);
    }
}

/// (#6521) More than one batch of wakers holds.
#[test]
fn those_who_are_served_together_are_woken_in_their_order() {
    const ALL: usize = 100;
    let woken = Arc::new(Mutex::new(Vec::new()));
    let semaphore = Semaphore::new(0);
    let mut waits: Vec<_> = (0..ALL).map(|_| Box::pin(semaphore.acquire())).collect();
    for (number, wait) in waits.iter_mut().enumerate() {
        let woken = Arc::clone(&woken);
        let waker = Waker::from(Arc::new(Noted { number, woken }));
        let polled = wait.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    semaphore.add_permits(ALL);
    assert_eq!(*woken.lock().unwrap(), Vec::from_iter(0..ALL));
}

/// (#8021) The permits that are forgotten are of the same word as the end.
#[test]
fn a_closed_semaphore_stays_closed_whatever_is_forgotten_or_added() {
    let semaphore = Arc::new(Semaphore::new(3));
    let held = semaphore.try_acquire().unwrap();
    semaphore.close();
    let is_closed = || {
        let refused = semaphore.try_acquire().unwrap_err();
        let waits = Hand::new(semaphore.acquire()).done().is_err();
        semaphore.is_closed() && refused == TryAcquireError::Closed && waits
    };
    assert_eq!(semaphore.forget_permits(1), 1);
    assert!(is_closed());
    held.forget();
    assert!(is_closed());
    assert_eq!(semaphore.forget_permits(usize::MAX), 1);
    assert!(is_closed());
    semaphore.add_permits(2);
    assert!(is_closed());
    assert_eq!(semaphore.available_permits(), 2);
}

/// (#7686, #8074) Who holds room may send yet: the end is not told before it has come back.
#[test]
fn a_channel_is_not_at_its_end_while_room_is_held() {
    let (sender, mut receiver) = mpsc::channel(2);
    let (first, second) = (sender.try_reserve().unwrap(), sender.try_reserve().unwrap());
    receiver.close();
    assert!(matches!(sender.try_send(0), Err(TrySendError::Closed(0))));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    first.send(1);
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(second);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    // The same with room that is its sender, and no other sender is.
    let (sender, mut receiver) = mpsc::channel::<u8>(1);
    let room = sender.try_reserve_owned().unwrap();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    receiver.close();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(room.release());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

/// (#8075, #8260) Room that was held, owned or waited for comes back after the end: the receiver hears of it.
#[test]
fn a_receiver_hears_of_room_that_comes_back_after_the_end() {
    // Owned.
    for is_released in [true, false] {
        let (sender, mut receiver) = mpsc::channel::<u8>(1);
        let room = sender.clone().try_reserve_owned().unwrap();
        receiver.close();
        let mut recv = Hand::new(receiver.recv());
        recv.waits();
        if is_released {
            drop(room.release());
        } else {
            drop(room);
        }
        assert!(recv.wakes() > 0);
        assert_eq!(recv.done(), None);
    }
    // What one who waits for more has gathered already.
    let (sender, mut receiver) = mpsc::channel::<u8>(2);
    let held = sender.try_reserve().unwrap();
    let mut waits = Hand::new(sender.reserve_many(2));
    waits.waits();
    receiver.close();
    let mut recv = Hand::new(receiver.recv());
    recv.waits();
    drop(held);
    drop(waits);
    assert!(recv.wakes() > 0);
    assert_eq!(recv.done(), None);
}

/// (#6603) At the borders of the blocks as well.
#[test]
fn a_channel_is_empty_if_and_only_if_nothing_can_be_received() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (bounded, mut from_bounded) = mpsc::channel(200);
    for len in 0..130 {
        for value in 0..len {
            assert_eq!((receiver.is_empty(), receiver.len()), (value == 0, value));
            assert_eq!(from_bounded.is_empty(), value == 0);
            sender.send(value).unwrap();
            bounded.try_send(value).unwrap();
        }
        for value in 0..len {
            assert_eq!((receiver.is_empty(), receiver.len()), (false, len - value));
            assert!(!from_bounded.is_empty());
            assert_eq!(receiver.try_recv(), Ok(value));
            assert_eq!(from_bounded.try_recv(), Ok(value));
        }
        assert!(receiver.is_empty() && from_bounded.is_empty());
    }
}

/// (#8062) It was computed from two figures, of which one went ahead.
#[test]
fn a_length_is_never_below_nothing() {
    const ALL: usize = 20_000;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (bounded, mut from_bounded) = mpsc::channel(8);
    thread::scope(|scope| {
        scope.spawn(move || {
            for value in 0..ALL {
                sender.send(value).unwrap();
                bounded.blocking_send(value).unwrap();
            }
        });
        for value in 0..ALL {
            assert!(receiver.len() <= ALL && from_bounded.len() <= 8);
            assert_eq!(receiver.blocking_recv(), Some(value));
            assert_eq!(from_bounded.blocking_recv(), Some(value));
            assert!(receiver.len() <= ALL && from_bounded.len() <= 8);
        }
    });
    assert_eq!((receiver.len(), from_bounded.len()), (0, 0));
}

/// (#7991) It asked for room for as many.
#[test]
fn no_limit_is_too_much_for_one_call() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (bounded, mut from_bounded) = mpsc::channel(70);
    let (many, from_many) = mpmc::unbounded_channel();
    for value in 0..70 {
        sender.send(value).unwrap();
        bounded.try_send(value).unwrap();
        many.try_send(value).unwrap();
    }
    let all = Vec::from_iter(0..70);
    let mut seen = Vec::new();
    assert_eq!(block_on(receiver.recv_many(&mut seen, usize::MAX)), 70);
    assert_eq!(seen, all);
    seen.clear();
    assert_eq!(from_bounded.blocking_recv_many(&mut seen, usize::MAX), 70);
    assert_eq!(seen, all);
    seen.clear();
    assert_eq!(block_on(from_many.recv_many(&mut seen, usize::MAX)), 70);
    assert_eq!(seen, all);
}

/// (#4814) The last receiver closes it, and the next one opens it again.
#[test]
fn a_broadcast_that_nobody_heard_is_heard_again() {
    let (sender, receiver) = broadcast::channel(2);
    for round in 0..5 {
        let mut closed = Hand::new(sender.closed());
        if round == 0 {
            closed.waits();
            drop(receiver.resubscribe());
            closed.waits();
        }
        let mut again = sender.subscribe();
        let mut recv = Hand::new(again.recv());
        recv.waits();
        assert_eq!(sender.send(round).unwrap(), sender.receiver_count());
        assert_eq!(recv.wakes(), 1);
        assert_eq!(recv.done(), Ok(round));
    }
    drop(receiver);
    assert!(sender.send(9).is_err());
    Hand::new(sender.closed()).done();
    let mut again = sender.subscribe();
    let mut recv = Hand::new(again.recv());
    recv.waits();
    Hand::new(sender.closed()).waits();
    assert_eq!(sender.send(10), Ok(1));
    assert_eq!(recv.done(), Ok(10));
}
