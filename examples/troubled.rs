//! A program in trouble, to look at: one task spins, one blocks its thread, one has a waker that nobody keeps, among 100,000 that sleep.
//!
//! ```text
//! BLITZ_IO_INSPECT=x.sock cargo run --release --example troubled
//! ```
//!
//! Then, from another terminal: `blitz dump x.sock --limit 0`, and `blitz top x.sock`. At the end the program prints what it was
//! warned of itself. The first argument is how many seconds it runs (20), the second how many tasks sleep.

use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Duration;

use blitz_io::runtime::Handle;
use blitz_io::task;
use blitz_io::time::sleep;

#[blitz_io::main]
async fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let seconds = number(args.next(), 20)?;
    let sleepers = number(args.next(), 100_000)?;
    Handle::current().metrics().set_poll_time_histogram(true);

    for _ in 0..sleepers {
        task::spawn(sleep(Duration::from_secs(3600)));
    }
    task::Builder::new().name("lost").spawn(pending::<()>())?;
    task::Builder::new().name("spinner").spawn(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }))?;
    task::Builder::new().name("slow").spawn(async {
        loop {
            // What blocks belongs into `spawn_blocking`.
            std::thread::sleep(Duration::from_millis(30));
            sleep(Duration::from_millis(500)).await;
        }
    })?;

    sleep(Duration::from_secs(seconds)).await;
    for warning in Handle::current().check_tasks() {
        println!("{warning}");
    }
    Ok(())
}

/// The number that `arg` is, or `otherwise` if it was not given.
fn number(arg: Option<String>, otherwise: u64) -> std::io::Result<u64> {
    let Some(arg) = arg else {
        return Ok(otherwise);
    };
    arg.parse().map_err(|_| {
        std::io::Error::other(format!(
            "`{arg}` is no number; usage: troubled [SECONDS [SLEEPERS]]"
        ))
    })
}
