//! One measurement, and what the kernel says of this process.

use std::time::Duration;

use serde_json::{Value, json};

/// What one cell measured. `value` is in the row's unit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// The row's own figure.
    pub value: f64,
    /// CPU time spent per operation, in microseconds; 0 where the row does not tell.
    pub cpu_us: f64,
    /// Resident memory at the end, in KiB; 0 where the row does not tell.
    pub rss_kib: f64,
    /// Allocations per operation; 0 where the row does not tell.
    pub allocs: f64,
    /// Bytes of those.
    pub alloc_bytes: f64,
}

impl Sample {
    pub fn to_json(self) -> Value {
        json!({ "value": self.value, "cpu_us": self.cpu_us, "rss_kib": self.rss_kib, "allocs": self.allocs, "alloc_bytes": self.alloc_bytes })
    }

    pub fn from_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let field = |name: &str| value.get(name)?.as_f64();
        Some(Self {
            value: field("value")?,
            cpu_us: field("cpu_us")?,
            rss_kib: field("rss_kib")?,
            allocs: field("allocs")?,
            alloc_bytes: field("alloc_bytes")?,
        })
    }
}

/// CPU time of this process so far, user and system.
pub fn cpu_time() -> Duration {
    // SAFETY: an all-zero rusage is a value of that plain type.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is ours to write.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let of = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// Resident memory of this process in bytes.
pub fn rss() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc/self/statm");
    let pages: usize = statm
        .split(' ')
        .nth(1)
        .and_then(|field| field.parse().ok())
        .expect("statm's second field");
    pages * 4096
}

/// Binds this thread, and those it starts later, to one processor.
pub fn pin(cpu: usize) {
    // SAFETY: an all-zero cpu_set_t is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cpu` is far below the set's size.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set lives through the call. A machine with one processor refuses, which is fine.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
}

/// Lets this process have as many descriptors as it may.
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is ours to write.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
}

/// The median of `values`, which it sorts.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
