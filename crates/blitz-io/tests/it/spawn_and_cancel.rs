//! Stress: tasks are spawned and cancelled from all sides, and none is lost, run twice or left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use blitz_io::runtime::Runtime;
use blitz_io::task::{self, JoinHandle};

use crate::harness::{FLAVORS, GUARD, each_case, guarded, run};

const TASKS: usize = 2_000;

struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A handle may tell of a task's end a moment before the task has left the runtime's list.
fn wait_for_ends(runtime: &Runtime) {
    guarded(GUARD, || {
        while runtime.metrics().num_alive_tasks() != 0 {
            std::thread::yield_now();
        }
    });
}

/// Half of the tasks are aborted, some before they begin, some while they wait, some when they have ended.
#[test]
fn every_future_is_dropped_once_and_every_handle_tells() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let drops = Arc::new(AtomicUsize::new(0));
        run(&runtime, async {
            let handles: Vec<JoinHandle<usize>> = (0..TASKS)
                .map(|n| {
                    let count = Count(Arc::clone(&drops));
                    blitz_io::spawn(async move {
                        let _count = count;
                        match n % 4 {
                            0 => {}
                            1 => task::yield_now().await,
                            2 => blitz_io::time::sleep(Duration::from_micros(n as u64)).await,
                            _ => std::future::pending().await,
                        }
                        n
                    })
                })
                .collect();
            for (n, handle) in handles.iter().enumerate() {
                if n % 2 == 1 {
                    handle.abort();
                }
                if n % 97 == 0 {
                    task::yield_now().await;
                }
            }
            for (n, handle) in handles.into_iter().enumerate() {
                match handle.await {
                    Ok(output) => assert_eq!(output, n),
                    Err(error) => assert!(error.is_cancelled() && n % 2 == 1),
                }
            }
        });
        assert_eq!(drops.load(SeqCst), TASKS);
        wait_for_ends(&runtime);
    });
}

/// Aborts come from a thread outside of the runtime, while the tasks spawn and abort each other.
#[test]
fn aborts_from_outside_meet_wakes_from_inside() {
    each_case(&FLAVORS, |case| {
        let runtime = case.runtime();
        let (send, receive) = std::sync::mpsc::channel::<task::AbortHandle>();
        let aborter =
            std::thread::spawn(move || receive.into_iter().map(|handle| handle.abort()).count());
        run(&runtime, async move {
            let mut rounds = task::JoinSet::new();
            for _ in 0..TASKS / 10 {
                let send = send.clone();
                rounds.spawn(async move {
                    for n in 0..10 {
                        let child = blitz_io::spawn(async move {
                            for _ in 0..n {
                                task::yield_now().await;
                            }
                        });
                        send.send(child.abort_handle()).unwrap();
                        if let Err(error) = child.await {
                            assert!(error.is_cancelled());
                        }
                    }
                });
            }
            drop(send);
            while let Some(round) = rounds.join_next().await {
                round.unwrap();
            }
        });
        assert_eq!(aborter.join().unwrap(), TASKS);
        wait_for_ends(&runtime);
    });
}

/// Runtimes end with tasks in every state, also while other threads spawn.
#[test]
fn a_runtime_ends_while_others_spawn() {
    each_case(&FLAVORS, |case| {
        for _ in 0..20 {
            let runtime = case.runtime();
            let (made, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let (handle, made, drops) = (
                        runtime.handle().clone(),
                        Arc::clone(&made),
                        Arc::clone(&drops),
                    );
                    std::thread::spawn(move || {
                        for n in 0..200 {
                            let count = Count(Arc::clone(&drops));
                            made.fetch_add(1, SeqCst);
                            handle.spawn(async move {
                                let _count = count;
                                if n % 2 == 0 {
                                    task::yield_now().await;
                                } else {
                                    std::future::pending::<()>().await;
                                }
                            });
                        }
                    })
                })
                .collect();
            run(&runtime, task::yield_now());
            drop(runtime);
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(drops.load(SeqCst), made.load(SeqCst));
        }
    });
}
