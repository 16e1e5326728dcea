//! `OnceCell`, `SetOnce` and `Barrier`.

use blitz_sync::{Barrier, Notify, OnceCell, SetError, SetOnce};

use crate::harness::Hand;

static PRESET: OnceCell<u8> = OnceCell::const_new_with(3);
static LATER: SetOnce<u8> = SetOnce::const_new_with(4);

#[test]
fn one_makes_the_value_and_the_others_wait() {
    let cell = OnceCell::new();
    let go = Notify::new();
    let mut maker = Hand::new(cell.get_or_init(|| async {
        go.notified().await;
        1
    }));
    maker.waits();
    assert!(cell.set(9).unwrap_err().is_initializing_err());
    let mut other = Hand::new(cell.get_or_init(|| async { 2 }));
    other.waits();
    go.notify_one();
    assert_eq!(maker.done(), &1);
    assert_eq!(other.wakes(), 1);
    assert_eq!(other.done(), &1);
    assert_eq!(cell.set(9), Err(SetError::AlreadyInitializedError(9)));
}

#[test]
fn a_maker_that_goes_or_fails_leaves_it_to_the_next() {
    let cell = OnceCell::new();
    let mut gone = Hand::new(cell.get_or_init(std::future::pending));
    gone.waits();
    let mut fails = Hand::new(cell.get_or_try_init(|| async { Err("no") }));
    fails.waits();
    let mut next = Hand::new(cell.get_or_init(|| async { 5 }));
    next.waits();
    drop(gone);
    assert_eq!(fails.done(), Err("no"));
    assert_eq!(next.done(), &5);
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let empty = OnceCell::<u8>::new();
        Hand::new(empty.get_or_init(|| async { panic!("in the maker") })).done();
    }));
    assert!(panics.is_err());
}

#[test]
fn a_cell_is_what_it_holds() {
    let mut cell = OnceCell::from(1);
    assert_eq!(cell.clone(), cell);
    *cell.get_mut().unwrap() = 2;
    assert_eq!(cell.take(), Some(2));
    assert!(!cell.initialized());
    assert!(cell.set(3).is_ok());
    assert_eq!(cell.into_inner(), Some(3));
    assert_eq!(PRESET.get(), Some(&3));
    assert!(PRESET.set(1).unwrap_err().is_already_init_err());
    assert_eq!(OnceCell::<u8>::default().get(), None);
}

#[test]
fn a_value_that_is_set_wakes_all_who_wait() {
    let once = SetOnce::new();
    let mut waits: Vec<_> = (0..3).map(|_| Hand::new(once.wait())).collect();
    for wait in &mut waits {
        wait.waits();
    }
    assert!(once.set(7).is_ok());
    assert_eq!(once.set(8).unwrap_err().0, 8);
    for wait in &mut waits {
        assert_eq!(wait.done(), &7);
    }
    drop(waits);
    assert_eq!(Hand::new(LATER.wait()).done(), &4);
    assert_eq!(once.clone(), once);
    assert_eq!(once.into_inner(), Some(7));
}

#[test]
fn the_last_to_come_leads_and_lets_all_go() {
    let barrier = Barrier::new(3);
    for _ in 0..3 {
        let mut first = Hand::new(barrier.wait());
        let mut second = Hand::new(barrier.wait());
        first.waits();
        second.waits();
        assert!(Hand::new(barrier.wait()).done().is_leader());
        // One of the next round comes before those of this one have left.
        let mut early = Hand::new(barrier.wait());
        early.waits();
        assert!(!first.done().is_leader());
        assert!(!second.done().is_leader());
        early.waits();
        let mut middle = Hand::new(barrier.wait());
        middle.waits();
        assert!(Hand::new(barrier.wait()).done().is_leader());
        early.done();
        middle.done();
    }
    assert!(Hand::new(Barrier::new(0).wait()).done().is_leader());
}

#[test]
fn a_barrier_holds_threads_in_step() {
    const ROUNDS: usize = 2_000;
    let barrier = Barrier::new(4);
    let counts = [(); 4].map(|()| std::sync::atomic::AtomicUsize::new(0));
    let leaders = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for own in &counts {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    own.store(round, std::sync::atomic::Ordering::SeqCst);
                    let result = futures::executor::block_on(barrier.wait());
                    if result.is_leader() {
                        leaders.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    }
                    for count in &counts {
                        let seen = count.load(std::sync::atomic::Ordering::SeqCst);
                        assert!(seen == round || seen == round + 1);
                    }
                }
            });
        }
    });
    assert_eq!(leaders.into_inner(), ROUNDS);
}
