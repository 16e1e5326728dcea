//! Channels of many on both sides, explored: blocks hold three here. Each test is named by what can never happen.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::error::TrySendError;
use super::{Receiver, Sender, channel, unbounded_channel};
use crate::tired::tired;

fn bounded_model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(check);
}

/// A list whose next value is the last of its block.
fn at_the_end_of_a_block() -> (Sender<usize>, Receiver<usize>) {
    let (sender, receiver) = unbounded_channel();
    for _ in 0..2 {
        sender.try_send(0).unwrap();
        receiver.try_recv().unwrap();
    }
    (sender, receiver)
}

/// A receiver that sleeps is woken by a value, and by the end.
fn no_sleep_beside_a_value(make: fn() -> (Sender<usize>, Receiver<usize>)) {
    bounded_model(move || {
        let (sender, receiver) = make();
        let sending = thread::spawn(move || {
            block_on(sender.send(1)).unwrap();
            block_on(sender.send(2)).unwrap();
        });
        assert_eq!(block_on(receiver.recv()), Some(1));
        assert_eq!(block_on(receiver.recv()), Some(2));
        assert_eq!(block_on(receiver.recv()), None);
        sending.join().unwrap();
    });
}

#[test]
fn no_one_sleeps_beside_a_value_or_room_in_a_ring_of_one() {
    no_sleep_beside_a_value(|| channel(1));
}

#[test]
fn no_one_sleeps_beside_a_value_in_a_ring() {
    no_sleep_beside_a_value(|| channel(2));
}

#[test]
fn no_one_sleeps_beside_a_value_in_a_list() {
    no_sleep_beside_a_value(at_the_end_of_a_block);
}

/// Nor does one that came to the line because it might take or send nothing at present.
#[test]
fn no_one_without_budget_sleeps_beside_a_value_or_room() {
    bounded_model(|| {
        let (sender, receiver) = channel(1);
        sender.try_send(1).unwrap();
        let sending = thread::spawn(move || block_on(tired(sender.send(2))).unwrap());
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!(block_on(tired(receiver.recv())), Some(2));
        assert_eq!(block_on(tired(receiver.recv())), None);
        sending.join().unwrap();
    });
}

/// Two senders that claim at once lose nothing.
fn no_sender_loses_a_value(make: fn() -> (Sender<usize>, Receiver<usize>)) {
    bounded_model(move || {
        let (sender, receiver) = make();
        let other = sender.clone();
        let sending = thread::spawn(move || block_on(other.send(1)).unwrap());
        block_on(sender.send(10)).unwrap();
        drop(sender);
        let mut sum = 0;
        while let Some(value) = block_on(receiver.recv()) {
            sum += value;
        }
        assert_eq!(sum, 11);
        sending.join().unwrap();
    });
}

#[test]
fn no_sender_loses_a_value_in_a_ring() {
    no_sender_loses_a_value(|| channel(2));
}

#[test]
fn no_sender_loses_a_value_in_a_list() {
    no_sender_loses_a_value(at_the_end_of_a_block);
}

/// Two receivers get each value once, and both are told the end.
fn no_value_is_received_twice(make: fn() -> (Sender<usize>, Receiver<usize>)) {
    bounded_model(move || {
        let (sender, receiver) = make();
        let other = receiver.clone();
        let receiving = thread::spawn(move || {
            let mut sum = 0;
            while let Some(value) = block_on(other.recv()) {
                sum += value;
            }
            sum
        });
        block_on(sender.send(1)).unwrap();
        block_on(sender.send(10)).unwrap();
        drop(sender);
        let mut sum = 0;
        while let Some(value) = block_on(receiver.recv()) {
            sum += value;
        }
        assert_eq!(sum + receiving.join().unwrap(), 11);
    });
}

#[test]
fn no_value_is_received_twice_from_a_ring() {
    no_value_is_received_twice(|| channel(2));
}

#[test]
fn no_value_is_received_twice_from_a_list() {
    no_value_is_received_twice(at_the_end_of_a_block);
}

/// A block that one receiver has emptied is used again under nobody's hands.
#[test]
fn no_block_is_used_again_too_early() {
    bounded_model(|| {
        let (sender, receiver) = unbounded_channel();
        for value in 0..3 {
            sender.try_send(value).unwrap();
        }
        let other = receiver.clone();
        let receiving = thread::spawn(move || {
            let mut got = Vec::new();
            got.extend(other.try_recv());
            got.extend(other.try_recv());
            got
        });
        let mut got = Vec::new();
        got.extend(receiver.try_recv());
        // The last of these goes to the first block again, if that was emptied.
        for value in 3..7 {
            sender.try_send(value).unwrap();
        }
        got.extend(receiving.join().unwrap());
        got.extend(receiver.try_iter());
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2, 3, 4, 5, 6]);
    });
}

