//! Channels of many values, explored: blocks hold two here. Each test is named by what can never happen.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use super::error::TryRecvError;
use super::{Sender, channel, unbounded_channel};
use crate::tired::tired;

fn bounded_model(check: impl Fn() + Send + Sync + 'static) {
    model(2, check);
}

/// For what is missed only where threads overtake each other more than twice.
fn deep_model(check: impl Fn() + Send + Sync + 'static) {
    model(4, check);
}

fn model(preemptions: usize, check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(check);
}

/// A receiver that sleeps is woken by a value, and each sender's values come in order.
#[test]
fn no_value_is_lost_or_passes_another() {
    bounded_model(|| {
        let (sender, mut receiver) = unbounded_channel();
        let sending = thread::spawn(move || {
            for value in 0..3 {
                sender.send(value).unwrap();
            }
        });
        for value in 0..3 {
            assert_eq!(block_on(receiver.recv()), Some(value));
        }
        sending.join().unwrap();
        assert_eq!(block_on(receiver.recv()), None);
    });
}

/// One that may take nothing at present goes to rest only where a value, or the end, wakes it.
#[test]
fn no_receiver_without_budget_rests_beside_a_value() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(1);
        let sending = thread::spawn(move || sender.try_send(1).unwrap());
        assert_eq!(block_on(tired(receiver.recv())), Some(1));
        assert_eq!(block_on(receiver.recv()), None);
        sending.join().unwrap();
    });
}

/// One that may send nothing at present stands in line, if it does, only where room wakes it.
#[test]
fn no_sender_without_budget_waits_beside_free_room() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(1);
        sender.try_send(1).unwrap();
        let sending = thread::spawn(move || block_on(tired(sender.send(2))).unwrap());
        assert_eq!(block_on(receiver.recv()), Some(1));
        assert_eq!(block_on(receiver.recv()), Some(2));
        sending.join().unwrap();
    });
}

/// A place in the line that is given up takes no room along, whoever has made it a permit.
#[test]
fn no_room_goes_with_a_sender_that_gave_up() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(1);
        sender.try_send(1).unwrap();
        let other = sender.clone();
        let giving_up = thread::spawn(move || {
            let wait = pin!(other.send(2));
            wait.poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        });
        assert_eq!(receiver.try_recv(), Ok(1));
        if giving_up.join().unwrap() {
            assert_eq!(receiver.try_recv(), Ok(2));
        }
        assert_eq!(receiver.capacity(), 1);
        assert_eq!(sender.try_send(3), Ok(()));
    });
}

/// Two senders that meet at a block's end lose nothing, and the receiver frees no block under them.
#[test]
fn no_two_senders_lose_a_block() {
    bounded_model(|| {
        let (sender, mut receiver) = unbounded_channel();
        let other = sender.clone();
        let sending = thread::spawn(move || {
            other.send(1).unwrap();
            other.send(2).unwrap();
        });
        sender.send(10).unwrap();
        drop(sender);
        let mut sum = 0;
        while let Some(value) = block_on(receiver.recv()) {
            sum += value;
        }
        assert_eq!(sum, 13);
        sending.join().unwrap();
    });
}

/// Blocks that the receiver has emptied are used again while senders search.
#[test]
fn no_block_is_used_again_too_early() {
    bounded_model(|| {
        let (sender, mut receiver) = unbounded_channel();
        for value in 0..3 {
            sender.send(value).unwrap();
        }
        let other = sender.clone();
        let sending = thread::spawn(move || {
            other.send(3).unwrap();
            other.send(4).unwrap();
        });
        drop(sender);
        for value in 0..5 {
            assert_eq!(block_on(receiver.recv()), Some(value));
        }
        sending.join().unwrap();
    });
}

/// Sent against closed: a value is received or comes back; never both, never neither.
#[test]
fn no_value_is_both_refused_and_received() {
    bounded_model(|| {
        let (sender, mut receiver) = unbounded_channel();
        let sending = thread::spawn(move || usize::from(sender.send(()).is_ok()));
        receiver.close();
        let mut received = 0;
        while block_on(receiver.recv()).is_some() {
            received += 1;
        }
        assert_eq!(sending.join().unwrap(), received);
    });
}

/// Room that one sender waits for comes when a value is received.
#[test]
fn no_sender_waits_beside_free_room() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(1);
        let sending = thread::spawn(move || {
            block_on(sender.send(1)).unwrap();
            block_on(sender.send(2)).unwrap();
        });
        assert_eq!(block_on(receiver.recv()), Some(1));
        assert_eq!(block_on(receiver.recv()), Some(2));
        sending.join().unwrap();
    });
}

