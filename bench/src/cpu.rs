//! To the CPU's threads and back: `compute` and `parallel_map`, and what a tokio user writes by hand with rayon and a oneshot.
//!
//! The hand-written one is the shortest that works: a panic in it aborts the process, nothing is cancelled by a drop, and all
//! programs of a process share rayon's one pool. Times are taken first, allocations counted in a second pass.

use std::future::Future;
use std::time::Instant;

use crate::counted;
use crate::measure::{Sample, cpu_time};

const CALLS: usize = 60_000;
const AT_ONCE: usize = 64;
const ITEMS: u64 = 10_000;
const TINY_ITEMS: u64 = 200_000;

/// About a microsecond.
fn work(seed: u64) -> u64 {
    (0..700).fold(seed, |x, i| {
        std::hint::black_box(x.wrapping_mul(6364136223846793005).wrapping_add(i))
    })
}

fn tiny(x: u64) -> u64 {
    x.wrapping_mul(3) ^ 1
}

mod by_hand {
    use rayon::iter::{IntoParallelIterator, ParallelIterator};
    use std::future::Future;

    pub fn compute<R: Send + 'static>(
        f: impl FnOnce() -> R + Send + 'static,
    ) -> impl Future<Output = R> + Send {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        rayon::spawn(move || {
            let _ = sender.send(f());
        });
        async { receiver.await.expect("no panic") }
    }

    pub fn map(
        items: Vec<u64>,
        f: impl Fn(u64) -> u64 + Send + Sync + 'static,
    ) -> impl Future<Output = Vec<u64>> + Send {
        compute(move || items.into_par_iter().map(f).collect())
    }
}

mod bridge {
    pub use blitz_io::compute;
    pub use blitz_io::cpu::parallel_map as map;
}

/// Runs `round` often enough to be warm, then for its time, then for its allocations.
async fn sample<F: Future<Output = ()>>(
    rounds: usize,
    per_round: usize,
    round: impl Fn() -> F,
) -> Sample {
    for _ in 0..rounds.div_ceil(20) {
        round().await;
    }
    let (cpu, started) = (cpu_time(), Instant::now());
    for _ in 0..rounds {
        round().await;
    }
    let (elapsed, cpu) = (started.elapsed(), cpu_time() - cpu);
    let counted_rounds = rounds.div_ceil(10);
    counted::begin();
    for _ in 0..counted_rounds {
        round().await;
    }
    let (allocs, alloc_bytes) = counted::end().per(counted_rounds * per_round);
    let operations = (rounds * per_round) as f64;
    Sample {
        value: elapsed.as_secs_f64() * 1e9 / operations,
        cpu_us: cpu.as_secs_f64() * 1e6 / operations,
        allocs,
        alloc_bytes,
        ..Sample::default()
    }
}

macro_rules! rows {
    ($rt:ident, $way:ident, $row:expr) => {
        match $row {
            "compute_1" => crate::rt::$rt::run(sample(CALLS, 1, || async {
                let x = std::hint::black_box(7_u64);
                assert_eq!($way::compute(move || tiny(x)).await, tiny(7));
            })),
            "compute_64" => crate::rt::$rt::run(sample(CALLS / AT_ONCE, AT_ONCE, || async {
                let mut calls = Vec::with_capacity(AT_ONCE);
                calls.extend((0..AT_ONCE as u64).map(|x| $way::compute(move || work(x))));
                for call in calls {
                    std::hint::black_box(call.await);
                }
            })),
            "parallel_map" => crate::rt::$rt::run(sample(50, ITEMS as usize, || async {
                let results = $way::map((0..ITEMS).collect::<Vec<u64>>(), work).await;
                assert_eq!(results.len() as u64, ITEMS);
            })),
            "parallel_map_tiny" => {
                crate::rt::$rt::run(sample(100, TINY_ITEMS as usize, || async {
                    let results = $way::map((0..TINY_ITEMS).collect::<Vec<u64>>(), tiny).await;
                    assert_eq!(results.len() as u64, TINY_ITEMS);
                }))
            }
            other => panic!("no row {other}"),
        }
    };
}

pub fn run(row: &str, runtime: &str) -> Sample {
    match runtime {
        "tokio-mt" => rows!(tokio_mt, by_hand, row),
        "tokio-ct" => rows!(tokio_ct, by_hand, row),
        "blitz-mt" => rows!(blitz_mt, bridge, row),
        "blitz-ct" => rows!(blitz_ct, bridge, row),
        "blitz-tpc" => rows!(blitz_tpc, bridge, row),
        other => panic!("no runtime {other}"),
    }
}
