//! A runtime's figures in Prometheus' text format.
//!
//! [`Page`] knows the format: families of samples, each with its kind and help, and what must be escaped. The rest is a list.

use std::fmt::{self, Display, Write as _};

use blitz_core::histogram::Snapshot;
use blitz_driver::RingMetrics;

use super::metrics::RuntimeMetrics;

/// What a family of samples is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Only rises while the runtime lives.
    Counter,
    /// Rises and falls.
    Gauge,
    /// How many values lay below each of some bounds.
    Histogram,
}

/// A page under construction.
struct Page {
    text: String,
    /// The labels that stand on every sample, as they are written.
    common: String,
}

impl Page {
    fn new(common: &[(&str, &str)]) -> Self {
        let mut page = Self {
            text: String::new(),
            common: String::new(),
        };
        for (index, (name, value)) in common.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            page.common.push_str(comma);
            page.common.push_str(&label(name, value));
        }
        page
    }

    /// Begins a family; its samples follow.
    fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = Escaped(help, false);
        self.text
            .push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { page: self, name }
    }
}

/// One family's samples.
struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Family<'_> {
    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.sample_of("", labels, value)
    }

    /// A sample whose name has an end of its own.
    fn sample_of(&mut self, end: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let text = &mut self.page.text;
        text.push_str(self.name);
        text.push_str(end);
        text.push('{');
        text.push_str(&self.page.common);
        for (name, value) in labels {
            text.push(',');
            text.push_str(&label(name, value));
        }
        text.push_str(&format!("}} {value}\n"));
        self
    }
}

impl Family<'_> {
    /// The samples of one histogram of nanoseconds, in seconds, with a bound at each power of two.
    fn histogram(&mut self, labels: &[(&str, &str)], times: &Snapshot) {
        let mut below = 0;
        for (range, count) in times.buckets() {
            below += count;
            let Some(bound) = range
                .end()
                .checked_add(1)
                .filter(|bound| bound.is_power_of_two())
            else {
                continue;
            };
            let bound = seconds(bound).to_string();
            self.sample_of("_bucket", &[labels, &[("le", &bound)]].concat(), below);
        }
        self.sample_of(
            "_bucket",
            &[labels, &[("le", "+Inf")]].concat(),
            times.count(),
        );
        self.sample_of("_sum", labels, seconds(times.sum()));
        self.sample_of("_count", labels, times.count());
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", Escaped(value, true))
}

/// A text in which the format's own characters are escaped; quotes too, in the value of a label.
struct Escaped<'a>(&'a str, bool);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.1 => f.write_str("\\\"")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A figure of the runtime: its name without the prefix, its kind and help, and how it is read.
type OfRuntime = (&'static str, Kind, &'static str, fn(&RuntimeMetrics) -> u64);
/// A figure of one worker.
type OfWorker = (
    &'static str,
    Kind,
    &'static str,
    fn(&RuntimeMetrics, usize) -> u64,
);
/// A figure of one worker's driver.
type OfRing = (&'static str, Kind, &'static str, fn(&RingMetrics) -> u64);

const RUNTIME: &[OfRuntime] = &[
    (
        "blitz_io_workers",
        Kind::Gauge,
        "Workers of the runtime.",
        |m| m.num_workers() as u64,
    ),
    (
        "blitz_io_alive_tasks",
        Kind::Gauge,
        "Tasks that were spawned and have not ended.",
        |m| m.num_alive_tasks() as u64,
    ),
    (
        "blitz_io_global_queue_depth",
        Kind::Gauge,
        "Tasks in the queue that all workers share.",
        |m| m.global_queue_depth() as u64,
    ),
    (
        "blitz_io_spawned_tasks_total",
        Kind::Counter,
        "Tasks that were spawned.",
        |m| m.spawned_tasks_count(),
    ),
    (
        "blitz_io_remote_schedules_total",
        Kind::Counter,
        "Tasks that were queued from outside of the workers.",
        |m| m.remote_schedule_count(),
    ),
    (
        "blitz_io_forced_yields_total",
        Kind::Counter,
        "Tasks that yielded because their budget was spent.",
        |m| m.budget_forced_yield_count(),
    ),
    (
        "blitz_io_warnings_total",
        Kind::Counter,
        "Warnings about tasks.",
        |m| m.warnings_count(),
    ),
    (
        "blitz_io_stuck_polls_total",
        Kind::Counter,
        "Polls, hooks and wakers that took too long.",
        |m| m.stuck_count(),
    ),
    (
        "blitz_io_rescues_total",
        Kind::Counter,
        "Workers that a spare thread took over from a stuck one.",
        |m| m.rescue_count(),
    ),
    (
        "blitz_io_replaced_threads",
        Kind::Gauge,
        "Threads that are stuck and have been replaced.",
        |m| m.num_replaced_threads() as u64,
    ),
    (
        "blitz_io_task_bytes",
        Kind::Gauge,
        "Bytes that tasks lie in.",
        |m| m.task_bytes() as u64,
    ),
    (
        "blitz_io_blocking_threads",
        Kind::Gauge,
        "Threads for blocking calls.",
        |m| m.num_blocking_threads() as u64,
    ),
    (
        "blitz_io_blocking_threads_idle",
        Kind::Gauge,
        "Threads for blocking calls that wait for one.",
        |m| m.num_idle_blocking_threads() as u64,
    ),
    (
        "blitz_io_blocking_queue_depth",
        Kind::Gauge,
        "Blocking calls that wait for a thread.",
        |m| m.blocking_queue_depth() as u64,
    ),
];

