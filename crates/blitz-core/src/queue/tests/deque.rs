//! The local queue and the slot beside it: models, a property, and stress twins.

use super::super::tests::{assert_each_once, item, number, numbers};
use super::*;
use crate::primitive::thread;

#[cfg(loom)]
mod models {
    use super::*;

    /// Whatever a thief and the owner do at once, no entry is lost or seen twice, and a thief's come in order.
    #[test]
    fn no_entry_is_lost_between_owner_and_thief() {
        loom::model(|| {
            let alive = Arc::new(());
            let (mut owner, thief) = deque(2);
            let stealing = thread::spawn(move || {
                let (mut mine, _) = deque(2);
                let mut seen = Vec::new();
                for _ in 0..2 {
                    seen.extend(thief.steal_into(&mut mine).map(number));
                    seen.extend(std::iter::from_fn(|| mine.pop().map(number)));
                }
                assert!(seen.is_sorted());
                seen
            });
            let mut seen = Vec::new();
            for i in 0..4 {
                // Slots are used again: the queue holds two.
                if owner.try_push(item(i, &alive)).is_err() {
                    seen.extend(owner.pop().map(number));
                    assert!(owner.try_push(item(i, &alive)).is_ok());
                }
            }
            seen.extend(std::iter::from_fn(|| owner.pop().map(number)));
            assert!(seen.is_sorted());
            seen.extend(stealing.join().unwrap());
            assert_each_once(seen, 4);
        });
    }

    /// An overflow takes the newer half from under a thief, and puts the older half back, without losing either.
    #[test]
    fn no_entry_is_lost_in_an_overflow() {
        loom::model(|| {
            let alive = Arc::new(());
            let (mut owner, thief) = deque(2);
            let stealing = thread::spawn(move || {
                let (mut mine, _) = deque(2);
                let mut seen: Vec<_> = thief
                    .steal_into(&mut mine)
                    .map(number)
                    .into_iter()
                    .collect();
                seen.extend(thief.steal_into(&mut mine).map(number));
                seen.extend(std::iter::from_fn(|| mine.pop().map(number)));
                seen
            });
            let mut seen = Vec::new();
            for i in 0..4 {
                seen.extend(
                    owner
                        .push(item(i, &alive))
                        .into_iter()
                        .flatten()
                        .map(number),
                );
            }
            seen.extend(std::iter::from_fn(|| owner.pop().map(number)));
            seen.extend(stealing.join().unwrap());
            assert_each_once(seen, 4);
        });
    }

    /// Two thieves never get one entry.
    #[test]
    fn no_entry_is_stolen_twice() {
        loom::model(|| {
            let alive = Arc::new(());
            let (mut owner, thief) = deque(4);
            for i in 0..3 {
                assert!(owner.try_push(item(i, &alive)).is_ok());
            }
            let stealing = [thief.clone(), thief].map(|thief| {
                thread::spawn(move || {
                    let (mut mine, _) = deque(2);
                    let mut seen: Vec<_> = thief
                        .steal_into(&mut mine)
                        .map(number)
                        .into_iter()
                        .collect();
                    seen.extend(std::iter::from_fn(|| mine.pop().map(number)));
                    seen
                })
            });
            let mut seen: Vec<_> = owner.pop().map(number).into_iter().collect();
            for thief in stealing {
                seen.extend(thief.join().unwrap());
            }
            seen.extend(std::iter::from_fn(|| owner.pop().map(number)));
            assert_each_once(seen, 3);
        });
    }

    /// What was stolen can be stolen again from the thief's own queue, while the first owner goes on.
    #[test]
    fn no_entry_is_lost_on_its_way_through_two_queues() {
        loom::model(|| {
            let alive = Arc::new(());
            let (mut owner, thief) = deque(4);
            for i in 0..4 {
                assert!(owner.try_push(item(i, &alive)).is_ok());
            }
            let (mut middle, second) = deque(4);
            let first = thread::spawn(move || {
                let mut seen: Vec<_> = thief
                    .steal_into(&mut middle)
                    .map(number)
                    .into_iter()
                    .collect();
                seen.extend(std::iter::from_fn(|| middle.pop().map(number)));
                seen
            });
            let last = thread::spawn(move || {
                let (mut mine, _) = deque(2);
                second.steal_into(&mut mine).map(number)
            });
            let mut seen: Vec<_> = owner.pop().map(number).into_iter().collect();
            seen.extend(first.join().unwrap());
            seen.extend(last.join().unwrap());
            seen.extend(std::iter::from_fn(|| owner.pop().map(number)));
            assert_each_once(seen, 4);
        });
    }

