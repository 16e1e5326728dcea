//! The inbox: models, order, and a stress twin.

use super::super::tests::{assert_each_once, item, numbers};
use super::*;
use crate::primitive::sync::Arc;
use crate::primitive::thread;

#[cfg(loom)]
mod models {
    use super::super::super::tests::number;
    use super::*;

    /// Each entry is taken once, each pusher's in order, and of those that meet an empty inbox one is told so.
    #[test]
    fn no_entry_is_lost() {
        loom::model(|| {
            let alive = Arc::new(());
            let inbox = Arc::new(Inbox::new());
            let pushing = [[0, 1], [2, 3]].map(|mine| {
                let (inbox, alive) = (Arc::clone(&inbox), Arc::clone(&alive));
                thread::spawn(move || {
                    mine.map(|i| inbox.push(item(i, &alive)).ok().expect("it is open"))
                })
            });
            let mut seen = numbers(inbox.take());
            let first = seen.len();
            let wakes: usize = pushing
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .map(usize::from)
                .sum();
            seen.extend(numbers(inbox.take()));
            let batches = usize::from(first > 0) + usize::from(first < 4);
            assert_eq!(wakes, batches);
            for [a, b] in [[0, 1], [2, 3]] {
                let place = |n| seen.iter().position(|&s| s == n);
                assert!(place(a) < place(b));
            }
            assert_each_once(seen, 4);
        });
    }

    /// A push either comes before the close, which takes it, or comes back; and a take does not open it again.
    #[test]
    fn no_entry_is_left_behind_by_a_close() {
        loom::model(|| {
            let alive = Arc::new(());
            let inbox = Arc::new(Inbox::new());
            let pushing = {
                let (inbox, alive) = (Arc::clone(&inbox), Arc::clone(&alive));
                thread::spawn(move || inbox.push(item(0, &alive)).map_err(number))
            };
            let closing = {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || numbers(inbox.close()))
            };
            let mut seen = numbers(inbox.take());
            if let Err(refused) = pushing.join().unwrap() {
                seen.push(refused);
            }
            seen.extend(closing.join().unwrap());
            assert_each_once(seen, 1);
            assert!(inbox.is_closed());
            assert!(inbox.is_empty());
        });
    }
}

#[cfg(not(loom))]
mod plain {
    use super::*;

    #[test]
    fn entries_leave_in_the_order_they_came() {
        let alive = Arc::new(());
        let inbox = Inbox::new();
        assert!(inbox.take().is_empty());
        for i in 0..4 {
            assert_eq!(inbox.push(item(i, &alive)).ok(), Some(i == 0));
        }
        let batch = inbox.take();
        assert_eq!(batch.len(), 4);
        assert_eq!(numbers(batch), [0, 1, 2, 3]);
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_closed_one_refuses_and_gives_up_what_it_had() {
        let alive = Arc::new(());
        let inbox = Inbox::new();
        assert!(inbox.push(item(0, &alive)).is_ok());
        assert_eq!(numbers(inbox.close()), [0]);
        assert!(inbox.is_closed());
        assert!(inbox.push(item(1, &alive)).is_err());
        assert!(inbox.close().is_empty());
        assert!(inbox.take().is_empty());
        assert!(inbox.is_closed());
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn an_inbox_drops_what_is_in_it() {
        let alive = Arc::new(());
        let inbox = Inbox::new();
        for i in 0..3 {
            assert!(inbox.push(item(i, &alive)).is_ok());
        }
        drop(inbox);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn no_entry_is_lost_under_stress() {
        const EACH: usize = 50_000;
        let alive = Arc::new(());
        let inbox = Arc::new(Inbox::new());
        let pushing: Vec<_> = (0..2)
            .map(|thread| {
                let (inbox, alive) = (Arc::clone(&inbox), Arc::clone(&alive));
                thread::spawn(move || {
                    for i in 0..EACH {
                        assert!(inbox.push(item(thread * EACH + i, &alive)).is_ok());
                    }
                })
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < 2 * EACH {
            seen.extend(numbers(inbox.take()));
        }
        pushing
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        for thread in 0..2 {
            let of_thread = |n: &&usize| **n / EACH == thread;
            assert!(
                seen.iter().filter(of_thread).is_sorted(),
                "a pusher's entries changed places"
            );
        }
        assert_each_once(seen, 2 * EACH);
    }
}
