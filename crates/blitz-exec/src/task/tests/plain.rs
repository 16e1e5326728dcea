//! What a task does, one thread at a time.

use super::{Queue, Wakers};
use crate::task::{self, AbortHandle, Id, JoinError, JoinHandle, Notified, OwnedTasks, SpawnInfo};
use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::panic::catch_unwind;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

fn poll<T>(handle: &mut JoinHandle<T>) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(Waker::noop()))
}

#[track_caller]
pub(super) fn output<T>(handle: &mut JoinHandle<T>) -> Result<T, JoinError> {
    match poll(handle) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the task has not ended"),
    }
}

/// Every handle must be gone for this to pass.
#[track_caller]
pub(super) fn assert_freed(queue: &Arc<Queue>) {
    assert!(queue.owned.is_empty());
    assert_eq!(Arc::strong_count(queue), 1, "a task was not freed");
}

#[test]
fn handles_may_go_where_they_should() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<JoinHandle<Cell<u8>>>();
    is_sync::<JoinHandle<Cell<u8>>>();
    is_send::<AbortHandle>();
    is_sync::<AbortHandle>();
    is_send::<Notified>();
    is_sync::<OwnedTasks>();
    is_send::<OwnedTasks>();
    is_send::<JoinError>();
    is_sync::<JoinError>();

    // `JoinHandle<Rc<()>>` is neither: a method found in two traits would not compile.
    trait Ambiguous<A> {
        fn check() {}
    }
    impl<T: ?Sized> Ambiguous<()> for T {}
    impl<T: ?Sized + Send> Ambiguous<u8> for T {}
    impl<T: ?Sized + Sync> Ambiguous<u16> for T {}
    <JoinHandle<Rc<()>> as Ambiguous<_>>::check();
}

#[test]
fn a_task_runs_and_gives_its_output() {
    let queue = Queue::new();
    let mut handle = queue.spawn(async { 7 });
    assert!(poll(&mut handle).is_pending() && !handle.is_finished());
    assert_eq!((queue.owned.len(), queue.run_all()), (1, 1));
    assert!(handle.is_finished());
    assert_eq!(output(&mut handle).ok(), Some(7));
    drop(handle);
    assert_freed(&queue);
}

#[test]
#[should_panic(expected = "polled after it had given its output")]
fn an_output_is_given_once() {
    let queue = Queue::new();
    let mut handle = queue.spawn(async {});
    queue.run_all();
    assert!(output(&mut handle).is_ok());
    let _ = poll(&mut handle);
}

