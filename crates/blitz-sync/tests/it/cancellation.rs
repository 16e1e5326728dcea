//! Tokens that tell it is over, and trackers that wait until it is.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use blitz_sync::{CancellationToken, TaskTracker};
use futures::executor::block_on;

use crate::harness::Hand;

#[test]
fn a_cancel_lets_all_go_on_who_wait() {
    let token = CancellationToken::new();
    let mut waits: Vec<_> = (0..40).map(|_| Hand::new(token.cancelled())).collect();
    waits.iter_mut().for_each(|wait| _ = wait.waits());
    let mut owned = Hand::new(token.clone().cancelled_owned());
    owned.waits();
    assert!(!token.is_cancelled());
    token.cancel();
    assert!(token.is_cancelled());
    for wait in &mut waits {
        assert_eq!(wait.wakes(), 1);
        wait.done();
    }
    owned.done();
    token.cancel();
    block_on(token.cancelled());
}

#[test]
fn a_cancel_goes_down_and_not_up() {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let leaf = left.child_token();
    let mut wait = Hand::new(leaf.cancelled());
    wait.waits();
    left.cancel();
    wait.done();
    assert!(left.is_cancelled() && leaf.is_cancelled());
    assert!(!root.is_cancelled() && !right.is_cancelled());
    root.cancel();
    assert!(right.is_cancelled());
    assert!(root.child_token().is_cancelled(), "born cancelled");
    block_on(left.child_token().cancelled());
}

#[test]
fn a_clone_is_the_same_token() {
    let root = CancellationToken::new();
    let child = root.child_token();
    drop(root.clone());
    drop(child.clone());
    root.clone().cancel();
    assert!(child.is_cancelled() && root.is_cancelled());
}

/// However many generations go, the last hears of the first; and the first is not kept by the last.
#[test]
fn a_token_that_goes_leaves_its_children_to_its_parent() {
    let root = CancellationToken::new();
    let mut last = root.child_token();
    for _ in 0..1_000 {
        last = last.child_token();
    }
    let sibling = last.child_token();
    let below = sibling.child_token();
    drop(sibling);
    root.cancel();
    assert!(last.is_cancelled() && below.is_cancelled());

    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let below = left.child_token();
    drop(root);
    left.cancel();
    assert!(below.is_cancelled() && !right.is_cancelled());
}

#[test]
fn a_wide_and_deep_tree_is_cancelled_whole() {
    fn grow(token: &CancellationToken, depth: usize, all: &mut Vec<CancellationToken>) {
        for _ in 0..3 * usize::from(depth != 0) {
            let child = token.child_token();
            grow(&child, depth - 1, all);
            all.push(child);
        }
    }
    let root = CancellationToken::new();
    let mut all = Vec::new();
    grow(&root, 5, &mut all);
    let mut waits: Vec<_> = all
        .iter()
        .map(|token| Hand::new(token.cancelled()))
        .collect();
    waits.iter_mut().for_each(|wait| _ = wait.waits());
    root.cancel();
    waits.iter_mut().for_each(Hand::done);
}

#[test]
fn a_future_runs_until_it_is_over() {
    let token = CancellationToken::new();
    assert_eq!(block_on(token.run_until_cancelled(async { 1 })), Some(1));
    let kept = Arc::new(());
    let inner = Arc::clone(&kept);
    let mut run = Hand::new(token.run_until_cancelled(async move {
        let _inner = inner;
        pending::<()>().await
    }));
    run.waits();
    token.cancel();
    assert_eq!(run.done(), None);
    drop(run);
    assert_eq!(Arc::strong_count(&kept), 1);
    let mut was_polled = false;
    let never = token
        .clone()
        .run_until_cancelled_owned(async { was_polled = true });
    assert_eq!(block_on(never), None);
    assert!(!was_polled);
}

#[test]
fn a_guard_cancels_unless_it_is_disarmed() {
    let token = CancellationToken::new();
    let kept = token
        .drop_guard_ref()
        .disarm()
        .clone()
        .drop_guard()
        .disarm();
    assert!(!kept.is_cancelled());
    drop(kept.drop_guard_ref());
    assert!(token.is_cancelled());
    let child = CancellationToken::new();
    let other = child.clone();
    let _ = thread::spawn(move || {
        let _guard = child.drop_guard();
        std::panic::resume_unwind(Box::new("its own affair"));
    })
    .join();
    assert!(other.is_cancelled(), "a panic drops the guard too");
}

/// A map may have them for keys.
#[test]
#[expect(clippy::mutable_key_type, reason = "its address is what is hashed")]
fn clones_are_equal_and_children_are_not() {
    use std::collections::HashSet;
    let token = CancellationToken::new();
    let (same, child) = (token.clone(), token.child_token());
    assert_eq!(token, same);
    assert_ne!(token, child);
    assert_ne!(token, CancellationToken::new());
    let tokens = HashSet::from([token.clone(), same, child.clone()]);
    assert_eq!(tokens.len(), 2);
    assert!(tokens.contains(&token) && tokens.contains(&child));
    let guard = child.drop_guard_ref();
    assert_eq!(*guard.token(), child);
    drop(guard);
    assert!(child.is_cancelled());
    let guard = token.clone().drop_guard();
    assert_eq!(*guard.token(), token);
    assert_eq!(guard.disarm(), token);
    assert!(!token.is_cancelled());
}