    /// The owner and a thief never both get what is in the slot, and what the owner displaces is its own again.
    #[test]
    fn no_entry_is_taken_twice_from_the_slot() {
        loom::model(|| {
            let alive = Arc::new(());
            let slot = Arc::new(LifoSlot::new());
            let thief = Arc::clone(&slot);
            let stealing =
                thread::spawn(move || numbers(thief.take().into_iter().chain(thief.take())));
            let mut seen = Vec::new();
            for i in 0..3 {
                seen.extend(slot.put(item(i, &alive)).map(number));
            }
            seen.extend(slot.take().map(number));
            seen.extend(stealing.join().unwrap());
            assert_each_once(seen, 3);
        });
    }

    /// A slot handed to another owner (a worker's core moves) hands over what is in it.
    #[test]
    fn no_displaced_entry_is_half_written() {
        loom::model(|| {
            let alive = Arc::new(());
            let slot = Arc::new(LifoSlot::new());
            let other = Arc::clone(&slot);
            let entry = item(0, &alive);
            let putting = thread::spawn(move || other.put(entry).map(number));
            let mut seen: Vec<_> = slot.put(item(1, &alive)).map(number).into_iter().collect();
            seen.extend(putting.join().unwrap());
            seen.extend(slot.take().map(number));
            assert_each_once(seen, 2);
        });
    }
}

#[cfg(not(loom))]
mod plain {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicBool;

    /// The newer half leaves, in order, with the newcomer behind it (tokio-rs/tokio#8029).
    #[test]
    fn an_overflow_takes_the_newer_half() {
        let alive = Arc::new(());
        let (mut owner, _thief) = deque(8);
        for i in 0..8 {
            assert!(owner.push(item(i, &alive)).is_none());
        }
        let batch = owner.push(item(8, &alive)).expect("the queue is full");
        assert_eq!(numbers(batch), [4, 5, 6, 7, 8]);
        assert!(owner.push(item(9, &alive)).is_none());
        assert_eq!(numbers(std::iter::from_fn(|| owner.pop())), [0, 1, 2, 3, 9]);
    }

    #[test]
    fn a_thief_takes_the_older_half() {
        let alive = Arc::new(());
        let (mut owner, thief) = deque(8);
        let (mut mine, _) = deque(8);
        assert!(thief.steal_into(&mut mine).is_none());
        for i in 0..7 {
            assert!(owner.try_push(item(i, &alive)).is_ok());
        }
        assert_eq!(thief.steal_into(&mut mine).map(number), Some(0));
        assert_eq!(numbers(std::iter::from_fn(|| mine.pop())), [1, 2, 3]);
        assert_eq!((owner.len(), thief.len()), (3, 3));
    }

