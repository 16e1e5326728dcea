//! Channels of many senders and many receivers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use blitz_sync::mpmc::error::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use blitz_sync::mpmc::{self, Receiver, Sender};
use futures::StreamExt;
use futures::executor::block_on;
use futures::future::{Either, select};

use crate::harness::Hand;

/// Both kinds; the bounded one has room for `buffer`.
fn both<T>(buffer: usize) -> [(Sender<T>, Receiver<T>); 2] {
    [mpmc::channel(buffer), mpmc::unbounded_channel()]
}

#[test]
fn values_come_in_order_and_go_to_one() {
    for (sender, receiver) in both(100) {
        let other = receiver.clone();
        for value in 0..100 {
            sender.try_send(value).unwrap();
        }
        for value in (0..100).step_by(2) {
            assert_eq!(receiver.try_recv(), Ok(value));
            assert_eq!(other.try_recv(), Ok(value + 1));
        }
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn a_ring_of_any_size_goes_round() {
    for buffer in [1, 2, 3, 4, 5, 7, 8, 31] {
        let (sender, receiver) = mpmc::channel(buffer);
        for start in 0..50 {
            for value in 0..buffer {
                assert_eq!(sender.len(), value);
                sender.try_send(start + value).unwrap();
            }
            assert!(sender.is_full());
            assert_eq!(sender.try_send(0), Err(TrySendError::Full(0)));
            // Half of it, so that the next round begins elsewhere.
            for value in 0..buffer.div_ceil(2) {
                assert_eq!(receiver.try_recv(), Ok(start + value));
            }
            assert_eq!(sender.capacity(), Some(buffer.div_ceil(2)));
            for value in buffer.div_ceil(2)..buffer {
                assert_eq!(receiver.try_recv(), Ok(start + value));
            }
            sender.try_send(7).unwrap();
            assert_eq!(receiver.try_recv(), Ok(7));
            assert!(receiver.is_empty());
        }
    }
}

#[test]
fn a_list_crosses_its_blocks() {
    let (sender, receiver) = mpmc::unbounded_channel();
    for count in [1, 30, 31, 32, 61, 62, 63, 1_000] {
        for value in 0..count {
            sender.try_send(value).unwrap();
            assert_eq!(receiver.len(), value + 1);
        }
        for value in 0..count {
            assert_eq!(receiver.len(), count - value);
            assert_eq!(receiver.try_recv(), Ok(value));
        }
        assert!(receiver.is_empty());
    }
}

#[test]
fn a_receiver_waits_for_a_value_and_a_sender_for_room() {
    let (sender, receiver) = mpmc::channel(1);
    let mut recv = Hand::new(receiver.recv());
    recv.waits();
    sender.try_send(1).unwrap();
    assert_eq!(recv.wakes(), 1);
    assert_eq!(recv.done(), Some(1));

    sender.try_send(2).unwrap();
    let mut send = Hand::new(sender.send(3));
    send.waits();
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!(send.wakes(), 1);
    send.done().unwrap();
    assert_eq!(receiver.try_recv(), Ok(3));
}

#[test]
fn who_waits_is_woken_in_order_and_once_for_each_value() {
    for (sender, receiver) in both(8) {
        let mut waits: Vec<_> = (0..3).map(|_| Hand::new(receiver.recv())).collect();
        for wait in &mut waits {
            wait.waits();
        }
        for value in 0..3 {
            sender.try_send(value).unwrap();
            let woken: Vec<_> = waits.iter().map(Hand::wakes).collect();
            let expected: Vec<_> = (0..3).map(|index| usize::from(index <= value)).collect();
            assert_eq!(woken, expected);
        }
        for (value, wait) in waits.iter_mut().enumerate() {
            assert_eq!(wait.done(), Some(value));
        }
    }
}

/// One that was woken, and found that another was faster, is the next again.
#[test]
fn who_came_too_late_is_the_next() {
    let (sender, receiver) = mpmc::channel(8);
    let (mut first, mut second) = (Hand::new(receiver.recv()), Hand::new(receiver.recv()));
    first.waits();
    second.waits();
    sender.try_send(1).unwrap();
    assert_eq!(receiver.try_recv(), Ok(1), "it was faster");
    first.waits();
    sender.try_send(2).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (2, 0));
    assert_eq!(first.done(), Some(2));
    second.waits();

    // And the same for room.
    drop(second);
    let (sender, receiver) = mpmc::channel(1);
    sender.try_send(0).unwrap();
    let (mut first, mut second) = (Hand::new(sender.send(1)), Hand::new(sender.send(2)));
    first.waits();
    second.waits();
    assert_eq!(receiver.try_recv(), Ok(0));
    sender.try_send(9).unwrap();
    first.waits();
    assert_eq!(receiver.try_recv(), Ok(9));
    assert_eq!((first.wakes(), second.wakes()), (2, 0));
    first.done().unwrap();
    second.waits();
    assert_eq!(receiver.try_recv(), Ok(1));
}

#[test]
fn many_are_received_at_once() {
    for (sender, receiver) in both(8) {
        for value in 0..5 {
            sender.try_send(value).unwrap();
        }
        let mut buffer = vec![9];
        assert_eq!(block_on(receiver.recv_many(&mut buffer, 0)), 0);
        assert_eq!(block_on(receiver.recv_many(&mut buffer, 3)), 3);
        assert_eq!(block_on(receiver.recv_many(&mut buffer, 100)), 2);
        assert_eq!(buffer, [9, 0, 1, 2, 3, 4]);
        drop(sender);
        assert_eq!(block_on(receiver.recv_many(&mut buffer, 3)), 0);
    }
}

#[test]
fn a_close_refuses_and_what_was_sent_is_received() {
    for (sender, receiver) in both(2) {
        sender.try_send(1).unwrap();
        assert!(!sender.is_closed());
        assert!(receiver.close());
        assert!(!sender.close(), "it was closed already");
        assert!(sender.is_closed() && receiver.is_closed());
        assert_eq!(sender.try_send(2), Err(TrySendError::Closed(2)));
        assert_eq!(block_on(sender.send(3)).unwrap_err().0, 3);
        assert_eq!(sender.force_send(4).unwrap_err().0, 4);
        assert_eq!(block_on(receiver.recv()), Some(1));
        assert_eq!(block_on(receiver.recv()), None);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    }
}

#[test]
fn a_close_wakes_all_who_wait() {
    for (sender, receiver) in both::<u8>(1) {
        let other = receiver.clone();
        let mut waits = [Hand::new(receiver.recv()), Hand::new(other.recv())];
        let mut closed = [Hand::new(sender.closed()), Hand::new(receiver.closed())];
        waits.iter_mut().for_each(|wait| _ = wait.waits());
        closed.iter_mut().for_each(|wait| _ = wait.waits());
        sender.close();
        for wait in &mut waits {
            assert_eq!(wait.wakes(), 1);
            assert_eq!(wait.done(), None);
        }
        closed.iter_mut().for_each(Hand::done);
        block_on(sender.closed());
    }
    let (sender, receiver) = mpmc::channel(1);
    sender.try_send(0).unwrap();
    let mut waits: Vec<_> = (1..4).map(|value| Hand::new(sender.send(value))).collect();
    waits.iter_mut().for_each(|wait| _ = wait.waits());
    drop(receiver);
    for (index, wait) in waits.iter_mut().enumerate() {
        assert_eq!(wait.done().unwrap_err().0, index + 1);
    }
}

#[test]
fn the_last_of_a_side_closes() {
    for (sender, receiver) in both(4) {
        let (sender2, receiver2) = (sender.clone(), receiver.clone());
        assert_eq!((sender.sender_count(), sender.receiver_count()), (2, 2));
        drop(sender);
        assert!(!receiver.is_closed());
        sender2.try_send(1).unwrap();
        drop(sender2);
        assert_eq!((receiver.sender_count(), receiver.receiver_count()), (0, 2));
        drop(receiver);
        assert_eq!(block_on(receiver2.recv()), Some(1));
        assert_eq!(block_on(receiver2.recv()), None);
    }
    for (sender, receiver) in both(4) {
        let other = receiver.clone();
        drop(receiver);
        sender.try_send(1).unwrap();
        drop(other);
        assert_eq!(sender.try_send(2), Err(TrySendError::Closed(2)));
        assert_eq!(sender.len(), 0);
    }
}

#[test]
fn weak_ends_keep_nothing_open() {
    for (sender, receiver) in both::<u8>(4) {
        let (weak_sender, weak_receiver) = (sender.downgrade(), receiver.downgrade());
        let (sender2, receiver2) = (
            weak_sender.upgrade().unwrap(),
            weak_receiver.clone().upgrade().unwrap(),
        );
        assert!(sender2.same_channel(&sender) && receiver2.same_channel(&receiver));
        assert!(sender.subscribe().unwrap().same_channel(&receiver));
        drop((sender, sender2));
        assert!(weak_sender.clone().upgrade().is_none());
        assert!(receiver.is_closed());
        drop((receiver, receiver2));
        assert!(weak_receiver.upgrade().is_none());
    }
}

#[test]
fn the_oldest_makes_room_by_force() {
    for buffer in [1, 2, 3, 4] {
        let (sender, receiver) = mpmc::channel(buffer);
        for value in 0..buffer * 5 {
            assert_eq!(
                sender.force_send(value),
                Ok(value.checked_sub(buffer)),
                "with room for {buffer}"
            );
        }
        let left: Vec<_> = receiver.try_iter().collect();
        assert_eq!(left, (buffer * 4..buffer * 5).collect::<Vec<_>>());
        let mut recv = Hand::new(receiver.recv());
        recv.waits();
        assert_eq!(sender.force_send(7), Ok(None));
        assert_eq!(recv.done(), Some(7));
    }
    let (sender, _receiver) = mpmc::unbounded_channel();
    assert_eq!(sender.force_send(1), Ok(None));
}

#[test]
fn figures() {
    let (sender, receiver) = mpmc::channel(3);
    sender.try_send(1).unwrap();
    assert_eq!((sender.len(), receiver.len()), (1, 1));
    assert_eq!(
        (sender.max_capacity(), receiver.capacity()),
        (Some(3), Some(2))
    );
    assert!(!sender.is_full() && !sender.is_empty());
    let shown = format!("{sender:?}");
    assert!(shown.contains("len: 1"), "{shown}");
    let (sender, receiver) = mpmc::unbounded_channel::<u8>();
    assert_eq!((sender.max_capacity(), receiver.capacity()), (None, None));
    assert!(!sender.is_full() && sender.is_empty());
}

#[test]
#[should_panic(expected = "requires buffer > 0")]
fn a_channel_without_room_is_refused() {
    let _ = mpmc::channel::<u8>(0);
}

#[test]
fn every_value_is_dropped_once() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    for (sender, receiver) in both(200) {
        let drops = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            assert!(sender.try_send(Counted(Arc::clone(&drops))).is_ok());
        }
        for _ in 0..40 {
            drop(receiver.try_recv());
        }
        assert_eq!(drops.load(SeqCst), 40);
        drop(receiver);
        assert_eq!(drops.load(SeqCst), 100, "the last receiver drops the rest");
        assert!(sender.try_send(Counted(Arc::clone(&drops))).is_err());
        assert_eq!(drops.load(SeqCst), 101);
    }
}

