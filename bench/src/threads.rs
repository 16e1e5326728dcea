//! Threads that wait: for a lock, and for a wake that comes from another thread.

use std::sync::Arc;
use std::time::Instant;

use crate::measure::{Sample, median, pin};

const OPS: usize = 1_600_000;
const WARM: usize = 4_000;

/// Runs a row of this file.
pub fn run(row: &str, library: &str) -> Option<Sample> {
    match row {
        "line_parked" => Some(line_parked(library)),
        _ => {
            let count = row.strip_prefix("threads_")?;
            Some(threads(
                count.parse().expect("a number of threads"),
                library,
            ))
        }
    }
}

/// Threads that fight for one lock around a count, all of them to the end: had each a share of its own, one that a lock favours
/// would be done early and leave the rest to those who are then alone.
fn threads(count: usize, library: &str) -> Sample {
    fn fight(count: usize, add: impl Fn() -> u64 + Sync) -> Sample {
        let until = |goal: usize| {
            std::thread::scope(|scope| {
                for _ in 0..count {
                    scope.spawn(|| while add() < goal as u64 {});
                }
            });
        };
        until(WARM);
        let started = Instant::now();
        until(WARM + OPS);
        Sample {
            value: started.elapsed().as_nanos() as f64 / OPS as f64,
            ..Sample::default()
        }
    }
    fn one_more(mut count: impl std::ops::DerefMut<Target = u64>) -> u64 {
        *count += 1;
        *count
    }
    match library {
        "std" => {
            let lock = std::sync::Mutex::new(0_u64);
            fight(count, || one_more(lock.lock().expect("no panic")))
        }
        "parking-lot" => {
            let lock = parking_lot::Mutex::new(0_u64);
            fight(count, || one_more(lock.lock()))
        }
        "blitz-unfair" => {
            let lock = blitz_io::sync::UnfairMutex::new(0_u64);
            fight(count, || one_more(lock.blocking_lock()))
        }
        "blitz-mutex" => {
            let lock = blitz_io::sync::Mutex::new(0_u64);
            fight(count, || one_more(lock.blocking_lock()))
        }
        other => panic!("no library {other}"),
    }
}

/// From another thread's `wake_one` to the poll of one who sleeps: in its driver's one wait (on the ring by a word or a counter,
/// on epoll), beside the threads that have the drivers, or parked without a runtime. The two have a processor each: on one that
/// they share, who wakes would be what the other waits for.
fn line_parked(how: &str) -> Sample {
    use blitz_io::runtime::{Backend, Builder, LocalOptions, RingWakeup};
    const ROUNDS: usize = 2_000;
    async fn sleeping() -> Sample {
        pin(0);
        let queue = Arc::new(blitz_io::sync::WaiterQueue::new());
        let sent = Arc::new(std::sync::Mutex::new(Instant::now()));
        let waking = {
            let (queue, sent) = (Arc::clone(&queue), Arc::clone(&sent));
            std::thread::spawn(move || {
                pin(1);
                for _ in 0..ROUNDS {
                    while queue.waiter_count() == 0 {
                        std::thread::yield_now();
                    }
                    // Long enough for the other to be asleep.
                    std::thread::sleep(std::time::Duration::from_micros(300));
                    *sent.lock().expect("no panic") = Instant::now();
                    queue.wake_one();
                }
            })
        };
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            queue.add_waiter_if(|| true).await;
            times.push(sent.lock().expect("no panic").elapsed().as_nanos() as f64 / 1e3);
        }
        waking.join().expect("the waking thread");
        Sample {
            value: median(&mut times),
            ..Sample::default()
        }
    }
    let local = |backend, wakeup| {
        let mut builder = Builder::new_current_thread();
        builder.driver_backend(backend).ring_wakeup(wakeup);
        let runtime = builder.build_local(LocalOptions::default());
        runtime.expect("a runtime").block_on(sleeping())
    };
    match how {
        "ring-word" => local(Backend::IoUring, RingWakeup::Futex),
        "ring-counter" => local(Backend::IoUring, RingWakeup::EventFd),
        "epoll" => local(Backend::Epoll, RingWakeup::EventFd),
        "beside" => Builder::new_multi_thread()
            .build()
            .expect("a runtime")
            .block_on(sleeping()),
        "parked" => futures::executor::block_on(sleeping()),
        other => panic!("no way to sleep {other}"),
    }
}
