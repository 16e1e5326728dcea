//! The runtime: `blitz_io::runtime`, with a [`Builder`] that has to be told what to turn on.

mod builder;

pub use blitz_io::runtime::{
    EnterGuard, Handle, HistogramConfiguration, HistogramScale, Id, InvalidHistogramConfiguration,
    LocalOptions, LocalRuntime, LogHistogram, LogHistogramBuilder, RngSeed, Runtime, RuntimeFlavor,
    RuntimeMetrics, TaskMeta, TryCurrentError, UnhandledPanic, is_rt_shutdown_err, worker_index,
};
pub use builder::Builder;
pub use dump::Dump;

/// What each task awaits: `blitz_io::runtime::dump`.
pub mod dump {
    pub use blitz_io::runtime::dump::{
        Backtrace, BacktraceFrame, BacktraceSymbol, Dump, Root, Task, Tasks, Trace, TraceMeta,
        trace_with,
    };
}
