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

/// Which buckets there are: all of one width, or octaves that are each cut into a power of two of equal parts.
///
/// The first bucket begins at 0, and the last one has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    kind: Kind,
    buckets: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear {
        width: u64,
    },
    /// Each octave is cut into 2^`parts` buckets. What lies before bucket `first` of that row belongs to the first one.
    Octaves {
        parts: u32,
        first: usize,
    },
}

/// The bucket of `value` in the row of all octaves. Below 2^`parts` each value has its own.
const fn index_in_row(value: u64, parts: u32) -> usize {
    if value < 1 << parts {
        return value as usize;
    }
    let octave = value.ilog2();
    // The first `parts` bits behind the leading one.
    let part = (value >> (octave - parts)) & ((1 << parts) - 1);
    (((octave - parts + 1) << parts) as u64 + part) as usize
}

/// The first value of a bucket in the row of all octaves, and how many there are.
const fn range_in_row(index: usize, parts: u32) -> (u64, u64) {
    let index = index as u64;
    if index < 1 << parts {
        return (index, 1);
    }
    let octave = (index >> parts) as u32 + parts - 1;
    let width = 1 << (octave - parts);
    ((1 << octave) + (index & ((1 << parts) - 1)) * width, width)
}

impl Layout {
    /// For times in nanoseconds: from 64 ns to 68 s, a bucket at most an eighth as wide as its values are large.
    pub const NANOSECONDS: Self = Self::new(6, 36, 3);

    /// Octaves from 2^`low` to 2^`high`, each in 2^`parts` buckets; one bucket for all that is below, and one for all above.
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
        Self {
            kind: Kind::Octaves {
                parts,
                first: index_in_row(1 << low, parts) - 1,
            },
            buckets: (((high - low) << parts) + 2) as usize,
        }
    }

    /// `buckets` of this width, of which the last has no end.
    ///
    /// # Panics
    /// If either is 0.
    pub const fn linear(width: u64, buckets: usize) -> Self {
        assert!(
            width > 0 && buckets > 0,
            "a histogram's buckets have a width, and there is one at least"
        );
        Self {
            kind: Kind::Linear { width },
            buckets,
        }
    }

    /// Octaves in 2^`parts` buckets each, as far as values of `low` to `high` need them: the first bucket ends at `low` or
    /// before, the last one begins at `high` or before, but behind the bucket that `high` is in or borders on.
    ///
    /// # Panics
    /// If `parts` is above 10, or `high` is 0.
    pub const fn octaves_between(low: u64, high: u64, parts: u32) -> Self {
        assert!(parts <= 10, "an octave is cut into 1,024 parts at most");
        assert!(high > 0, "a histogram's highest value is above 0");
        let first = index_in_row(low, parts).saturating_sub(1);
        let last = index_in_row(high, parts);
        let (start, _) = range_in_row(last, parts);
        let end = if start < high { last + 2 } else { last + 1 };
        let buckets = end.saturating_sub(first);
        Self {
            kind: Kind::Octaves { parts, first },
            buckets: if buckets < 2 { 2 } else { buckets },
        }
    }

    /// `buckets` of which each is twice as wide as the one before; the first ends at 2^`low`, the last has no end.
    ///
    /// # Panics
    /// If `buckets` is 0, or there are not so many below 2^64.
    pub const fn doubling(low: u32, buckets: usize) -> Self {
        assert!(
            buckets > 0 && low as usize + buckets <= 64,
            "a histogram's buckets end below 2^64"
        );
        Self {
            kind: Kind::Octaves {
                parts: 0,
                first: low as usize,
            },
            buckets,
        }
    }

    /// How many buckets there are.
    #[inline]
    pub const fn buckets(self) -> usize {
        self.buckets
    }

    /// The bucket that `value` falls into.
    #[inline]
    pub const fn index(self, value: u64) -> usize {
        let index = match self.kind {
            Kind::Linear { width } => value / width,
            Kind::Octaves { parts, first } => {
                index_in_row(value, parts).saturating_sub(first) as u64
            }
        };
        let last = self.buckets as u64 - 1;
        if index < last {
            index as usize
        } else {
            last as usize
        }
    }

    /// The values that fall into bucket `index`.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub const fn range(self, index: usize) -> RangeInclusive<u64> {
        assert!(index < self.buckets, "a histogram has no such bucket");
        let (start, width) = match self.kind {
            Kind::Linear { width } => (width.saturating_mul(index as u64), width),
            Kind::Octaves { parts, first } => range_in_row(index + first, parts),
        };
        let first = if index == 0 { 0 } else { start };
        let last = if index == self.buckets - 1 {
            u64::MAX
        } else {
            start.saturating_add(width - 1)
        };
        first..=last
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
