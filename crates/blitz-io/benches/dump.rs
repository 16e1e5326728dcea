//! A hundred thousand tasks, listed and traced while the runtime works, in the program and through its inspection socket: how long
//! that takes, and how long anything else waited.
//!
//! `cargo bench -p blitz-io --bench dump [TASKS]`

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
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
        let folder = tempfile::tempdir().expect("a folder of our own");
        let socket = folder.path().join("socket");
        let runtime = builder
            .enable_all()
            .inspect(&socket)
            .build()
            .expect("a runtime can be built");
        let handle = runtime.handle().clone();
        runtime.block_on(measure(flavour, handle, tasks, &socket));
        runtime.shutdown_background();
    }
}

/// Asks the socket, and reads its whole answer; how many tasks there were in it, and how many with stacks.
fn ask(socket: &Path, request: &str) -> (usize, usize) {
    let mut stream = UnixStream::connect(socket).expect("it is open");
    writeln!(stream, "{request}").expect("it reads");
    let (mut tasks, mut traced) = (0, 0);
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line).expect("it answers");
        assert!(read > 0, "an answer has an end");
        if line.starts_with(b"{\"task\"") {
            tasks += 1;
            traced += usize::from(line.windows(10).any(|field| field == b"\"stacks\":["));
        } else if line.starts_with(b"{\"end\"") {
            return (tasks, traced);
        }
        assert!(!line.starts_with(b"{\"error\""), "{line:?}");
    }
}

async fn measure(flavour: &str, handle: Handle, count: usize, socket: &Path) {
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
    let lister = handle.clone();
    let (dumped, traced) = (socket.to_owned(), socket.to_owned());
    type Look = Box<dyn FnOnce() -> (usize, usize) + Send>;
    let looks: [(&str, Look); 3] = [
        ("listed", Box::new(move || (lister.tasks().len(), 0))),
        (
            "dumped through the socket",
            Box::new(move || ask(&dumped, "{\"get\":\"dump\"}")),
        ),
        (
            "dumped through the socket, the first 1,000 with traces,",
            Box::new(move || ask(&traced, "{\"get\":\"trace\",\"within_ms\":10000}")),
        ),
    ];
    for (what, look) in looks {
        // From another thread, so that the runtime can go on.
        let looks = std::thread::spawn(move || {
            let before = Instant::now();
            (look(), before.elapsed())
        });
        while !looks.is_finished() {
            blitz_io::time::sleep(Duration::from_micros(200)).await;
        }
        let ((len, traced), took) = looks.join().expect("no panic");
        let busy = worst.swap(0, Relaxed);
        println!(
            "{flavour:16} {len} tasks {what} in {took:?} ({traced} traced); meanwhile another task's spawn and join took {busy} us at \
             most (before: {calm} us)"
        );
    }
    stop.store(true, Relaxed);
    let rounds = worker.await.expect("no panic");
    println!("{:16} {rounds} rounds of it in all", "");
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
