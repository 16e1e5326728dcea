//! The builder: blitz-io's, and what tokio refuses beside it.

use std::fmt;
use std::io;
use std::time::Duration;

use blitz_io::runtime::Builder as Inner;

use super::{
    HistogramConfiguration, HistogramScale, LocalOptions, LocalRuntime, RngSeed, Runtime, TaskMeta,
    UnhandledPanic,
};

/// Builds a [`Runtime`] with limits of your own: `blitz_io::runtime::Builder`, with tokio's methods.
///
/// # Examples
/// ```
/// use tokio::runtime::Builder;
///
/// let runtime = Builder::new_current_thread().enable_all().build()?;
/// runtime.block_on(async { tokio::task::yield_now().await });
/// # std::io::Result::Ok(())
/// ```
pub struct Builder {
    inner: Inner,
    has_workers: bool,
    is_paused: bool,
}

/// Methods that only hand on what they get.
macro_rules! handed_on {
    ($($name:ident $([$($generic:tt)+])? ($($arg:ident: $ty:ty),*);)+) => {
        $(
            #[doc = concat!("As `blitz_io::runtime::Builder::", stringify!($name), "`, with the panics told there.")]
            #[track_caller]
            pub fn $name $(<$($generic)+>)? (&mut self $(, $arg: $ty)*) -> &mut Self {
                self.inner.$name($($arg),*);
                self
            }
        )+
    };
}

impl Builder {
    /// A runtime whose tasks run on the thread that is in `block_on`.
    pub fn new_current_thread() -> Builder {
        Builder::new(Inner::new_current_thread(), false)
    }

    /// A runtime whose tasks run on workers that steal from each other.
    pub fn new_multi_thread() -> Builder {
        Builder::new(Inner::new_multi_thread(), true)
    }

    fn new(mut inner: Inner, has_workers: bool) -> Builder {
        inner.disable_all();
        // Programs ask errors for their number.
        inner.explain_errors(false);
        inner.unwind_waker_panics(true);
        Builder {
            inner,
            has_workers,
            is_paused: false,
        }
    }

    /// Starts with time paused, on `current_thread` and in local runtimes.
    pub fn start_paused(&mut self, start_paused: bool) -> &mut Self {
        self.is_paused = start_paused;
        self.inner.start_paused(start_paused);
        self
    }

    /// Builds the runtime.
    ///
    /// # Errors
    /// What the system refuses: threads, or the descriptors of the drivers.
    ///
    /// # Panics
    /// If it is to [start paused](Self::start_paused) and has workers: tokio's time stands still on one thread alone.
    #[track_caller]
    pub fn build(&mut self) -> io::Result<Runtime> {
        assert!(
            !(self.is_paused && self.has_workers),
            "`start_paused` requires the `current_thread` flavor, as in tokio; `blitz_io` pauses time on every flavor"
        );
        self.inner.build()
    }

    /// Builds a runtime whose tasks need not be `Send`.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    ///
    /// # Panics
    /// If the builder is not of the `current_thread` flavour.
    #[track_caller]
    pub fn build_local(&mut self, options: LocalOptions) -> io::Result<LocalRuntime> {
        self.inner.build_local(options)
    }

    handed_on! {
        disable_lifo_slot();
        enable_all();
        enable_alt_timer();
        enable_eager_driver_handoff();
        enable_io();
        enable_io_uring();
        enable_metrics_poll_count_histogram();
        enable_metrics_poll_time_histogram();
        enable_metrics_schedule_latency_histogram();
        enable_sharded_blocking_queue();
        enable_time();
        event_interval(polls: u32);
        global_queue_interval(polls: u32);
        max_blocking_threads(count: usize);
        max_io_events_per_busy_tick(events: usize);
        max_io_events_per_tick(events: usize);
        metrics_poll_count_histogram_buckets(buckets: usize);
        metrics_poll_count_histogram_resolution(resolution: Duration);
        metrics_poll_count_histogram_scale(scale: HistogramScale);
        metrics_poll_time_histogram_configuration(configuration: HistogramConfiguration);
        metrics_schedule_latency_histogram_configuration(configuration: HistogramConfiguration);
        name(name: impl Into<String>);
        on_after_task_poll[F: Fn(&TaskMeta<'_>) + Send + Sync + 'static](hook: F);
        on_before_task_poll[F: Fn(&TaskMeta<'_>) + Send + Sync + 'static](hook: F);
        on_task_spawn[F: Fn(&TaskMeta<'_>) + Send + Sync + 'static](hook: F);
        on_task_terminate[F: Fn(&TaskMeta<'_>) + Send + Sync + 'static](hook: F);
        on_thread_park[F: Fn() + Send + Sync + 'static](hook: F);
        on_thread_start[F: Fn() + Send + Sync + 'static](hook: F);
        on_thread_stop[F: Fn() + Send + Sync + 'static](hook: F);
        on_thread_unpark[F: Fn() + Send + Sync + 'static](hook: F);
        rng_seed(seed: RngSeed);
        thread_keep_alive(keep_alive: Duration);
        thread_name(name: impl Into<String>);
        thread_name_fn[F: Fn() -> String + Send + Sync + 'static](name: F);
        thread_stack_size(bytes: usize);
        track_task_schedule_latency();
        unhandled_panic(behavior: UnhandledPanic);
        worker_threads(count: usize);
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}
