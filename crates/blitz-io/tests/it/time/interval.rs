//! Ticks: on the grid, under load, and what becomes of those that are missed.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use blitz_io::time::{self, Duration, Instant, MissedTickBehavior};

use super::{on_every, panic_of};

const MS: Duration = Duration::from_millis(1);

#[test]
fn ticks_do_not_drift_under_load() {
    on_every(false, || async {
        let period = MS * 2;
        let start = Instant::now() + MS;
        let mut ticks = time::interval_at(start, period);
        for n in 0..40u32 {
            let due = ticks.tick().await;
            assert_eq!(due, start + period * n, "the grid is kept");
            assert!(Instant::now() >= due);
            // Work that takes a part of the period, now and then more than all of it.
            let work = MS * (n % 4);
            let begun = std::time::Instant::now();
            while begun.elapsed() < work {
                std::hint::spin_loop();
            }
        }
    });
}

/// Ticks taken at `late` after the start, with a period of 50 ms; when each was due.
async fn ticks_after(behavior: MissedTickBehavior, late: u32, count: usize) -> Vec<u128> {
    let start = Instant::now();
    let mut ticks = time::interval(MS * 50);
    ticks.set_missed_tick_behavior(behavior);
    assert_eq!(ticks.missed_tick_behavior(), behavior);
    ticks.tick().await;
    time::advance(MS * late).await;
    let mut taken = Vec::new();
    for _ in 0..count {
        ticks.tick().await;
        taken.push(start.elapsed().as_millis());
    }
    taken
}

#[test]
fn missed_ticks_are_treated_as_told() {
    on_every(true, || async {
        assert_eq!(
            ticks_after(MissedTickBehavior::Burst, 170, 6).await,
            [170, 170, 170, 200, 250, 300]
        );
        assert_eq!(
            ticks_after(MissedTickBehavior::Delay, 170, 4).await,
            [170, 220, 270, 320]
        );
        assert_eq!(
            ticks_after(MissedTickBehavior::Skip, 170, 4).await,
            [170, 200, 250, 300]
        );
        // Late, but not so late that a tick counts as missed.
        for behavior in [
            MissedTickBehavior::Burst,
            MissedTickBehavior::Delay,
            MissedTickBehavior::Skip,
        ] {
            assert_eq!(
                ticks_after(behavior, 54, 3).await,
                [54, 100, 150],
                "{behavior:?}"
            );
        }
        assert_eq!(MissedTickBehavior::default(), MissedTickBehavior::Burst);
    });
}

#[test]
fn resets_move_the_grid() {
    on_every(true, || async {
        let start = Instant::now();
        let now = || start.elapsed().as_millis();
        let mut ticks = time::interval(MS * 100);
        assert_eq!(ticks.period(), MS * 100);
        ticks.tick().await;
        assert_eq!(now(), 0);
        time::advance(MS * 30).await;
        ticks.reset();
        ticks.tick().await;
        assert_eq!(now(), 130);
        time::advance(MS * 20).await;
        ticks.reset_immediately();
        ticks.tick().await;
        assert_eq!(now(), 150);
        ticks.tick().await;
        assert_eq!(now(), 250);
        ticks.reset_after(MS * 7);
        ticks.tick().await;
        assert_eq!(now(), 257);
        ticks.reset_at(start + MS * 300);
        ticks.tick().await;
        ticks.tick().await;
        assert_eq!(now(), 400);
    });
}

#[test]
fn a_dropped_tick_takes_none() {
    on_every(true, || async {
        let start = Instant::now();
        let mut ticks = time::interval(MS * 10);
        ticks.tick().await;
        for _ in 0..5 {
            let tick = pin!(ticks.tick());
            assert!(
                tick.poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
        }
        assert_eq!(ticks.tick().await, start + MS * 10);
    });
}

#[test]
fn a_period_of_zero_is_refused() {
    on_every(false, || async {
        let message = panic_of(|| drop(time::interval(Duration::ZERO)));
        assert_eq!(message, "`period` must be non-zero.");
    });
}
