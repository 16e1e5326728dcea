//! A hundred thousand tasks, listed and traced while the runtime works: how long that takes, and how long anything else waited.
//!
//! `cargo bench -p blitz-io --bench dump [TASKS]`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use blitz_io::runtime::{Builder, Handle};

fn main() {
    let tasks = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let tasks: usize = tasks.unwrap_or(100_000);
    for (flavour, mut builder) in [
        ("current_thread", Builder::new_current_thread()),
        ("multi_thread", Builder::new_multi_thread()),
        ("thread_per_core", Builder::new_thread_per_core()),
    ] {
        let runtime = builder
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let handle = runtime.handle().clone();
        runtime.block_on(measure(flavour, handle, tasks));
        runtime.shutdown_background();
    }
}

async fn measure(flavour: &str, handle: Handle, count: usize) {
    for _ in 0..count {
        handle.spawn(blitz_io::time::sleep(Duration::from_secs(3600)));
    }
    // Until each has been polled.
    while handle.tasks().iter().any(|task| task.polls == 0) {
        blitz_io::time::sleep(Duration::from_millis(10)).await;
    }
    // Somebody who works meanwhile, and notices how long he was kept from it.
    let (stop, worst) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let worker = {
        let (stop, worst) = (Arc::clone(&stop), Arc::clone(&worst));
        handle.spawn(async move {
            let mut polls = 0_u64;
            // ORDERING: Relaxed, here and below: flags and figures.
            while !stop.load(Relaxed) {
                let before = Instant::now();
                blitz_io::spawn(async {}).await.ok();
                worst.fetch_max(before.elapsed().as_micros() as u64, Relaxed);
                polls += 1;
            }
            polls
        })
    };
    blitz_io::time::sleep(Duration::from_millis(50)).await;
    let calm = worst.swap(0, Relaxed);
    // From another thread, so that the runtime can go on.
    let lister = handle.clone();
    let listed = std::thread::spawn(move || {
        let before = Instant::now();
        let listed = lister.tasks();
        (listed.len(), before.elapsed())
    });
    while !listed.is_finished() {
        blitz_io::time::sleep(Duration::from_micros(200)).await;
    }
    let (len, took) = listed.join().expect("no panic");
    let busy = worst.swap(0, Relaxed);
    stop.store(true, Relaxed);
    let rounds = worker.await.expect("no panic");
    println!(
        "{flavour:16} {len} tasks listed in {took:?}; meanwhile another task's spawn and join took {busy} us at most \
         (before: {calm} us; {rounds} rounds in all)"
    );
    let before = Instant::now();
    let dump = handle.dump().await;
    let traced = dump.tasks().iter().filter(|task| !task.trace().is_empty());
    println!(
        "{:16} {} of them traced in {:?}",
        "",
        traced.count(),
        before.elapsed()
    );
}
