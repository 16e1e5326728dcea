//! Histograms of a runtime: how they are set up, and how they are read.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use blitz_core::histogram::{Histogram, Layout, Snapshot};
use blitz_exec::scheduler::insight::{Measure, SiteSnapshot};
use blitz_exec::task::Priority;

use super::metrics::RuntimeMetrics;

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How a histogram's buckets grow: for
/// [`metrics_poll_count_histogram_scale`](crate::runtime::Builder::metrics_poll_count_histogram_scale).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistogramScale {
    /// All are of one width.
    Linear,
    /// Each is twice as wide as the one before.
    Log,
}

/// Which buckets a histogram has.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use blitz_io::runtime::{Builder, HistogramConfiguration, LogHistogram};
/// # fn main() -> std::io::Result<()> {
/// let log = LogHistogram::builder().min_value(Duration::from_micros(1)).max_error(0.1).build();
/// let runtime = Builder::new_current_thread()
///     .enable_metrics_poll_time_histogram()
///     .metrics_poll_time_histogram_configuration(HistogramConfiguration::log(log))
///     .build()?;
/// assert!(runtime.metrics().poll_time_histogram_enabled());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HistogramConfiguration {
    pub(crate) layout: Layout,
}

impl HistogramConfiguration {
    /// So many buckets of one width; the last has no end.
    ///
    /// # Panics
    /// If either is zero.
    #[track_caller]
    pub fn linear(bucket_width: Duration, num_buckets: usize) -> Self {
        assert!(
            !bucket_width.is_zero() && num_buckets > 0,
            "HistogramConfiguration::linear: buckets must have a width, and there must be one at least"
        );
        Self {
            layout: Layout::linear(ns(bucket_width), num_buckets),
        }
    }

    /// Buckets that grow with the values in them: see [`LogHistogram`].
    pub fn log(configuration: impl Into<LogHistogram>) -> Self {
        Self {
            layout: configuration.into().layout,
        }
    }
}

/// Buckets that grow with the values in them, so that each is known to within the same share of it.
///
/// The default reaches from 100 ns to 60 s, with an error of a quarter at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHistogram {
    layout: Layout,
}

impl Default for LogHistogram {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl LogHistogram {
    /// Says which buckets.
    pub fn builder() -> LogHistogramBuilder {
        LogHistogramBuilder::default()
    }

    /// The value in nanoseconds at which the last bucket, which has no end, begins.
    pub fn max_value(&self) -> u64 {
        *self.layout.range(self.layout.buckets() - 1).start()
    }
}

impl From<LogHistogramBuilder> for LogHistogram {
    fn from(builder: LogHistogramBuilder) -> Self {
        builder.build()
    }
}

/// Builds a [`LogHistogram`].
#[derive(Clone, Copy, Debug, Default)]
pub struct LogHistogramBuilder {
    parts: Option<u32>,
    min: Option<Duration>,
    max: Option<Duration>,
}

/// An octave is cut into 2^this buckets at most.
const PARTS_MAX: u32 = 10;

impl LogHistogramBuilder {
    /// The width of a bucket by the values in it, at most: the next power of a half is taken, a quarter at most and 1/1,024 at
    /// least. Default: 0.25.
    ///
    /// # Panics
    /// If it is not between 0 and 1.
    #[track_caller]
    pub fn max_error(mut self, max_error: f64) -> Self {
        assert!(max_error > 0.0, "max_error must be greater than 0");
        assert!(max_error < 1.0, "max_error must be less than 1");
        let enough = |parts: &u32| 0.5_f64.powi(*parts as i32) <= max_error;
        self.parts = Some((2..PARTS_MAX).find(enough).unwrap_or(PARTS_MAX));
        self
    }

    /// The same as a power of a half: each octave has 2^`p` buckets; with 0 each bucket is twice as wide as the one before.
    ///
    /// # Panics
    /// If `p` is above 10.
    #[track_caller]
    pub fn precision_exact(mut self, p: u32) -> Self {
        assert!(p <= PARTS_MAX, "precision must be <= {PARTS_MAX}");
        self.parts = Some(p);
        self
    }

    /// Values below need not be told apart: the first bucket ends there or before. Default: 100 ns.
    pub fn min_value(mut self, duration: Duration) -> Self {
        self.min = Some(duration);
        self
    }

