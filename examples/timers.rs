//! Timers: a deadline that is missed, an interval that does not drift, and many sleeps at once.
//!
//! ```text
//! cargo run --release --example timers
//! ```

use blitz_io::task::JoinSet;
use blitz_io::time::{self, Duration, Instant};

#[blitz_io::main]
async fn main() {
    let slow = time::sleep(Duration::from_secs(3600));
    match time::timeout(Duration::from_millis(20), slow).await {
        Ok(()) => println!("an hour has passed"),
        Err(late) => println!("waited 20 ms for an hour to pass: {late}"),
    }

    let begun = Instant::now();
    let mut interval = time::interval(Duration::from_millis(10));
    for tick in 0..5 {
        interval.tick().await;
        println!("tick {tick} after {:.1?}", begun.elapsed());
    }

    let begun = Instant::now();
    let mut sleeping = JoinSet::new();
    for number in 0..10_000u64 {
        sleeping.spawn(async move {
            let until = Instant::now() + Duration::from_millis(number % 50);
            time::sleep_until(until).await;
            until.elapsed()
        });
    }
    let late = sleeping.join_all().await;
    let worst = late.iter().max().copied().unwrap_or_default();
    println!(
        "10,000 sleeps in {:.1?}; none early, the latest {worst:.1?} late",
        begun.elapsed()
    );
}