/// A value whose drop panics does not keep the others alive.
#[test]
fn a_drop_that_panics_takes_no_other_value_along() {
    struct Bomb(Arc<AtomicUsize>, bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
            if self.1 {
                std::panic::resume_unwind(Box::new("its own affair"));
            }
        }
    }
    for (sender, receiver) in both(8) {
        let drops = Arc::new(AtomicUsize::new(0));
        for index in 0..5 {
            assert!(
                sender
                    .try_send(Bomb(Arc::clone(&drops), index == 1))
                    .is_ok()
            );
        }
        assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err());
        assert_eq!(drops.load(SeqCst), 5);
    }
}

#[test]
fn threads_wait_too() {
    for (sender, receiver) in both(2) {
        let sending = thread::spawn(move || {
            for value in 0..1_000 {
                sender.blocking_send(value).unwrap();
            }
        });
        let mut received = vec![receiver.blocking_recv().unwrap()];
        while receiver.blocking_recv_many(&mut received, 7) != 0 {}
        assert_eq!(received, (0..1_000).collect::<Vec<_>>());
        assert_eq!(receiver.blocking_iter().next(), None);
        sending.join().unwrap();
    }
}

#[test]
fn a_thread_waits_so_long_and_no_longer() {
    let short = Duration::from_millis(1);
    let (sender, receiver) = mpmc::channel(1);
    assert_eq!(
        receiver.blocking_recv_timeout(short),
        Err(RecvTimeoutError::Timeout)
    );
    assert_eq!(sender.blocking_send_timeout(1, Duration::MAX), Ok(()));
    assert_eq!(
        sender.blocking_send_timeout(2, short),
        Err(SendTimeoutError::Timeout(2))
    );
    assert_eq!(receiver.blocking_recv_timeout(Duration::ZERO), Ok(1));
    sender.close();
    assert_eq!(
        sender.blocking_send_timeout(3, short),
        Err(SendTimeoutError::Closed(3))
    );
    assert_eq!(
        receiver.blocking_recv_timeout(Duration::MAX),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
fn a_stream_gives_the_values_to_come() {
    for (sender, receiver) in both(4) {
        let mut stream = Box::pin(receiver.clone().into_stream());
        assert!(stream.receiver().same_channel(&receiver));
        for round in 0..3 {
            let mut next = Hand::new(stream.next());
            next.waits();
            sender.try_send(round).unwrap();
            assert_eq!(next.wakes(), 1);
            assert_eq!(next.done(), Some(round));
        }
        // It waits behind one who came before, though it was woken earlier.
        let mut first = Hand::new(receiver.recv());
        first.waits();
        let mut next = Hand::new(stream.next());
        next.waits();
        sender.try_send(7).unwrap();
        assert_eq!((first.wakes(), next.wakes()), (1, 0));
        assert_eq!(first.done(), Some(7));
        drop(next);
        // In line, and dropped there: the wait of a stream is the stream's.
        sender.try_send(8).unwrap();
        let mut other = Hand::new(receiver.recv());
        assert_eq!(other.done(), Some(8));
        drop(stream);
        let mut next = Hand::new(receiver.recv());
        next.waits();
        sender.try_send(9).unwrap();
        assert_eq!(next.done(), Some(9));
        drop(sender);
        assert!(block_on(receiver.clone().into_stream().collect::<Vec<_>>()).is_empty());
    }
}

/// A wait that is dropped after each number of polls, woken or not, takes no value and no room with it.
#[test]
fn a_dropped_wait_takes_nothing_with_it() {
    for polls in 0..3 {
        for event_at in 0..3 {
            let (sender, receiver) = mpmc::channel(1);
            let mut recv = Hand::new(receiver.recv());
            let mut behind = Hand::new(receiver.recv());
            let mut got = None;
            for poll in 0..3 {
                if poll == event_at {
                    sender.try_send(5).unwrap();
                }
                if poll < polls && got.is_none() {
                    match recv.poll() {
                        std::task::Poll::Ready(value) => got = value,
                        // It stands behind.
                        std::task::Poll::Pending => _ = behind.waits(),
                    }
                }
            }
            drop(recv);
            match got {
                Some(value) => assert_eq!(value, 5),
                None => assert_eq!(behind.done(), Some(5)),
            }

            let (sender, receiver) = mpmc::channel(1);
            sender.try_send(0).unwrap();
            let mut send = Hand::new(sender.send(1));
            let mut behind = Hand::new(sender.send(2));
            let mut is_sent = false;
            for poll in 0..3 {
                if poll == event_at {
                    assert_eq!(receiver.try_recv(), Ok(0));
                }
                if poll < polls && !is_sent {
                    is_sent = send.poll().is_ready();
                    if !is_sent {
                        behind.waits();
                    }
                }
            }
            drop(send);
            if is_sent {
                assert_eq!(receiver.try_recv(), Ok(1));
            }
            behind.done().unwrap();
            assert_eq!(receiver.try_recv(), Ok(2));
        }
    }
}

/// A wait for many values, dropped before it has any, has taken none.
#[test]
fn a_dropped_wait_for_many_takes_nothing_with_it() {
    for (sender, receiver) in both(4) {
        for polls in 0..3 {
            let mut buffer = Vec::new();
            let mut recv = Hand::new(receiver.recv_many(&mut buffer, 10));
            for _ in 0..polls {
                recv.waits();
            }
            sender.try_send(1).unwrap();
            sender.try_send(2).unwrap();
            drop(recv);
            assert!(buffer.is_empty());
            assert_eq!(block_on(receiver.recv_many(&mut buffer, 10)), 2);
            assert_eq!(buffer, [1, 2]);
        }
    }
}

/// The same for one that was woken, with another asleep behind it.
#[test]
fn a_dropped_wait_passes_its_wake_on() {
    let (sender, receiver) = mpmc::channel(1);
    let (mut first, mut second) = (Hand::new(receiver.recv()), Hand::new(receiver.recv()));
    first.waits();
    second.waits();
    sender.try_send(1).unwrap();
    drop(first);
    assert_eq!(second.wakes(), 1);
    assert_eq!(second.done(), Some(1));

    sender.try_send(2).unwrap();
    let (mut first, mut second) = (Hand::new(sender.send(3)), Hand::new(sender.send(4)));
    first.waits();
    second.waits();
    assert_eq!(receiver.try_recv(), Ok(2));
    drop(first);
    assert_eq!(second.wakes(), 1);
    second.done().unwrap();
    assert_eq!(receiver.try_recv(), Ok(4));
}

/// Every value is received once, and each sender's in order, by receivers of which some give up at random.
fn stress(sender: Sender<(usize, usize)>, receiver: Receiver<(usize, usize)>) {
    const SIDE: usize = 4;
    const VALUES: usize = 5_000;
    let received = thread::scope(|scope| {
        for id in 0..SIDE {
            let sender = sender.clone();
            scope.spawn(move || {
                for value in 0..VALUES {
                    if value % 5 == 0 {
                        // May be sent, or not; what comes after waits for its turn.
                        let mut given_up = Hand::new(sender.send((id, value)));
                        if given_up.poll().is_ready() {
                            continue;
                        }
                    }
                    block_on(sender.send((id, value))).unwrap();
                }
            });
        }
        drop(sender);
        let receiving: Vec<_> = (0..SIDE)
            .map(|id| {
                let receiver = receiver.clone();
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    loop {
                        let (one, other) = (receiver.recv(), receiver.recv());
                        let next = match id % 2 {
                            0 => block_on(one),
                            _ => block_on(async {
                                let (one, other) = (std::pin::pin!(one), std::pin::pin!(other));
                                match select(one, other).await {
                                    Either::Left((value, _)) | Either::Right((value, _)) => value,
                                }
                            }),
                        };
                        match next {
                            Some(value) => mine.push(value),
                            None => return mine,
                        }
                    }
                })
            })
            .collect();
        let joined = receiving.into_iter().map(|thread| thread.join().unwrap());
        joined.collect::<Vec<_>>()
    });
    for mine in &received {
        for id in 0..SIDE {
            let of_one: Vec<_> = mine.iter().filter(|value| value.0 == id).collect();
            assert!(of_one.is_sorted(), "values of one sender passed each other");
        }
    }
    let mut all: Vec<_> = received.into_iter().flatten().collect();
    all.sort_unstable();
    let expected = (0..SIDE).flat_map(|id| (0..VALUES).map(move |value| (id, value)));
    assert!(all.iter().copied().eq(expected));
}

