//! The channel whose every value goes to every receiver.

use std::sync::Arc;
use std::thread;

use blitz_sync::broadcast::error::{RecvError, SendError, TryRecvError};
use blitz_sync::broadcast::{self, channel};
use futures::executor::block_on;

use crate::harness::Hand;

#[test]
fn everyone_gets_everything_from_its_beginning_on() {
    let (sender, mut first) = channel(4);
    assert_eq!(sender.send(1), Ok(1));
    let mut second = sender.subscribe();
    assert_eq!(sender.send(2), Ok(2));
    assert_eq!((first.len(), second.len(), sender.len()), (2, 1, 2));
    assert_eq!(first.try_recv(), Ok(1));
    assert_eq!(sender.len(), 1);
    assert_eq!(first.try_recv(), Ok(2));
    assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(second.try_recv(), Ok(2));
    assert!(sender.is_empty() && first.is_empty());
    let mut third = first.resubscribe();
    drop(sender);
    assert!(third.is_closed());
    assert_eq!(third.try_recv(), Err(TryRecvError::Closed));
}

/// Whoever is told that no receiver is left finds the values gone, too.
#[test]
fn no_value_is_left_when_the_last_receiver_is_seen_to_go() {
    struct Asks(
        broadcast::Sender<u8>,
        std::sync::Mutex<Option<(usize, usize)>>,
    );
    impl std::task::Wake for Asks {
        fn wake(self: Arc<Self>) {
            *self.1.lock().unwrap() = Some((self.0.receiver_count(), self.0.len()));
        }
    }
    let (sender, receiver) = channel(2);
    assert_eq!(sender.send(1), Ok(1));
    let asks = Arc::new(Asks(sender.clone(), Default::default()));
    let waker = std::task::Waker::from(Arc::clone(&asks));
    let mut closed = std::pin::pin!(sender.closed());
    let mut context = std::task::Context::from_waker(&waker);
    assert!(closed.as_mut().poll(&mut context).is_pending());
    drop(receiver);
    assert_eq!(*asks.1.lock().unwrap(), Some((0, 0)));
    assert!(closed.poll(&mut context).is_ready());
}

#[test]
fn all_who_wait_are_woken_by_a_value_and_by_the_end() {
    let (sender, receiver) = channel(2);
    let mut receivers: Vec<_> = (0..40).map(|_| receiver.resubscribe()).collect();
    drop(receiver);
    let mut waits: Vec<_> = receivers
        .iter_mut()
        .map(|receiver| Hand::new(receiver.recv()))
        .collect();
    for wait in &mut waits {
        wait.waits();
    }
    assert_eq!(sender.send(7), Ok(40));
    for wait in &mut waits {
        assert_eq!(wait.wakes(), 1);
        assert_eq!(wait.done(), Ok(7));
    }
    drop(waits);
    let mut wait = Hand::new(receivers[0].recv());
    wait.waits();
    drop(sender);
    assert_eq!(wait.wakes(), 1);
    assert_eq!(wait.done(), Err(RecvError::Closed));
}

