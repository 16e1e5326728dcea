//! A record says what its task did last, and nothing of two moments.

use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;
use std::thread;

use super::*;
use crate::waiting::{Place, Resource};

static SITE: Site = Site::new("a test", Resource::Object);

#[track_caller]
fn call() -> Call {
    Call {
        site: &SITE,
        at: Location::caller(),
    }
}

/// Two of three.
fn share(object: usize) -> Share {
    Share {
        object,
        count: 2,
        of: 3,
    }
}

#[track_caller]
fn holder(task: u64) -> Holder {
    Holder {
        task,
        at: Location::caller(),
        count: 1,
    }
}

/// What the register says of the waits for `object`.
fn standing(object: usize) -> Vec<Standing> {
    look(|all| {
        all.iter()
            .filter(|one| one.share.object == object)
            .copied()
            .collect()
    })
}

/// Stands in line for `object` as the task 7, in its turn number 1.
fn enter_as_task(object: usize, f: impl FnOnce(&'static Record, &Place)) {
    let place = Place::of(7);
    place.notify(0);
    let task = waiting::enter(NonNull::from(&place));
    let record = enter(call(), share(object), Waker::noop(), None).expect("in a task");
    drop(task);
    f(record, &place);
    record.leave();
}

#[test]
fn outside_of_a_task_there_is_no_record() {
    assert!(enter(call(), share(1), Waker::noop(), None).is_none());
    assert!(hold(call(), share(1)).is_none());
}

#[test]
fn a_wait_is_seen_until_it_leaves() {
    enter_as_task(2, |record, place| {
        let seen = standing(2);
        assert_eq!(seen.len(), 1);
        let one = &seen[0];
        assert_eq!((one.task, one.turns, one.step), (7, 1, Step::InLine));
        assert_eq!((one.share, one.is_first), (share(2), false));
        assert!(!one.wakes_task, "the waker is nobody's");
        assert!(one.holder.is_none());
        place.notify(0);
        let task = waiting::enter(NonNull::from(place));
        record.stay();
        drop(task);
        record.lead(4, Some(holder(9)));
        let one = standing(2)[0];
        assert_eq!(one.turns, 2);
        assert_eq!((one.is_first, one.share.of), (true, 4));
        assert_eq!(one.holder.map(|holder| holder.task), Some(9));
        record.serve();
        let one = standing(2)[0];
        assert_eq!(one.step, Step::Served);
        assert_eq!((one.is_first, one.holder), (false, None));
    });
    assert!(standing(2).is_empty());
}

/// A guard has a record from the moment on that it is there.
#[test]
fn a_guard_is_seen_until_it_goes() {
    let place = Place::of(7);
    place.notify(0);
    let task = waiting::enter(NonNull::from(&place));
    let first = hold(call(), share(6)).expect("in a task");
    let second = hold(call(), share(6)).expect("in a task");
    drop(task);
    let one = standing(6)[0];
    assert_eq!((one.step, one.task, one.share), (Step::Held, 7, share(6)));
    first.recount(1);
    assert_eq!(
        standing(6).iter().map(|one| one.share.count).sum::<usize>(),
        3
    );
    assert_ne!(
        first.call().map(|call| call.at.line()),
        second.call().map(|call| call.at.line())
    );
    second.leave();
    assert_eq!(standing(6).len(), 1);
    first.leave();
    assert!(standing(6).is_empty());
}

/// A suspicion stands as long as nothing happens to the wait.
#[test]
fn a_suspicion_is_of_one_version_and_one_kind() {
    enter_as_task(3, |record, _| {
        let suspect = |what, now, turns| {
            look(|all| {
                let one = all.iter().find(|one| one.share.object == 3);
                one.expect("it stands in line").suspect(what, now, turns)
            })
        };
        assert_eq!(suspect(1, 10, 4), None);
        let first = Suspected {
            since: 10,
            turns: 4,
        };
        assert_eq!(suspect(1, 20, 5), Some(first));
        record.serve();
        assert_eq!(suspect(1, 30, 5), None, "something happened");
        assert_eq!(suspect(2, 40, 6), None, "it is another suspicion");
        let second = Suspected {
            since: 40,
            turns: 6,
        };
        assert_eq!(suspect(2, 50, 7), Some(second));
    });
}

/// Records go round between threads, and none is made for each wait.
#[test]
fn records_are_used_again() {
    let made = || all().len();
    thread::spawn(|| enter_as_task(4, |_, _| ()))
        .join()
        .expect("no panic");
    let before = made();
    for _ in 0..1_000 {
        thread::spawn(|| enter_as_task(4, |_, _| ()))
            .join()
            .expect("no panic");
    }
    // Other tests make some for themselves.
    assert!(made() < before + 100, "{before}, then {}", made());
}

/// The halves of what a record says are of one moment: here they are the same number.
#[test]
fn what_is_read_is_of_one_moment() {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for task in 0..20_000 {
                let place = Place::of(task);
                for _ in 0..task % 3 {
                    place.notify(0);
                }
                let entered = waiting::enter(NonNull::from(&place));
                let record = enter(call(), share(5), Waker::noop(), None).expect("in a task");
                drop(entered);
                record.lead(3, Some(holder(task + 1)));
                record.leave();
            }
            done.store(true, Relaxed);
        });
        while !done.load(Relaxed) {
            for one in standing(5) {
                assert_eq!(one.turns as u64, one.task % 3);
                if let Some(holder) = one.holder {
                    assert_eq!(holder.task, one.task + 1);
                }
            }
        }
    });
}
