//! What went wrong elsewhere, a test for each; the numbers are issues of tokio-rs/tokio.

use std::future::poll_fn;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use blitz_io::io::unix::AsyncFd;
use blitz_io::runtime::Handle;
use blitz_io::sync::{Semaphore, mpsc};
use blitz_io::task;
use futures::stream::{FuturesUnordered, StreamExt};

use crate::harness::{FLAVORS, Flavor, GUARD, each_case, guarded, on_every, run, within};

/// More futures than a poll has units.
const MANY: usize = 1_000;

/// (#2390, #2460, #4612) What polls others by itself asks them again at once when the budget is spent, and each says "pending" and
/// wakes: without an end to that, the task never comes to its next poll.
#[test]
fn a_set_of_futures_gets_on_when_the_budget_is_spent() {
    on_every(|runtime| {
        run(runtime, async {
            let polls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&polls);
            let mut sets = Box::pin(async move {
                let mut begun = counted.load(SeqCst);
                // Each part uses up several budgets, so it is polled more than once.
                let mut was_polled_again = || {
                    let now = counted.load(SeqCst);
                    now > std::mem::replace(&mut begun, now)
                };
                let permits = Semaphore::new(MANY);
                let mut set: FuturesUnordered<_> = (0..MANY).map(|_| permits.acquire()).collect();
                let mut count = 0;
                while let Some(permit) = set.next().await {
                    permit.expect("it is open").forget();
                    count += 1;
                }
                assert_eq!(count, MANY);
                assert!(was_polled_again(), "a set of futures");
                let (sender, mut receiver) = mpsc::unbounded_channel();
                let joined = (0..MANY).map(|number| {
                    let sender = sender.clone();
                    async move {
                        task::consume_budget().await;
                        sender.send(number).expect("it is open");
                    }
                });
                futures::future::join_all(joined).await;
                assert!(was_polled_again(), "many that are joined");
                let tasks = (0..MANY).map(|number| blitz_io::spawn(async move { number }));
                let outputs = futures::future::join_all(tasks).await;
                let all: usize = outputs
                    .into_iter()
                    .map(|output| output.expect("no panic"))
                    .sum();
                assert_eq!(all, MANY * (MANY - 1) / 2);
                assert!(was_polled_again(), "tasks that are joined");
                // One branch takes all that there is, and the other has its turns.
                let (received, spent) = blitz_io::join!(
                    async {
                        for _ in 0..MANY {
                            receiver.recv().await.expect("it was sent");
                        }
                    },
                    async {
                        for _ in 0..MANY {
                            task::consume_budget().await;
                        }
                    }
                );
                assert_eq!((received, spent), ((), ()));
                assert!(was_polled_again(), "two branches");
            });
            let sets = blitz_io::spawn(poll_fn(move |cx| {
                polls.fetch_add(1, SeqCst);
                sets.as_mut().poll(cx)
            }));
            sets.await.expect("no panic");
        });
    });
}

/// What uses up its budget lets those have their turn who wait for the thread.
#[test]
fn others_have_their_turn_when_the_budget_is_spent() {
    each_case(&[Flavor::CurrentThread], |case| {
        within(&case.runtime(), GUARD, async {
            let others = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&others);
            let spends = blitz_io::spawn(async move {
                let permits = Semaphore::new(MANY);
                let mut set: FuturesUnordered<_> = (0..MANY).map(|_| permits.acquire()).collect();
                while set.next().await.is_some() {}
                seen.load(SeqCst)
            });
            let other = blitz_io::spawn(async move { others.store(true, SeqCst) });
            assert!(
                spends.await.expect("no panic"),
                "the other task had a turn in between"
            );
            other.await.expect("no panic");
        });
    });
}

/// (#5251, #7879) What has yielded is run by whoever takes the worker over.
#[test]
fn what_has_yielded_goes_on_while_its_worker_blocks() {
    each_case(&[Flavor::MultiThread], |case| {
        let runtime = case.builder().worker_threads(1).build().unwrap();
        within(&runtime, GUARD, async {
            let (done, is_done) = std::sync::mpsc::channel();
            let yields = blitz_io::spawn(async move {
                for _ in 0..100 {
                    task::yield_now().await;
                }
                done.send(()).expect("it is waited for");
            });
            let blocks = blitz_io::spawn(async move {
                task::yield_now().await;
                task::block_in_place(|| is_done.recv_timeout(GUARD).expect("it goes on"));
                task::yield_now().await;
            });
            blocks.await.expect("no panic");
            yields.await.expect("no panic");
        });
    });
}

/// (#6692, #8093) On the smallest stack that std gives to a thread by itself.
#[test]
fn a_large_future_and_a_runtime_fit_on_a_small_stack() {
    const LARGE: usize = 96 << 10;
    each_case(&FLAVORS, |case| {
        let small = thread::Builder::new().stack_size(1 << 20);
        let thread = small.spawn(move || {
            let runtime = case.runtime();
            let large = |byte: u8| {
                let room = [byte; LARGE];
                async move {
                    task::yield_now().await;
                    room.iter().map(|&byte| usize::from(byte)).sum::<usize>()
                }
            };
            let spawned = runtime.spawn(large(2));
            let here = runtime.block_on(large(1));
            (here, runtime.block_on(spawned).expect("no panic"))
        });
        assert_eq!(thread.unwrap().join().unwrap(), (LARGE, 2 * LARGE));
    });
}

/// (#3196) It was without a limit.
#[test]
fn a_shutdown_without_any_time_waits_for_nothing() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = std::sync::mpsc::channel();
        runtime.spawn_blocking(move || {
            begun.send(()).expect("it is waited for");
            // An error says that the test is over.
            let _ = ended.recv();
        });
        has_begun.recv_timeout(GUARD).expect("it begins");
        guarded(GUARD, || runtime.shutdown_timeout(Duration::ZERO));
        drop(end);
    });
}

/// (#6329, #7773) A descriptor that the kernel refuses to watch, and one that is watched no more, leave nothing with the driver.
#[test]
fn what_is_not_watched_is_not_kept() {
    on_every(|runtime| {
        run(runtime, async {
            let metrics = Handle::current().metrics();
            let figures = || {
                let gone = metrics.io_driver_fd_deregistered_count();
                metrics.io_driver_fd_registered_count() - gone
            };
            let before = figures();
            for _ in 0..MANY {
                let file = std::fs::File::open("/proc/self/exe").unwrap();
                let number = file.as_raw_fd();
                let (file, _error) = AsyncFd::try_new(file).err().unwrap().into_parts();
                assert_eq!(file.as_raw_fd(), number, "it comes back");
                let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
                one.set_nonblocking(true).unwrap();
                let watched = AsyncFd::new(one).unwrap();
                drop(watched.into_inner());
            }
            assert!(metrics.io_driver_fd_registered_count() >= MANY as u64);
            let begun = Instant::now();
            while figures() > before {
                assert!(begun.elapsed() < GUARD, "{} are kept", figures() - before);
                task::yield_now().await;
            }
        });
    });
}
