//! Histograms of durations: [`Counts`] that one thread writes, and a [`Histogram`] that many tasks write to at once.
//!
//! Log-linear: 128 steps in every power of two, so a percentile is at most 0.8 % off.
//!
//! ORDERING: every counter is Relaxed. The counts are read after the tasks that wrote them were
//! joined, and the progress line may lag behind.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const STEP_BITS: u32 = 7;
const STEPS: usize = 1 << STEP_BITS;
/// Up to 2^42 ns, which is over an hour.
const GROUPS: usize = 43 - STEP_BITS as usize;

/// Durations in nanoseconds, counted by size.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    slots: Box<[u64]>,
    len: u64,
    sum_ns: u128,
    smallest_ns: u64,
    largest_ns: u64,
}

impl Counts {
    pub(crate) fn new() -> Self {
        Counts {
            slots: vec![0; GROUPS * STEPS].into(),
            len: 0,
            sum_ns: 0,
            smallest_ns: u64::MAX,
            largest_ns: 0,
        }
    }

    /// Counts one duration.
    pub(crate) fn record(&mut self, ns: u64) {
        self.slots[slot(ns)] += 1;
        self.len += 1;
        self.sum_ns += u128::from(ns);
        self.smallest_ns = self.smallest_ns.min(ns);
        self.largest_ns = self.largest_ns.max(ns);
    }

    /// How many were counted.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The shortest one, exactly. Zero when empty.
    pub(crate) fn min(&self) -> Duration {
        Duration::from_nanos(self.smallest_ns.min(self.largest_ns))
    }

    /// The longest one, exactly.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.largest_ns)
    }

    /// Their mean, exactly. Zero when empty.
    pub(crate) fn mean(&self) -> Duration {
        let mean = self.sum_ns / u128::from(self.len.max(1));
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The duration that `share` of all stay below or at: 0.5 is the median. Zero when empty.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let wanted = ((self.len as f64 * share).ceil() as u64).clamp(1, self.len.max(1));
        let mut seen = 0;
        for (index, count) in self.slots.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_end(index)).clamp(self.min(), self.max());
            }
        }
        Duration::ZERO
    }

    /// How many fall into each of the ranges that `ends` close, in rising order; the last takes all the rest.
    pub(crate) fn ranges(&self, ends: &[Duration]) -> Vec<u64> {
        let mut counts = vec![0; ends.len()];
        let mut at = 0;
        for (index, count) in self.slots.iter().enumerate().filter(|(_, n)| **n > 0) {
            let end = Duration::from_nanos(upper_end(index).min(self.largest_ns));
            while at + 1 < ends.len() && end > ends[at] {
                at += 1;
            }
            if let Some(range) = counts.get_mut(at) {
                *range += count;
            }
        }
        counts
    }

    /// Takes what was counted out, in less memory.
    pub(crate) fn pack(&mut self) -> Packed {
        let mut slots = Vec::new();
        for (index, count) in self.slots.iter_mut().enumerate().filter(|(_, n)| **n > 0) {
            slots.push((index as u32, std::mem::take(count)));
        }
        let packed = Packed {
            slots,
            sum_ns: self.sum_ns,
            smallest_ns: self.smallest_ns,
            largest_ns: self.largest_ns,
        };
        (self.len, self.sum_ns) = (0, 0);
        (self.smallest_ns, self.largest_ns) = (u64::MAX, 0);
        packed
    }

    /// Counts what was packed, too.
    pub(crate) fn add(&mut self, packed: &Packed) {
        for (index, count) in &packed.slots {
            self.slots[*index as usize] += count;
            self.len += count;
        }
        self.sum_ns += packed.sum_ns;
        self.smallest_ns = self.smallest_ns.min(packed.smallest_ns);
        self.largest_ns = self.largest_ns.max(packed.largest_ns);
    }
}

/// Counts without the slots where nothing is.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    slots: Vec<(u32, u64)>,
    sum_ns: u128,
    smallest_ns: u64,
    largest_ns: u64,
}

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

/// The slot for `ns`: below 256 one slot each, above that 128 slots in every power of two.
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
                ns <= end && (end - ns) as f64 <= ns as f64 / 127.0,
                "{ns} in {slot} up to {end}"
            );
            last = slot;
        }
        assert_eq!(slot(u64::MAX), GROUPS * STEPS - 1);
    }

    #[test]
    fn percentiles_of_a_known_set() {
        let histogram = Histogram::new();
        let mut counts = Counts::new();
        assert_eq!(histogram.percentile(0.5), Duration::ZERO);
        assert_eq!(counts.percentile(0.5), Duration::ZERO);
        for ms in 1..=1000 {
            histogram.record(Duration::from_millis(ms));
            counts.record(ms * 1_000_000);
        }
        let near = |share: f64, ms: f64| {
            for got in [histogram.percentile(share), counts.percentile(share)] {
                let got = got.as_secs_f64() * 1e3;
                assert!((got - ms).abs() / ms < 0.01, "{share}: {got} ms");
            }
        };
        near(0.5, 500.0);
        near(0.99, 990.0);
        near(0.999, 999.0);
        near(1.0, 1000.0);
        assert_eq!(histogram.max(), Duration::from_secs(1));
        assert_eq!(histogram.len(), 1000);
        assert_eq!((counts.len(), counts.max()), (1000, Duration::from_secs(1)));
        assert_eq!(counts.min(), Duration::from_millis(1));
        assert_eq!(counts.mean(), Duration::from_micros(500_500));
    }

    #[test]
    fn what_is_packed_and_added_is_what_was_counted() {
        let (mut even, mut odd, mut all) = (Counts::new(), Counts::new(), Counts::new());
        for ns in 0..100_000 {
            if ns % 2 == 0 { &mut even } else { &mut odd }.record(ns * 37);
            all.record(ns * 37);
        }
        let packed = [even.pack(), odd.pack()];
        assert_eq!((even.len(), even.max()), (0, Duration::ZERO));
        even.record(5);
        assert_eq!(even.percentile(0.5), Duration::from_nanos(5));
        let mut sum = Counts::new();
        packed.iter().for_each(|packed| sum.add(packed));
        assert_eq!(sum.slots, all.slots);
        assert_eq!((sum.len(), sum.mean()), (all.len(), all.mean()));
        assert_eq!((sum.min(), sum.max()), (all.min(), all.max()));
    }

    #[test]
    fn ranges_hold_everything_once() {
        let mut counts = Counts::new();
        for ns in [10, 100, 101, 250, 9_000_000] {
            counts.record(ns);
        }
        let ends = [100, 200, 1_000_000].map(Duration::from_nanos);
        assert_eq!(counts.ranges(&ends), [2, 1, 2]);
        assert_eq!(Counts::new().ranges(&ends), [0, 0, 0]);
    }
}
