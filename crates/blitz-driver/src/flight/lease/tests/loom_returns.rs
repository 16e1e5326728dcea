//! The way home, explored whole. Each test is named by what can never happen.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use super::super::pool::BufferPool;
use super::super::returns::Returns;

/// Two buffers come home while the taker looks twice: both are taken, each once, with what was written before.
#[test]
fn no_buffer_is_lost_or_taken_twice() {
    loom::model(|| {
        let returns = Arc::new(Returns::new(2));
        let last_looks = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let threads = [0, 1].map(|number| {
            let returns = Arc::clone(&returns);
            let last_look = Arc::clone(&last_looks[number]);
            thread::spawn(move || {
                last_look.store(1, Relaxed);
                returns.push(number as u32);
            })
        });
        let mut taken = [0; 2];
        let mut take = || {
            returns.take(|number| {
                let number = number as usize;
                taken[number] += 1;
                assert_eq!(
                    last_looks[number].load(Relaxed),
                    1,
                    "taken before its reader had let go"
                );
            });
        };
        take();
        for thread in threads {
            thread.join().unwrap();
        }
        take();
        assert_eq!(taken, [1, 1]);
    });
}

/// A buffer that went out again and comes home a second time is not mistaken for its first visit.
#[test]
fn no_second_visit_breaks_the_stack() {
    loom::model(|| {
        let returns = Arc::new(Returns::new(2));
        returns.push(0);
        let other = {
            let returns = Arc::clone(&returns);
            thread::spawn(move || returns.push(1))
        };
        let mut taken = [0; 2];
        returns.take(|number| taken[number as usize] += 1);
        if taken[0] == 1 {
            returns.push(0);
        }
        other.join().unwrap();
        returns.take(|number| taken[number as usize] += 1);
        assert_eq!(taken, [2, 1]);
    });
}

/// A buffer that comes home while a task stands in line is told to the task. `block_on` fails one that sleeps for ever.
#[test]
fn no_waiter_is_forgotten() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let pool = BufferPool::new(1, 8);
        let held = pool.try_lease().unwrap();
        let other = thread::spawn(move || drop(held));
        let got = loom::future::block_on(pool.lease());
        other.join().unwrap();
        assert!(pool.try_lease().is_none());
        drop(got);
    });
}

/// Two threads let go of one buffer: it comes home once, and only when both have. The last look of the other holder is
/// an atomic here, since loom does not see the buffer's own memory.
#[test]
fn no_view_sees_its_buffer_go_home() {
    loom::model(|| {
        let pool = BufferPool::new(1, 8);
        let mut lease = pool.try_lease().unwrap();
        lease.as_mut_slice().fill(7);
        let view = lease.freeze(8);
        let twin = view.clone();
        let last_look = Arc::new(AtomicUsize::new(0));
        let other = {
            let last_look = Arc::clone(&last_look);
            thread::spawn(move || {
                assert_eq!(&twin[..], [7; 8]);
                last_look.store(1, Relaxed);
                drop(twin);
            })
        };
        drop(view);
        if let Some(mut again) = pool.try_lease() {
            assert_eq!(last_look.load(Relaxed), 1, "lent again under a reader");
            again.as_mut_slice().fill(9);
        }
        other.join().unwrap();
        assert!(pool.try_lease().is_some());
    });
}
