//! A histogram of durations that many tasks write to at once.
//!
//! Log-linear: 32 steps in every power of two, so a percentile is at most 3 % off.
//!
//! ORDERING: every counter is Relaxed. The counts are read after the tasks that wrote them were
//! joined, and the progress line may lag behind.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const STEP_BITS: u32 = 5;
const STEPS: usize = 1 << STEP_BITS;
/// Up to 2^42 ns, which is over an hour.
const GROUPS: usize = 43 - STEP_BITS as usize;

/// Durations, counted by size.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Box<[AtomicU64]>,
    largest_ns: AtomicU64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        let counts = std::iter::repeat_with(|| AtomicU64::new(0))
            .take(GROUPS * STEPS)
            .collect();
        Histogram {
            counts,
            largest_ns: AtomicU64::new(0),
        }
    }

    /// Counts one duration.
    pub(crate) fn record(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[slot(ns)].fetch_add(1, Relaxed);
        if self.largest_ns.load(Relaxed) < ns {
            self.largest_ns.fetch_max(ns, Relaxed);
        }
    }

    /// How many were counted.
    pub(crate) fn len(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// The longest one, exactly.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.largest_ns.load(Relaxed))
    }

    /// The duration that `share` of all stay below or at: 0.5 is the median. Zero when empty.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let all = self.len();
        let wanted = ((all as f64 * share).ceil() as u64).clamp(1, all.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count.load(Relaxed);
            if seen >= wanted {
                return Duration::from_nanos(upper_end(index)).min(self.max());
            }
        }
        Duration::ZERO
    }
}

/// The slot for `ns`: below 64 one slot each, above that 32 slots in every power of two.
fn slot(ns: u64) -> usize {
    let bits = u64::BITS - ns.leading_zeros();
    let group = bits.saturating_sub(STEP_BITS + 1);
    let within = (ns >> group) as usize;
    (group as usize * STEPS + within).min(GROUPS * STEPS - 1)
}

/// The largest duration that falls into slot `index`.
fn upper_end(index: usize) -> u64 {
    if index < 2 * STEPS {
        return index as u64;
    }
    let group = index / STEPS - 1;
    let within = (index % STEPS + STEPS) as u64;
    ((within + 1) << group) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_falls_into_its_slot() {
        let mut last = 0;
        for ns in (0..20_000u64).chain((1..2_000).map(|k| k * 1_000_003)) {
            let slot = slot(ns);
            assert!(
                slot >= last || ns == 1_000_003,
                "slots rise with the duration"
            );
            let end = upper_end(slot);
            assert!(
                ns <= end && (end - ns) as f64 <= ns as f64 / 31.0 + 1.0,
                "{ns} in {slot} up to {end}"
            );
            last = slot;
        }
        assert_eq!(slot(u64::MAX), GROUPS * STEPS - 1);
    }

    #[test]
    fn percentiles_of_a_known_set() {
        let histogram = Histogram::new();
        assert_eq!(histogram.percentile(0.5), Duration::ZERO);
        for ms in 1..=1000 {
            histogram.record(Duration::from_millis(ms));
        }
        let near = |share: f64, ms: f64| {
            let got = histogram.percentile(share).as_secs_f64() * 1e3;
            assert!((got - ms).abs() / ms < 0.04, "{share}: {got} ms");
        };
        near(0.5, 500.0);
        near(0.99, 990.0);
        near(0.999, 999.0);
        assert_eq!(histogram.max(), Duration::from_secs(1));
        assert_eq!(histogram.len(), 1000);
    }
}
