//! A watched value, explored. Each test is named by what can never happen.

use loom::future::block_on;
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
