//! The injector: models and properties.

use super::super::tests::{assert_each_once, item, number, numbers};
use super::*;
use crate::primitive::sync::Arc;
use crate::primitive::thread;

#[cfg(loom)]
mod models {
    use super::*;

    /// Single pushes, batches, single pops and batch pops at once: each entry comes out once.
    #[test]
    fn no_entry_is_lost() {
        loom::model(|| {
            let alive = Arc::new(());
            let injector = Arc::new(Injector::new());
            let pushing = {
                let (injector, alive) = (Arc::clone(&injector), Arc::clone(&alive));
                thread::spawn(move || {
                    assert!(injector.push(item(0, &alive)).is_ok());
                    let batch = [1, 2].into_iter().map(|i| item(i, &alive)).collect();
                    assert!(injector.push_chain(batch).is_ok());
                })
            };
            let popping = {
                let injector = Arc::clone(&injector);
                thread::spawn(move || numbers(injector.pop_chain(2)))
            };
            let mut seen: Vec<_> = injector.pop().map(number).into_iter().collect();
            pushing.join().unwrap();
            seen.extend(popping.join().unwrap());
            assert_eq!(injector.len(), 3 - seen.len());
            seen.extend(numbers(injector.pop_chain(usize::MAX)));
            assert!(injector.is_empty());
            assert_each_once(seen, 3);
        });
    }

    /// A push either comes before the close, and is found by who drains, or comes back.
    #[test]
    fn no_entry_is_left_behind_by_a_close() {
        loom::model(|| {
            let alive = Arc::new(());
            let injector = Arc::new(Injector::new());
            let pushing = {
                let (injector, alive) = (Arc::clone(&injector), Arc::clone(&alive));
                thread::spawn(move || injector.push(item(0, &alive)).map_err(number))
            };
            assert!(injector.close());
            assert!(!injector.close());
            let drained = numbers(injector.pop_chain(usize::MAX));
            match pushing.join().unwrap() {
                Ok(()) => assert_eq!(drained.len() + injector.len(), 1),
                Err(refused) => assert_eq!((refused, drained.len(), injector.len()), (0, 0, 0)),
            }
            // Also when `len` was read too early to see it, the lock knows.
            assert_eq!(injector.is_closed(), true);
        });
    }
}

#[cfg(not(loom))]
mod plain {
    use super::*;
    use crate::queue::Chain;

    #[test]
    fn entries_leave_in_the_order_they_came() {
        let alive = Arc::new(());
        let injector = Injector::new();
        assert!(injector.pop().is_none());
        assert!(injector.push(item(0, &alive)).is_ok());
        let batch: Chain<_> = (1..5).map(|i| item(i, &alive)).collect();
        assert!(injector.push_chain(batch).is_ok());
        assert!(injector.push_chain(Chain::new()).is_ok());
        assert_eq!(injector.len(), 5);
        assert_eq!(injector.pop().map(number), Some(0));
        assert!(injector.pop_chain(0).is_empty());
        assert_eq!(numbers(injector.pop_chain(2)), [1, 2]);
        assert_eq!(numbers(injector.pop_chain(9)), [3, 4]);
        assert!(injector.is_empty());
    }

    #[test]
    fn a_closed_one_refuses_and_keeps_what_it_has() {
        let alive = Arc::new(());
        let injector = Injector::new();
        assert!(injector.push(item(0, &alive)).is_ok());
        assert!(injector.close());
        assert!(injector.is_closed());
        assert_eq!(injector.push(item(1, &alive)).map_err(number), Err(1));
        let batch: Chain<_> = (2..4).map(|i| item(i, &alive)).collect();
        let refused = injector.push_chain(batch).expect_err("it is closed");
        assert_eq!(numbers(refused), [2, 3]);
        assert_eq!(numbers(injector.pop_chain(9)), [0]);
    }

    #[test]
    fn no_entry_is_lost_under_stress() {
        const EACH: usize = 20_000;
        let alive = Arc::new(());
        let injector = Arc::new(Injector::new());
        let pushing: Vec<_> = (0..2)
            .map(|thread| {
                let (injector, alive) = (Arc::clone(&injector), Arc::clone(&alive));
                thread::spawn(move || {
                    for i in (0..EACH).step_by(4) {
                        let first = thread * EACH + i;
                        assert!(injector.push(item(first, &alive)).is_ok());
                        let batch = (1..4).map(|n| item(first + n, &alive)).collect();
                        assert!(injector.push_chain(batch).is_ok());
                    }
                })
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < 2 * EACH {
            seen.extend(injector.pop().map(number));
            seen.extend(numbers(injector.pop_chain(7)));
        }
        pushing
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_each_once(seen, 2 * EACH);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
