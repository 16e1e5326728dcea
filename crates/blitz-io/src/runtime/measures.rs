//! What a runtime measures of itself: the builder's part.

use std::sync::Arc;
use std::time::Duration;

use blitz_core::histogram::Layout;
use blitz_exec::scheduler::Insight;
use blitz_exec::scheduler::insight::Measure;
use blitz_exec::scheduler::warnings::Warning;

use super::events;
use super::park::RealTime;
use super::{Builder, HistogramConfiguration, HistogramScale};

type OnWarning = Arc<dyn Fn(&Warning) + Send + Sync>;

/// What the builder was told.
#[derive(Clone)]
pub(super) struct Measures {
    poll_time: bool,
    latency: bool,
    latency_for_hooks: bool,
    poll_time_layout: Option<Layout>,
    latency_layout: Layout,
    legacy: Legacy,
    long_poll: Duration,
    stuck_wait: Duration,
    on_warning: Option<OnWarning>,
}

/// The histogram of poll times as tokio's oldest methods describe it.
#[derive(Clone, Copy)]
struct Legacy {
    scale: HistogramScale,
    resolution: Duration,
    buckets: usize,
}

impl Legacy {
    fn layout(self) -> Layout {
        let ns = u64::try_from(self.resolution.as_nanos())
            .unwrap_or(u64::MAX)
            .max(1);
        match self.scale {
            HistogramScale::Linear => Layout::linear(ns, self.buckets),
            HistogramScale::Log => {
                let low = ns.checked_next_power_of_two().map_or(63, u64::ilog2);
                Layout::doubling(low, self.buckets.min(64 - low as usize))
            }
        }
    }
}

/// Buckets where the program names none: ten of 100 us.
const DEFAULT: Layout = Layout::linear(100_000, 10);

impl Default for Measures {
    fn default() -> Self {
        Self {
            poll_time: false,
            latency: false,
            latency_for_hooks: false,
            poll_time_layout: None,
            latency_layout: DEFAULT,
            legacy: Legacy {
                scale: HistogramScale::Linear,
                resolution: Duration::from_micros(100),
                buckets: 10,
            },
            long_poll: Duration::from_millis(10),
            stuck_wait: Duration::from_secs(1),
            on_warning: None,
        }
    }
}

impl Measures {
    pub(super) fn insight(&self) -> Insight {
        let poll_time = self
            .poll_time_layout
            .unwrap_or_else(|| self.legacy.layout());
        let insight = Insight::new(Arc::new(RealTime), poll_time, self.latency_layout);
        insight.set(Measure::PollTime, self.poll_time);
        insight.set(Measure::Latency, self.latency);
        insight.set(Measure::LatencyForHooks, self.latency_for_hooks);
        insight.set_long_poll_ns(u64::try_from(self.long_poll.as_nanos()).unwrap_or(u64::MAX));
        insight.set_stuck_wait_ns(u64::try_from(self.stuck_wait.as_nanos()).unwrap_or(u64::MAX));
        let on_warning = self.on_warning.clone();
        insight.warnings().set_callback(Arc::new(move |warning| {
            events::warned(warning);
            if let Some(on_warning) = &on_warning {
                on_warning(warning);
            }
        }));
        insight
    }
}

/// What is measured. All of it can be switched while the runtime runs:
/// [`RuntimeMetrics::set_poll_time_histogram`](super::RuntimeMetrics::set_poll_time_histogram).
impl Builder {
    /// Measures from the start how long polls take. Default: off.
    pub fn enable_metrics_poll_time_histogram(&mut self) -> &mut Self {
        self.measures.poll_time = true;
        self
    }

    /// Measures from the start how long polls take: an older name.
    pub fn enable_metrics_poll_count_histogram(&mut self) -> &mut Self {
        self.enable_metrics_poll_time_histogram()
    }

    /// The buckets of the workers' poll times. Default: ten, of 100 us each.
    pub fn metrics_poll_time_histogram_configuration(
        &mut self,
        configuration: HistogramConfiguration,
    ) -> &mut Self {
        self.measures.poll_time_layout = Some(configuration.layout);
        self
    }

    /// How the buckets of the workers' poll times grow, unless a configuration says which. Default: linear.
    pub fn metrics_poll_count_histogram_scale(&mut self, scale: HistogramScale) -> &mut Self {
        self.measures.legacy.scale = scale;
        self
    }

    /// The width of the first bucket of the workers' poll times, unless a configuration says which. Default: 100 us. With the
    /// logarithmic scale the next power of two, in nanoseconds.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn metrics_poll_count_histogram_resolution(&mut self, resolution: Duration) -> &mut Self {
        assert!(
            !resolution.is_zero(),
            "a bucket's width must be greater than 0"
        );
        self.measures.legacy.resolution = resolution;
        self
    }

    /// How many buckets the histogram of poll times has, unless a configuration says which. Default: 10.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn metrics_poll_count_histogram_buckets(&mut self, buckets: usize) -> &mut Self {
        assert!(buckets > 0, "a histogram must have a bucket");
        self.measures.legacy.buckets = buckets;
        self
    }

    /// Measures from the start how long tasks are ready before they are polled. Default: off.
    pub fn enable_metrics_schedule_latency_histogram(&mut self) -> &mut Self {
        self.measures.latency = true;
        self
    }

    /// The buckets of the workers' latencies. Default: ten, of 100 us each.
    pub fn metrics_schedule_latency_histogram_configuration(
        &mut self,
        configuration: HistogramConfiguration,
    ) -> &mut Self {
        self.measures.latency_layout = configuration.layout;
        self
    }

    /// Tells the hooks around each poll how long the task was ready before it:
    /// [`TaskMeta::schedule_latency`](super::TaskMeta::schedule_latency). Default: off.
    pub fn track_task_schedule_latency(&mut self) -> &mut Self {
        self.measures.latency_for_hooks = true;
        self
    }

    /// A poll that takes as long is a [warning](super::Handle::warnings), while poll times are measured. Default: 10 ms.
    pub fn long_poll_threshold(&mut self, threshold: Duration) -> &mut Self {
        self.measures.long_poll = threshold;
        self
    }

    /// A wait for a lock, for permits or for a channel's room that is stuck for as long is a [warning](super::Handle::warnings): it was
    /// served and nobody has polled it since, or nobody can serve it any more. Default: 1 s.
    pub fn stuck_wait_threshold(&mut self, threshold: Duration) -> &mut Self {
        self.measures.stuck_wait = threshold;
        self
    }

    /// Called with each new [warning](super::Handle::warnings), on the thread that noticed it. It should be quick; a panic in it is
    /// told by the panic hook and goes no further.
    pub fn on_warning<F: Fn(&Warning) + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.measures.on_warning = Some(Arc::new(hook));
        self
    }
}
