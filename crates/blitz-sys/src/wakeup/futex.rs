//! A word in memory on which a ring waits (Linux 6.7).

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

/// A word; each [`notify`](Self::notify) changes it and wakes the ring that waits for that.
#[derive(Clone, Debug, Default)]
pub struct FutexWord(Arc<AtomicU32>);

impl FutexWord {
    /// A word that holds 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends a wait of a ring for the value that the word has now, and each later one for that value.
    #[inline]
    pub fn notify(&self) {
        // ORDERING: Release pairs with the Acquire in `value`: who has seen the change looks at what was done before it.
        self.0.fetch_add(1, Release);
        let wake = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        // It cannot fail: the word is aligned and mapped. How many it has woken is of no interest.
        // SAFETY: the call only compares the word's address, which is ours.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), wake, 1) };
    }

    /// What the word holds.
    pub fn value(&self) -> u32 {
        // ORDERING: Acquire pairs with the Release in `notify`.
        self.0.load(Acquire)
    }

    /// Where the word is, for the ring. It stays there as long as a clone of this lives; a wait that outlives it is woken by
    /// whoever uses that memory as a futex later, or by nobody.
    pub fn as_ptr(&self) -> *const u32 {
        self.0.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completion::{self, Mode, Opcode, Setup, Sqe};

    /// A wait for a value that has passed answers at once, and one for the present value when it is changed.
    #[test]
    fn a_ring_waits_for_a_change() {
        let setup = Setup {
            sq_entries: 4,
            cq_entries: 8,
            mode: Mode::SingleThread,
            sqpoll: None,
            faults: None,
        };
        let Ok((mut submissions, mut completions, features)) = completion::open(&setup) else {
            eprintln!("there is no io_uring here");
            return;
        };
        if !features.has_opcode(Opcode::FUTEX_WAIT.0) {
            eprintln!("there are no futex operations here");
            return;
        }
        completion::enable(&submissions).unwrap();
        let word = FutexWord::new();
        word.notify();
        assert_eq!(word.value(), 1);
        for (expected, result) in [(0, -libc::EAGAIN), (1, 0)] {
            let sqe = Sqe::futex_wait(word.as_ptr(), expected).user_data(u64::from(expected));
            // SAFETY: the word outlives the ring.
            unsafe { submissions.push(&sqe) };
            submissions.submit();
            word.notify();
            let mut answers = Vec::new();
            while answers.is_empty() {
                submissions.submit();
                completions.reap(&mut answers, 8);
            }
            assert_eq!(answers[0].result, result);
            assert_eq!(answers[0].user_data, u64::from(expected));
            if expected == 0 {
                // Back to the value that the next round waits for.
                assert_eq!(word.value(), 2);
                word.0.store(1, Release);
            }
        }
    }
}
