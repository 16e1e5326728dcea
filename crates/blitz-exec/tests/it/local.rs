//! Sets of tasks inside of one task.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;

use blitz_exec::scheduler::local::{self, LocalSet};
use blitz_exec::task::SpawnInfo;

use crate::fake::{wait, yield_now};

#[test]
fn tasks_run_only_while_the_set_is_polled() {
    let set = LocalSet::new();
    let ran = Rc::new(Cell::new(0));
    let inner = Rc::clone(&ran);
    let task = set.spawn_local(
        async move {
            inner.set(1);
            yield_now().await;
            inner.set(2);
        },
        SpawnInfo::here(),
    );
    assert_eq!(ran.get(), 0);
    assert!(!local::is_entered());
    wait(std::future::poll_fn(|cx| set.poll_tasks(cx)));
    assert_eq!(ran.get(), 2);
    assert!(task.is_finished());
}

#[test]
fn a_dropped_set_drops_its_tasks_here() {
    struct Note(Rc<Cell<bool>>);
    impl Drop for Note {
        fn drop(&mut self) {
            assert!(
                local::is_entered(),
                "what a task drops may still look for its set"
            );
            self.0.set(true);
        }
    }
    let set = LocalSet::new();
    let dropped = Rc::new(Cell::new(false));
    let note = Note(Rc::clone(&dropped));
    let task = set.spawn_local(
        async move {
            let _note = note;
            std::future::pending::<()>().await;
        },
        SpawnInfo::here(),
    );
    wait(std::future::poll_fn(|cx| {
        let _ = set.poll_until(cx, |_| Poll::<()>::Pending);
        Poll::Ready(())
    }));
    drop(set);
    assert!(dropped.get());
    assert!(wait(task).unwrap_err().is_cancelled());
}

/// What a guard puts back may be of a set that is gone, if guards are dropped in another order than they were made.
#[test]
fn a_set_that_a_guard_leads_back_to_is_still_there() {
    let (first, second) = (LocalSet::new(), LocalSet::new());
    let to_first = first.enter();
    let to_second = second.enter();
    drop(to_first);
    drop(first);
    assert!(!local::is_entered());
    drop(to_second);
    assert!(local::is_entered());
    let task = local::spawn_here(async { 7 }, SpawnInfo::here());
    let Ok(task) = task else {
        panic!("the thread is in the first set")
    };
    assert!(
        wait(task).unwrap_err().is_cancelled(),
        "that set takes no more tasks"
    );
    local::outside(|| assert!(!local::is_entered()));
}

/// A task that is queued while the future of one `run_until` ends is run by another that goes on.
#[test]
fn what_is_spawned_in_a_last_poll_wakes_who_goes_on() {
    let set = LocalSet::new();
    let mut task: Option<blitz_exec::task::JoinHandle<()>> = None;
    wait(std::future::poll_fn(|cx| {
        if let Some(task) = &mut task {
            return set.poll_until(cx, |cx| std::pin::Pin::new(task).poll(cx).map(|_| ()));
        }
        // The one that goes on was polled first, and waits.
        let goes_on = set.poll_until(cx, |_| Poll::<()>::Pending);
        let ends = set.poll_until(cx, |_| {
            task = Some(set.spawn_local(async {}, SpawnInfo::here()));
            Poll::Ready(())
        });
        assert!(goes_on.is_pending() && ends.is_ready());
        Poll::Pending
    }));
}
