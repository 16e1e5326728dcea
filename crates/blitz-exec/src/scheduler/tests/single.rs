//! One thread that runs the tasks, and others that wake them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::{
    AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst,
};
use blitz_core::primitive::thread;
use blitz_core::wake::WakeSlot;

use super::FakePark;
use crate::scheduler::Config;
use crate::scheduler::single::Shared;
use crate::task::{Priority, SpawnInfo};

struct Event {
    set: AtomicBool,
    slot: WakeSlot,
}

impl Event {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            set: AtomicBool::new(false),
            slot: WakeSlot::new(),
        })
    }

    fn set(&self) {
        self.set.store(true, SeqCst);
        self.slot.wake();
    }

    fn wait(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            self.slot.register(cx.waker());
            if self.set.load(SeqCst) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }
}

fn scheduler() -> Arc<Shared> {
    Shared::new(0, FakePark::boxed(), Arc::new(Config::default()))
}

/// The root is woken from another thread as the loop goes to sleep. `block_on` hangs if the wake is lost.
#[test]
fn no_wake_of_the_root_is_lost() {
    loom::model(|| {
        let shared = scheduler();
        let event = Event::new();
        let other = Arc::clone(&event);
        let thread = thread::spawn(move || other.set());
        shared.block_on(event.wait());
        thread.join().unwrap();
        shared.shutdown();
    });
}

/// What a waker did before its wake is seen by the root's next poll, also when the loop had no time to fall asleep between.
#[test]
fn what_was_done_before_a_wake_of_the_root_is_seen() {
    loom::model(|| {
        let shared = scheduler();
        let event = Arc::new(AtomicUsize::new(0));
        let slot: Arc<Mutex<Option<Waker>>> = Arc::new(Mutex::new(None));
        let (done, waker) = (Arc::clone(&event), Arc::clone(&slot));
        let thread = thread::spawn(move || {
            loop {
                let waker = waker.lock().take();
                if let Some(waker) = waker {
                    done.store(1, Relaxed);
                    return waker.wake();
                }
                thread::yield_now();
            }
        });
        let mut polls = 0;
        shared.block_on(poll_fn(|cx| {
            polls += 1;
            if polls == 1 {
                *slot.lock() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            assert_eq!(event.load(Relaxed), 1);
            Poll::Ready(())
        }));
        thread.join().unwrap();
        shared.shutdown();
    });
}

/// A task is woken from another thread as the loop goes to sleep.
#[test]
fn no_wake_of_a_task_is_lost() {
    loom::model(|| {
        let shared = scheduler();
        let event = Event::new();
        let (other, mine) = (Arc::clone(&event), event);
        let thread = thread::spawn(move || other.set());
        let task = shared.spawn(async move { mine.wait().await }, SpawnInfo::here());
        assert!(shared.block_on(task).is_ok());
        thread.join().unwrap();
        shared.shutdown();
    });
}

/// The same for a task that is not normal, and so has another inbox; and a normal one from outside beside it.
#[test]
fn no_wake_of_a_critical_task_is_lost() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let shared = scheduler();
        let event = Event::new();
        let (other, mine) = (Arc::clone(&event), event);
        let spawner = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            other.set();
            drop(spawner.spawn(async {}, SpawnInfo::here()));
        });
        let info = SpawnInfo::here().with_priority(Priority::Critical);
        let task = shared.spawn(async move { mine.wait().await }, info);
        assert!(shared.block_on(task).is_ok());
        thread.join().unwrap();
        shared.shutdown();
    });
}

/// Two threads want to run one scheduler: the second takes over when the first is done, or is done itself.
#[test]
fn the_core_goes_from_thread_to_thread() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let shared = scheduler();
        let event = Event::new();
        let task = {
            let event = Arc::clone(&event);
            shared.spawn(async move { event.wait().await }, SpawnInfo::here())
        };
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || other.block_on(async { event.set() }));
        assert!(shared.block_on(task).is_ok());
        thread.join().unwrap();
        shared.shutdown();
    });
}
