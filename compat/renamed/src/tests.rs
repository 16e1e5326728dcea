//! The macros, told what the crate is called here; and under tokio's name, brought in by a `use`.

use std::time::Duration;

use other_name::runtime::{Handle, RuntimeFlavor};
use other_name::time::{self, Instant};

#[other_name::test(crate = "other_name")]
async fn a_test_is_told_the_name() {
    assert_eq!(
        Handle::current().runtime_flavor(),
        RuntimeFlavor::CurrentThread
    );
}

#[other_name::test(crate = "other_name", flavor = "multi_thread", worker_threads = 2)]
async fn with_workers_too() {
    assert_eq!(Handle::current().metrics().num_workers(), 2);
}

#[other_name::test(crate = "other_name", start_paused = true)]
async fn with_time_that_stands() {
    let start = Instant::now();
    time::sleep(Duration::from_secs(60)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(60));
}

#[test]
fn main_is_told_the_name() {
    #[other_name::main(crate = "other_name")]
    async fn entry() -> u32 {
        other_name::spawn(async { 4 }).await.unwrap()
    }
    assert_eq!(entry(), 4);
}

/// As a crate does that hands tokio on to its users.
mod by_use {
    use other_name as tokio;

    #[tokio::test]
    async fn the_name_may_come_from_a_use() {
        tokio::task::yield_now().await;
    }
}

other_name::task_local! {
    static REQUEST: u32;
}

#[other_name::test(crate = "other_name")]
async fn the_other_macros_find_their_crate_themselves() {
    let (a, b) = other_name::join!(async { 1 }, async { 2 });
    let first = other_name::select! {
        () = std::future::pending() => 0,
        value = std::future::ready(a + b) => value,
    };
    assert_eq!(first, 3);
    assert_eq!(
        other_name::try_join!(async { Ok::<_, ()>(first) }),
        Ok((3,))
    );
    other_name::pin! {
        let pinned = async { REQUEST.get() };
    }
    assert_eq!(REQUEST.scope(8, pinned).await, 8);
}
