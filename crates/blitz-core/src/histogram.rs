//! How often each size of a value was seen: a log-linear histogram that any thread adds to and any thread reads.
//!
//! Values are cut into octaves, and each octave into a power of two of equal parts, so a bucket is never wider than a fixed
//! share of the values in it. Adding is a few relaxed additions and takes no lock; a reader takes a [`Snapshot`] and asks that.
//!
//! ORDERING: Relaxed everywhere: these are figures, and publish nothing. A reader may see one of them before the others.

// Plain std: figures order nothing, and loom need not explore them.
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Which buckets there are.
///
/// The first holds all values below 2^`low`; then come the octaves up to 2^`high`, each cut into 2^`parts` buckets; the last
/// holds all that is above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    low: u32,
    high: u32,
    parts: u32,
}

impl Layout {
    /// For times in nanoseconds: from 64 ns to 68 s, a bucket at most an eighth as wide as its values are large.
    pub const NANOSECONDS: Self = Self::new(6, 36, 3);

    /// Octaves from 2^`low` to 2^`high`, each in 2^`parts` buckets.
    ///
    /// # Panics
    /// Unless `parts <= low < high < 64` and `parts <= 8`.
    pub const fn new(low: u32, high: u32, parts: u32) -> Self {
        assert!(
            parts <= low && parts <= 8,
            "the lowest octave cannot be cut into so many parts"
        );
        assert!(
            low < high && high < 64,
            "a histogram's octaves go upwards, and end below 2^64"
        );
        Self { low, high, parts }
    }

    /// How many buckets there are.
    #[inline]
    pub const fn buckets(self) -> usize {
        (((self.high - self.low) << self.parts) + 2) as usize
    }

    /// The bucket that `value` falls into.
    #[inline]
    pub const fn index(self, value: u64) -> usize {
        if value < 1 << self.low {
            return 0;
        }
        let octave = value.ilog2();
        if octave >= self.high {
            return self.buckets() - 1;
        }
        // The first `parts` bits behind the leading one.
        let part = (value >> (octave - self.parts)) & ((1 << self.parts) - 1);
        1 + (((octave - self.low) << self.parts) as u64 + part) as usize
    }

    /// The values that fall into bucket `index`.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub const fn range(self, index: usize) -> RangeInclusive<u64> {
        assert!(index < self.buckets(), "a histogram has no such bucket");
        if index == 0 {
            return 0..=(1 << self.low) - 1;
        }
        if index == self.buckets() - 1 {
            return 1 << self.high..=u64::MAX;
        }
        let at = (index - 1) as u64;
        let octave = self.low + (at >> self.parts) as u32;
        let part = at & ((1 << self.parts) - 1);
        let width = 1 << (octave - self.parts);
        let first = (1 << octave) + part * width;
        first..=first + (width - 1)
    }
}

/// Counts of values by size, with their sum, least and greatest.
pub struct Histogram {
    layout: Layout,
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
    /// `u64::MAX` and 0 until a value came.
    min: AtomicU64,
    max: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            counts: (0..layout.buckets()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        }
    }

    /// Which buckets it has.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Adds a value.
    #[inline]
    pub fn record(&self, value: u64) {
        self.record_many(value, 1);
    }

    /// Adds a value `count` times.
    #[inline]
    pub fn record_many(&self, value: u64, count: u64) {
        self.counts[self.layout.index(value)].fetch_add(count, Relaxed);
        self.sum.fetch_add(value.wrapping_mul(count), Relaxed);
        // Seldom a new extreme, so a look saves the exchange.
        if value < self.min.load(Relaxed) {
            self.min.fetch_min(value, Relaxed);
        }
        if value > self.max.load(Relaxed) {
            self.max.fetch_max(value, Relaxed);
        }
    }

    /// How many values are in one bucket.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub fn count_in(&self, bucket: usize) -> u64 {
        self.counts[bucket].load(Relaxed)
    }

    /// What it holds now. Values that are added meanwhile may be in it or not.
    pub fn snapshot(&self) -> Snapshot {
        let counts: Box<[u64]> = self
            .counts
            .iter()
            .map(|count| count.load(Relaxed))
            .collect();
        Snapshot {
            layout: self.layout,
            count: counts.iter().sum(),
            counts,
            sum: self.sum.load(Relaxed),
            min: self.min.load(Relaxed),
            max: self.max.load(Relaxed),
        }
    }

    /// Forgets all values. Those that are added meanwhile may stay in part.
    pub fn clear(&self) {
        for count in &self.counts {
            count.store(0, Relaxed);
        }
        self.sum.store(0, Relaxed);
        self.min.store(u64::MAX, Relaxed);
        self.max.store(0, Relaxed);
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

/// What a [`Histogram`] held at one time.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    layout: Layout,
    counts: Box<[u64]>,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl Snapshot {
    /// One without values.
    pub fn empty(layout: Layout) -> Self {
        Histogram::new(layout).snapshot()
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, modulo 2^64.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The least, if there is any.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The greatest, if there is any.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// Their mean, if there is any.
    pub fn mean(&self) -> Option<u64> {
        self.sum.checked_div(self.count)
    }

    /// The value that `percent` of all values are not above, too high by the width of its bucket at most; `None` if there
    /// are no values. 0 is the least, 50 the median, 100 the greatest.
    pub fn percentile(&self, percent: f64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let rank = (percent / 100.0 * self.count as f64).ceil();
        // A float becomes the nearest integer that there is.
        let rank = (rank as u64).clamp(1, self.count);
        let mut below = 0;
        for (index, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= rank {
                let end = *self.layout.range(index).end();
                // Not `clamp`: a reader may have come between a value's count and its extremes.
                return Some(end.min(self.max).max(self.min.min(self.max)));
            }
        }
        Some(self.max)
    }

    /// Each bucket's values, and how many of them there were.
    pub fn buckets(&self) -> impl Iterator<Item = (RangeInclusive<u64>, u64)> + '_ {
        let counts = self.counts.iter().enumerate();
        counts.map(|(index, count)| (self.layout.range(index), *count))
    }

    /// Adds another's values.
    ///
    /// # Panics
    /// If it has other buckets.
    pub fn merge(&mut self, other: &Self) {
        assert!(
            self.layout == other.layout,
            "histograms of different layouts cannot be merged"
        );
        for (mine, more) in self.counts.iter_mut().zip(&other.counts) {
            *mine += more;
        }
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("min", &self.min())
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
#[path = "tests/histogram.rs"]
mod tests;
