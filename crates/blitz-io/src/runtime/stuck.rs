//! What the builder says about workers that are stuck.

use std::sync::Arc;
use std::time::Duration;

use super::{Builder, StuckReport};

/// # Workers that are stuck
///
/// A task that computes, blocks or spins without an `.await` keeps its worker from everything else that waits there. On
/// `multi_thread` a spare thread then takes the worker over, with its tasks, timers and sockets; the stuck thread comes back
/// without them and rests in the pool. The other flavours report, since their tasks belong to their threads.
impl Builder {
    /// How long one poll (or hook, or waker) may take before it is reported. Default: 10 ms.
    ///
    /// The report comes between once and twice that time. Reports are in
    /// [`RuntimeMetrics::stuck_reports`](super::RuntimeMetrics::stuck_reports) and go to [`on_stuck`](Self::on_stuck).
    /// [`Duration::MAX`] turns reports and rescue off, and then there is no monitor thread. On `current_thread`, which has none by
    /// itself, setting this turns reports on.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn stuck_report_after(&mut self, duration: Duration) -> &mut Self {
        assert!(
            !duration.is_zero(),
            "stuck_report_after must be greater than 0"
        );
        self.stuck.report_after = duration;
        self.stuck.is_asked_for = true;
        self
    }

    /// How long one poll may take before a spare thread takes its worker over. Default: 100 ms. For `multi_thread`.
    ///
    /// [`Duration::MAX`] turns the rescue off.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn stuck_rescue_after(&mut self, duration: Duration) -> &mut Self {
        assert!(
            !duration.is_zero(),
            "stuck_rescue_after must be greater than 0"
        );
        self.stuck.rescue_after = duration;
        self
    }

    /// How many threads may be stuck and replaced at once. Default: 64. For `multi_thread`.
    ///
    /// They come on top of [`max_blocking_threads`](Self::max_blocking_threads). Beyond that a stuck worker is reported and stays
    /// stuck until one of the others comes back; 0 turns the rescue off.
    pub fn max_replaced_threads(&mut self, threads: usize) -> &mut Self {
        self.stuck.spares_max = threads;
        self
    }

    /// Called with each report of a stuck worker, on the monitor's thread: it must not block, or the monitor sees nothing
    /// meanwhile. On `current_thread` it turns reports on.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::runtime::Builder;
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = Builder::new_multi_thread()
    ///     .enable_all()
    ///     .on_stuck(|report| eprintln!("{report}"))
    ///     .build()?;
    /// # drop(runtime);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_stuck<F: Fn(&StuckReport) + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.stuck.hook = Some(Arc::new(hook));
        self.stuck.is_asked_for = true;
        self
    }
}
