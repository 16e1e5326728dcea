//! The public face, tested through its public names. Every test of I/O runs on each back end: see `harness`.

mod as_on_tokio;
mod async_fd;
#[path = "../../../blitz-sync/tests/it/async_methods.rs"]
mod async_methods;
mod auto_traits;
mod builder;
mod cancel_list;
#[cfg(unix)]
mod cancel_waits;
mod child;
mod contention;
#[cfg(feature = "cpu")]
mod cpu;
mod events;
// Faults are planned in a ring's calls: where `blitz-sys` has rings.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod faults;
mod fs;
mod fs_cancel;
mod fs_dirs;
mod fs_faults;
mod fs_mapped;
mod fs_names;
mod fs_ranges;
mod harness;
mod hooks;
mod http_like_workload;
mod insight;
#[cfg(unix)]
mod inspect;
mod macros;
mod mixed_io;
mod net_accept;
mod net_batched;
mod net_cancel;
mod net_echo;
mod net_faults;
mod net_owned;
#[cfg(unix)]
mod net_pipe;
mod net_resolve;
mod net_stream;
mod net_types;
mod net_udp;
mod net_udp_groups;
#[cfg(unix)]
mod net_unix;
#[cfg(unix)]
mod net_unix_datagram;
mod pool;
mod priority;
#[cfg(unix)]
mod process;
mod prometheus;
#[cfg(unix)]
mod regressions;
mod ring_metrics;
mod runtime;
mod signals;
#[cfg(feature = "tracing")]
mod spans;
mod spawn_and_cancel;
#[cfg(unix)]
mod stdio;
mod stream;
mod stuck;
mod sync_timers;
mod task;
mod time;
mod tracker;
#[path = "../../../blitz-sync/tests/it/waiter_contract.rs"]
mod waiter_contract;
mod waiters;

use blitz_io::sync::WaiterQueue;