#[test]
fn one_who_is_too_slow_is_told_how_many_it_missed() {
    let (sender, mut receiver) = channel(3);
    for value in 0..10 {
        sender.send(value).unwrap();
    }
    assert_eq!(
        receiver.try_recv(),
        Err(TryRecvError::Lagged(6)),
        "four are kept"
    );
    for value in 6..10 {
        assert_eq!(receiver.try_recv(), Ok(value));
    }
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_value_goes_when_the_last_has_had_it_or_is_gone() {
    let value = Arc::new(());
    let (sender, mut first) = channel(4);
    let second = sender.subscribe();
    sender.send(Arc::clone(&value)).unwrap();
    sender.send(Arc::clone(&value)).unwrap();
    drop(first.try_recv().unwrap());
    assert_eq!(Arc::strong_count(&value), 3);
    drop(second);
    assert_eq!(Arc::strong_count(&value), 2, "the first value has gone");
    let last = first.try_recv().unwrap();
    assert_eq!(
        Arc::strong_count(&value),
        2,
        "the last gets it without a copy"
    );
    drop(last);
    sender.send(Arc::clone(&value)).unwrap();
    drop(first);
    assert_eq!(Arc::strong_count(&value), 1);
    assert_eq!(
        sender.send(value).unwrap_err().to_string(),
        "channel closed"
    );
}

#[test]
fn senders_see_their_receivers_come_and_go() {
    let sender = broadcast::Sender::new(1);
    assert_eq!(sender.send(1), Err(SendError(1)));
    let receiver = sender.subscribe();
    let mut closed = Hand::new(sender.closed());
    closed.waits();
    assert_eq!(sender.receiver_count(), 1);
    drop(receiver);
    assert_eq!(closed.wakes(), 1);
    closed.done();
    let weak = sender.downgrade();
    assert!(weak.upgrade().unwrap().same_channel(&sender));
    assert_eq!((weak.strong_count(), sender.weak_count()), (1, 1));
    drop(closed);
    drop(sender);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_clone_may_use_the_channel() {
    /// Sends when it is cloned: under a lock that would be the end.
    struct Chatty(broadcast::Sender<Chatty>, bool);
    impl Clone for Chatty {
        fn clone(&self) -> Self {
            if self.1 {
                let _ = self.0.send(Self(self.0.clone(), false));
            }
            Self(self.0.clone(), false)
        }
    }
    let (sender, mut first) = channel(1);
    let mut second = sender.subscribe();
    assert!(sender.send(Chatty(sender.clone(), true)).is_ok());
    assert!(first.try_recv().is_ok());
    assert!(matches!(second.try_recv(), Err(TryRecvError::Lagged(1))));
    assert!(second.try_recv().is_ok());
}

/// A value whose clone calls a function first.
struct Hooked {
    number: u32,
    hook: Arc<dyn Fn(u32) + Send + Sync>,
}

impl Hooked {
    fn new(number: u32, hook: &Arc<dyn Fn(u32) + Send + Sync>) -> Self {
        Self {
            number,
            hook: Arc::clone(hook),
        }
    }
}

impl Clone for Hooked {
    fn clone(&self) -> Self {
        (self.hook)(self.number);
        Self::new(self.number, &self.hook)
    }
}

/// Values that come while the one in their place is being cloned lie beside the ring: everyone gets them, and they go as others do.
#[test]
fn what_comes_while_its_place_is_being_cloned_reaches_all() {
    let (sender, mut first) = channel::<Hooked>(2);
    let mut others = [sender.subscribe(), sender.subscribe()];
    let hooked = sender.clone();
    let quiet: Arc<dyn Fn(u32) + Send + Sync> = Arc::new(|_| ());
    let later = Arc::clone(&quiet);
    // Three rounds of the ring, two of them over the value that is being cloned.
    let hook: Arc<dyn Fn(u32) + Send + Sync> = Arc::new(move |_| {
        for number in 1..=6 {
            let sent = hooked.send(Hooked::new(number, &later));
            assert_eq!(sent.ok(), Some(3));
        }
        assert_eq!(hooked.len(), 2);
    });
    sender.send(Hooked::new(0, &hook)).ok().unwrap();
    assert_eq!(first.try_recv().ok().unwrap().number, 0);
    drop(hook);
    for receiver in others.iter_mut().chain([&mut first]) {
        let missed = match receiver.try_recv() {
            Err(TryRecvError::Lagged(missed)) => missed,
            _ => panic!("five or four were displaced"),
        };
        assert!(missed == 5 || missed == 4);
        for number in 5..=6 {
            assert_eq!(receiver.try_recv().ok().unwrap().number, number);
        }
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    }
    assert!(sender.is_empty());
    assert_eq!(Arc::strong_count(&quiet), 1, "all have gone");
    // The place is used again.
    sender.send(Hooked::new(7, &quiet)).ok().unwrap();
    assert_eq!(first.try_recv().ok().unwrap().number, 7);
    assert_eq!(sender.len(), 1);
    drop(others);
    assert!(sender.is_empty());
    assert_eq!(Arc::strong_count(&quiet), 1);
}

#[test]
fn a_clone_that_panics_loses_nothing_but_itself() {
    let (sender, mut first) = channel::<Hooked>(2);
    let mut others = [sender.subscribe(), sender.subscribe()];
    let panics = std::sync::atomic::AtomicBool::new(true);
    let hook: Arc<dyn Fn(u32) + Send + Sync> = Arc::new(move |number| {
        if panics.swap(false, std::sync::atomic::Ordering::Relaxed) {
            panic!("no clone of {number}");
        }
    });
    for number in 0..2 {
        sender.send(Hooked::new(number, &hook)).ok().unwrap();
    }
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| first.try_recv()));
    assert!(caught.is_err());
    assert_eq!(first.try_recv().ok().unwrap().number, 1, "it had its share");
    for receiver in &mut others {
        for number in 0..2 {
            assert_eq!(receiver.try_recv().ok().unwrap().number, number);
        }
    }
    assert!(sender.is_empty());
    assert_eq!(Arc::strong_count(&hook), 1);
}