const WORKER: &[OfWorker] = &[
    (
        "blitz_io_worker_parks_total",
        Kind::Counter,
        "Waits for events.",
        RuntimeMetrics::worker_park_count,
    ),
    (
        "blitz_io_worker_noops_total",
        Kind::Counter,
        "Wake-ups that found nothing to poll.",
        RuntimeMetrics::worker_noop_count,
    ),
    (
        "blitz_io_worker_polls_total",
        Kind::Counter,
        "Polls of tasks.",
        RuntimeMetrics::worker_poll_count,
    ),
    (
        "blitz_io_worker_local_schedules_total",
        Kind::Counter,
        "Tasks queued by the worker itself.",
        RuntimeMetrics::worker_local_schedule_count,
    ),
    (
        "blitz_io_worker_overflows_total",
        Kind::Counter,
        "Times the worker's queue was full.",
        RuntimeMetrics::worker_overflow_count,
    ),
    (
        "blitz_io_worker_steals_total",
        Kind::Counter,
        "Tasks taken from other workers.",
        RuntimeMetrics::worker_steal_count,
    ),
    (
        "blitz_io_worker_steal_operations_total",
        Kind::Counter,
        "Times tasks were taken from another worker.",
        RuntimeMetrics::worker_steal_operations,
    ),
    (
        "blitz_io_worker_queue_depth",
        Kind::Gauge,
        "Tasks in the worker's queue.",
        |m, worker| m.worker_local_queue_depth(worker) as u64,
    ),
];

const RING: &[OfRing] = &[
    (
        "blitz_io_ring_turns_total",
        Kind::Counter,
        "Turns of the driver.",
        |r| r.turns,
    ),
    (
        "blitz_io_ring_enters_total",
        Kind::Counter,
        "Calls of io_uring_enter.",
        |r| r.enters,
    ),
    (
        "blitz_io_ring_selector_waits_total",
        Kind::Counter,
        "Calls of the readiness interface's wait.",
        |r| r.selector_waits,
    ),
    (
        "blitz_io_ring_submitted_total",
        Kind::Counter,
        "Entries handed to the kernel.",
        |r| r.submitted,
    ),
    (
        "blitz_io_ring_completions_total",
        Kind::Counter,
        "Answers read from the ring.",
        |r| r.completions,
    ),
    (
        "blitz_io_ring_ready_events_total",
        Kind::Counter,
        "Events of sockets and other sources.",
        |r| r.ready_events,
    ),
    (
        "blitz_io_ring_overflows_total",
        Kind::Counter,
        "Turns that found the completion queue full.",
        |r| r.overflows,
    ),
    (
        "blitz_io_ring_queue_full_total",
        Kind::Counter,
        "Entries that found the submission queue full.",
        |r| r.queue_full,
    ),
    (
        "blitz_io_ring_busy_total",
        Kind::Counter,
        "Times the kernel took nothing before answers were read.",
        |r| r.busy,
    ),
    (
        "blitz_io_ring_rearmed_total",
        Kind::Counter,
        "Multishot entries that had to be queued again.",
        |r| r.rearmed,
    ),
    (
        "blitz_io_ring_buffers_exhausted_total",
        Kind::Counter,
        "Receives that found no provided buffer.",
        |r| r.buffers_exhausted,
    ),
    (
        "blitz_io_ring_cancels_total",
        Kind::Counter,
        "Cancels asked for.",
        |r| r.cancels,
    ),
    (
        "blitz_io_ring_cancels_late_total",
        Kind::Counter,
        "Cancels that came too late.",
        |r| r.cancels_late,
    ),
    (
        "blitz_io_ring_registered_total",
        Kind::Counter,
        "Sources registered.",
        |r| r.registered,
    ),
    (
        "blitz_io_ring_sources",
        Kind::Gauge,
        "Sources that are registered now.",
        |r| r.sources as u64,
    ),
    (
        "blitz_io_ring_timers",
        Kind::Gauge,
        "Timers that are registered now.",
        |r| r.timers as u64,
    ),
    (
        "blitz_io_ring_submission_entries",
        Kind::Gauge,
        "Entries of the submission queue.",
        |r| r.sq_entries.into(),
    ),
    (
        "blitz_io_ring_completion_entries",
        Kind::Gauge,
        "Entries of the completion queue.",
        |r| r.cq_entries.into(),
    ),
];