    #[test]
    fn a_queue_drops_what_is_in_it() {
        let alive = Arc::new(());
        let (mut owner, thief) = deque(4);
        let slot = LifoSlot::new();
        assert!(slot.put(item(9, &alive)).is_none());
        for i in 0..3 {
            assert!(owner.try_push(item(i, &alive)).is_ok());
        }
        drop((owner, slot));
        drop(thief);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    #[should_panic(expected = "power of two")]
    fn a_capacity_that_is_no_power_of_two_is_refused() {
        drop(deque::<Box<u64>>(6));
    }

    proptest! {
        /// One thread's steps do what they do to a `VecDeque`.
        #[test]
        fn is_a_vec_deque(
            capacity in prop::sample::select(vec![2_usize, 4, 16]),
            steps in prop::collection::vec((0..6_u8, 0..9_usize), 0..200),
        ) {
            let alive = Arc::new(());
            let (mut owner, thief) = deque(capacity);
            let (mut mine, _) = deque(capacity);
            let mut model = VecDeque::new();
            for (i, (what, count)) in steps.into_iter().enumerate() {
                match what {
                    0 | 1 => match owner.push(item(i, &alive)) {
                        None => model.push_back(i),
                        Some(batch) => {
                            prop_assert_eq!(model.len(), capacity);
                            let mut newer: Vec<_> = model.drain(capacity / 2..).collect();
                            newer.push(i);
                            prop_assert_eq!(numbers(batch), newer);
                        }
                    },
                    2 => prop_assert_eq!(owner.pop().map(number), model.pop_front()),
                    3 => {
                        let fits = owner.try_push(item(i, &alive)).is_ok();
                        prop_assert_eq!(fits, model.len() < capacity);
                        model.extend(fits.then_some(i));
                    }
                    4 => {
                        let all: Vec<_> = (0..count).map(|n| i * 100 + n).collect();
                        let mut batch: Chain<_> = all.iter().map(|&n| item(n, &alive)).collect();
                        owner.push_chain(&mut batch);
                        let fits = count.min(capacity - model.len());
                        model.extend(&all[..fits]);
                        prop_assert_eq!(numbers(batch), &all[fits..]);
                    }
                    _ => {
                        let half = model.len().div_ceil(2);
                        let mut stolen = numbers(thief.steal_into(&mut mine));
                        stolen.extend(numbers(std::iter::from_fn(|| mine.pop())));
                        prop_assert_eq!(stolen, model.drain(..half).collect::<Vec<_>>());
                    }
                }
                prop_assert_eq!((owner.len(), thief.len()), (model.len(), model.len()));
                prop_assert_eq!(owner.room(), capacity - model.len());
                prop_assert_eq!(Arc::strong_count(&alive), 1 + model.len());
            }
        }
    }

    /// The stress twin of the models: an owner that overflows, and thieves that steal from it and from each other.
    #[test]
    fn no_entry_is_lost_under_stress() {
        const COUNT: usize = 200_000;
        let alive = Arc::new(());
        let done = Arc::new(AtomicBool::new(false));
        let (mut owner, thief) = deque(16);
        let (queues, thieves): (Vec<_>, Vec<_>) = (0..2).map(|_| deque(8)).unzip();
        let begin = Arc::new(Barrier::new(3));
        let stealing: Vec<_> = queues
            .into_iter()
            .enumerate()
            .map(|(i, mut mine)| {
                let victims = [thief.clone(), thieves[1 - i].clone()];
                let (done, begin) = (Arc::clone(&done), Arc::clone(&begin));
                thread::spawn(move || {
                    let mut seen = Vec::new();
                    begin.wait();
                    loop {
                        // ORDERING: pairs with the store at the end: what is then in the queues is all there will be.
                        let last = done.load(Acquire);
                        let mut idle = true;
                        for victim in &victims {
                            if let Some(first) = victim.steal_into(&mut mine) {
                                seen.push(number(first));
                                seen.extend(mine.pop().map(number));
                                idle = false;
                            }
                        }
                        seen.extend(mine.pop().map(number));
                        if last && idle && mine.is_empty() {
                            return seen;
                        }
                    }
                })
            })
            .collect();
        begin.wait();
        let mut seen = Vec::new();
        for i in 0..COUNT {
            seen.extend(
                owner
                    .push(item(i, &alive))
                    .into_iter()
                    .flatten()
                    .map(number),
            );
            if i % 3 == 0 {
                seen.extend(owner.pop().map(number));
            }
        }
        seen.extend(std::iter::from_fn(|| owner.pop().map(number)));
        // ORDERING: see above.
        done.store(true, Release);
        for thief in stealing {
            seen.extend(thief.join().unwrap());
        }
        assert_each_once(seen, COUNT);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    /// The slot's stress twin.
    #[test]
    fn no_entry_is_lost_in_the_slot_under_stress() {
        const COUNT: usize = 200_000;
        let alive = Arc::new(());
        let slot = Arc::new(LifoSlot::new());
        let done = Arc::new(AtomicBool::new(false));
        let stealing = {
            let (slot, done) = (Arc::clone(&slot), Arc::clone(&done));
            thread::spawn(move || {
                let mut seen = Vec::new();
                // ORDERING: pairs with the store below.
                while !done.load(Acquire) || slot.is_some() {
                    seen.extend(slot.take().map(number));
                }
                seen
            })
        };
        let mut seen = Vec::new();
        for i in 0..COUNT {
            seen.extend(slot.put(item(i, &alive)).map(number));
            if i % 2 == 0 {
                seen.extend(slot.take().map(number));
            }
        }
        // ORDERING: see above.
        done.store(true, Release);
        seen.extend(stealing.join().unwrap());
        assert_each_once(seen, COUNT);
    }
}
