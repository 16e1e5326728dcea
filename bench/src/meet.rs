//! Values that are made once, and tasks that wait for each other: as in `sync.rs`, on tokio's runtime but for `blitz-mt`.

use std::hint::black_box;
use std::sync::Arc;

use crate::measure::Sample;
use crate::sync::{OPS, measured};

/// The rows for a library whose `OnceCell` and `Barrier` are in `$sync`, on a runtime `$rt`; `$set` puts a value into a new cell.
macro_rules! meetings {
    ($module:ident, $sync:path, $rt:ident, |$cell:ident, $value:ident| $set:expr) => {
        mod $module {
            use $sync::{Barrier, OnceCell};

            use super::*;
            use crate::rt::$rt::{run, spawn, yield_now};

            /// Waits for `tasks` tasks that each do the same.
            async fn at_once<F>(tasks: usize, mut make: impl FnMut() -> F)
            where
                F: Future<Output = ()> + Send + 'static,
            {
                let tasks: Vec<_> = (0..tasks).map(|_| spawn(make())).collect();
                for task in tasks {
                    task.await.expect("no panic");
                }
            }

            /// A cell is made, set and read.
            fn set() -> Sample {
                run(measured(OPS, |ops| async move {
                    for $value in 0..ops {
                        let $cell = OnceCell::new();
                        $set.expect("it is new");
                        black_box($cell.get());
                    }
                }))
            }

            /// Every task asks each cell of a row for its value. Whoever comes first makes it, and waits a turn in that, so that the
            /// others come meanwhile.
            fn init(tasks: usize) -> Sample {
                run(measured(OPS / 4, move |ops| {
                    let cells: Arc<[OnceCell<usize>]> = (0..ops).map(|_| OnceCell::new()).collect();
                    at_once(tasks, move || {
                        let cells = Arc::clone(&cells);
                        async move {
                            for (value, cell) in cells.iter().enumerate() {
                                let make = || async move {
                                    yield_now().await;
                                    value
                                };
                                black_box(cell.get_or_init(make).await);
                            }
                        }
                    })
                }))
            }

            /// So many tasks wait for each other, round after round. What counts is one wait of one task.
            fn barrier(tasks: usize) -> Sample {
                run(measured(OPS / 4, move |ops| {
                    let barrier = Arc::new(Barrier::new(tasks));
                    at_once(tasks, move || {
                        let barrier = Arc::clone(&barrier);
                        async move {
                            for _ in 0..ops / tasks {
                                black_box(barrier.wait().await);
                            }
                        }
                    })
                }))
            }

            pub fn measure(what: &str, tasks: usize) -> Sample {
                match what {
                    "once_set" => set(),
                    "once_init" => init(tasks),
                    "barrier" => barrier(tasks),
                    other => panic!("no row {other}"),
                }
            }
        }
    };
}

meetings!(tokio, ::tokio::sync, tokio_mt, |cell, value| cell
    .set(value));
meetings!(blitz, ::blitz_io::sync, blitz_mt, |cell, value| cell
    .set(value));
meetings!(blitz_on_tokio, ::blitz_io::sync, tokio_mt, |cell, value| {
    cell.set(value)
});
meetings!(async_lock, ::async_lock, tokio_mt, |cell, value| cell
    .set(value)
    .await);

/// Runs a row of this file, which is named `WHAT_TASKS`.
pub fn run(row: &str, library: &str) -> Option<Sample> {
    let (what, tasks) = row.rsplit_once('_')?;
    if !["once_set", "once_init", "barrier"].contains(&what) {
        return None;
    }
    let tasks = tasks.parse().expect("a number of tasks");
    Some(match library {
        "tokio-mt" => tokio::measure(what, tasks),
        "blitz-mt" => blitz::measure(what, tasks),
        "blitz-on-tokio" => blitz_on_tokio::measure(what, tasks),
        "async-lock" => async_lock::measure(what, tasks),
        other => panic!("no library {other}"),
    })
}