/// Nor does one that wants permits, while another brings the room to the tail's word, where it needs none.
#[test]
fn no_permit_waits_beside_room_in_the_word() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(2);
        for value in 0..2 {
            sender.try_send(value).unwrap();
            assert_eq!(receiver.try_recv(), Ok(value));
        }
        let other = sender.clone();
        let reserving = thread::spawn(move || drop(block_on(other.reserve_many(2)).unwrap()));
        // Leaves half of it in the word.
        if sender.try_send(2).is_ok() {
            assert_eq!(receiver.try_recv(), Ok(2));
        }
        reserving.join().unwrap();
    });
}

/// Sent into room against closed: what a sender was told that it has sent is received, whatever place its room came from.
#[test]
fn no_value_is_sent_past_the_end() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(2);
        // One place in the word, one permit.
        drop(sender.try_reserve());
        sender.try_send(0).unwrap();
        assert_eq!(receiver.try_recv(), Ok(0));
        let sending = thread::spawn(move || {
            let sent =
                usize::from(sender.try_send(1).is_ok()) + usize::from(sender.try_send(2).is_ok());
            // The sender stays: only the room may end the wait.
            (sender, sent)
        });
        receiver.close();
        let mut received = 0;
        while block_on(receiver.recv()).is_some() {
            received += 1;
        }
        let (_sender, sent) = sending.join().unwrap();
        assert_eq!(sent, received);
    });
}

/// A receiver of a closed channel does not sleep for ever on room that is given back, by a permit or by a wait.
#[test]
fn no_receiver_waits_for_room_that_came_back() {
    bounded_model(|| {
        let (sender, mut receiver) = channel::<u8>(1);
        let sending = thread::spawn(move || {
            let first = sender.try_reserve();
            let mut second = Box::pin(sender.reserve());
            let mut cx = Context::from_waker(Waker::noop());
            let second_ready = std::future::Future::poll(second.as_mut(), &mut cx);
            drop(first);
            drop(second_ready);
            drop(second);
            // The sender stays: only the room may end the wait.
            sender
        });
        receiver.close();
        assert_eq!(block_on(receiver.recv()), None);
        drop(sending.join().unwrap());
    });
}

/// A closed channel ends though its room lies in two places, and is on its way from one to the other.
#[test]
fn no_end_is_missed_while_room_is_fetched() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(2);
        sender.try_send(1).unwrap();
        let sending = thread::spawn(move || {
            let first = sender.try_reserve();
            // Finds no permit, and fetches what the receiver has made.
            drop(sender.try_reserve());
            drop(first);
            // The sender stays: only the room may end the wait.
            sender
        });
        assert_eq!(block_on(receiver.recv()), Some(1));
        receiver.close();
        assert_eq!(block_on(receiver.recv()), None);
        drop(sending.join().unwrap());
    });
}

/// Nor while it comes back from both sides after the close: one of them sees all of it.
#[test]
fn no_end_is_missed_while_room_comes_back() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(2);
        sender.try_send(1).unwrap();
        let permit = sender.clone().try_reserve_owned().unwrap();
        receiver.close();
        let giving = thread::spawn(move || drop(permit));
        assert_eq!(block_on(receiver.recv()), Some(1));
        assert_eq!(block_on(receiver.recv()), None);
        giving.join().unwrap();
        // The sender stays: only the room may end the wait.
        drop(sender);
    });
}

/// Who tries to send finds the room that there is, also while another sender fetches all of it.
#[test]
fn no_try_fails_beside_room() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(2);
        for value in 0..2 {
            sender.try_send(value).unwrap();
            assert_eq!(receiver.try_recv(), Ok(value));
        }
        let other = sender.clone();
        let sending = thread::spawn(move || other.try_send(2).unwrap());
        sender.try_send(2).unwrap();
        sending.join().unwrap();
        assert_eq!(receiver.try_recv(), Ok(2));
        assert_eq!(receiver.try_recv(), Ok(2));
    });
}

/// Nor while another one makes permits of all of it, to have one itself.
#[test]
fn no_try_fails_beside_a_permit() {
    deep_model(|| {
        let (sender, receiver) = channel::<usize>(2);
        let other = sender.clone();
        let reserving = thread::spawn(move || other.try_reserve_owned().unwrap());
        sender.try_send(1).unwrap();
        drop(reserving.join().unwrap());
        drop(receiver);
    });
}

/// Nor if both want permits.
#[test]
fn no_two_permits_hide_from_each_other() {
    deep_model(|| {
        let (sender, receiver) = channel::<usize>(2);
        let other = sender.clone();
        let reserving = thread::spawn(move || other.try_reserve_owned().unwrap());
        let permit = sender.try_reserve().unwrap();
        drop(reserving.join().unwrap());
        drop(permit);
        drop(receiver);
    });
}