/// Sent against closed: a value is received or comes back; never both, never neither.
fn no_value_is_both_refused_and_received(make: fn() -> (Sender<usize>, Receiver<usize>)) {
    bounded_model(move || {
        let (sender, receiver) = make();
        let sending = thread::spawn(move || usize::from(sender.try_send(1).is_ok()));
        receiver.close();
        let mut received = 0;
        while block_on(receiver.recv()).is_some() {
            received += 1;
        }
        assert_eq!(sending.join().unwrap(), received);
    });
}

#[test]
fn no_value_of_a_ring_is_both_refused_and_received() {
    no_value_is_both_refused_and_received(|| channel(1));
}

#[test]
fn no_value_of_a_list_is_both_refused_and_received() {
    no_value_is_both_refused_and_received(at_the_end_of_a_block);
}

/// Whatever is in the channel when both sides go is dropped, once.
#[test]
fn no_value_outlives_the_channel() {
    for is_bounded in [true, false] {
        bounded_model(move || {
            let value = Arc::new(());
            let (sender, receiver) = if is_bounded {
                channel(1)
            } else {
                unbounded_channel()
            };
            let sending = {
                let value = Arc::clone(&value);
                thread::spawn(move || drop(sender.try_send(value)))
            };
            drop(receiver);
            sending.join().unwrap();
            assert_eq!(Arc::strong_count(&value), 1);
        });
    }
}

/// One who was woken for a value and goes without it wakes the next.
#[test]
fn no_wake_goes_with_a_dropped_wait() {
    bounded_model(|| {
        let (sender, receiver) = channel(1);
        let other = receiver.clone();
        let giving_up = thread::spawn(move || {
            let wait = pin!(other.recv());
            match wait.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(value) => value,
                Poll::Pending => None,
            }
        });
        let sending = thread::spawn(move || sender.try_send(1).is_ok());
        let mine = block_on(receiver.recv());
        sending.join().unwrap();
        assert_eq!(mine.or(giving_up.join().unwrap()), Some(1));
    });
}

/// A value that is displaced goes to its sender or to a receiver, never to both.
#[test]
fn no_value_is_displaced_and_received() {
    bounded_model(|| {
        let (sender, receiver) = channel(1);
        sender.try_send(1).unwrap();
        let displacing = thread::spawn(move || sender.force_send(10).unwrap());
        let mut sum = receiver.try_recv().unwrap_or(0);
        sum += displacing.join().unwrap().unwrap_or(0);
        sum += receiver.try_recv().unwrap_or(0);
        assert_eq!(sum, 11);
    });
}

/// While one value takes another's place the ring looks empty for a moment: who comes to wait then is woken.
#[test]
fn no_receiver_sleeps_beside_a_value_that_displaces() {
    bounded_model(|| {
        let (sender, receiver) = channel(1);
        sender.try_send(1).unwrap();
        let displacing = sender.clone();
        let displacing = thread::spawn(move || drop(displacing.force_send(10).unwrap()));
        // The channel stays open: no end wakes.
        assert!(block_on(receiver.recv()).is_some());
        displacing.join().unwrap();
        drop(sender);
    });
}

/// Nor is it taken for the end, if the channel is closed at that moment.
#[test]
fn no_value_that_displaces_comes_after_the_end() {
    bounded_model(|| {
        let (sender, receiver) = channel(1);
        sender.try_send(1).unwrap();
        let displacing = sender.clone();
        let displacing = thread::spawn(move || displacing.force_send(10));
        receiver.close();
        let mut sum = 0;
        while let Ok(value) = receiver.try_recv() {
            sum += value;
        }
        match displacing.join().unwrap() {
            Ok(displaced) => assert_eq!(sum + displaced.unwrap_or(0), 11),
            Err(_) => assert_eq!(sum, 1),
        }
        drop(sender);
    });
}

/// A block that is used again is seen as it was cleared, also by a receiver that does not look at the tail, since another has found
/// that it is further on, and that was led here by a third, which has not looked either.
#[test]
fn no_value_of_a_block_s_former_life_is_received() {
    let mut model = loom::model::Builder::new();
    // One after the other is enough for that; with more, five threads are too many.
    model.preemption_bound = Some(0);
    model.check(|| {
        let (sender, receiver) = unbounded_channel();
        // The first block is empty and kept. Of the second, one value is there, and the next is its last.
        for value in [9, 9, 9, 9, 0] {
            sender.try_send(value).unwrap();
            if value != 0 {
                receiver.try_recv().unwrap();
            }
        }
        let sending = thread::spawn(move || {
            for value in 1..6 {
                sender.try_send(value).unwrap();
            }
        });
        let receiving = [1, 2, 1].map(|count| {
            let receiver = receiver.clone();
            thread::spawn(move || receiver.try_iter().take(count).collect::<Vec<_>>())
        });
        sending.join().unwrap();
        let mut got = Vec::new();
        for receiving in receiving {
            got.extend(receiving.join().unwrap());
        }
        got.extend(receiver.try_iter());
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2, 3, 4, 5]);
    });
}

