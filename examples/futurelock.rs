//! Futures that have what others wait for, and are not polled: three tasks get stuck, and the runtime says where.
//!
//! ```text
//! cargo run --release --example futurelock
//! ```
//!
//! With `BLITZ_IO_INSPECT=x.sock` and an argument, which is how many seconds to stay, `blitz dump x.sock` says it too.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use blitz_io::runtime::Handle;
use blitz_io::sync::Mutex;
use blitz_io::task;
use blitz_io::time::sleep;
use futures::StreamExt;

#[blitz_io::main]
async fn main() -> std::io::Result<()> {
    let stay = std::env::args()
        .nth(1)
        .and_then(|seconds| seconds.parse().ok());

    // A branch of a select waits in line and loses; the other waits behind it.
    let table = Arc::new(Mutex::new(()));
    let guard = table.lock().await;
    let shared = Arc::clone(&table);
    task::Builder::new().name("selects").spawn(async move {
        let mut writes = pin!(async {
            let _guard = shared.lock().await;
        });
        blitz_io::select! {
            () = &mut writes => {}
            () = sleep(Duration::from_millis(20)) => {
                let _guard = shared.lock().await;
            }
        }
    })?;

    // And so does everybody else.
    let shared = Arc::clone(&table);
    task::Builder::new().name("bystander").spawn(async move {
        sleep(Duration::from_millis(50)).await;
        let _guard = shared.lock().await;
    })?;

    // A stream of futures has the lock, and its consumer wants it.
    task::Builder::new().name("streams").spawn(async move {
        let log = Mutex::new(0);
        let log = &log;
        let works = futures::stream::iter(1..=4).map(|n| async move {
            let mut log = log.lock().await;
            sleep(Duration::from_millis(n)).await;
            *log += n;
        });
        let mut done = pin!(works.buffer_unordered(2));
        while let Some(()) = done.next().await {
            println!("done so far: {}", log.lock().await);
        }
    })?;

    sleep(Duration::from_millis(100)).await;
    drop(guard);
    sleep(Duration::from_millis(10)).await;
    // A stuck wait is told by the first look a second after one that found it so.
    Handle::current().check_tasks();
    sleep(Duration::from_millis(1100)).await;
    for warning in Handle::current().check_tasks() {
        println!("{warning}\n");
    }
    sleep(Duration::from_secs(stay.unwrap_or(0))).await;
    Ok(())
}
