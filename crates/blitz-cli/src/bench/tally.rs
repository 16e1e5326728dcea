//! What came of the requests: [`Tally`], which one worker writes, and [`Summary`], what all of them come to.
//!
//! Latencies are kept by windows of time, packed when a window is over: the reports draw them.

use crate::histogram::{Counts, Packed};
use std::collections::BTreeMap;
use std::time::Duration;

/// The status of what has none: a message.
pub(super) const MESSAGE: u16 = 0;

/// Why a request got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failure {
    Refused,
    Connect,
    Tls,
    Handshake,
    TimedOut,
    Reset,
    Closed,
    Garbled,
    Io,
}

impl Failure {
    /// Its name in the reports, and what it means.
    pub(super) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Failure::Refused => ("refused", "connection refused"),
            Failure::Connect => ("connect", "no connection"),
            Failure::Tls => ("tls", "TLS failed"),
            Failure::Handshake => ("handshake", "no WebSocket"),
            Failure::TimedOut => ("timed_out", "timed out"),
            Failure::Reset => ("reset", "connection reset"),
            Failure::Closed => ("closed", "closed before the answer's end"),
            Failure::Garbled => ("garbled", "not an answer of HTTP/1.1"),
            Failure::Io => ("io", "other errors of the connection"),
        }
    }
}

/// What happened within one window of time.
#[derive(Clone, Debug)]
struct Window {
    index: u64,
    latency: Packed,
    answers: u64,
    errors: u64,
}

/// What one worker has seen.
#[derive(Debug)]
pub(super) struct Tally {
    window_ns: u64,
    /// The window that is being written to, and when it ends.
    index: u64,
    end_ns: u64,
    latency: Counts,
    answers: u64,
    errors: u64,
    windows: Vec<Window>,
    /// By status, from 0 to 599; those without one are messages.
    statuses: Box<[u64]>,
    failures: BTreeMap<Failure, Failed>,
    bytes: u64,
    connections: u64,
    unfinished: u64,
}

/// How often something failed, and the words of the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) count: u64,
    pub(super) first: String,
}

impl Tally {
    pub(super) fn new(window_ns: u64) -> Tally {
        Tally {
            window_ns,
            index: 0,
            end_ns: window_ns,
            latency: Counts::new(),
            answers: 0,
            errors: 0,
            windows: Vec::new(),
            statuses: vec![0; 600].into(),
            failures: BTreeMap::new(),
            bytes: 0,
            connections: 0,
            unfinished: 0,
        }
    }

    /// An answer came at `now_ns`, `latency_ns` after its request was due, of so many bytes. Returns whether it is a good one.
    pub(super) fn answered(
        &mut self,
        now_ns: u64,
        latency_ns: u64,
        status: u16,
        bytes: u64,
    ) -> bool {
        self.turn_to(now_ns);
        self.latency.record(latency_ns);
        self.answers += 1;
        self.bytes += bytes;
        // The decoder lets no other through.
        self.statuses[usize::from(status).min(599)] += 1;
        let good = status == MESSAGE || (200..300).contains(&status);
        self.errors += u64::from(!good);
        good
    }

    /// A request failed.
    pub(super) fn failed(&mut self, now_ns: u64, failure: Failure, words: &str) {
        self.turn_to(now_ns);
        self.errors += 1;
        let failed = self.failures.entry(failure).or_insert_with(|| Failed {
            count: 0,
            first: words.to_owned(),
        });
        failed.count += 1;
    }

    /// A request has waited so long, and has no answer: what is known of its latency is that it is more.
    pub(super) fn waited(&mut self, now_ns: u64, waited_ns: u64) {
        self.turn_to(now_ns);
        self.latency.record(waited_ns);
    }

    /// So many requests were begun, or due, and the end came before their answers.
    pub(super) fn left(&mut self, count: u64) {
        self.unfinished += count;
    }

    /// A connection was opened.
    pub(super) fn connected(&mut self) {
        self.connections += 1;
    }

    fn turn_to(&mut self, now_ns: u64) {
        if now_ns >= self.end_ns {
            self.turn(now_ns / self.window_ns);
        }
    }

    /// Packs the window away, and begins the one of this number.
    fn turn(&mut self, index: u64) {
        if self.latency.len() > 0 || self.answers > 0 || self.errors > 0 {
            self.windows.push(Window {
                index: self.index,
                latency: self.latency.pack(),
                answers: std::mem::take(&mut self.answers),
                errors: std::mem::take(&mut self.errors),
            });
        }
        self.index = index;
        self.end_ns = (index + 1).saturating_mul(self.window_ns);
    }
}

/// One point of the curves over time.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// The middle of the window.
    pub(super) seconds: f64,
    pub(super) answers_per_second: f64,
    pub(super) errors_per_second: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) max: Duration,
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) elapsed: Duration,
    pub(super) latency: Counts,
    pub(super) answers: u64,
    /// Answers that are messages of a WebSocket.
    pub(super) messages: u64,
    /// Other answers by status.
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) failures: BTreeMap<Failure, Failed>,
    /// Of the answers, heads and bodies.
    pub(super) bytes: u64,
    pub(super) connections: u64,
    /// Begun, or in an open loop due, without an answer when the end came.
    pub(super) unfinished: u64,
    pub(super) moments: Vec<Moment>,
}

