//! Tasks and timers: one source for all runtimes. Each row runs inside a task, as a user's code would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;

use crate::measure::{Sample, median, rss};

/// A flag that a task waits for: the smallest thing that goes from `wake` to `poll`, the same for everyone.
#[derive(Default)]
pub struct Flag {
    set: AtomicBool,
    waker: AtomicWaker,
}

impl Flag {
    pub fn raise(&self) {
        self.set.store(true, SeqCst);
        self.waker.wake();
    }

    /// Waits until raised, and lowers it.
    pub async fn wait(&self) {
        std::future::poll_fn(|cx| {
            if self.set.swap(false, SeqCst) {
                return Poll::Ready(());
            }
            self.waker.register(cx.waker());
            if self.set.swap(false, SeqCst) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

fn per_op(started: Instant, ops: usize) -> Sample {
    Sample {
        value: started.elapsed().as_nanos() as f64 / ops as f64,
        ..Sample::default()
    }
}

/// Busy work that no optimiser removes.
fn spin(rounds: u64) -> u64 {
    (0..rounds).fold(1u64, |x, i| {
        std::hint::black_box(x.wrapping_mul(6364136223846793005).wrapping_add(i))
    })
}

macro_rules! workloads {
    ($module:ident) => {
        mod $module {
            use super::*;
            use crate::rt::$module::{detach, run, sleep, spawn, timeout, yield_now};

            pub fn measure(row: &str) -> Sample {
                match row {
                    "spawn_join" => run(async {
                        for _ in 0..20_000 {
                            let _ = spawn(async {}).await;
                        }
                        let started = Instant::now();
                        for _ in 0..300_000 {
                            let _ = spawn(async {}).await;
                        }
                        per_op(started, 300_000)
                    }),
                    "spawn_batch" => run(async {
                        let mut handles = Vec::with_capacity(1_000);
                        let mut started = Instant::now();
                        for round in 0..330 {
                            if round == 30 {
                                started = Instant::now();
                            }
                            handles.extend((0..1_000).map(|_| spawn(async {})));
                            for handle in handles.drain(..) {
                                let _ = handle.await;
                            }
                        }
                        per_op(started, 300_000)
                    }),
                    "spawn_chain" => run(async {
                        fn link(left: usize, done: Arc<Flag>) {
                            match left {
                                0 => done.raise(),
                                left => detach(async move { link(left - 1, done) }),
                            }
                        }
                        let done = Arc::new(Flag::default());
                        link(20_000, Arc::clone(&done));
                        done.wait().await;
                        let started = Instant::now();
                        link(500_000, Arc::clone(&done));
                        done.wait().await;
                        per_op(started, 500_000)
                    }),
                    "yield" => run(async {
                        for _ in 0..20_000 {
                            yield_now().await;
                        }
                        let started = Instant::now();
                        for _ in 0..1_000_000 {
                            yield_now().await;
                        }
                        per_op(started, 1_000_000)
                    }),
                    "yield_100" => run(async {
                        let started = Instant::now();
                        let tasks: Vec<_> = (0..100)
                            .map(|_| {
                                spawn(async {
                                    for _ in 0..10_000 {
                                        yield_now().await;
                                    }
                                })
                            })
                            .collect();
                        for task in tasks {
                            let _ = task.await;
                        }
                        per_op(started, 1_000_000)
                    }),
                    "wake_awake" => run(async {
                        let (ping, pong) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
                        let (theirs, ours) = (Arc::clone(&ping), Arc::clone(&pong));
                        const ROUNDS: usize = 300_000;
                        let partner = spawn(async move {
                            for _ in 0..ROUNDS {
                                theirs.wait().await;
                                ours.raise();
                            }
                        });
                        let started = Instant::now();
                        for _ in 0..ROUNDS {
                            ping.raise();
                            pong.wait().await;
                        }
                        let sample = per_op(started, ROUNDS * 2);
                        let _ = partner.await;
                        sample
                    }),
                    "wake_parked" => run(async {
                        const ROUNDS: usize = 2_000;
                        let (flag, sent, next) = (
                            Arc::new(Flag::default()),
                            Arc::new(AtomicU64::new(0)),
                            Arc::new(AtomicBool::new(true)),
                        );
                        let origin = Instant::now();
                        let thread = {
                            let (flag, sent, next) =
                                (Arc::clone(&flag), Arc::clone(&sent), Arc::clone(&next));
                            std::thread::spawn(move || {
                                for _ in 0..ROUNDS {
                                    while !next.swap(false, SeqCst) {
                                        std::thread::yield_now();
                                    }
                                    std::thread::sleep(Duration::from_micros(300));
                                    sent.store(origin.elapsed().as_nanos() as u64, SeqCst);
                                    flag.raise();
                                }
                            })
                        };
                        let mut times = Vec::with_capacity(ROUNDS);
                        for _ in 0..ROUNDS {
                            flag.wait().await;
                            times.push(
                                (origin.elapsed().as_nanos() as u64 - sent.load(SeqCst)) as f64
                                    / 1e3,
                            );
                            next.store(true, SeqCst);
                        }
                        thread.join().expect("the waking thread");
                        Sample {
                            value: median(&mut times),
                            ..Sample::default()
                        }
                    }),
                    "timeout" => run(async {
                        for _ in 0..20_000 {
                            let _ = timeout(Duration::from_secs(1), yield_now()).await;
                        }
                        let started = Instant::now();
                        for _ in 0..500_000 {
                            let _ = timeout(Duration::from_secs(1), yield_now()).await;
                        }
                        per_op(started, 500_000)
                    }),
                    "million_timers" => run(async {
                        for i in 0..1_000_000u64 {
                            detach(async move {
                                let _ = sleep(Duration::from_millis(3_600_000 + i)).await;
                            });
                            if i % 64 == 0 {
                                yield_now().await;
                            }
                        }
                        for _ in 0..10_000 {
                            yield_now().await;
                        }
                        let started = Instant::now();
                        for _ in 0..300_000 {
                            yield_now().await;
                        }
                        let sample = per_op(started, 300_000);
                        // Tearing down a million tasks is not what this row is about.
                        println!("{}", sample.to_json());
                        std::process::exit(0);
                    }),
                    "sleep_50us" => late::<400>(Duration::from_micros(50)),
                    "sleep_1ms" => late::<200>(Duration::from_millis(1)),
                    "idle_task" => run(async {
                        const TASKS: usize = 400_000;
                        for _ in 0..1_000 {
                            detach(std::future::pending());
                        }
                        yield_now().await;
                        let before = rss();
                        for i in 0..TASKS {
                            detach(std::future::pending());
                            if i % 64 == 0 {
                                yield_now().await;
                            }
                        }
                        for _ in 0..1_000 {
                            yield_now().await;
                        }
                        let value = (rss() - before) as f64 / TASKS as f64;
                        println!(
                            "{}",
                            Sample {
                                value,
                                ..Sample::default()
                            }
                            .to_json()
                        );
                        std::process::exit(0);
                    }),
                    other => panic!("no row {other}"),
                }
            }

            fn late<const ROUNDS: usize>(time: Duration) -> Sample {
                run(async move {
                    let mut times = Vec::with_capacity(ROUNDS);
                    for _ in 0..ROUNDS {
                        let started = Instant::now();
                        let _ = sleep(time).await;
                        times.push((started.elapsed() - time).as_nanos() as f64 / 1e3);
                    }
                    Sample {
                        value: median(&mut times),
                        ..Sample::default()
                    }
                })
            }
        }
    };
}

workloads!(tokio_mt);
workloads!(tokio_ct);
workloads!(blitz_mt);
workloads!(blitz_ct);
workloads!(blitz_tpc);
workloads!(monoio);
workloads!(glommio);
workloads!(compio);
workloads!(smol);

/// Sixty-four tasks that only compute: how much faster two workers are than one.
macro_rules! scaling {
    ($module:ident) => {{
        use crate::rt::$module::{run_on, spawn};
        let time = |workers| {
            run_on(workers, async {
                let started = Instant::now();
                let tasks: Vec<_> = (0..64).map(|_| spawn(async { spin(3_000_000) })).collect();
                for task in tasks {
                    std::hint::black_box(task.await.expect("no panic"));
                }
                started.elapsed().as_secs_f64()
            })
        };
        let one = time(1);
        Sample {
            value: one / time(2),
            ..Sample::default()
        }
    }};
}

pub fn run(row: &str, runtime: &str) -> Sample {
    if row == "scaling" {
        return match runtime {
            "tokio-mt" => scaling!(tokio_mt),
            _ => scaling!(blitz_mt),
        };
    }
    match runtime {
        "tokio-mt" => tokio_mt::measure(row),
        "tokio-ct" => tokio_ct::measure(row),
        "blitz-mt" => blitz_mt::measure(row),
        "blitz-ct" => blitz_ct::measure(row),
        "blitz-tpc" => blitz_tpc::measure(row),
        "monoio" => monoio::measure(row),
        "glommio" => glommio::measure(row),
        "compio" => compio::measure(row),
        "smol" => smol::measure(row),
        other => panic!("no runtime {other}"),
    }
}
