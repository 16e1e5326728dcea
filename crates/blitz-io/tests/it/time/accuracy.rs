//! How late sleeps end: bounds that hold on a busy machine, and the figures for who runs it by hand.

use blitz_io::time::{self, Duration};

use super::on_every;

/// Every sleep of many tasks at once is late by something, never early; and the small ones are not rounded to a
/// millisecond. Run with `--nocapture` to see the figures.
#[test]
fn timer_accuracy() {
    on_every(false, || async {
        for micros in [50u64, 300, 1_000] {
            let duration = Duration::from_micros(micros);
            let (mut late, mut system) = (Vec::new(), Vec::new());
            for _ in 0..5 {
                // In a row: a timer of whole milliseconds begins each at a whole one.
                for _ in 0..20 {
                    let start = std::time::Instant::now();
                    time::sleep(duration).await;
                    let took = start.elapsed();
                    late.push(took.checked_sub(duration).expect("never early"));
                }
                // What the machine makes of a thread's own sleep meanwhile.
                for _ in 0..20 {
                    let start = std::time::Instant::now();
                    std::thread::sleep(duration);
                    system.push(start.elapsed().saturating_sub(duration));
                }
            }
            late.sort_unstable();
            system.sort_unstable();
            let median = late[late.len() / 2];
            eprintln!(
                "  {duration:?}: late by {median:?} at the median, {:?} at worst",
                late[late.len() - 1]
            );
            // A timer of whole milliseconds would be late by at least 700 µs in half of the cases. On a busy machine each thread that has
            // to wake up is late by what the system's sleeps are late by, and there are two where another worker has the timer.
            let (tenth, system) = (late[late.len() / 10], system[system.len() / 2]);
            let bound = crate::harness::patient(Duration::from_micros(600)).max(3 * system);
            assert!(tenth < bound, "{late:?}, and the system's by {system:?}");
        }
        let tasks: Vec<_> = (0..1_000u64)
            .map(|n| {
                blitz_io::spawn(async move {
                    for step in 0..5u64 {
                        let duration = Duration::from_micros((n * 7_919 + step * 104_729) % 20_000);
                        let start = std::time::Instant::now();
                        time::sleep(duration).await;
                        assert!(start.elapsed() >= duration);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}