/// Who sees that a sender has gone finds what it sent.
fn no_sender_is_gone_before_its_values(make: fn() -> (Sender<usize>, Receiver<usize>)) {
    bounded_model(move || {
        let (sender, receiver) = make();
        let sending = thread::spawn(move || sender.try_send(1).unwrap());
        if receiver.sender_count() == 0 {
            assert_eq!(receiver.try_recv(), Ok(1));
        }
        sending.join().unwrap();
    });
}

#[test]
fn no_sender_is_gone_before_its_values_in_a_ring() {
    no_sender_is_gone_before_its_values(|| channel(1));
}

#[test]
fn no_sender_is_gone_before_its_values_in_a_list() {
    no_sender_is_gone_before_its_values(unbounded_channel);
}

/// A block is used again only when everyone who had a slot of it is done with that.
#[test]
fn no_block_is_used_again_under_a_receiver() {
    bounded_model(|| {
        let (sender, receiver) = unbounded_channel();
        for value in 0..3 {
            sender.try_send(value).unwrap();
        }
        let other = receiver.clone();
        let receiving = thread::spawn(move || drop(other.try_recv()));
        for _ in 0..2 {
            let _ = receiver.try_recv();
        }
        for value in 3..8 {
            sender.try_send(value).unwrap();
        }
        receiving.join().unwrap();
    });
}

/// The same where the last to be done has not had the slot that is used again first: it has to have seen who had.
#[test]
fn no_block_is_used_again_under_another_receiver() {
    let mut model = loom::model::Builder::new();
    // One receiver after the other while the sender stands still.
    model.preemption_bound = Some(1);
    model.check(|| {
        let (sender, receiver) = unbounded_channel();
        for value in 0..3 {
            sender.try_send(value).unwrap();
        }
        let receiving = [(); 2].map(|()| {
            let other = receiver.clone();
            thread::spawn(move || drop(other.try_recv()))
        });
        let _ = receiver.try_recv();
        for value in 3..8 {
            sender.try_send(value).unwrap();
        }
        for receiving in receiving {
            receiving.join().unwrap();
        }
    });
}

/// Two receivers that are done with a block of three one after the other, and a sender that comes to it again when it has seen the end
/// of the one that is `joined` alone: what the other has done it has to see by the block.
fn no_block_comes_to_a_sender_that_has_seen_one_receiver(takes: [usize; 2], joined: usize) {
    bounded_model(move || {
        let (sender, receiver) = unbounded_channel();
        for value in 0..3 {
            sender.try_send(value).unwrap();
        }
        let mut receiving = takes.map(|count| {
            let other = receiver.clone();
            Some(thread::spawn(move || other.try_iter().take(count).count()))
        });
        let mut got = receiving[joined].take().unwrap().join().unwrap();
        for value in 3..9 {
            sender.try_send(value).unwrap();
        }
        for receiving in receiving.into_iter().flatten() {
            got += receiving.join().unwrap();
        }
        got += receiver.try_iter().count();
        assert_eq!(got, 9);
    });
}

/// The last to be done has seen that the first was.
#[test]
fn no_block_comes_to_a_sender_that_has_seen_the_last_receiver() {
    no_block_comes_to_a_sender_that_has_seen_one_receiver([1, 2], 1);
}

/// The block itself says that the last is done.
#[test]
fn no_block_comes_to_a_sender_that_has_seen_the_first_receiver() {
    no_block_comes_to_a_sender_that_has_seen_one_receiver([1, 2], 0);
}

/// A block that was kept goes when another is: by one who sees what its last receiver did.
#[test]
fn no_block_is_freed_under_its_last_receiver() {
    bounded_model(|| {
        let (sender, receiver) = unbounded_channel();
        for value in 0..6 {
            sender.try_send(value).unwrap();
        }
        let receiving = [(); 2].map(|()| {
            let other = receiver.clone();
            thread::spawn(move || other.try_iter().take(3).count())
        });
        let got: usize = receiving.map(|one| one.join().unwrap()).iter().sum();
        assert_eq!(got, 6);
    });
}

/// Who displaces the oldest value sees it as it was written, also if it has become the oldest only since the ring was found full.
#[test]
fn no_value_is_displaced_before_it_was_written() {
    bounded_model(|| {
        let (sender, receiver) = channel(2);
        sender.try_send(1).unwrap();
        let send = |value| {
            let sender = sender.clone();
            move || match sender.try_send(value) {
                Ok(()) => 0,
                Err(TrySendError::Full(value) | TrySendError::Closed(value)) => value,
            }
        };
        let sending = thread::spawn(send(2));
        let moving = {
            let (receiver, send) = (receiver.clone(), send(4));
            thread::spawn(move || receiver.try_recv().unwrap_or(0) + send())
        };
        let mut sum = sender.force_send(8).unwrap().unwrap_or(0);
        sum += sending.join().unwrap() + moving.join().unwrap();
        while let Ok(value) = receiver.try_recv() {
            sum += value;
        }
        assert_eq!(sum, 15);
    });
}
