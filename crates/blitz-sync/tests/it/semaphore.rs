//! Semaphores: the line, its order, and what is given up.

use std::sync::Arc;

use blitz_sync::{Semaphore, TryAcquireError};

use crate::harness::Hand;

#[test]
fn permits_are_taken_and_come_back() {
    let semaphore = Semaphore::new(3);
    let one = semaphore.try_acquire().unwrap();
    let two = semaphore.try_acquire_many(2).unwrap();
    assert_eq!(semaphore.available_permits(), 0);
    assert_eq!(
        semaphore.try_acquire().unwrap_err(),
        TryAcquireError::NoPermits
    );
    drop(two);
    assert_eq!(semaphore.available_permits(), 2);
    one.forget();
    assert_eq!(semaphore.available_permits(), 2);
    semaphore.add_permits(1);
    assert_eq!(semaphore.available_permits(), 3);
    assert_eq!(semaphore.forget_permits(10), 3);
    assert_eq!(semaphore.available_permits(), 0);
}

#[test]
fn who_waits_first_is_served_first() {
    let semaphore = Semaphore::new(0);
    let mut waits: Vec<_> = (0..3).map(|_| Hand::new(semaphore.acquire())).collect();
    for wait in &mut waits {
        wait.waits();
    }
    for index in 0..3 {
        semaphore.add_permits(1);
        for later in &mut waits[1..] {
            later.waits();
        }
        assert_eq!(waits[0].wakes(), 1, "number {index} is woken, once");
        waits.remove(0).done().unwrap().forget();
    }
}

#[test]
fn nobody_passes_those_who_wait() {
    let semaphore = Semaphore::new(1);
    let mut large = Hand::new(semaphore.acquire_many(2));
    large.waits();
    // One is free in number, but it is in the hand of the one in front.
    assert_eq!(
        semaphore.try_acquire().unwrap_err(),
        TryAcquireError::NoPermits
    );
    let mut small = Hand::new(semaphore.acquire());
    small.waits();
    semaphore.add_permits(1);
    small.waits();
    let held = large.done().unwrap();
    assert_eq!(held.num_permits(), 2);
    drop(held);
    assert_eq!(small.wakes(), 1);
    drop(small.done().unwrap());
}