/// While one receiver clones, others of the same value wait; senders, receivers of other values and those who go do not.
#[test]
fn only_who_wants_the_same_value_waits_for_a_clone() {
    let (begun, begins) = std::sync::mpsc::channel();
    let (end, ends) = std::sync::mpsc::channel::<()>();
    let ends = std::sync::Mutex::new(ends);
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let hook: Arc<dyn Fn(u32) + Send + Sync> = Arc::new(move |_| {
        if is_first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            begun.send(()).unwrap();
            ends.lock().unwrap().recv().unwrap();
        }
    });
    let quiet: Arc<dyn Fn(u32) + Send + Sync> = Arc::new(|_| ());
    let (sender, mut slow) = channel::<Hooked>(2);
    let (mut same, mut late) = (sender.subscribe(), sender.subscribe());
    let gone = sender.subscribe();
    sender.send(Hooked::new(0, &hook)).ok().unwrap();
    thread::scope(|scope| {
        let slow = scope.spawn(move || slow.try_recv().ok().unwrap().number);
        begins.recv().unwrap();
        let same = scope.spawn(move || same.try_recv().ok().unwrap().number);
        // Asleep by now, most likely; the result is the same if not.
        thread::yield_now();
        drop(gone);
        assert_eq!(sender.send(Hooked::new(1, &quiet)).ok(), Some(3));
        assert!(!same.is_finished());
        end.send(()).unwrap();
        assert_eq!((slow.join().unwrap(), same.join().unwrap()), (0, 0));
    });
    for number in 0..2 {
        assert_eq!(late.try_recv().ok().unwrap().number, number);
    }
    assert_eq!(Arc::strong_count(&hook), 1);
}

/// The values of a receiver that goes while one of them is cloned go with the clone, if nobody else wants them.
#[test]
fn a_value_that_only_its_cloner_wants_goes_after_the_clone() {
    let (sender, mut first) = channel::<Hooked>(2);
    let second = std::sync::Mutex::new(Some(sender.subscribe()));
    let hook: Arc<dyn Fn(u32) + Send + Sync> =
        Arc::new(move |_| drop(second.lock().unwrap().take()));
    sender.send(Hooked::new(0, &hook)).ok().unwrap();
    let clone = first.try_recv().ok().unwrap();
    assert_eq!(sender.receiver_count(), 1);
    assert_eq!(Arc::strong_count(&hook), 2, "ours and the clone's");
    drop(clone);
}

/// What is left is dropped with the channel, wherever it lies.
#[test]
fn what_nobody_received_goes_with_the_channel() {
    let value = Arc::new(());
    let (sender, receiver) = channel(4);
    for _ in 0..6 {
        sender.send(Arc::clone(&value)).unwrap();
    }
    assert_eq!(Arc::strong_count(&value), 5);
    drop(sender);
    drop(receiver);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn nonsense_capacities_panic() {
    assert!(std::panic::catch_unwind(|| channel::<u8>(0)).is_err());
    assert!(std::panic::catch_unwind(|| channel::<u8>(usize::MAX)).is_err());
}

/// Whatever is received and missed adds up, for each of many receivers of many senders.
#[test]
fn threads_miss_nothing_in_silence() {
    const SENDERS: u64 = 3;
    const EACH: u64 = if cfg!(miri) { 50 } else { 5_000 };
    let (sender, receiver) = channel(64);
    thread::scope(|scope| {
        for _ in 0..3 {
            let mut receiver = receiver.resubscribe();
            scope.spawn(move || {
                let (mut received, mut missed) = (0, 0);
                loop {
                    match block_on(receiver.recv()) {
                        Ok(_) => received += 1,
                        Err(RecvError::Lagged(count)) => missed += count,
                        Err(RecvError::Closed) => break,
                    }
                }
                assert_eq!(received + missed, SENDERS * EACH);
            });
        }
        drop(receiver);
        for _ in 0..SENDERS {
            let sender = sender.clone();
            scope.spawn(move || {
                for value in 0..EACH {
                    sender.send(value).unwrap();
                }
            });
        }
        drop(sender);
    });
}