impl Summary {
    /// Adds the workers' tallies of a run that took so long.
    pub(super) fn of(tallies: Vec<Tally>, elapsed_ns: u64) -> Summary {
        let mut summary = Summary {
            elapsed: Duration::from_nanos(elapsed_ns),
            latency: Counts::new(),
            answers: 0,
            messages: 0,
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            bytes: 0,
            connections: 0,
            unfinished: 0,
            moments: Vec::new(),
        };
        let mut windows: BTreeMap<u64, Vec<Window>> = BTreeMap::new();
        let mut window_ns = 1;
        for mut tally in tallies {
            tally.turn(u64::MAX - 1);
            window_ns = tally.window_ns;
            summary.messages += std::mem::take(&mut tally.statuses[usize::from(MESSAGE)]);
            for (status, count) in (0..).zip(tally.statuses).filter(|(_, count)| *count > 0) {
                *summary.statuses.entry(status).or_default() += count;
            }
            for (failure, failed) in tally.failures {
                let entry = summary.failures.entry(failure);
                let sum = entry.or_insert_with(|| Failed {
                    count: 0,
                    first: failed.first,
                });
                sum.count += failed.count;
            }
            summary.bytes += tally.bytes;
            summary.connections += tally.connections;
            summary.unfinished += tally.unfinished;
            for window in tally.windows {
                windows.entry(window.index).or_default().push(window);
            }
        }
        for (index, parts) in windows {
            summary.add_moment(index, window_ns, elapsed_ns, &parts);
        }
        summary
    }

    fn add_moment(&mut self, index: u64, window_ns: u64, elapsed_ns: u64, parts: &[Window]) {
        let mut latency = Counts::new();
        let (mut answers, mut errors) = (0, 0);
        for part in parts {
            latency.add(&part.latency);
            self.latency.add(&part.latency);
            answers += part.answers;
            errors += part.errors;
        }
        self.answers += answers;
        // The last window is shorter where the run ended within it; a sliver of one would only be noise.
        let begin = index.saturating_mul(window_ns);
        let length = elapsed_ns.saturating_sub(begin).min(window_ns);
        if length < window_ns / 4 && !self.moments.is_empty() {
            return;
        }
        let seconds = Duration::from_nanos(length.max(1)).as_secs_f64();
        self.moments.push(Moment {
            seconds: Duration::from_nanos(begin + length / 2).as_secs_f64(),
            answers_per_second: answers as f64 / seconds,
            errors_per_second: errors as f64 / seconds,
            p50: latency.percentile(0.5),
            p99: latency.percentile(0.99),
            max: latency.max(),
        });
    }

    /// Requests that were answered or have failed.
    pub(super) fn requests(&self) -> u64 {
        let failed: u64 = self.failures.values().map(|failed| failed.count).sum();
        self.answers + failed
    }

    /// Requests that have failed, or were answered with another status than 2xx.
    pub(super) fn errors(&self) -> u64 {
        let good: u64 = self.statuses.range(200..300).map(|(_, count)| count).sum();
        self.requests() - self.messages - good
    }

    /// Which share of the requests that is; none if there were none.
    pub(super) fn error_share(&self) -> f64 {
        self.errors() as f64 / self.requests().max(1) as f64
    }

    /// Answers a second.
    pub(super) fn rate(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Bytes of answers a second.
    pub(super) fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn workers_and_windows_add_up() {
        let mut one = Tally::new(SECOND);
        let mut other = Tally::new(SECOND);
        assert!(one.answered(SECOND / 2, 1_000, 200, 10));
        assert!(!one.answered(SECOND * 5 / 2, 2_000, 404, 20));
        assert!(other.answered(SECOND / 3, 3_000, 204, 30));
        other.failed(SECOND * 5 / 2, Failure::Reset, "first");
        other.failed(SECOND * 5 / 2, Failure::Reset, "second");
        other.waited(SECOND * 5 / 2, 4_000);
        other.left(3);
        one.connected();
        other.connected();
        let sum = Summary::of(vec![one, other], 3 * SECOND);
        assert_eq!((sum.answers, sum.requests(), sum.errors()), (3, 5, 3));
        assert_eq!((sum.bytes, sum.connections, sum.unfinished), (60, 2, 3));
        let statuses: Vec<_> = sum.statuses.iter().map(|(s, n)| (*s, *n)).collect();
        assert_eq!(statuses, [(200, 1), (204, 1), (404, 1)]);
        let reset = &sum.failures[&Failure::Reset];
        assert_eq!((reset.count, reset.first.as_str()), (2, "first"));
        assert_eq!(sum.latency.len(), 4);
        assert_eq!(sum.latency.max(), Duration::from_nanos(4_000));
        let rates: Vec<_> = sum
            .moments
            .iter()
            .map(|at| (at.seconds, at.answers_per_second, at.errors_per_second))
            .collect();
        assert_eq!(rates, [(0.5, 2.0, 0.0), (2.5, 1.0, 3.0)]);
        assert_eq!(sum.rate(), 1.0);
    }

    #[test]
    fn a_sliver_at_the_end_counts_and_draws_nothing() {
        let mut tally = Tally::new(SECOND);
        tally.answered(1, 1, 200, 1);
        tally.answered(SECOND + 1, 1, 200, 1);
        let sum = Summary::of(vec![tally], SECOND + 2);
        assert_eq!((sum.answers, sum.moments.len()), (2, 1));
    }
}
