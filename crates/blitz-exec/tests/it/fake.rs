//! A wait without a kernel, which counts what is done with it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use blitz_exec::park::{NoWatch, Park, ThreadParker, Unpark};
use blitz_exec::scheduler::block_on;

/// What a park and its unparkers share.
#[derive(Default)]
pub(crate) struct Token {
    unparked: Mutex<bool>,
    signal: Condvar,
    /// How often it was waited in, and how often it was turned without a wait.
    pub(crate) parks: AtomicUsize,
    pub(crate) turns: AtomicUsize,
    pub(crate) bound: AtomicBool,
    /// How often it was seized, and how often a thread came back that had lost it.
    pub(crate) seized: AtomicUsize,
    pub(crate) lost: AtomicUsize,
    pub(crate) shutdowns: AtomicUsize,
}

/// A fake driver.
pub(crate) struct FakePark(pub(crate) Arc<Token>);

impl FakePark {
    pub(crate) fn pair() -> (Box<dyn Park>, Arc<Token>) {
        let token = Arc::new(Token::default());
        (Box::new(Self(Arc::clone(&token))), token)
    }
}

impl Park for FakePark {
    fn bind(&mut self) {
        assert!(
            !self.0.bound.swap(true, SeqCst),
            "two threads hold one core"
        );
    }

    fn unbind(&mut self) {
        assert!(
            self.0.bound.swap(false, SeqCst),
            "a core is given up that nobody holds"
        );
    }

    fn seize(&mut self) {
        assert!(
            self.0.bound.swap(false, SeqCst),
            "a core is seized that nobody holds"
        );
        self.0.seized.fetch_add(1, SeqCst);
    }

    fn park(&mut self) {
        assert!(
            self.0.bound.load(SeqCst),
            "parked by a thread that does not hold the core"
        );
        self.0.parks.fetch_add(1, SeqCst);
        let unparked = self.0.unparked.lock().unwrap();
        *self
            .0
            .signal
            .wait_while(unparked, |unparked| !*unparked)
            .unwrap() = false;
    }

    fn park_timeout(&mut self, limit: Duration) {
        assert!(limit.is_zero());
        assert!(
            self.0.bound.load(SeqCst),
            "turned by a thread that does not hold the core"
        );
        self.0.turns.fetch_add(1, SeqCst);
    }

    fn unparker(&self) -> Arc<dyn Unpark> {
        Arc::new(FakeUnpark(Arc::clone(&self.0)))
    }

    fn shutdown(&mut self) {
        self.0.shutdowns.fetch_add(1, SeqCst);
    }
}

struct FakeUnpark(Arc<Token>);

impl Unpark for FakeUnpark {
    fn unpark(&self) {
        *self.0.unparked.lock().unwrap() = true;
        self.0.signal.notify_one();
    }

    fn lost(&self) {
        self.0.lost.fetch_add(1, SeqCst);
    }
}

/// Waits on this thread, which runs no tasks.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    block_on(future, &ThreadParker::new(Arc::new(NoWatch)))
}

/// Pending once; the task goes to the back of the queue.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