/// Who sends into room finds done what the receiver did before it made the room, whatever way the room took: through another sender,
/// and through permits.
#[test]
fn no_room_comes_before_what_was_done() {
    /// A full channel, of which a thread takes all after it has done something; then others go for the room.
    fn full(
        bound: usize,
        beside: impl Fn(Sender<usize>) + Copy + Send + Sync + 'static,
        gets_room: impl Fn(&Sender<usize>) -> bool + Send + Sync + 'static,
    ) {
        deep_model(move || {
            let (sender, mut receiver) = channel(bound);
            for value in 0..bound {
                sender.try_send(value).unwrap();
            }
            let done = Arc::new(AtomicUsize::new(0));
            let doing = {
                let (done, other) = (Arc::clone(&done), sender.clone());
                thread::spawn(move || {
                    done.store(1, Relaxed);
                    for _ in 0..bound {
                        receiver.try_recv().unwrap();
                    }
                    beside(other);
                    receiver
                })
            };
            if gets_room(&sender) {
                assert_eq!(done.load(Relaxed), 1);
            }
            drop(doing.join().unwrap());
        });
    }
    let sends = |sender: &Sender<usize>| sender.try_send(7).is_ok();
    let reserves = |sender: &Sender<usize>| sender.try_reserve().is_ok();
    full(1, drop, sends);
    // One fetches for two.
    full(2, |other| drop(other.try_send(7)), sends);
    full(2, |other| drop(other.try_send(7)), reserves);
    full(1, |other| drop(other.try_reserve()), sends);
}

/// Whatever is in the channel when both sides go is dropped, once.
#[test]
fn no_value_outlives_the_channel() {
    bounded_model(|| {
        let value = Arc::new(());
        let (sender, receiver) = unbounded_channel();
        let sending = {
            let value = Arc::clone(&value);
            thread::spawn(move || drop(sender.send(value)))
        };
        drop(receiver);
        sending.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

/// What was sent before is there for one who only tries.
#[test]
fn no_try_misses_what_was_sent_before() {
    bounded_model(|| {
        let (sender, mut receiver) = unbounded_channel();
        let other = sender.clone();
        let sending = thread::spawn(move || other.send(1).unwrap());
        sender.send(2).unwrap();
        let mut got = Vec::new();
        match receiver.try_recv() {
            Ok(value) => got.push(value),
            Err(error) => panic!("two was sent: {error}"),
        }
        sending.join().unwrap();
        got.push(receiver.try_recv().unwrap());
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

/// A sender that begins its search in a block that the end has left finds it there still.
#[test]
fn no_sender_begins_in_a_block_that_was_freed() {
    bounded_model(|| {
        let (sender, mut receiver) = unbounded_channel();
        let other = sender.clone();
        let sending = thread::spawn(move || other.send(100).unwrap());
        let mut sum = 0;
        for value in 0..5 {
            sender.send(value).unwrap();
        }
        // The sixth look gives the first block up, also if the other has claimed its place and not begun.
        for _ in 0..6 {
            sum += receiver.try_recv().unwrap_or_default();
        }
        sending.join().unwrap();
        while let Ok(value) = receiver.try_recv() {
            sum += value;
        }
        assert_eq!(sum, 110);
    });
}

/// A receiver that offers an emptied block finds the blocks at the senders' end as they were made.
#[test]
fn no_block_is_offered_to_one_that_is_half_made() {
    bounded_model(|| {
        let (sender, mut receiver) = unbounded_channel();
        for value in 0..4 {
            sender.send(value).unwrap();
        }
        for value in 0..4 {
            assert_eq!(receiver.try_recv(), Ok(value));
        }
        // The end moves on twice, while the receiver comes to the third block and gives the first one back.
        let sending = thread::spawn(move || (4..7).for_each(|value| sender.send(value).unwrap()));
        let mut next = 4 + usize::from(receiver.try_recv().is_ok());
        sending.join().unwrap();
        while let Ok(value) = receiver.try_recv() {
            assert_eq!(value, next);
            next += 1;
        }
        assert_eq!(next, 7);
    });
}

/// The end is not seen before a value that was sent before it, whichever sender sent it.
#[test]
fn no_end_is_seen_before_a_value() {
    bounded_model(|| {
        let (sender, mut receiver) = unbounded_channel();
        let other = sender.clone();
        let sending = thread::spawn(move || sender.send(1).unwrap());
        drop(other);
        if receiver.try_recv() == Err(TryRecvError::Disconnected) {
            panic!("a value was sent before");
        }
        sending.join().unwrap();
    });
}
