//! What a lock and a channel cost in counted instructions: one row, so many times, to be run under callgrind.
//!
//! Two runs of one row, with N and 2 N, differ by N times the row: `docs/insight.md` has the command. The `task_` rows are as in a
//! task of a runtime, the others as under another executor.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use blitz_core::waiting::{self, Place};
use blitz_sync::{Mutex, Notify, RwLock, Semaphore, WaiterQueue, mpmc, mpsc, oneshot};

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    let (Some(row), Some(count)) = (args.next(), args.next()) else {
        println!(
            "usage: instructions ROW COUNT, where ROW is one of this source's, or task_ and that"
        );
        return;
    };
    let count: u32 = count.parse().expect("COUNT is a number");
    let place = Place::new();
    let (row, task) = match row.strip_prefix("task_") {
        Some(row) => (row, Some(waiting::enter(NonNull::from(&place)))),
        None => (row.as_str(), None),
    };
    match row {
        "mutex" => mutex(count),
        "rwlock" => rwlock(count),
        "semaphore" => semaphore(count),
        "mpsc" => send_and_recv(count),
        "mpmc" => send_and_recv_many(count),
        "oneshot" => oneshots(count),
        "handover" => hand_over(count),
        "notify" => notify(count),
        "queue" => queue(count),
        _ => panic!("no such row: {row}"),
    }
    drop(task);
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// The output of a future that need not wait.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut cx()) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it need not wait"),
    }
}

fn waits<F: Future>(future: Pin<&mut F>) {
    assert!(future.poll(&mut cx()).is_pending());
}

/// Locked and let go, by one alone.
fn mutex(count: u32) {
    let lock = Mutex::new(0);
    for _ in 0..count {
        *now(black_box(&lock).lock()) += 1;
    }
}

fn rwlock(count: u32) {
    let lock = RwLock::new(0);
    for _ in 0..count {
        black_box(*now(black_box(&lock).read()));
    }
}

fn semaphore(count: u32) {
    let semaphore = Semaphore::new(1);
    for _ in 0..count {
        drop(now(black_box(&semaphore).acquire()));
    }
}

/// A lock that is held, waited for, handed over and let go.
fn hand_over(count: u32) {
    let lock = Mutex::new(0);
    for _ in 0..count {
        let held = now(black_box(&lock).lock());
        let mut waiter = pin!(lock.lock());
        waits(waiter.as_mut());
        drop(held);
        *now(waiter) += 1;
    }
}

/// Waited for, notified, and seen.
fn notify(count: u32) {
    let notify = Notify::new();
    for _ in 0..count {
        let mut waiter = pin!(black_box(&notify).notified());
        waits(waiter.as_mut());
        notify.notify_one();
        now(waiter);
    }
}

/// The same of the line that channels stand in.
fn queue(count: u32) {
    let queue = WaiterQueue::new();
    for _ in 0..count {
        let mut waiter = pin!(black_box(&queue).add_waiter_if(|| true));
        waits(waiter.as_mut());
        queue.wake_one();
        assert!(now(waiter));
    }
}

fn send_and_recv(count: u32) {
    let (sender, mut receiver) = mpsc::channel(4);
    for i in 0..count {
        assert!(now(sender.send(i)).is_ok());
        assert_eq!(now(receiver.recv()), Some(i));
    }
}

fn send_and_recv_many(count: u32) {
    let (sender, receiver) = mpmc::channel(4);
    for i in 0..count {
        assert!(now(sender.send(i)).is_ok());
        assert_eq!(now(receiver.recv()), Some(i));
    }
}

fn oneshots(count: u32) {
    for i in 0..count {
        let (sender, receiver) = oneshot::channel();
        assert_eq!(sender.send(i), Ok(()));
        assert_eq!(now(receiver), Ok(i));
    }
}