    /// Values above need not be told apart. Default: 60 s.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn max_value(mut self, duration: Duration) -> Self {
        assert!(!duration.is_zero(), "max value must be greater than 0");
        self.max = Some(duration);
        self
    }

    /// Builds it with so many buckets at most.
    ///
    /// # Errors
    /// If it would have more.
    pub fn max_buckets(
        &mut self,
        max_buckets: usize,
    ) -> Result<LogHistogram, InvalidHistogramConfiguration> {
        let histogram = self.build();
        let buckets = histogram.layout.buckets();
        if buckets > max_buckets {
            return Err(InvalidHistogramConfiguration::TooManyBuckets {
                required_bucket_count: buckets,
            });
        }
        Ok(histogram)
    }

    /// Builds it.
    pub fn build(&self) -> LogHistogram {
        let min = ns(self.min.unwrap_or(Duration::from_nanos(100)));
        let max = ns(self.max.unwrap_or(Duration::from_secs(60)));
        LogHistogram {
            layout: Layout::octaves_between(min, max, self.parts.unwrap_or(2)),
        }
    }
}

/// Why a histogram was not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidHistogramConfiguration {
    /// It would have more buckets than were allowed.
    TooManyBuckets {
        /// So many.
        required_bucket_count: usize,
    },
}

impl fmt::Display for InvalidHistogramConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyBuckets {
                required_bucket_count,
            } => write!(
                f,
                "the histogram would have {required_bucket_count} buckets: allow as many, a larger error, or a shorter range"
            ),
        }
    }
}

impl Error for InvalidHistogramConfiguration {}

#[track_caller]
fn range(layout: Layout, bucket: usize) -> Range<Duration> {
    assert!(
        bucket < layout.buckets(),
        "bucket {bucket} is out of range: the histogram has {}",
        layout.buckets()
    );
    let range = layout.range(bucket);
    let end = range.end().saturating_add(1);
    Duration::from_nanos(*range.start())..Duration::from_nanos(end)
}

#[track_caller]
fn count(histogram: Option<&Histogram>, layout: Layout, bucket: usize) -> u64 {
    assert!(
        bucket < layout.buckets(),
        "bucket {bucket} is out of range: the histogram has {}",
        layout.buckets()
    );
    histogram.map_or(0, |histogram| histogram.count_in(bucket))
}

fn snapshot(histogram: Option<&Histogram>, layout: Layout) -> Snapshot {
    histogram.map_or_else(|| Snapshot::empty(layout), Histogram::snapshot)
}

/// Histograms of the times that polls take and that tasks are ready before they are polled. Off until they are switched on, here
/// or by the builder; what was counted stays when they are switched off.
impl RuntimeMetrics {
    /// Measures from now on how long polls take, or stops to. It costs two looks at the clock a poll. A worker that works sees the
    /// switch at its next turn.
    ///
    /// Meanwhile a poll of more than 10 ms, or
    /// [what the builder says](crate::runtime::Builder::long_poll_threshold), is a [warning](super::Handle::warnings).
    pub fn set_poll_time_histogram(&self, on: bool) {
        self.inner.insight.set(Measure::PollTime, on);
    }

    /// Measures from now on how long tasks are ready before they are polled, or stops to. It costs a look at the clock a wake and
    /// one a poll.
    pub fn set_schedule_latency_histogram(&self, on: bool) {
        self.inner.insight.set(Measure::Latency, on);
    }

    /// Whether the times of polls are measured now.
    pub fn poll_time_histogram_enabled(&self) -> bool {
        self.inner.insight.is_on(Measure::PollTime)
    }

    /// Whether the times of polls are measured now: an older name.
    pub fn poll_count_histogram_enabled(&self) -> bool {
        self.poll_time_histogram_enabled()
    }

    /// How many buckets the histogram of poll times has; 0 while it is off.
    pub fn poll_time_histogram_num_buckets(&self) -> usize {
        if self.poll_time_histogram_enabled() {
            self.inner.insight.poll_time_layout().buckets()
        } else {
            0
        }
    }

    /// The same: an older name.
    pub fn poll_count_histogram_num_buckets(&self) -> usize {
        self.poll_time_histogram_num_buckets()
    }