#[test]
fn one_who_leaves_gives_what_it_gathered_to_those_behind() {
    let semaphore = Semaphore::new(2);
    let mut large = Hand::new(semaphore.acquire_many(5));
    large.waits();
    let mut second = Hand::new(semaphore.acquire());
    let mut third = Hand::new(semaphore.acquire());
    second.waits();
    third.waits();
    drop(large);
    assert_eq!((second.wakes(), third.wakes()), (1, 1));
    let held = (second.done().unwrap(), third.done().unwrap());
    assert_eq!(semaphore.available_permits(), 0);
    drop(held);
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn one_who_was_served_and_goes_unpolled_keeps_nothing() {
    let semaphore = Semaphore::new(0);
    let mut first = Hand::new(semaphore.acquire());
    let mut second = Hand::new(semaphore.acquire());
    first.waits();
    second.waits();
    semaphore.add_permits(1);
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(first);
    assert_eq!(second.wakes(), 1);
    drop(second);
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn more_waiters_than_one_batch_of_wakers_are_all_woken() {
    let semaphore = Semaphore::new(0);
    let mut waits: Vec<_> = (0..100).map(|_| Hand::new(semaphore.acquire())).collect();
    for wait in &mut waits {
        wait.waits();
    }
    semaphore.add_permits(100);
    for mut wait in waits {
        assert_eq!(wait.wakes(), 1);
        wait.done().unwrap().forget();
    }
}

#[test]
fn closing_tells_all_who_wait_and_all_who_come() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut waits: Vec<_> = (0..40)
        .map(|_| Hand::new(semaphore.acquire_many(2)))
        .collect();
    for wait in &mut waits {
        wait.waits();
    }
    semaphore.close();
    assert!(semaphore.is_closed());
    for wait in &mut waits {
        assert_eq!(wait.wakes(), 1);
        assert_eq!(wait.done().unwrap_err().to_string(), "semaphore closed");
    }
    assert!(Hand::new(semaphore.acquire()).done().is_err());
    assert_eq!(
        semaphore.try_acquire().unwrap_err(),
        TryAcquireError::Closed
    );
    drop(held);
    assert_eq!(semaphore.available_permits(), 1, "what was held comes back");
}

#[test]
fn what_was_gathered_before_the_closing_comes_back() {
    let semaphore = Semaphore::new(2);
    let mut wait = Hand::new(semaphore.acquire_many(3));
    wait.waits();
    semaphore.close();
    assert!(wait.done().is_err());
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn asking_for_none_never_waits() {
    let semaphore = Semaphore::new(0);
    let mut wait = Hand::new(semaphore.acquire());
    wait.waits();
    assert_eq!(
        Hand::new(semaphore.acquire_many(0))
            .done()
            .unwrap()
            .num_permits(),
        0
    );
    assert!(semaphore.try_acquire_many(0).is_ok());
}

#[test]
fn permits_split_and_merge() {
    let semaphore = Arc::new(Semaphore::new(5));
    let mut all = Arc::clone(&semaphore).try_acquire_many_owned(5).unwrap();
    assert!(all.split(6).is_none());
    let two = all.split(2).unwrap();
    assert_eq!((all.num_permits(), two.num_permits()), (3, 2));
    drop(all);
    assert_eq!(semaphore.available_permits(), 3);
    let mut merged = semaphore.try_acquire().unwrap();
    merged.merge(semaphore.try_acquire_many(2).unwrap());
    assert_eq!(merged.num_permits(), 3);
    assert!(std::ptr::eq(merged.semaphore(), &*semaphore));
    drop(merged);
    assert!(Arc::ptr_eq(two.semaphore(), &semaphore));
    drop(two);
    assert_eq!(semaphore.available_permits(), 5);
}

#[test]
#[should_panic(expected = "merging permits from different semaphore instances")]
fn permits_of_two_semaphores_do_not_merge() {
    let (one, other) = (Semaphore::new(1), Semaphore::new(1));
    one.try_acquire()
        .unwrap()
        .merge(other.try_acquire().unwrap());
}

/// One request takes what a `u32` says, but permits that were merged may be more.
#[test]
#[cfg(target_pointer_width = "64")]
fn merged_permits_are_more_than_one_request_takes() {
    let semaphore = Arc::new(Semaphore::new(6_000_000_000));
    let mut borrowed = semaphore.try_acquire_many(3_000_000_000).unwrap();
    borrowed.merge(semaphore.try_acquire_many(3_000_000_000).unwrap());
    assert_eq!(borrowed.num_permits(), 6_000_000_000);
    assert_eq!(semaphore.available_permits(), 0);
    drop(borrowed);
    let take = || {
        Arc::clone(&semaphore)
            .try_acquire_many_owned(3_000_000_000)
            .unwrap()
    };
    let mut owned = take();
    owned.merge(take());
    let part = owned.split(5_000_000_000).unwrap();
    assert_eq!(
        (owned.num_permits(), part.num_permits()),
        (1_000_000_000, 5_000_000_000)
    );
    assert!(owned.split(1_000_000_001).is_none());
    drop((owned, part));
    assert_eq!(semaphore.available_permits(), 6_000_000_000);
}

#[test]
fn a_task_without_budget_stands_in_the_line_all_the_same() {
    let semaphore = Semaphore::new(1);
    let first = semaphore.try_acquire().unwrap();
    let (mut second, mut third) = (
        Hand::new(semaphore.acquire()),
        Hand::new(semaphore.acquire()),
    );
    blitz_core::budget::with_budget(|| {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        while blitz_core::budget::has_remaining() {
            let std::task::Poll::Ready(coop) = blitz_core::budget::poll_proceed(&mut cx) else {
                break;
            };
            coop.made_progress();
        }
        second.waits();
        assert_eq!(
            second.wakes(),
            0,
            "its turn will wake it, and nothing before"
        );
        // Free, and still not taken: the task has done enough for now.
        let other = Semaphore::new(1);
        Hand::new(other.acquire()).waits();
        assert_eq!(other.available_permits(), 1);
    });
    third.waits();
    drop(first);
    let permit = second.done().unwrap();
    third.waits();
    drop(permit);
    drop(third.done().unwrap());
}

#[test]
fn owned_permits_keep_their_semaphore() {
    let semaphore = Arc::new(Semaphore::new(1));
    let permit = Hand::new(Arc::clone(&semaphore).acquire_owned())
        .done()
        .unwrap();
    let weak = Arc::downgrade(&semaphore);
    drop(semaphore);
    assert!(weak.upgrade().is_some());
    drop(permit);
    assert!(weak.upgrade().is_none());
}

#[test]
fn there_is_a_most_of_permits() {
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);
    let more = std::panic::catch_unwind(|| semaphore.add_permits(1));
    assert!(more.is_err());
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);
    assert!(std::panic::catch_unwind(|| Semaphore::new(usize::MAX)).is_err());
}

#[test]
fn threads_wait_for_permits_too() {
    let semaphore = Arc::new(Semaphore::new(2));
    let held = semaphore.try_acquire_many(2).unwrap();
    std::thread::scope(|scope| {
        let threads = [
            scope.spawn(|| drop(semaphore.blocking_acquire().unwrap())),
            scope.spawn(|| drop(semaphore.blocking_acquire_many(2).unwrap())),
            scope.spawn(|| drop(Arc::clone(&semaphore).blocking_acquire_owned().unwrap())),
            scope.spawn(|| {
                drop(
                    Arc::clone(&semaphore)
                        .blocking_acquire_many_owned(2)
                        .unwrap(),
                )
            }),
        ];
        drop(held);
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(semaphore.available_permits(), 2);
    semaphore.close();
    assert!(semaphore.blocking_acquire().is_err());
    assert!(semaphore.blocking_acquire_many(2).is_err());
    assert!(Arc::clone(&semaphore).blocking_acquire_owned().is_err());
    assert!(semaphore.blocking_acquire_many_owned(2).is_err());
}