#[test]
fn a_task_that_wakes_itself_comes_back_to_its_runner() {
    let queue = Queue::new();
    let mut left = 3;
    let _handle = queue.spawn(poll_fn(move |cx| {
        left -= 1;
        cx.waker().wake_by_ref();
        let by_value = cx.waker().clone();
        by_value.wake();
        if left == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    let again = queue
        .next()
        .and_then(Notified::run)
        .expect("it woke itself");
    assert!(
        queue.next().is_none(),
        "it was given to the scheduler as well"
    );
    let again = again.run().expect("it woke itself");
    assert!(again.run().is_none());
}

#[test]
fn many_wakes_make_one_poll() {
    let queue = Queue::new();
    let wakers = Wakers::default();
    let leave = wakers.clone();
    let handle = queue.spawn(poll_fn(move |cx| {
        leave.leave(cx.waker());
        Poll::<()>::Pending
    }));
    assert_eq!(queue.run_all(), 1);
    let waker = wakers.take();
    waker.wake_by_ref();
    waker.wake_by_ref();
    let by_value = waker.clone();
    by_value.wake();
    assert_eq!(queue.run_all(), 1);
    waker.wake();
    assert_eq!(queue.run_all(), 1);
    drop(handle);
    queue.shut_down();
    drop(wakers);
    assert_freed(&queue);
}

#[test]
fn a_waker_may_outlive_everything() {
    let queue = Queue::new();
    let wakers = Wakers::default();
    let leave = wakers.clone();
    drop(queue.spawn(poll_fn(move |cx| {
        leave.leave(cx.waker());
        Poll::<()>::Pending
    })));
    queue.run_all();
    queue.shut_down();
    drop(queue);
    let waker = wakers.take();
    waker.wake_by_ref();
    waker.wake();
}

/// tokio-rs/tokio#6986: the joiner's waker goes with the wake, not with the task's memory.
#[test]
fn a_join_waker_goes_at_completion() {
    let queue = Queue::new();
    let mut joined = queue.spawn(async { 1 });
    let wakers = Wakers::default();
    let leave = wakers.clone();
    let joiner = queue.spawn(async move {
        poll_fn(|cx| {
            leave.leave(cx.waker());
            Poll::Ready(())
        })
        .await;
        pending::<()>().await
    });
    let first = queue.next().expect("two were spawned");
    queue.run_all();
    assert!(joined.set_join_waker(&wakers.take()));
    let handles = Arc::strong_count(&queue);
    assert!(first.run().is_none());
    assert_eq!(queue.run_all(), 1, "the joiner is woken");
    drop(joiner);
    queue.shut_down();
    assert_eq!(
        Arc::strong_count(&queue),
        handles - 1,
        "the joiner's waker is still held"
    );
    assert_eq!(output(&mut joined).ok(), Some(1));
}

#[test]
fn an_abort_is_carried_out_by_the_runner() {
    let queue = Queue::new();
    let dropped = Arc::new(());
    let spawn = || {
        let held = dropped.clone();
        queue.spawn(async move {
            let _held = held;
            pending::<()>().await
        })
    };
    // Before its first poll, and when it is idle; twice does no harm.
    for polled in [false, true] {
        let mut handle = spawn();
        if polled {
            queue.run_all();
        }
        let abort = handle.abort_handle();
        assert_eq!(abort.id(), handle.id());
        abort.abort();
        handle.abort();
        abort.clone().abort();
        assert_eq!(
            Arc::strong_count(&dropped),
            2,
            "the aborter dropped the future"
        );
        assert!(!abort.is_finished());
        assert_eq!(queue.run_all(), 1);
        assert!(abort.is_finished());
        assert_eq!(Arc::strong_count(&dropped), 1);
        assert!(
            output(&mut handle)
                .expect_err("it was aborted")
                .is_cancelled()
        );
    }
    // After its end it changes nothing.
    let mut handle = queue.spawn(async { 1 });
    queue.run_all();
    handle.abort();
    assert_eq!(queue.run_all(), 0);
    assert_eq!(output(&mut handle).ok(), Some(1));
    drop(handle);
    assert_freed(&queue);
}

#[test]
fn a_task_that_aborts_itself_ends_at_its_next_pending() {
    let queue = Queue::new();
    let mut handle = queue.spawn(async {
        let me: AbortHandle = poll_fn(|_| ABORT.take().map_or(Poll::Pending, Poll::Ready)).await;
        me.abort();
        ready(()).await;
        pending::<()>().await
    });
    ABORT.set(Some(handle.abort_handle()));
    queue.run_all();
    assert!(
        output(&mut handle)
            .expect_err("it was aborted")
            .is_cancelled()
    );
    // One that is ready in that very poll has ended.
    let mut handle = queue.spawn(async {
        ABORT.take().expect("it is there").abort();
        5
    });
    ABORT.set(Some(handle.abort_handle()));
    queue.run_all();
    assert_eq!(output(&mut handle).ok(), Some(5));
}

thread_local! {
    static ABORT: Cell<Option<AbortHandle>> = const { Cell::new(None) };
    static SEEN: Cell<Option<Id>> = const { Cell::new(None) };
}

struct Sees;

impl Drop for Sees {
    fn drop(&mut self) {
        SEEN.set(task::try_id());
    }
}

#[test]
fn a_task_knows_itself_also_while_it_is_dropped() {
    let queue = Queue::new();
    assert_eq!(task::try_id(), None);
    assert!(task::current_meta(|_| ()).is_none());
    assert!(catch_unwind(task::id).is_err());
    let before = line!();
    let info = SpawnInfo::here().named("a name");
    let (id, line) = (info.id, info.location.line());
    assert!(before < line && line < line!());
    let (mut handle, notified) = queue.owned.bind(
        async {
            let _sees = Sees;
            task::current_meta(|meta| {
                (
                    meta.id(),
                    meta.name().map(str::to_owned),
                    meta.spawned_at().line(),
                )
            })
        },
        queue.clone(),
        info,
    );
    assert!(notified.and_then(Notified::run).is_none());
    assert_eq!(
        output(&mut handle).ok().flatten(),
        Some((id, Some("a name".to_owned()), line))
    );
    assert_eq!((SEEN.take(), task::try_id()), (Some(id), None));
    assert_eq!(
        (handle.meta().name(), handle.meta().id()),
        (Some("a name"), id)
    );
    // Its output, dropped with the handle.
    let handle = queue.spawn(async { Sees });
    queue.run_all();
    let id = handle.id();
    drop(handle);
    assert_eq!(SEEN.take(), Some(id));
    // Its future, dropped by a shutdown.
    let sees = Sees;
    let handle = queue.spawn(async move {
        let _sees = sees;
        pending::<()>().await
    });
    queue.shut_down();
    assert_eq!(SEEN.take(), Some(handle.id()));
}

#[test]
fn the_list_knows_its_tasks() {
    let queue = Queue::new();
    let owned = OwnedTasks::new(3);
    let mut expected = Vec::new();
    let handles: Vec<_> = (0..10)
        .map(|shard| {
            let info = SpawnInfo {
                shard,
                ..SpawnInfo::here()
            };
            expected.push((info.id, info.location));
            let (handle, notified) = owned.bind(pending::<()>(), queue.clone(), info);
            let notified = notified.expect("it is open");
            assert!(owned.owns(notified.header()) && !queue.owned.owns(notified.header()));
            assert!(!queue.owned.remove(notified.header()));
            handle
        })
        .collect();
    let mut seen: Vec<_> = owned
        .collect()
        .iter()
        .map(|task| (task.meta().id(), task.meta().spawned_at()))
        .collect();
    seen.sort_by_key(|(id, _)| *id);
    assert_eq!(seen, expected);
    assert_eq!(owned.len(), 10);
    owned.close();
    assert!(owned.is_closed() && !owned.is_empty());
    owned.close_and_shutdown_all(2);
    assert!(owned.is_empty());
    for mut handle in handles {
        assert!(
            output(&mut handle)
                .expect_err("it was shut down")
                .is_cancelled()
        );
    }
    assert_freed(&queue);
}

#[test]
fn a_closed_list_cancels_what_comes() {
    let queue = Queue::new();
    queue.owned.close();
    let held = Arc::new(());
    let future = {
        let held = held.clone();
        async move { drop(held) }
    };
    let mut handle = queue.spawn(future);
    assert_eq!((Arc::strong_count(&held), queue.run_all()), (1, 0));
    assert!(
        output(&mut handle)
            .expect_err("the list is closed")
            .is_cancelled()
    );
    drop(handle);
    assert_freed(&queue);
}

#[test]
fn a_notification_that_is_dropped_leaves_its_task_to_the_shutdown() {
    let queue = Queue::new();
    let mut handle = queue.spawn(async {});
    drop(queue.next());
    handle.abort();
    assert_eq!(queue.run_all(), 0);
    assert!(poll(&mut handle).is_pending());
    queue.shut_down();
    assert!(
        output(&mut handle)
            .expect_err("it was shut down")
            .is_cancelled()
    );
    drop(handle);
    assert_freed(&queue);
}

#[test]
fn a_shutdown_in_a_poll_waits_for_its_end() {
    let queue = Queue::new();
    let inner = queue.clone();
    let mut handle = queue.spawn(poll_fn(move |_| {
        inner.shut_down();
        Poll::<()>::Pending
    }));
    queue.run_all();
    assert!(
        output(&mut handle)
            .expect_err("it was shut down")
            .is_cancelled()
    );
    drop(handle);
    assert_freed(&queue);
}

#[test]
fn an_unowned_task_is_run_or_shut_down() {
    let queue = Queue::new();
    let (task, mut handle) = task::unowned(async { 1 }, queue.clone(), SpawnInfo::here());
    assert!(task.run().is_none());
    assert_eq!(output(&mut handle).ok(), Some(1));
    drop(handle);
    let (task, mut handle) = task::unowned(async { 1 }, queue.clone(), SpawnInfo::here());
    task.shutdown();
    assert!(
        output(&mut handle)
            .expect_err("it was shut down")
            .is_cancelled()
    );
    drop(handle);
    let (task, mut handle) = task::unowned(async { 1 }, queue.clone(), SpawnInfo::here());
    handle.abort();
    assert!(task.run().is_none());
    assert!(
        output(&mut handle)
            .expect_err("it was aborted")
            .is_cancelled()
    );
    drop(handle);
    assert_freed(&queue);
}

#[test]
fn a_local_task_may_hold_what_cannot_be_sent() {
    let queue = Queue::new();
    let value = Rc::new(5);
    let mine = Rc::clone(&value);
    // SAFETY: there is one thread.
    let (mut handle, notified) = unsafe {
        queue
            .owned
            .bind_local(async move { mine }, queue.clone(), SpawnInfo::here())
    };
    assert!(notified.and_then(Notified::run).is_none());
    assert_eq!(output(&mut handle).ok().as_deref(), Some(&5));
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn a_join_costs_budget() {
    use blitz_core::budget;
    let queue = Queue::new();
    let handles: Vec<_> = (0..budget::UNITS + 1)
        .map(|_| queue.spawn(async {}))
        .collect();
    queue.run_all();
    let mut joined = 0;
    budget::with_budget(|| {
        for mut handle in handles {
            joined += u32::from(poll(&mut handle).is_ready());
        }
    });
    assert_eq!(joined, budget::UNITS);
}

#[test]
fn futures_of_any_size_and_alignment_fit() {
    #[repr(align(256))]
    struct Aligned([u8; 512]);
    let queue = Queue::new();
    let large = [7_u8; 100_000];
    let mut size = queue.spawn(async move { large.iter().map(|&b| u64::from(b)).sum::<u64>() });
    let aligned = Aligned([3; 512]);
    let mut place = queue.spawn(async move {
        let aligned = pin!(aligned);
        (std::ptr::from_ref(&*aligned).addr() % 256, aligned.0[511])
    });
    queue.run_all();
    assert_eq!(output(&mut size).ok(), Some(700_000));
    assert_eq!(output(&mut place).ok(), Some((0, 3)));
}

#[test]
fn ids_are_unique_across_threads() {
    let mut ids: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..500).map(|_| Id::next().as_u64()).collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]) && ids[0] > 0);
    assert_eq!(
        Id::next().to_string().parse::<u64>().map(|id| id > 0),
        Ok(true)
    );
}

#[test]
fn what_is_shown_for_debugging_is_readable() {
    static POLLS: AtomicUsize = AtomicUsize::new(0);
    let queue = Queue::new();
    let handle = queue.spawn(poll_fn(|_| {
        // ORDERING: one thread.
        POLLS.fetch_add(1, Relaxed);
        Poll::<()>::Pending
    }));
    assert_eq!(
        format!("{handle:?}"),
        format!("JoinHandle {{ id: {:?} }}", handle.id())
    );
    let notified = queue.next().expect("it was spawned");
    let shown = format!("{notified:?}");
    assert!(
        shown.contains("notified") && shown.contains("refs: 3"),
        "{shown}"
    );
    assert!(format!("{:?}", queue.owned).contains("len: 1"));
    drop(notified);
    queue.shut_down();
}
