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

    /// The signal by which a stuck thread is asked for its stack, or `None` for no stacks. Default: `SIGURG`.
    ///
    /// The thread is asked when its poll has taken [`stuck_rescue_after`](Self::stuck_rescue_after), on every flavor, and
    /// [`StuckReport::stack`] of the report that comes then has the answer: at most four in a row, and one a second. Nothing is
    /// installed before, so a program that is never stuck has no handler of ours. `SIGURG` is the default since it means
    /// nothing by itself and is ignored where nobody handles it, so one that goes astray harms nobody; a real-time signal
    /// (`SIGRTMIN + n`) does as well.
    ///
    /// **A signal that the program handles or ignores itself is left to it**, and so it is when its handler comes later than
    /// ours: then reports have no stack, which is said once, as a `tracing` event. Our handler stays for the rest of the
    /// process. It copies registers and at most 64 KiB of the stack, on the thread's signal stack if it has one, and neither
    /// allocates nor locks.
    ///
    /// **What the stuck thread sees of it**: most system calls go on (`SA_RESTART`: reads, writes, accepts, locks, waits for a
    /// child). Those that the kernel does not restart after any handler end with `EINTR`: `poll`, `select` and `epoll_wait`,
    /// sockets with a time limit, `sem_timedwait` and timed `futex` waits, `sigtimedwait`, `msgrcv`, and plain `nanosleep`
    /// (signal(7) has the list). The standard library's sleeps and locks wait on; other C code that does not
    /// expect `EINTR` is a reason for `None`.
    ///
    /// On Linux, on x86-64 and 64-bit ARM; elsewhere there are no stacks, and this changes nothing.
    ///
    /// # Panics
    /// If the signal cannot be handled (`SIGKILL`, `SIGSTOP`), says that the program is at fault (`SIGSEGV`, `SIGABRT` and the
    /// like), or is no signal.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::runtime::Builder;
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = Builder::new_multi_thread().stuck_stack_signal(None).build()?;
    /// # drop(runtime);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn stuck_stack_signal(&mut self, signal: impl Into<Option<i32>>) -> &mut Self {
        let signal = signal.into();
        assert!(
            signal.is_none_or(blitz_sys::stack::can_be_handled),
            "stuck_stack_signal: {signal:?} is not a signal that can be used for this; a real-time signal or SIGURG can"
        );
        self.stuck.stack_signal = signal;
        self
    }

    /// Called with each report of a stuck worker, on a thread of its own: while it blocks, the reports behind it wait, and the
    /// workers are watched and rescued all the same. On `current_thread` it turns reports on.
    ///
    /// A stack's names are read before the call, so printing it takes no longer than its text. A shutdown calls it itself, for
    /// each task that it leaves to itself: there it lasts as long as the hook, too.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::runtime::Builder;
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = Builder::new_multi_thread()
    ///     .enable_all()
    ///     .on_stuck(|report| eprintln!("{report:#}"))
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