/// A wait that is dropped after each number of polls takes nothing with it.
#[test]
fn a_dropped_wait_takes_nothing_with_it() {
    for polls in 0..3 {
        for cancel_at in 0..3 {
            let token = CancellationToken::new();
            let child = token.child_token();
            let (mut wait, mut other) =
                (Hand::new(child.cancelled()), Hand::new(child.cancelled()));
            for poll in 0..3 {
                if poll == cancel_at {
                    token.cancel();
                }
                if poll < polls {
                    assert_eq!(wait.poll().is_ready(), poll >= cancel_at);
                    assert_eq!(other.poll().is_ready(), poll >= cancel_at);
                }
            }
            drop(wait);
            other.done();
        }
    }
}

/// The same for the wait of a tracker, for a wait that keeps its token, and for a future under a token.
#[test]
fn other_dropped_waits_take_nothing_with_them() {
    for polls in 0..3 {
        for end_at in 0..3 {
            let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
            let mut tracked = Some(tracker.token());
            tracker.close();
            let (mut wait, mut other) = (Hand::new(tracker.wait()), Hand::new(tracker.wait()));
            let mut owned = Hand::new(token.child_token().cancelled_owned());
            let mut run = Hand::new(token.run_until_cancelled(pending::<()>()));
            for poll in 0..3 {
                if poll == end_at {
                    tracked = None;
                    token.cancel();
                }
                if poll < polls {
                    let is_over = poll >= end_at;
                    assert_eq!(wait.poll().is_ready(), is_over);
                    assert_eq!(other.poll().is_ready(), is_over);
                    assert_eq!(owned.poll().is_ready(), is_over);
                    assert_eq!(run.poll().is_ready(), is_over);
                    if is_over {
                        break;
                    }
                }
            }
            drop((wait, owned, run));
            assert!(tracked.is_none());
            if polls <= end_at {
                other.done();
            }
            block_on(tracker.wait());
            block_on(token.cancelled());
        }
    }
}

/// Threads that make, clone, cancel and drop tokens of one tree: whatever is below a cancelled one is cancelled.
#[test]
fn a_tree_under_many_hands() {
    let root = CancellationToken::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..2_000 {
                    let child = root.child_token();
                    let leaf = child.clone().child_token();
                    if round % 3 == 0 {
                        drop(child);
                        assert!(!leaf.is_cancelled());
                    } else {
                        child.cancel();
                        block_on(leaf.cancelled());
                    }
                }
            });
        }
    });
    assert!(!root.is_cancelled());
    let last = root.child_token();
    root.cancel();
    assert!(last.is_cancelled());
}

#[test]
fn a_tracker_waits_until_it_is_closed_and_empty() {
    let tracker = TaskTracker::new();
    let mut wait = Hand::new(tracker.wait());
    wait.waits();
    let token = tracker.token();
    let other = token.clone();
    assert_eq!((tracker.len(), tracker.is_empty()), (2, false));
    assert!(TaskTracker::ptr_eq(token.task_tracker(), &tracker));
    assert!(tracker.close());
    assert!(!tracker.close(), "it was closed already");
    wait.waits();
    drop(token);
    wait.waits();
    drop(other);
    assert_eq!(wait.wakes(), 1);
    wait.done();
    assert!(tracker.is_closed() && tracker.is_empty());
    block_on(tracker.wait());
}

#[test]
fn a_close_of_an_empty_tracker_ends_the_wait() {
    let tracker = TaskTracker::new();
    let mut wait = Hand::new(tracker.wait());
    wait.waits();
    tracker.clone().close();
    wait.done();
}

#[test]
fn a_reopened_tracker_waits_again() {
    let tracker = TaskTracker::new();
    let before = tracker.wait();
    assert!(!tracker.reopen(), "it is open");
    tracker.close();
    assert!(tracker.reopen());
    assert!(!tracker.is_closed());
    Hand::new(before).done();
    Hand::new(tracker.wait()).waits();
}

#[test]
fn a_tracked_future_counts_until_it_is_gone() {
    let tracker = TaskTracker::new();
    let (drops, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(9)));
    /// Notes how many were tracked when it was dropped.
    struct Noted(TaskTracker, Arc<AtomicUsize>, Arc<AtomicUsize>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.1.fetch_add(1, SeqCst);
            self.2.store(self.0.len(), SeqCst);
        }
    }
    let noted = Noted(tracker.clone(), Arc::clone(&drops), Arc::clone(&seen));
    let mut task = Hand::new(tracker.track_future(async move {
        let _noted = noted;
        pending::<()>().await
    }));
    tracker.close();
    task.waits();
    let mut wait = Hand::new(tracker.wait());
    wait.waits();
    drop(task);
    assert_eq!((drops.load(SeqCst), seen.load(SeqCst)), (1, 1));
    wait.done();
    // One that was never polled, and one that is ready and kept.
    drop(tracker.track_future(async {}));
    let mut ready = Hand::new(tracker.track_future(async { 5 }));
    assert_eq!(ready.done(), 5);
    assert_eq!(tracker.len(), 1);
    drop(ready);
    assert!(tracker.is_empty());
}

#[test]
fn a_tracker_knows_when_many_threads_have_ended() {
    for _ in 0..50 {
        let (tracker, ended) = (TaskTracker::new(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                let (token, ended) = (tracker.token(), &ended);
                scope.spawn(move || {
                    ended.fetch_add(1, SeqCst);
                    drop(token);
                });
            }
            tracker.close();
            block_on(tracker.wait());
            assert_eq!(ended.load(SeqCst), 8);
        });
    }
}
