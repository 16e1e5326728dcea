//! Lanes: models and properties.

use super::super::tests::{assert_each_once, item, number, numbers};
use super::*;
use crate::primitive::sync::Arc;
use crate::primitive::thread;

#[cfg(loom)]
mod models {
    use super::*;

    /// Pushes and takes in two lanes at once: each entry comes out once, of its own lane, and the word agrees at the end.
    #[test]
    fn no_entry_is_lost_and_none_changes_lanes() {
        loom::model(|| {
            let alive = Arc::new(());
            let lanes = Arc::new(Lanes::<_, 2>::new());
            let pushing = {
                let (lanes, alive) = (Arc::clone(&lanes), Arc::clone(&alive));
                thread::spawn(move || {
                    assert!(lanes.push(1, item(1, &alive)).is_ok());
                    assert!(lanes.push(0, item(0, &alive)).is_ok());
                })
            };
            let popping = {
                let lanes = Arc::clone(&lanes);
                thread::spawn(move || numbers(lanes.pop_chain(1, 2)))
            };
            let first: Vec<_> = lanes.pop(0).map(number).into_iter().collect();
            pushing.join().unwrap();
            let second = popping.join().unwrap();
            assert!(first.iter().all(|n| *n == 0) && second.iter().all(|n| *n == 1));
            let left = usize::from(first.is_empty()) | (usize::from(second.is_empty()) << 1);
            assert_eq!(lanes.waiting(), left);
            let mut seen = [first, second].concat();
            seen.extend(numbers(lanes.close()));
            assert!(lanes.is_empty());
            assert_each_once(seen, 2);
        });
    }

    /// A push either comes before the close, and is found by it, or comes back.
    #[test]
    fn no_entry_is_left_behind_by_a_close() {
        loom::model(|| {
            let alive = Arc::new(());
            let lanes = Arc::new(Lanes::<_, 2>::new());
            let pushing = {
                let (lanes, alive) = (Arc::clone(&lanes), Arc::clone(&alive));
                thread::spawn(move || lanes.push(1, item(0, &alive)).map_err(number))
            };
            let found = numbers(lanes.close());
            match pushing.join().unwrap() {
                Ok(()) => assert_eq!(found, [0]),
                Err(refused) => assert_eq!((refused, found.len()), (0, 0)),
            }
            assert!(lanes.is_empty());
        });
    }
}

#[cfg(not(loom))]
mod plain {
    use super::*;

    #[test]
    fn entries_leave_a_lane_in_the_order_they_came() {
        let alive = Arc::new(());
        let lanes = Lanes::<_, 3>::new();
        assert!(lanes.pop(2).is_none() && lanes.is_empty());
        assert!(lanes.push(2, item(0, &alive)).is_ok());
        assert!(lanes.push(0, item(9, &alive)).is_ok());
        let batch: Chain<_> = (1..5).map(|i| item(i, &alive)).collect();
        assert!(lanes.push_chain(2, batch).is_ok());
        assert!(lanes.push_chain(1, Chain::new()).is_ok());
        assert_eq!(lanes.waiting(), 0b101);
        assert_eq!([0, 1, 2].map(|lane| lanes.len(lane)), [1, 0, 5]);
        assert_eq!(lanes.pop(2).map(number), Some(0));
        assert!(lanes.pop_chain(2, 0).is_empty());
        assert_eq!(numbers(lanes.pop_chain(2, 2)), [1, 2]);
        assert_eq!(numbers(lanes.pop_chain(2, 9)), [3, 4]);
        assert_eq!(lanes.waiting(), 0b001);
        assert_eq!(format!("{lanes:?}"), "Lanes { lens: [1, 0, 0], .. }");
        assert_eq!(numbers(lanes.close()), [9]);
    }

    #[test]
    fn closed_ones_refuse_and_hold_nothing() {
        let alive = Arc::new(());
        let lanes = Lanes::<_, 2>::new();
        assert!(lanes.push(1, item(0, &alive)).is_ok());
        assert_eq!(numbers(lanes.close()), [0]);
        for lane in 0..2 {
            assert_eq!(lanes.push(lane, item(1, &alive)).map_err(number), Err(1));
        }
        let batch: Chain<_> = (2..4).map(|i| item(i, &alive)).collect();
        let refused = lanes.push_chain(0, batch).expect_err("it is closed");
        assert_eq!(numbers(refused), [2, 3]);
        assert!(lanes.is_empty());
    }

    #[test]
    fn no_entry_is_lost_under_stress() {
        const EACH: usize = 20_000;
        let alive = Arc::new(());
        let lanes = Arc::new(Lanes::<_, 3>::new());
        let pushing: Vec<_> = (0..3)
            .map(|lane| {
                let (lanes, alive) = (Arc::clone(&lanes), Arc::clone(&alive));
                thread::spawn(move || {
                    for i in 0..EACH {
                        assert!(lanes.push(lane, item(lane * EACH + i, &alive)).is_ok());
                    }
                })
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < 3 * EACH {
            for lane in 0..3 {
                seen.extend(lanes.pop(lane).map(number));
                let batch = numbers(lanes.pop_chain(lane, 7));
                assert!(batch.iter().all(|number| number / EACH == lane));
                seen.extend(batch);
            }
        }
        pushing
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_each_once(seen, 3 * EACH);
        assert!(lanes.is_empty());
    }
}
