//! The stacks of stuck threads: which of them are asked for, and until when an answer counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use blitz_core::primitive::sync::Mutex;
use blitz_sys::stack::{self, Asked, NotAsked, Stack};

use super::events;

/// So many stacks may be taken in a row.
const AT_ONCE: u32 = 4;
/// And one more for each such time: a stack costs its thread some ten microseconds, and its names cost others more.
const APART: Duration = Duration::from_secs(1);

/// A thread that has no processor answers late, one in some system calls not at all.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Decides which threads are asked. Of one runtime.
pub(super) struct Stacks {
    signal: Option<i32>,
    rate: Rate,
    /// It was said that the signal is not to be had.
    is_said: bool,
}

impl Stacks {
    pub(super) fn new(signal: Option<i32>) -> Self {
        Self {
            signal,
            rate: Rate::new(Instant::now()),
            is_said: false,
        }
    }

    /// Asks a thread, if that is wanted and possible now.
    pub(super) fn ask(&mut self, thread: Option<u32>) -> Question {
        let none = Question::default();
        let (Some(signal), Some(thread)) = (self.signal, thread) else {
            return none;
        };
        if !self.rate.may(Instant::now()) {
            return none;
        }
        match stack::ask(signal, thread) {
            Ok(asked) => Question(Arc::new(Mutex::new(Some(asked)))),
            Err(why) => {
                // Said once; it may be had later all the same.
                if !matches!(why, NotAsked::TooMany) && !std::mem::replace(&mut self.is_said, true)
                {
                    events::no_stacks(signal, &why);
                }
                none
            }
        }
    }
}

/// What a thread was asked, if it was.
#[derive(Clone, Default)]
pub(super) struct Question(Arc<Mutex<Option<Asked>>>);

impl Question {
    /// On the thread that was asked: it is stuck no more, and what it would answer now is of no use.
    pub(super) fn is_late(&self) {
        let mut asked = self.0.lock();
        let late = asked.take_if(|asked| !asked.is_answered());
        drop(asked);
        drop(late);
    }

    /// Waits for the answer, for a while.
    pub(super) fn wait(&self) -> Option<Stack> {
        let begun = Instant::now();
        loop {
            let mut place = self.0.lock();
            if place.as_ref()?.is_answered() {
                let answered = place.take();
                drop(place);
                // It is there, so there is no error.
                return answered?.take().ok();
            }
            if begun.elapsed() > WAIT_MAX {
                let late = place.take();
                drop(place);
                drop(late);
                return None;
            }
            drop(place);
            // The signal is on its way to a thread that runs, or goes on running for it.
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// So many at once, and one more for each piece of time.
struct Rate {
    left: u32,
    since: Instant,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self {
            left: AT_ONCE,
            since: now,
        }
    }

    fn may(&mut self, now: Instant) -> bool {
        let more = now.saturating_duration_since(self.since).as_nanos() / APART.as_nanos();
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        if self.left.saturating_add(more) >= AT_ONCE {
            self.left = AT_ONCE;
            self.since = now;
        } else {
            self.left += more;
            self.since += APART * more;
        }
        let may = self.left > 0;
        self.left -= u32::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_at_once_then_one_for_each_piece_of_time() {
        let begin = Instant::now();
        let mut rate = Rate::new(begin);
        let mut taken = |after: Duration| {
            let mut taken = 0;
            while rate.may(begin + after) {
                taken += 1;
            }
            taken
        };
        assert_eq!(taken(Duration::ZERO), 4);
        assert_eq!(taken(APART / 2), 0);
        assert_eq!(taken(APART), 1);
        // What was left of a piece is not lost.
        assert_eq!(taken(APART * 5 / 2), 1);
        assert_eq!(taken(APART * 3), 1);
        assert_eq!(taken(APART * 100), 4);
        assert_eq!(taken(APART * 99), 0, "time that goes back gives nothing");
    }
}