impl RuntimeMetrics {
    /// All figures in Prometheus' text format, version 0.0.4, for a scrape.
    ///
    /// Each sample carries the runtime's number, and its name if it has one; what is a worker's carries the worker's number.
    /// Serve it as `text/plain; version=0.0.4`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = blitz_io::runtime::Builder::new_current_thread().build()?;
    /// let page = runtime.metrics().prometheus();
    /// assert!(page.contains("# TYPE blitz_io_alive_tasks gauge\nblitz_io_alive_tasks{runtime="));
    /// # Ok(())
    /// # }
    /// ```
    pub fn prometheus(&self) -> String {
        let id = self.inner.id.to_string();
        let mut common = vec![("runtime", id.as_str())];
        if let Some(name) = &self.inner.name {
            common.push(("name", name));
        }
        let mut page = Page::new(&common);
        for (name, kind, help, read) in RUNTIME {
            page.family(name, *kind, help).sample(&[], read(self));
        }
        let workers: Vec<String> = (0..self.num_workers())
            .map(|worker| worker.to_string())
            .collect();
        let mut busy = page.family(
            "blitz_io_worker_busy_seconds_total",
            Kind::Counter,
            "Time in which the worker did not wait for events, counted up at each wait.",
        );
        for (worker, number) in workers.iter().enumerate() {
            let seconds = self.worker_total_busy_duration(worker).as_secs_f64();
            busy.sample(&[("worker", number)], seconds);
        }
        for (name, kind, help, read) in WORKER {
            let mut family = page.family(name, *kind, help);
            for (worker, number) in workers.iter().enumerate() {
                family.sample(&[("worker", number)], read(self, worker));
            }
        }
        self.times(&mut page, &workers);
        self.rings(&mut page, &workers);
        page.text
    }

    /// What is measured only when it is asked for.
    fn times(&self, page: &mut Page, workers: &[String]) {
        if self.poll_time_histogram_enabled() {
            let help = "How long polls of tasks took.";
            let mut family = page.family("blitz_io_worker_poll_seconds", Kind::Histogram, help);
            for (worker, number) in workers.iter().enumerate() {
                family.histogram(&[("worker", number)], &self.poll_time_histogram(worker));
            }
        }
        if self.schedule_latency_histogram_enabled() {
            let help = "How long tasks were ready before they were polled.";
            let mut family = page.family("blitz_io_worker_latency_seconds", Kind::Histogram, help);
            for (worker, number) in workers.iter().enumerate() {
                family.histogram(
                    &[("worker", number)],
                    &self.schedule_latency_histogram(worker),
                );
            }
        }
    }

    fn rings(&self, page: &mut Page, workers: &[String]) {
        let rings: Vec<RingMetrics> = (0..workers.len())
            .map(|worker| self.worker_ring_metrics(worker))
            .collect();
        let each = || workers.iter().map(String::as_str).zip(&rings);
        let mut family = page.family(
            "blitz_io_ring_info",
            Kind::Gauge,
            "Which back end the worker's driver has, and why. Always 1.",
        );
        for (worker, ring) in each() {
            let backend = ring.backend.to_string();
            family.sample(
                &[
                    ("worker", worker),
                    ("backend", &backend),
                    ("reason", &ring.reason),
                ],
                1,
            );
        }
        for (name, kind, help, read) in RING {
            let mut family = page.family(name, *kind, help);
            for (worker, ring) in each() {
                family.sample(&[("worker", worker)], read(ring));
            }
        }
        let mut family = page.family(
            "blitz_io_ring_in_flight",
            Kind::Gauge,
            "Operations in flight, by kind.",
        );
        for (worker, ring) in each() {
            for kind in &ring.in_flight {
                family.sample(
                    &[("worker", worker), ("operation", kind.operation)],
                    kind.count,
                );
            }
        }
        let mut family = page.family(
            "blitz_io_ring_bytes",
            Kind::Gauge,
            "Bytes that the driver holds, by what for.",
        );
        for (worker, ring) in each() {
            for (of, bytes) in [
                ("rings", ring.ring_bytes),
                ("buffers", ring.buffer_bytes),
                ("timers", ring.timer_bytes),
                ("tables", ring.table_bytes),
            ] {
                family.sample(&[("worker", worker), ("of", of)], bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_format_means_is_escaped() {
        let mut page = Page::new(&[("name", "a \"b\"\\c")]);
        page.family("x_total", Kind::Counter, "First line\nsecond \\ \"line\"")
            .sample(&[("reason", "line\nend")], 1.5);
        assert_eq!(
            page.text,
            "# HELP x_total First line\\nsecond \\\\ \"line\"\n# TYPE x_total counter\n\
             x_total{name=\"a \\\"b\\\"\\\\c\",reason=\"line\\nend\"} 1.5\n"
        );
    }
}