    /// The times that belong in one bucket of the histogram of poll times.
    ///
    /// # Panics
    /// If there is no such bucket.
    #[track_caller]
    pub fn poll_time_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        range(self.inner.insight.poll_time_layout(), bucket)
    }

    /// The same: an older name.
    ///
    /// # Panics
    /// If there is no such bucket.
    #[track_caller]
    pub fn poll_count_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        self.poll_time_histogram_bucket_range(bucket)
    }

    /// How many polls of a worker took as long as one bucket says.
    ///
    /// # Panics
    /// If there is no such worker or bucket.
    #[track_caller]
    pub fn poll_time_histogram_bucket_count(&self, worker: usize, bucket: usize) -> u64 {
        let stats = self.worker(worker);
        count(
            stats.poll_time(),
            self.inner.insight.poll_time_layout(),
            bucket,
        )
    }

    /// The same: an older name.
    ///
    /// # Panics
    /// If there is no such worker or bucket.
    #[track_caller]
    pub fn poll_count_histogram_bucket_count(&self, worker: usize, bucket: usize) -> u64 {
        self.poll_time_histogram_bucket_count(worker, bucket)
    }

    /// How long a worker's polls took, in nanoseconds: counts, sum, least and greatest.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn poll_time_histogram(&self, worker: usize) -> Snapshot {
        let stats = self.worker(worker);
        snapshot(stats.poll_time(), self.inner.insight.poll_time_layout())
    }

    /// Whether it is measured now how long tasks are ready before they are polled.
    pub fn schedule_latency_histogram_enabled(&self) -> bool {
        self.inner.insight.is_on(Measure::Latency)
    }

    /// How many buckets the histogram of latencies has; 0 while it is off.
    pub fn schedule_latency_histogram_num_buckets(&self) -> usize {
        if self.schedule_latency_histogram_enabled() {
            self.inner.insight.latency_layout().buckets()
        } else {
            0
        }
    }

    /// The times that belong in one bucket of the histogram of latencies.
    ///
    /// # Panics
    /// If there is no such bucket.
    #[track_caller]
    pub fn schedule_latency_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        range(self.inner.insight.latency_layout(), bucket)
    }

    /// How many tasks were ready for as long as one bucket says before a worker polled them.
    ///
    /// # Panics
    /// If there is no such worker or bucket.
    #[track_caller]
    pub fn schedule_latency_histogram_bucket_count(&self, worker: usize, bucket: usize) -> u64 {
        let stats = self.worker(worker);
        count(stats.latency(), self.inner.insight.latency_layout(), bucket)
    }

    /// How long tasks were ready before a worker polled them, in nanoseconds: counts, sum, least and greatest.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn schedule_latency_histogram(&self, worker: usize) -> Snapshot {
        let stats = self.worker(worker);
        snapshot(stats.latency(), self.inner.insight.latency_layout())
    }

    /// How long tasks of one priority were ready before they were polled, on all workers, in nanoseconds: counts, sum, percentiles.
    /// It is measured while the [histogram of latencies](Self::set_schedule_latency_histogram) is.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::task::{Priority, spawn_with_priority};
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = blitz_io::runtime::Builder::new_current_thread().build()?;
    /// let metrics = runtime.metrics();
    /// metrics.set_schedule_latency_histogram(true);
    /// runtime.block_on(async { spawn_with_priority(Priority::High, async {}).await }).ok();
    /// let high = metrics.schedule_latency(Priority::High);
    /// println!("p50 {:?} ns, p99 {:?} ns, max {:?} ns", high.percentile(50.0), high.percentile(99.0), high.max());
    /// assert_eq!(high.count(), 1);
    /// assert_eq!(metrics.schedule_latency(Priority::Low).count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn schedule_latency(&self, priority: Priority) -> Snapshot {
        self.inner.insight.class_latency(priority)
    }

    /// The same two histograms for each place of the source where tasks are spawned, as far as they were on; by file and line.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = blitz_io::runtime::Builder::new_current_thread().build()?;
    /// runtime.metrics().set_poll_time_histogram(true);
    /// runtime.block_on(async { blitz_io::spawn(async {}).await }).ok();
    /// for site in runtime.metrics().spawn_sites() {
    ///     println!("{}: {} polls, the longest took {:?} ns", site.location, site.poll_time.count(), site.poll_time.max());
    /// }
    /// # assert_eq!(runtime.metrics().spawn_sites().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_sites(&self) -> Vec<SiteSnapshot> {
        self.inner.insight.sites()
    }
}
