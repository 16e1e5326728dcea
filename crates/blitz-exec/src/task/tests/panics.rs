//! Panics in a task, and in what it holds: where they end up, and whom they do not harm.

use super::Queue;
use super::plain::{assert_freed, output};
use crate::task::{Id, JoinError, JoinHandle};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Poll, RawWaker, RawWakerVTable, Waker};

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(self.0);
    }
}

#[test]
fn a_panic_ends_up_in_the_join_error() {
    let queue = Queue::new();
    let mut text = queue.spawn(async { panic_any(String::from("in a task")) });
    let mut other = queue.spawn(async { panic_any(5) });
    queue.run_all();
    assert_eq!(*queue.panics.lock(), 2);
    let error: JoinError = output::<()>(&mut text).expect_err("it panicked");
    assert!(error.is_panic() && !error.is_cancelled());
    let id = text.id();
    assert_eq!(error.id(), id);
    assert_eq!(
        error.to_string(),
        format!("task {id} panicked with message \"in a task\"")
    );
    assert_eq!(
        format!("{error:?}"),
        format!("JoinError::Panic({id:?}, \"in a task\", ...)")
    );
    assert_eq!(
        *error
            .into_panic()
            .downcast::<String>()
            .expect("a formatted message"),
        "in a task"
    );
    let error: JoinError = output::<()>(&mut other).expect_err("it panicked");
    assert_eq!(error.to_string(), format!("task {} panicked", other.id()));
    assert_eq!(
        error.try_into_panic().ok().and_then(|p| p.downcast().ok()),
        Some(Box::new(5))
    );
    drop((text, other));
    assert_freed(&queue);
}

#[test]
fn a_cancelled_error_holds_no_panic() {
    let queue = Queue::new();
    let mut handle = queue.spawn(pending::<()>());
    handle.abort();
    queue.run_all();
    let error = output(&mut handle).expect_err("it was aborted");
    assert_eq!(
        error.to_string(),
        format!("task {} was cancelled", handle.id())
    );
    assert_eq!(
        format!("{error:?}"),
        format!("JoinError::Cancelled({:?})", handle.id())
    );
    let error = error.try_into_panic().expect_err("it did not panic");
    assert!(catch_unwind(AssertUnwindSafe(|| error.into_panic())).is_err());
    let io: std::io::Error = JoinError::cancelled(Id::next()).into();
    assert_eq!(io.kind(), std::io::ErrorKind::Other);
}

/// tokio-rs/tokio#4430 and its like: a drop that panics, wherever it happens, harms nobody else.
#[test]
fn a_drop_that_panics_is_contained() {
    let queue = Queue::new();
    // Of a future that is ready: the output stands.
    let bomb = Bomb("future");
    let mut handle = queue.spawn(poll_fn(move |_| {
        let _ = &bomb;
        Poll::Ready(1)
    }));
    queue.run_all();
    assert_eq!(*queue.panics.lock(), 1);
    assert_eq!(output(&mut handle).ok(), Some(1));
    drop(handle);
    // Of a future that is cancelled: it is reported.
    let bomb = Bomb("cancelled");
    let mut handle = queue.spawn(async move {
        let _bomb = bomb;
        pending::<()>().await
    });
    queue.run_all();
    handle.abort();
    queue.run_all();
    let payload = output(&mut handle)
        .expect_err("it was cancelled")
        .into_panic();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"cancelled"));
    drop(handle);
    // Of a future that has panicked: the first panic is reported.
    let bomb = Bomb("second");
    let mut handle = queue.spawn(poll_fn(move |_| -> Poll<()> {
        let _ = &bomb;
        panic!("first")
    }));
    queue.run_all();
    let payload = output(&mut handle).expect_err("it panicked").into_panic();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"first"));
    drop(handle);
    // Of an output that nobody wants, before and after the end.
    drop(queue.spawn(async { Bomb("output") }));
    let handle = queue.spawn(async { Bomb("output") });
    queue.run_all();
    drop(handle);
    // Of one whose handle goes in a panic: a second panic would end the process.
    let handle = queue.spawn(async { Bomb("output") });
    queue.run_all();
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _handle = handle;
        panic!("unwinds over the handle");
    }));
    assert!(unwound.is_err());
    // Of a panic's payload, which is itself a bomb.
    drop(queue.spawn(async { panic_any(Bomb("payload")) }));
    queue.run_all();
    drop(handle_of_cancelled(&queue));
    assert_freed(&queue);
}

fn handle_of_cancelled(queue: &Arc<Queue>) -> JoinHandle<()> {
    let handle = queue.spawn(pending());
    handle.abort();
    queue.run_all();
    handle
}

/// Does a [`bad_waker`] panic now?
static BAD: AtomicBool = AtomicBool::new(false);

/// A waker whose every function can be made to panic.
fn bad_waker() -> Waker {
    fn check(_: *const ()) {
        // ORDERING: one thread.
        assert!(!BAD.load(Relaxed), "a bad waker");
    }
    fn clone(data: *const ()) -> RawWaker {
        check(data);
        RawWaker::new(data, &VTABLE)
    }
    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, check, check, check);
    // SAFETY: the functions keep to the contract, or panic.
    unsafe { Waker::new(std::ptr::null(), &VTABLE) }
}

#[test]
fn a_join_waker_that_panics_costs_the_task_nothing() {
    let queue = Queue::new();
    let mut handle = queue.spawn(async { 3 });
    let waker = bad_waker();
    assert!(handle.set_join_waker(&waker));
    // ORDERING: one thread.
    BAD.store(true, Relaxed);
    queue.run_all();
    assert_eq!(output(&mut handle).ok(), Some(3));
    drop(handle);
    // In `clone`, nothing has happened yet.
    let mut handle = queue.spawn(async { 4 });
    assert!(catch_unwind(AssertUnwindSafe(|| handle.set_join_waker(&waker))).is_err());
    queue.run_all();
    assert_eq!(output(&mut handle).ok(), Some(4));
    // ORDERING: one thread.
    BAD.store(false, Relaxed);
    drop(handle);
    assert_freed(&queue);
}
