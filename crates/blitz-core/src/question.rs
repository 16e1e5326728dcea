//! A question to one thread, which that thread answers in the middle of whatever it does.
//!
//! A [`Question`] is where somebody who wants to know something of a thread meets a signal handler that runs on it. The place
//! for the answer is there beforehand, and the one asked never waits: it finds the question, writes, and is done.

use std::fmt;

use crate::primitive::cell::UnsafeCell;
use crate::primitive::sync::atomic::AtomicU64;
use crate::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const FREE: u64 = 0;
const ASKED: u64 = 1;
const ANSWERING: u64 = 2;
const LEFT: u64 = 3;
const ANSWERED: u64 = 4;

/// Who is asked stands above the state.
const STATE_BITS: u32 = 3;

/// Where the question stands, and whom it is put to.
///
/// ```text
///  from        move      to          who moved, and what it does then
///  FREE        ask       ASKED       asker: has the place until it takes the answer or gives up
///  ASKED       begin     ANSWERING   the one asked: writes the answer
///  ANSWERING   end       ANSWERED    the one asked: nothing more
///  LEFT        end       FREE        the one asked: nobody reads it
///  ANSWERED    take      FREE        asker: has read the answer
///  ASKED       give_up   FREE        asker
///  ANSWERING   give_up   LEFT        asker: the place is the other's until it is done
///  ANSWERED    give_up   FREE        asker
/// ```
struct Word(AtomicU64);

impl Word {
    fn ask(&self, whom: u32) -> bool {
        let asked = u64::from(whom) << STATE_BITS | ASKED;
        // ORDERING: Relaxed: the asker touches nothing yet. An exchange goes on with the release of who left the place, which
        // `begin` acquires.
        self.0
            .compare_exchange(FREE, asked, Relaxed, Relaxed)
            .is_ok()
    }

    fn begin(&self, whom: u32) -> bool {
        let (asked, answering) = (
            u64::from(whom) << STATE_BITS | ASKED,
            u64::from(whom) << STATE_BITS | ANSWERING,
        );
        // ORDERING: Acquire pairs with the Release in `free` and `end`: who had the place before has read, or written, its last.
        self.0
            .compare_exchange(asked, answering, Acquire, Relaxed)
            .is_ok()
    }

    fn end(&self, whom: u32) {
        let (answering, answered) = (
            u64::from(whom) << STATE_BITS | ANSWERING,
            u64::from(whom) << STATE_BITS | ANSWERED,
        );
        // ORDERING: Release pairs with the Acquire in `is_answered`. If it fails the asker has left.
        if self
            .0
            .compare_exchange(answering, answered, Release, Relaxed)
            .is_err()
        {
            self.free();
        }
    }

    fn is_answered(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `end`.
        self.0.load(Acquire) & ((1 << STATE_BITS) - 1) == ANSWERED
    }

    fn free(&self) {
        // ORDERING: Release pairs with the Acquire in `begin`: what was done here comes before the next answer.
        self.0.store(FREE, Release);
    }

    fn give_up(&self, whom: u32) {
        let whom = u64::from(whom) << STATE_BITS;
        // ORDERING: Relaxed, twice: nothing was read. Neither cuts off the release of who wrote.
        let asked = self
            .0
            .compare_exchange(whom | ASKED, FREE, Relaxed, Relaxed);
        if asked.is_err()
            && self
                .0
                .compare_exchange(whom | ANSWERING, LEFT, Relaxed, Relaxed)
                .is_err()
        {
            // ORDERING: Relaxed: as above. A swap, not a store, for that reason.
            self.0.swap(FREE, Relaxed);
        }
    }
}

/// A place for one question at a time, and for its answer.
///
/// # Examples
/// ```
/// use blitz_core::question::Question;
///
/// let place = Question::new(0);
/// let asked = place.ask(7).unwrap();
/// assert!(place.ask(8).is_none());
/// // Another thread's, or a signal handler's part.
/// assert!(!place.answer(8, |answer| *answer = 1));
/// assert!(place.answer(7, |answer| *answer = 2));
/// assert_eq!(asked.take(|answer| *answer).ok(), Some(2));
/// ```
pub struct Question<T> {
    word: Word,
    answer: UnsafeCell<T>,
}

// SAFETY: the answer is `Send`, and the word lets one side at a time reach it.
unsafe impl<T: Send> Sync for Question<T> {}

impl<T> Question<T> {
    /// A place where nothing is asked. Answers are written over `answer`.
    pub fn new(answer: T) -> Self {
        Self {
            word: Word(AtomicU64::new(FREE)),
            answer: UnsafeCell::new(answer),
        }
    }

