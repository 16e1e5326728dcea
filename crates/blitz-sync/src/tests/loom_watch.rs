//! A watched value, explored. Each test is named by what can never happen.

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::channel;

fn bounded_model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(check);
}

/// Whoever waits for a change is told of it, and then sees it.
#[test]
fn no_change_is_missed() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(0);
        let waits = thread::spawn(move || {
            block_on(receiver.changed()).expect("it is told before the sender goes");
            assert_eq!(*receiver.borrow(), 1);
        });
        sender.send(1).expect("the receiver is there");
        waits.join().unwrap();
    });
}

/// A change that comes before the last sender goes is seen before its end.
#[test]
fn no_change_hides_behind_the_end() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(0);
        let sends = thread::spawn(move || {
            sender.send(1).expect("the receiver is there");
        });
        assert!(block_on(receiver.changed()).is_ok());
        assert_eq!(*receiver.borrow_and_update(), 1);
        assert!(block_on(receiver.changed()).is_err());
        sends.join().unwrap();
    });
}

/// A sender that waits for the last receiver to go is told.
#[test]
fn no_sender_waits_for_one_who_has_gone() {
    bounded_model(|| {
        let (sender, receiver) = channel(0);
        let waits = thread::spawn(move || block_on(sender.closed()));
        drop(receiver);
        waits.join().unwrap();
    });
}

/// Who sees that there is a change sees what was done before it.
#[test]
fn no_change_is_seen_before_what_led_to_it() {
    bounded_model(|| {
        let (sender, receiver) = channel(0);
        let cell = Arc::new(UnsafeCell::new(0));
        let sends = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                // SAFETY: nobody reads it before the change.
                cell.with_mut(|cell| unsafe { *cell = 1 });
                sender.send(1).expect("the receiver is there");
                sender
            })
        };
        if receiver.has_changed() == Ok(true) {
            // SAFETY: it was written before; loom objects if that is not seen.
            cell.with(|cell| assert_eq!(unsafe { *cell }, 1));
        }
        drop(sends.join().unwrap());
    });
}

/// Who sees the end sees what every sender did before it went.
#[test]
fn no_end_is_seen_before_what_led_to_it() {
    bounded_model(|| {
        let (sender, receiver) = channel(0);
        let cells = Arc::new([UnsafeCell::new(0), UnsafeCell::new(0)]);
        let senders = [sender.clone(), sender];
        let mut index = 0;
        let going = senders.map(|sender| {
            let (cells, mine) = (Arc::clone(&cells), index);
            index += 1;
            thread::spawn(move || {
                // SAFETY: nobody else writes it, or reads it before the end.
                cells[mine].with_mut(|cell| unsafe { *cell = 1 });
                drop(sender);
            })
        });
        if receiver.has_changed().is_err() {
            for cell in cells.iter() {
                // SAFETY: it was written before; loom objects if that is not seen.
                cell.with(|cell| assert_eq!(unsafe { *cell }, 1));
            }
        }
        for going in going {
            going.join().unwrap();
        }
    });
}
