//! Who waits for what is under way on a file.
//!
//! The operation knows the bell alone, which is ours: so the file's lock may be held when the operation is polled. The wakers
//! of those who wait are cloned before that lock is taken, and called and dropped without any.

use std::mem;
use std::sync::Arc;
use std::task::{Wake, Waker};

use blitz_core::primitive::sync::Mutex;
use blitz_core::quiet::quietly;

#[derive(Default)]
pub(super) struct Bell {
    waiting: Mutex<Vec<Waker>>,
}

impl Bell {
    /// One more who waits; the waker comes back if it is there already.
    pub(super) fn add(&self, waker: Waker) -> Option<Waker> {
        let mut waiting = self.waiting.lock();
        if waiting.iter().any(|other| other.will_wake(&waker)) {
            return Some(waker);
        }
        waiting.push(waker);
        None
    }

    /// From now on only this one waits.
    pub(super) fn only(&self, waker: &Waker) {
        if let [other] = &self.waiting.lock()[..]
            && other.will_wake(waker)
        {
            return;
        }
        let only = vec![waker.clone()];
        let before = mem::replace(&mut *self.waiting.lock(), only);
        drop(before);
    }

    fn ring(&self) {
        let waiting = mem::take(&mut *self.waiting.lock());
        for waker in waiting {
            // Each looks for itself: one that panics is no reason to leave the others asleep.
            quietly(|| waker.wake());
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn each_who_waits_is_woken_once() {
        let bell = Arc::new(Bell::default());
        let counts = [(); 2].map(|()| Arc::new(Count(AtomicUsize::new(0))));
        let wakers = counts.clone().map(Waker::from);
        assert!(bell.add(wakers[0].clone()).is_none());
        assert!(bell.add(wakers[0].clone()).is_some());
        assert!(bell.add(wakers[1].clone()).is_none());
        Waker::from(Arc::clone(&bell)).wake();
        bell.ring();
        assert_eq!(counts.each_ref().map(|count| count.0.load(SeqCst)), [1, 1]);
        bell.add(wakers[0].clone());
        bell.only(&wakers[1]);
        bell.ring();
        assert_eq!(counts.each_ref().map(|count| count.0.load(SeqCst)), [1, 2]);
    }
}