    /// Asks the one that this number means, if nothing is asked here at the moment.
    pub fn ask(&self, whom: u32) -> Option<Asked<'_, T>> {
        self.word.ask(whom).then(|| Asked { place: self, whom })
    }

    /// For the one asked: writes the answer, if it is asked something here. It waits for nobody; `write` is to do no more than
    /// may be done in a signal handler, if this is called in one, and must not panic.
    pub fn answer(&self, whom: u32, write: impl FnOnce(&mut T)) -> bool {
        if !self.word.begin(whom) {
            return false;
        }
        self.answer.with_mut(|answer| {
            // SAFETY: ANSWERING, or LEFT: the place is ours alone.
            write(unsafe { &mut *answer });
        });
        self.word.end(whom);
        true
    }
}

impl<T> fmt::Debug for Question<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").finish_non_exhaustive()
    }
}

/// What the asker holds. Dropped, it gives up.
pub struct Asked<'a, T> {
    place: &'a Question<T>,
    whom: u32,
}

impl<T> Asked<'_, T> {
    /// Whether the answer is there.
    pub fn is_answered(&self) -> bool {
        self.place.word.is_answered()
    }

    /// Calls `read` with the answer, and leaves the place to others.
    ///
    /// # Errors
    /// It is not there yet.
    pub fn take<R>(self, read: impl FnOnce(&T) -> R) -> Result<R, Self> {
        if !self.is_answered() {
            return Err(self);
        }
        let read = self.place.answer.with(|answer| {
            // SAFETY: ANSWERED: nobody writes until we leave.
            read(unsafe { &*answer })
        });
        // The drop leaves the place.
        Ok(read)
    }
}

impl<T> Drop for Asked<'_, T> {
    fn drop(&mut self) {
        if self.is_answered() {
            self.place.word.free();
        } else {
            self.place.word.give_up(self.whom);
        }
    }
}

impl<T> fmt::Debug for Asked<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("whom", &self.whom)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_is_asked_at_a_time_and_answers_once() {
        let place = Question::new(0);
        assert!(!place.answer(1, |_| unreachable!("nobody asks")));
        let asked = place.ask(1).unwrap();
        assert!(!asked.is_answered() && place.ask(2).is_none());
        let asked = asked.take(|_| ()).unwrap_err();
        assert!(place.answer(1, |answer| *answer = 5));
        assert!(!place.answer(1, |_| unreachable!("it has answered")));
        assert_eq!(asked.take(|answer| *answer).unwrap(), 5);
        drop(place.ask(3));
        assert!(!place.answer(3, |_| unreachable!("nobody asks any more")));
    }

    #[test]
    fn who_gives_up_in_the_middle_leaves_the_place_to_the_other() {
        let place = Question::new(0);
        let mut asked = place.ask(1);
        place.answer(1, |answer| {
            drop(asked.take());
            assert!(place.ask(2).is_none());
            *answer = 1;
        });
        assert!(place.ask(2).is_some());
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::primitive::sync::Arc;
    use crate::primitive::thread;

    /// The place is used twice, and the first asker gives up at any moment: no answer is torn, none is another's.
    #[test]
    fn an_answer_is_whole_and_its_askers() {
        loom::model(|| {
            let place = Arc::new(Question::new((0, 0)));
            let answers = Arc::clone(&place);
            let asked = thread::spawn(move || {
                for whom in [1, 2] {
                    answers.answer(whom, |answer| *answer = (whom, whom));
                }
            });
            for whom in [1, 2] {
                let Some(question) = place.ask(whom) else {
                    continue;
                };
                match question.take(|answer| *answer) {
                    Ok(answer) => assert_eq!(answer, (whom, whom)),
                    Err(question) => drop(question),
                }
            }
            asked.join().unwrap();
            assert!(place.ask(3).is_some(), "nobody is left in the place");
        });
    }

    /// Two askers share the place: the second one's answer comes after the first has read.
    #[test]
    fn askers_share_a_place() {
        loom::model(|| {
            let place = Arc::new(Question::new((0, 0)));
            let others: Vec<_> = [1, 2]
                .map(|whom| {
                    let place = Arc::clone(&place);
                    thread::spawn(move || {
                        let Some(question) = place.ask(whom) else {
                            return;
                        };
                        // As in a signal that comes at once.
                        assert!(place.answer(whom, |answer| *answer = (whom, whom)));
                        assert_eq!(question.take(|answer| *answer).unwrap(), (whom, whom));
                    })
                })
                .into();
            for other in others {
                other.join().unwrap();
            }
        });
    }
}
