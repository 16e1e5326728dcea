//! The channel to all, explored. Each test is named by what can never happen.

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::{Receiver, RecvError, Sender, TryRecvError, channel};

fn bounded_model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(check);
}

/// Both receivers get the value, whoever is first.
#[test]
fn no_receiver_sleeps_through_a_value() {
    bounded_model(|| {
        let (sender, mut first) = channel(2);
        let mut second = sender.subscribe();
        let receiving = thread::spawn(move || {
            assert_eq!(block_on(second.recv()), Ok(1));
        });
        sender.send(1).unwrap();
        assert_eq!(block_on(first.recv()), Ok(1));
        receiving.join().unwrap();
    });
}

/// The last value, and then the end.
#[test]
fn no_receiver_sleeps_through_the_end() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(2);
        let receiving = thread::spawn(move || {
            assert_eq!(block_on(receiver.recv()), Ok(1));
            assert_eq!(block_on(receiver.recv()), Err(RecvError::Closed));
        });
        sender.send(1).unwrap();
        drop(sender);
        receiving.join().unwrap();
    });
}

/// A receiver that is overtaken is told how many it missed, and goes on with the oldest that is left.
#[test]
fn no_value_is_missed_in_silence() {
    /// Looks once, and adds up what it had and missed.
    fn look(receiver: &mut Receiver<u64>, next: &mut u64) -> bool {
        match receiver.try_recv() {
            Ok(value) => {
                assert_eq!(value, *next);
                *next += 1;
            }
            Err(TryRecvError::Lagged(missed)) => *next += missed,
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Closed) => return false,
        }
        true
    }
    bounded_model(|| {
        let (sender, mut receiver) = channel(1);
        sender.send(1).unwrap();
        let receiving = thread::spawn(move || {
            let mut next = 1;
            look(&mut receiver, &mut next);
            look(&mut receiver, &mut next);
            (receiver, next)
        });
        sender.send(2).unwrap();
        sender.send(3).unwrap();
        drop(sender);
        let (mut receiver, mut next) = receiving.join().unwrap();
        while look(&mut receiver, &mut next) {}
        assert_eq!(next, 4);
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

/// What is cloned by changing it, which two threads may not do at once, and by one who counts.
struct Counted {
    value: u64,
    clones: UnsafeCell<usize>,
    alive: Arc<()>,
}

// Not `Sync`: the cell is its own.
// SAFETY: it goes from thread to thread as a whole.
unsafe impl Send for Counted {}

impl Counted {
    fn new(value: u64, alive: &Arc<()>) -> Self {
        Self {
            value,
            clones: UnsafeCell::new(0),
            alive: Arc::clone(alive),
        }
    }

    /// How often it was cloned itself.
    fn clones(&self) -> usize {
        // SAFETY: nobody else has it.
        self.clones.with(|clones| unsafe { *clones })
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        // SAFETY: the channel lets one thread at a time clone a value.
        self.clones.with_mut(|clones| unsafe { *clones += 1 });
        Self::new(self.value, &self.alive)
    }
}

/// A channel of one place, in which a value lies that so many receivers want.
fn one_for<const N: usize>(alive: &Arc<()>) -> (Sender<Counted>, [Receiver<Counted>; N]) {
    let (sender, first) = channel(1);
    let mut first = Some(first);
    let all = std::array::from_fn(|_| first.take().unwrap_or_else(|| sender.subscribe()));
    sender.send(Counted::new(1, alive)).ok().unwrap();
    (sender, all)
}

/// Two receivers of one value: one clones it, the other gets it.
#[test]
fn no_value_is_cloned_twice_at_once_or_for_the_last() {
    bounded_model(|| {
        let alive = Arc::new(());
        let (_sender, [mut first, mut second]) = one_for(&alive);
        let receiving = thread::spawn(move || second.try_recv().unwrap().clones());
        let clones = first.try_recv().unwrap().clones();
        // Of the two, the value itself knows of its clone.
        assert_eq!(clones + receiving.join().unwrap(), 1);
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

/// Three receivers of one value: who comes while it is cloned waits for that, and is woken.
#[test]
fn nobody_sleeps_on_after_anothers_clone() {
    bounded_model(|| {
        let alive = Arc::new(());
        let (_sender, [mut first, mut second, third]) = one_for(&alive);
        let receiving = thread::spawn(move || drop(second.try_recv().unwrap()));
        drop(first.try_recv().unwrap());
        receiving.join().unwrap();
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(third);
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

/// A value comes while its place's old one is being cloned, or looked at: neither is torn, or kept.
#[test]
fn no_clone_is_overwritten() {
    bounded_model(|| {
        let alive = Arc::new(());
        let (sender, [mut first, mut second]) = one_for(&alive);
        let receiving = thread::spawn(move || {
            match first.try_recv() {
                Ok(value) => assert_eq!(value.value, 1),
                Err(TryRecvError::Lagged(missed)) => assert_eq!(missed, 1),
                Err(other) => panic!("{other}"),
            }
            first
        });
        sender.send(Counted::new(2, &alive)).ok().unwrap();
        assert_eq!(second.try_recv().err(), Some(TryRecvError::Lagged(1)));
        assert_eq!(second.try_recv().unwrap().value, 2);
        let mut first = receiving.join().unwrap();
        assert_eq!(first.try_recv().unwrap().value, 2);
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

/// Two receivers that lag look at a place while its next values come: what one of them claims in error it gives back.
#[test]
fn no_share_is_lost_to_one_who_lags() {
    bounded_model(|| {
        let alive = Arc::new(());
        let (sender, mut first) = channel(1);
        let mut second = sender.subscribe();
        sender.send(Counted::new(1, &alive)).ok().unwrap();
        let receiving = thread::spawn(move || {
            let had = first.try_recv().map(|value| value.value);
            assert!(matches!(had, Ok(1) | Err(TryRecvError::Lagged(_))));
            first
        });
        let sending = thread::spawn(move || {
            sender.send(Counted::new(2, &alive)).ok().unwrap();
            sender.send(Counted::new(3, &alive)).ok().unwrap();
            (sender, alive)
        });
        let had = second.try_recv().map(|value| value.value);
        assert!(matches!(had, Ok(1) | Err(TryRecvError::Lagged(_))));
        let (_sender, alive) = sending.join().unwrap();
        for mut receiver in [receiving.join().unwrap(), second] {
            let last = loop {
                match receiver.try_recv() {
                    Ok(value) => break value.value,
                    Err(error) => assert!(matches!(error, TryRecvError::Lagged(_))),
                }
            };
            assert_eq!(last, 3);
            assert_eq!(receiver.try_recv().err(), Some(TryRecvError::Empty));
        }
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

/// The last share of a value, claimed in error by its own receiver, while the next value comes: who missed it lets it go.
#[test]
fn no_value_is_kept_that_was_claimed_in_error() {
    let mut model = loom::model::Builder::new();
    // The receiver is interrupted before and after the claim, the sender between its values.
    model.preemption_bound = Some(3);
    model.check(|| {
        let alive = Arc::new(());
        let (sender, mut receiver) = channel(1);
        sender.send(Counted::new(1, &alive)).ok().unwrap();
        let receiving = thread::spawn(move || {
            let had = receiver.try_recv().map(|value| value.value);
            assert!(matches!(had, Ok(1) | Err(TryRecvError::Lagged(_))));
            receiver
        });
        for value in 2..=3 {
            sender.send(Counted::new(value, &alive)).ok().unwrap();
        }
        let mut receiver = receiving.join().unwrap();
        while receiver.try_recv().map(|value| value.value) != Ok(3) {}
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

/// A receiver goes while values come and go in its only place.
#[test]
fn no_value_is_kept_for_one_who_goes_while_it_comes() {
    bounded_model(|| {
        let alive = Arc::new(());
        let (sender, mut first) = channel(1);
        let second = sender.subscribe();
        sender.send(Counted::new(1, &alive)).ok().unwrap();
        let going = thread::spawn(move || drop(second));
        let other = Arc::clone(&alive);
        let sending = thread::spawn(move || {
            sender.send(Counted::new(2, &other)).ok().unwrap();
            drop(other);
            sender
        });
        let had = first.try_recv().map(|value| value.value);
        assert!(matches!(had, Ok(1 | 2) | Err(TryRecvError::Lagged(1))));
        going.join().unwrap();
        let _sender = sending.join().unwrap();
        if had != Ok(2) {
            assert_eq!(first.try_recv().unwrap().value, 2);
        }
        assert_eq!(first.try_recv().err(), Some(TryRecvError::Empty));
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

/// A receiver goes while another clones its value.
#[test]
fn no_value_outlives_the_clone_that_was_the_last_to_want_it() {
    bounded_model(|| {
        let alive = Arc::new(());
        let (_sender, [mut first, second]) = one_for(&alive);
        let going = thread::spawn(move || drop(second));
        drop(first.try_recv().unwrap());
        going.join().unwrap();
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

/// A receiver goes while another clones, and the last one takes the value after that.
#[test]
fn no_clone_is_robbed_of_its_value() {
    bounded_model(|| {
        let alive = Arc::new(());
        let (_sender, [mut first, mut second, third]) = one_for(&alive);
        let receiving = thread::spawn(move || drop(second.try_recv().unwrap()));
        // In a thread, too: the model's first one waits, so both interruptions are between these two.
        let going = thread::spawn(move || {
            drop(third);
            drop(first.try_recv().unwrap());
        });
        receiving.join().unwrap();
        going.join().unwrap();
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

/// Who has had a value before its sender has said that it is there finds nothing more, and no more than nothing.
#[test]
fn nobody_is_ahead_of_the_last_value() {
    bounded_model(|| {
        let (sender, mut receiver) = channel(2);
        let receiving = thread::spawn(move || {
            if receiver.try_recv().is_ok() {
                assert_eq!(receiver.len(), 0);
                assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
            }
            // It does not go before the value comes.
            receiver
        });
        sender.send(1).unwrap();
        receiving.join().unwrap();
    });
}
