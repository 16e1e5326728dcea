//! Channels with many senders and one receiver.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use blitz_sync::mpsc::error::{SendError, TryRecvError, TrySendError};
use blitz_sync::mpsc::{self, channel, unbounded_channel};
use futures::executor::block_on;

use crate::harness::Hand;

#[test]
fn values_come_in_order_over_many_blocks() {
    let (sender, mut receiver) = unbounded_channel();
    let mut sent = 0;
    let mut expected = 0;
    for burst in [1, 31, 32, 33, 100, 1, 1000] {
        for _ in 0..burst {
            sender.send(sent).unwrap();
            sent += 1;
        }
        assert_eq!(receiver.len(), burst);
        for _ in 0..burst {
            assert_eq!(receiver.try_recv(), Ok(expected));
            expected += 1;
        }
        assert!(receiver.is_empty());
    }
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn a_receiver_is_woken_by_a_value_and_by_the_end() {
    let (sender, mut receiver) = unbounded_channel();
    {
        let mut recv = Hand::new(receiver.recv());
        recv.waits();
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert_eq!(recv.wakes(), 1, "one sender wakes, the other does not");
        assert_eq!(recv.done(), Some(1));
    }
    let other = sender.clone();
    drop(sender);
    assert_eq!(Hand::new(receiver.recv()).done(), Some(2));
    let mut recv = Hand::new(receiver.recv());
    recv.waits();
    drop(other);
    assert_eq!(recv.wakes(), 1);
    assert_eq!(recv.done(), None);
}

#[test]
fn a_receiver_that_goes_leaves_no_waker_behind() {
    struct Nobody;
    impl std::task::Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let nobody = Arc::new(Nobody);
    let waker = std::task::Waker::from(Arc::clone(&nobody));
    let mut cx = std::task::Context::from_waker(&waker);
    let (_sender, mut receiver) = channel::<()>(1);
    assert!(receiver.poll_recv(&mut cx).is_pending());
    assert_eq!(Arc::strong_count(&nobody), 3);
    drop(receiver);
    assert_eq!(Arc::strong_count(&nobody), 2);
    let (_sender, mut receiver) = unbounded_channel::<()>();
    assert!(receiver.poll_recv(&mut cx).is_pending());
    drop(receiver);
    assert_eq!(Arc::strong_count(&nobody), 2);
}

#[test]
fn senders_wait_in_line_for_room() {
    let (sender, mut receiver) = channel(1);
    sender.try_send(0).unwrap();
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    let mut sends: VecDeque<_> = (1..=3).map(|value| Hand::new(sender.send(value))).collect();
    for send in &mut sends {
        send.waits();
    }
    for value in 0..=3 {
        assert_eq!(receiver.try_recv(), Ok(value));
        if let Some(mut first) = sends.pop_front() {
            assert_eq!(first.wakes(), 1);
            for later in &mut sends {
                later.waits();
            }
            assert_eq!(sender.capacity(), 0, "the room is the first one's");
            first.done().unwrap();
        }
    }
    assert_eq!((sender.capacity(), sender.max_capacity()), (1, 1));
}

#[test]
fn a_closed_receiver_takes_what_was_sent_or_reserved_and_no_more() {
    let (sender, mut receiver) = channel(3);
    sender.try_send(1).unwrap();
    let room = sender.try_reserve().unwrap();
    let mut waiting = Hand::new(sender.reserve_many(2));
    waiting.waits();
    receiver.close();
    assert!(receiver.is_closed() && sender.is_closed());
    assert_eq!(waiting.done().unwrap_err(), SendError(()));
    assert_eq!(sender.try_send(5), Err(TrySendError::Closed(5)));
    assert_eq!(block_on(sender.send(6)), Err(SendError(6)));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "room is out");
    {
        let mut recv = Hand::new(receiver.recv());
        recv.waits();
        room.send(2);
        assert_eq!(recv.wakes(), 1);
        assert_eq!(recv.done(), Some(2));
    }
    assert_eq!(Hand::new(receiver.recv()).done(), None);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn room_that_comes_back_unused_ends_a_closed_channel() {
    for what in 0..4 {
        let (sender, mut receiver) = channel::<u8>(2);
        let held = sender.try_reserve_many(2).unwrap();
        receiver.close();
        let mut recv = Hand::new(receiver.recv());
        recv.waits();
        match what {
            0 => drop(held),
            1 => held.for_each(drop),
            2 => {
                let mut held = held;
                let one = held.next();
                drop(held);
                recv.waits();
                drop(one);
            }
            _ => {
                let permits: Vec<_> = held.collect();
                drop(permits);
            }
        }
        assert!(recv.wakes() > 0);
        assert_eq!(recv.done(), None);
    }
    // A wait that was promised room, and goes without having seen it.
    let (sender, mut receiver) = channel::<u8>(1);
    let held = sender.try_reserve().unwrap();
    let mut waiting = Hand::new(sender.reserve());
    waiting.waits();
    drop(held);
    receiver.close();
    let mut recv = Hand::new(receiver.recv());
    recv.waits();
    drop(waiting);
    assert_eq!(recv.wakes(), 1);
    assert_eq!(recv.done(), None);
}

#[test]
fn owned_room_stands_in_for_its_sender() {
    let (sender, mut receiver) = channel(1);
    let room = block_on(sender.clone().reserve_owned()).unwrap();
    assert!(room.same_channel_as_sender(&sender));
    let Err(TrySendError::Full(refused)) = sender.clone().try_reserve_owned() else {
        panic!("there is no room");
    };
    drop(refused);
    let back = room.send(1);
    assert!(back.same_channel(&sender));
    assert_eq!(receiver.try_recv(), Ok(1));
    let room = back.try_reserve_owned().unwrap();
    assert_eq!(sender.capacity(), 0);
    drop(room.release());
    assert_eq!(sender.capacity(), 1);
    let room = sender.try_reserve_owned().unwrap();
    assert_eq!(receiver.sender_strong_count(), 1);
    drop(room);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn more_room_than_there_ever_is_is_an_error() {
    let (sender, _receiver) = channel::<u8>(2);
    assert!(block_on(sender.reserve_many(3)).is_err());
    assert!(matches!(
        sender.try_reserve_many(3),
        Err(TrySendError::Full(()))
    ));
    let mut room = block_on(sender.reserve_many(2)).unwrap();
    assert_eq!(room.len(), 2);
    room.next().unwrap().send(1);
    drop(room);
    assert_eq!(sender.capacity(), 1);
    assert!(catch_unwind(|| channel::<u8>(0)).is_err());
    assert!(catch_unwind(|| channel::<u8>(usize::MAX)).is_err());
}

#[test]
fn many_are_received_at_once() {
    let (sender, mut receiver) = channel(10);
    for value in 0..5 {
        sender.try_send(value).unwrap();
    }
    let mut buffer = vec![100];
    assert_eq!(block_on(receiver.recv_many(&mut buffer, 3)), 3);
    assert_eq!(buffer, [100, 0, 1, 2]);
    assert_eq!(sender.capacity(), 8);
    assert_eq!(block_on(receiver.recv_many(&mut buffer, 0)), 0);
    assert_eq!(receiver.blocking_recv_many(&mut buffer, 9), 2);
    {
        let mut more = Hand::new(receiver.recv_many(&mut buffer, 9));
        more.waits();
        sender.try_send(5).unwrap();
        assert_eq!(more.done(), 1);
    }
    drop(sender);
    assert_eq!(block_on(receiver.recv_many(&mut buffer, 9)), 0);
    assert_eq!(buffer, [100, 0, 1, 2, 3, 4, 5]);
}

#[test]
fn senders_are_told_of_the_receivers_end() {
    let (sender, receiver) = channel::<u8>(1);
    let (unbounded, unbounded_receiver) = unbounded_channel::<u8>();
    let mut closed = Hand::new(sender.closed());
    let mut unbounded_closed = Hand::new(unbounded.closed());
    closed.waits();
    unbounded_closed.waits();
    drop((receiver, unbounded_receiver));
    assert_eq!((closed.wakes(), unbounded_closed.wakes()), (1, 1));
    closed.done();
    unbounded_closed.done();
    assert_eq!(unbounded.send(3), Err(SendError(3)));
}

#[test]
fn weak_handles_keep_nothing_open() {
    let (sender, mut receiver) = channel(1);
    let weak = sender.downgrade();
    let again = weak.upgrade().unwrap();
    assert_eq!((weak.strong_count(), weak.clone().weak_count()), (2, 2));
    assert_eq!(receiver.sender_weak_count(), 1);
    again.try_send(1).unwrap();
    drop((sender, again));
    assert!(weak.upgrade().is_none());
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn values_that_nobody_receives_are_dropped_with_the_receiver() {
    let value = Arc::new(());
    let (sender, receiver) = unbounded_channel();
    for _ in 0..100 {
        sender.send(Arc::clone(&value)).unwrap();
    }
    drop(receiver);
    assert_eq!(Arc::strong_count(&value), 1, "though a sender lives");

    /// Panics when it is dropped.
    struct Bad(#[allow(dead_code, reason = "its drop is what counts")] Arc<()>);
    impl Drop for Bad {
        fn drop(&mut self) {
            if Arc::strong_count(&self.0) == 4 {
                panic!("in a drop");
            }
        }
    }
    let (sender, receiver) = unbounded_channel();
    for _ in 0..5 {
        assert!(sender.send(Bad(Arc::clone(&value))).is_ok());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err());
    assert_eq!(
        Arc::strong_count(&value),
        1,
        "the others are dropped all the same"
    );
}

#[test]
fn a_dropped_send_or_receive_loses_nothing() {
    for polls in 0..3 {
        let (sender, mut receiver) = channel(1);
        sender.try_send(1).unwrap();
        let mut send = Hand::new(sender.send(2));
        for _ in 0..polls {
            send.waits();
        }
        let mut behind = Hand::new(sender.send(3));
        behind.waits();
        assert_eq!(receiver.try_recv(), Ok(1));
        drop(send);
        behind.done().unwrap();
        {
            let mut recv = Hand::new(receiver.recv());
            if polls == 0 {
                drop(recv);
            } else {
                assert_eq!(recv.done(), Some(3));
                continue;
            }
        }
        assert_eq!(receiver.try_recv(), Ok(3));
    }
}

/// Each sender's values come in its order, none is lost, on both kinds, with receivers that sleep and that try.
#[test]
fn threads_send_side_by_side() {
    const SENDERS: usize = 4;
    const EACH: usize = 5_000;
    fn check(mut next: impl FnMut() -> Option<(usize, usize)>) {
        let mut seen = [0; SENDERS];
        while let Some((sender, value)) = next() {
            assert_eq!(value, seen[sender]);
            seen[sender] += 1;
        }
        assert_eq!(seen, [EACH; SENDERS]);
    }
    let (sender, mut receiver) = channel(7);
    thread::scope(|scope| {
        for index in 0..SENDERS {
            let sender = sender.clone();
            scope.spawn(move || {
                for value in 0..EACH {
                    if value % 2 == 0 {
                        sender.blocking_send((index, value)).unwrap();
                    } else {
                        block_on(sender.reserve()).unwrap().send((index, value));
                    }
                }
            });
        }
        drop(sender);
        check(|| receiver.blocking_recv());
    });
    let (sender, mut receiver) = mpsc::unbounded_channel();
    thread::scope(|scope| {
        for index in 0..SENDERS {
            let sender = sender.clone();
            scope.spawn(move || {
                for value in 0..EACH {
                    sender.send((index, value)).unwrap();
                }
            });
        }
        drop(sender);
        check(|| {
            loop {
                match receiver.try_recv() {
                    Ok(value) => return Some(value),
                    Err(TryRecvError::Disconnected) => return None,
                    Err(TryRecvError::Empty) => thread::yield_now(),
                }
            }
        });
    });
}

/// Without a runtime a send with a limit takes room that is there, and says what it lacks if it has to wait.
#[test]
#[should_panic(expected = "there is no reactor running: `mpsc::Sender::send_timeout`")]
fn a_send_with_a_limit_waits_on_a_runtime_only() {
    let (sender, receiver) = mpsc::channel(1);
    let limit = std::time::Duration::MAX;
    block_on(sender.send_timeout(1, limit)).unwrap();
    drop(receiver);
    assert!(block_on(sender.send_timeout(2, limit)).is_err());
    let (sender, _receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    let _ = block_on(sender.send_timeout(2, limit));
}
