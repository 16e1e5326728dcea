//! When each request is due: at once in a closed loop, at its place in a constant rate in an open one.

use std::cell::Cell;

/// The requests of one worker, each handed out once.
///
/// In an open loop the time of a request does not depend on how others fare: a free connection takes the next one, however late, and
/// its latency counts from when it was due.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Nanoseconds from one request of all workers to the next; none in a closed loop.
    step_ns: Option<f64>,
    /// Which worker this is, and of how many.
    worker: u64,
    workers: u64,
    /// How many this worker may send.
    limit: u64,
    taken: Cell<u64>,
}

impl Schedule {
    /// The part of worker `worker`, one of `workers`, of a run of `rate` requests a second and `requests` in all.
    pub(super) fn new(rate: Option<f64>, requests: Option<u64>, worker: u64, workers: u64) -> Self {
        let share = |all: u64| all / workers + u64::from(worker < all % workers);
        Schedule {
            step_ns: rate.map(|rate| 1e9 / rate),
            worker,
            workers,
            limit: requests.map_or(u64::MAX, share),
            taken: Cell::new(0),
        }
    }

    /// Takes the next request; returns when it is due, in nanoseconds since the start, which may be yet to come. `None` if there is no more.
    pub(super) fn take(&self, now_ns: u64) -> Option<u64> {
        let taken = self.taken.get();
        if taken >= self.limit {
            return None;
        }
        self.taken.set(taken + 1);
        Some(self.due(taken).unwrap_or(now_ns))
    }

    /// Whether requests are due at times of their own.
    pub(super) fn is_open_loop(&self) -> bool {
        self.step_ns.is_some()
    }

    /// When requests were due that nobody has taken, up to now. None in a closed loop: there they are not due before somebody is free.
    pub(super) fn overdue(&self, now_ns: u64) -> impl Iterator<Item = u64> {
        (self.taken.get()..self.limit)
            .map_while(|index| self.due(index))
            .take_while(move |due| *due <= now_ns)
    }

    fn due(&self, index: u64) -> Option<u64> {
        let place = (index * self.workers + self.worker) as f64;
        self.step_ns.map(|step| (place * step) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_one_rate_and_all_requests() {
        let all: Vec<Schedule> = (0..3)
            .map(|worker| Schedule::new(Some(1000.0), Some(10), worker, 3))
            .collect();
        let mut due: Vec<u64> = all
            .iter()
            .flat_map(|one| std::iter::from_fn(|| one.take(77)))
            .collect();
        due.sort_unstable();
        let wanted: Vec<u64> = (0..10).map(|place| place * 1_000_000).collect();
        assert_eq!(due, wanted);
    }

    #[test]
    fn what_is_overdue_is_what_was_not_taken() {
        let schedule = Schedule::new(Some(10.0), None, 0, 1);
        assert_eq!(schedule.take(0), Some(0));
        assert_eq!(schedule.take(0), Some(100_000_000), "yet to come");
        let overdue: Vec<u64> = schedule.overdue(400_000_000).collect();
        assert_eq!(overdue, [200_000_000, 300_000_000, 400_000_000]);
    }

    #[test]
    fn in_a_closed_loop_a_request_is_due_when_it_is_taken() {
        let schedule = Schedule::new(None, Some(2), 0, 1);
        assert_eq!(schedule.take(5), Some(5));
        assert_eq!(schedule.overdue(u64::MAX).count(), 0);
        assert_eq!(schedule.take(9), Some(9));
        assert_eq!(schedule.take(9), None);
    }
}
