//! What a client has done, and what it has used for it, between two moments.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Counted by all tasks of a client. It is for figures alone, so nothing is ordered by it.
#[derive(Default)]
pub struct Tally {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// Bytes of a body came.
    pub fn bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Whether as many requests were answered as go on at once, or bytes of a large body come.
    fn goes_on(&self, at_once: usize) -> bool {
        self.requests.load(Relaxed) >= at_once as u64 || self.bytes.load(Relaxed) > 0
    }

    /// A request was answered, and all of its body has come.
    pub fn answered(&self) {
        self.requests.fetch_add(1, Relaxed);
    }
}

/// Where a client stands.
struct Mark {
    requests: u64,
    bytes: u64,
    cpu_us: f64,
    at: Instant,
}

impl Mark {
    fn now(tally: &Tally) -> Mark {
        Mark {
            requests: tally.requests.load(Relaxed),
            bytes: tally.bytes.load(Relaxed),
            cpu_us: cpu_us(),
            at: Instant::now(),
        }
    }
}

/// How long the first answers may take.
const BEGINNING: Duration = Duration::from_secs(30);

/// From a thread of its own, which sleeps nearly always: waits until all of `at_once` requests go on, lets the client run for `warm`, measures
/// it for `seconds`, prints what came of that as a line of JSON, and ends the process.
pub fn watch(tally: &'static Tally, at_once: usize, warm: Duration, seconds: Duration) {
    std::thread::spawn(move || {
        // The first use of aws-lc measures how the processor jitters, for a tenth of a second and more; handshakes come on top.
        let begun = Instant::now();
        while !tally.goes_on(at_once) && begun.elapsed() < BEGINNING {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(warm);
        let from = Mark::now(tally);
        std::thread::sleep(seconds);
        let to = Mark::now(tally);
        println!(
            "{}",
            serde_json::json!({
                "requests": to.requests - from.requests,
                "bytes": to.bytes - from.bytes,
                "cpu_us": to.cpu_us - from.cpu_us,
                "seconds": (to.at - from.at).as_secs_f64(),
                "memory_kib": memory_kib(),
            })
        );
        std::process::exit(0);
    });
}

/// CPU time of this process, the kernel's for it included.
fn cpu_us() -> f64 {
    // SAFETY: an all-zero rusage is one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is ours to write.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    time_us(&usage)
}

/// The CPU time in a rusage.
pub fn time_us(usage: &libc::rusage) -> f64 {
    let us = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
    us(usage.ru_utime) + us(usage.ru_stime)
}

/// The most memory that this process has had at a time.
fn memory_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0.0)
}
