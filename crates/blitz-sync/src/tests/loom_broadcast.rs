//! The channel to all, explored. Each test is named by what can never happen.

use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::{RecvError, channel};

fn bounded_model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(check);
}

/// Both receivers get both values, or the end.
#[test]
fn no_receiver_sleeps_through_a_value() {
    bounded_model(|| {
        let (sender, mut first) = channel(2);
        let mut second = sender.subscribe();
        let receiving = thread::spawn(move || {
            assert_eq!(block_on(second.recv()), Ok(1));
            assert_eq!(block_on(second.recv()), Ok(2));
            assert_eq!(block_on(second.recv()), Err(RecvError::Closed));
        });
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        drop(sender);
        assert_eq!(block_on(first.recv()), Ok(1));
        receiving.join().unwrap();
    });
}

/// A receiver that is overtaken is told how many it missed, and goes on with the oldest that is left.
#[test]
fn no_value_is_missed_in_silence() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(1);
        let receiving = thread::spawn(move || {
            let mut next = 1;
            loop {
                match block_on(receiver.recv()) {
                    Ok(value) => {
                        assert_eq!(value, next);
                        next += 1;
                    }
                    Err(RecvError::Lagged(missed)) => next += missed,
                    Err(RecvError::Closed) => break assert_eq!(next, 4),
                }
            }
        });
        for value in 1..=3 {
            sender.send(value).unwrap();
        }
        drop(sender);
        receiving.join().unwrap();
    });
}

/// A receiver that goes takes its share with it: the value is dropped when the others have had it.
#[test]
fn no_value_is_kept_for_one_who_is_gone() {
    bounded_model(|| {
        let value = Arc::new(());
        let (sender, receiver) = channel(2);
        let mut other = sender.subscribe();
        sender.send(Arc::clone(&value)).unwrap();
        let going = thread::spawn(move || drop(receiver));
        drop(block_on(other.recv()).unwrap());
        going.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}