#[test]
fn many_threads_lose_nothing_in_a_ring() {
    for buffer in [1, 3, 64] {
        let (sender, receiver) = mpmc::channel(buffer);
        stress(sender, receiver);
    }
}

#[test]
fn many_threads_lose_nothing_in_a_list() {
    let (sender, receiver) = mpmc::unbounded_channel();
    stress(sender, receiver);
}

/// What is sent while the last receiver goes comes back, or is dropped with it.
#[test]
fn nothing_is_left_behind_by_a_receiver_that_goes() {
    for _ in 0..200 {
        for (sender, receiver) in both(2) {
            let value = Arc::new(());
            thread::scope(|scope| {
                for _ in 0..2 {
                    let (sender, value) = (&sender, Arc::clone(&value));
                    scope.spawn(
                        move || {
                            while block_on(sender.send(Arc::clone(&value))).is_ok() {}
                        },
                    );
                }
                scope.spawn(move || {
                    let _ = receiver.blocking_recv();
                    drop(receiver);
                });
            });
            assert_eq!(Arc::strong_count(&value), 1);
        }
    }
}

/// Values that are displaced while they are received go to one of the two.
#[test]
fn force_and_receivers_share_no_value() {
    const VALUES: usize = 20_000;
    for buffer in [1, 2, 3] {
        let (sender, receiver) = mpmc::channel(buffer);
        let mut all = thread::scope(|scope| {
            let displacing = scope.spawn(move || {
                let displaced = (0..VALUES).filter_map(|value| sender.force_send(value).unwrap());
                displaced.collect::<Vec<_>>()
            });
            let received: Vec<_> = receiver.blocking_iter().collect();
            assert!(received.is_sorted());
            [received, displacing.join().unwrap()].concat()
        });
        all.sort_unstable();
        assert!(all.into_iter().eq(0..VALUES));
    }
}
