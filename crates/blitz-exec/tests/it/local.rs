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
