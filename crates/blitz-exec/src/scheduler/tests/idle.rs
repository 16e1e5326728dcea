//! Who sleeps and who is woken.

use std::sync::Arc;

use blitz_core::primitive::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use blitz_core::primitive::thread;

use super::{FakePark, FakeUnpark};
use crate::park::{Park, Unpark};
use crate::scheduler::multi::idle::Idle;

struct World {
    idle: Idle,
    /// Tasks to take.
    queue: AtomicUsize,
    /// Tasks not taken yet, or not pushed yet.
    left: AtomicUsize,
    unparkers: Vec<Arc<dyn Unpark>>,
    /// Each sleep is called a nap. It does not end by itself: no push may rely on that.
    naps: bool,
}

impl World {
    fn push(&self) {
        self.queue.fetch_add(1, Relaxed);
        if let Some(index) = self.idle.wake_one() {
            self.unparkers[index].unpark();
        }
    }

    fn take(&self) -> bool {
        self.queue
            .fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1))
            .is_ok()
    }

    /// What a worker does, without the running of tasks.
    fn work(&self, index: usize, mut park: FakePark) {
        let mut searching = false;
        loop {
            if !searching {
                searching = self.idle.start_search();
            }
            if searching && self.take() {
                searching = false;
                if self.idle.stop_search()
                    && self.queue.load(Relaxed) != 0
                    && let Some(next) = self.idle.wake_one()
                {
                    self.unparkers[next].unpark();
                }
                // The last task ends everybody.
                if self.left.fetch_sub(1, SeqCst) == 1 {
                    self.unparkers.iter().for_each(|unparker| unparker.unpark());
                }
                continue;
            }
            if self.left.load(SeqCst) == 0 {
                return;
            }
            if self.naps {
                self.idle.begin_nap();
            }
            self.idle.sleep(index, std::mem::take(&mut searching));
            if self.queue.load(Relaxed) == 0 && self.left.load(SeqCst) != 0 {
                park.park();
            } else {
                // A driver's turn without sleep. The model must know that the others go on meanwhile.
                thread::yield_now();
            }
            if self.naps {
                self.idle.end_nap();
            }
            searching = self.idle.awake(index);
        }
    }
}

fn model(workers: usize, pushers: usize, naps: bool) {
    let parks: Vec<_> = (0..workers).map(|_| FakePark::new()).collect();
    let world = Arc::new(World {
        idle: Idle::new(workers),
        queue: AtomicUsize::new(0),
        left: AtomicUsize::new(pushers),
        unparkers: parks
            .iter()
            .map(|park| Arc::new(FakeUnpark(park.0.clone())) as Arc<dyn Unpark>)
            .collect(),
        naps,
    });
    let mut threads: Vec<_> = parks
        .into_iter()
        .enumerate()
        .map(|(index, park)| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.work(index, park))
        })
        .collect();
    for _ in 1..pushers {
        let world = Arc::clone(&world);
        threads.push(thread::spawn(move || world.push()));
    }
    world.push();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A task is pushed from outside while the only worker goes to sleep. The model hangs if nobody takes it.
#[test]
fn no_push_is_lost_on_one_worker() {
    loom::model(|| model(1, 1, false));
    loom::model(|| model(1, 2, false));
}

/// The same while it takes naps.
#[test]
fn no_push_is_left_to_a_nap() {
    loom::model(|| model(1, 1, true));
}

/// The same with two workers, of which one searches and the other does not.
#[test]
fn no_push_is_lost_between_two_workers() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| model(2, 1, false));
}

/// A task is pushed while the only worker that searches has found another one, which it may run for long: the one that sleeps is woken,
/// by it or by who pushed.
#[test]
fn no_task_waits_behind_what_the_last_searcher_found() {
    loom::model(|| {
        let idle = Arc::new(Idle::new(2));
        idle.sleep(1, false);
        assert!(idle.start_search());
        let queue = Arc::new(AtomicUsize::new(0));
        let pushing = {
            let (idle, queue) = (Arc::clone(&idle), Arc::clone(&queue));
            thread::spawn(move || {
                queue.fetch_add(1, Relaxed);
                idle.wake_one()
            })
        };
        let by_searcher = (idle.stop_search() && queue.load(Relaxed) != 0)
            .then(|| idle.wake_one())
            .flatten();
        let by_pusher = pushing.join().unwrap();
        assert_eq!(by_searcher.or(by_pusher), Some(1));
        assert!(by_searcher.is_none() || by_pusher.is_none());
    });
}
