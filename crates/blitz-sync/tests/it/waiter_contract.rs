//! What a `WaiterQueue` promises, whatever its waiters sleep in: one suite, run over each of those.
//!
//! A back end says how a thread sleeps until a future is ready, and [`contract`] makes the tests for it.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::WaiterQueue;

/// How a thread sleeps.
pub(crate) trait Sleeper: Sync {
    /// Polls `future` on this thread, which sleeps meanwhile.
    fn block_on<F: Future>(&self, future: F) -> F::Output;
}

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A future that is polled by hand, with a waker that counts.
struct Hand<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    wakes: Arc<Count>,
}

impl<'a, T> Hand<'a, T> {
    fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self {
            future: Box::pin(future),
            wakes: Arc::default(),
        }
    }

    fn poll(&mut self) -> Poll<T> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.poll_with(&waker)
    }

    fn poll_with(&mut self, waker: &Waker) -> Poll<T> {
        self.future.as_mut().poll(&mut Context::from_waker(waker))
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(SeqCst)
    }
}

/// One who stands in line.
fn waiting(queue: &WaiterQueue) -> Hand<'_, bool> {
    let mut wait = Hand::new(queue.add_waiter_if(|| true));
    assert!(wait.poll().is_pending());
    wait
}

/// A lock of one word, for tests that need one.
#[derive(Default)]
struct Lock {
    is_taken: AtomicUsize,
    queue: WaiterQueue,
}

impl Lock {
    async fn lock(&self) {
        while self.is_taken.swap(1, SeqCst) == 1 {
            let is_taken = || self.is_taken.load(SeqCst) == 1;
            self.queue.add_waiter_if(is_taken).await;
        }
    }

    fn unlock(&self) {
        self.is_taken.store(0, SeqCst);
        self.queue.wake_one();
    }
}

/// A word that goes up, and those who wait for the next number.
#[derive(Default)]
struct Turn {
    now: AtomicUsize,
    queue: WaiterQueue,
}

impl Turn {
    async fn wait_for(&self, turn: usize) {
        while self.now.load(SeqCst) != turn {
            let is_early = || self.now.load(SeqCst) != turn;
            self.queue.add_waiter_if(is_early).await;
        }
    }

    fn next(&self) {
        self.now.fetch_add(1, SeqCst);
        self.queue.wake_all();
    }
}

pub(crate) fn nobody_is_there_to_be_woken(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    assert_eq!(queue.waiter_count(), 0);
    assert!(!queue.wake_one());
    assert_eq!(queue.wake_all(), 0);
}

pub(crate) fn a_condition_that_does_not_hold_is_no_wait(sleeper: &impl Sleeper) {
    let queue = WaiterQueue::new();
    assert!(!sleeper.block_on(queue.add_waiter_if(|| false)));
    assert_eq!(queue.waiter_count(), 0);
}

pub(crate) fn the_condition_is_asked_once(_: &impl Sleeper) {
    let (queue, asked) = (WaiterQueue::new(), Cell::new(0));
    let mut wait = Hand::new(queue.add_waiter_if(|| {
        asked.set(asked.get() + 1);
        true
    }));
    for _ in 0..3 {
        assert!(wait.poll().is_pending());
    }
    queue.wake_one();
    assert_eq!(wait.poll(), Poll::Ready(true));
    assert_eq!(asked.get(), 1);
}

pub(crate) fn the_condition_is_asked_in_line(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let mut wait = Hand::new(queue.add_waiter_if(|| queue.waiter_count() == 1));
    assert!(wait.poll().is_pending(), "it saw itself in line");
}

pub(crate) fn an_unpolled_wait_is_not_in_line(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let wait = queue.add_waiter_if(|| true);
    assert_eq!(queue.waiter_count(), 0);
    assert!(!queue.wake_one());
    drop(wait);
}

pub(crate) fn who_waits_is_counted(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let waits: Vec<_> = (0..5).map(|_| waiting(&queue)).collect();
    assert_eq!(queue.waiter_count(), 5);
    drop(waits);
    assert_eq!(queue.waiter_count(), 0);
}

pub(crate) fn the_first_who_came_is_woken_first(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let mut waits: Vec<_> = (0..3).map(|_| waiting(&queue)).collect();
    for next in 0..3 {
        assert!(queue.wake_one());
        assert_eq!(waits[next].poll(), Poll::Ready(true));
        let woken: Vec<_> = waits.iter().map(Hand::wakes).collect();
        assert_eq!(woken.iter().sum::<usize>(), next + 1);
        assert_eq!(queue.waiter_count(), 2 - next);
    }
    assert!(!queue.wake_one());
}

pub(crate) fn one_wake_is_for_one(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let (mut first, mut second) = (waiting(&queue), waiting(&queue));
    assert!(queue.wake_one());
    assert!(second.poll().is_pending());
    assert_eq!(first.poll(), Poll::Ready(true));
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
}

pub(crate) fn a_wake_of_all_is_for_all_who_wait(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    // More than are woken in one go.
    let mut waits: Vec<_> = (0..100).map(|_| waiting(&queue)).collect();
    assert_eq!(queue.wake_all(), 100);
    assert_eq!(queue.waiter_count(), 0);
    for wait in &mut waits {
        assert_eq!(wait.wakes(), 1);
        assert_eq!(wait.poll(), Poll::Ready(true));
    }
}

pub(crate) fn a_wake_of_all_is_for_nobody_who_comes_later(_: &impl Sleeper) {
    type Wait = Pin<Box<dyn Future<Output = bool> + Send>>;

    /// On its wake it puts another wait in line.
    #[derive(Default)]
    struct Again {
        queue: Arc<WaiterQueue>,
        wakes: AtomicUsize,
        waits: Mutex<Vec<Wait>>,
        is_over: AtomicBool,
    }
    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            self.wakes.fetch_add(1, SeqCst);
            if self.is_over.load(SeqCst) {
                return;
            }
            let queue = Arc::clone(&self.queue);
            let mut wait: Wait = Box::pin(async move { queue.add_waiter_if(|| true).await });
            let waker = Waker::from(Arc::clone(&self));
            let mut cx = Context::from_waker(&waker);
            assert!(wait.as_mut().poll(&mut cx).is_pending());
            self.waits.lock().unwrap().push(wait);
        }
    }
    let again = Arc::new(Again::default());
    Waker::from(Arc::clone(&again)).wake();
    for round in 1..5 {
        assert_eq!(again.queue.wake_all(), 1);
        assert_eq!(again.wakes.load(SeqCst), round + 1);
        assert_eq!(again.queue.waiter_count(), 1);
    }
    again.is_over.store(true, SeqCst);
    let waits = std::mem::take(&mut *again.waits.lock().unwrap());
    drop(waits);
    assert_eq!(again.queue.waiter_count(), 0);
}

pub(crate) fn a_wake_without_a_waiter_is_not_kept(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    assert!(!queue.wake_one());
    assert_eq!(queue.wake_all(), 0);
    assert!(waiting(&queue).poll().is_pending());
}

pub(crate) fn a_dropped_wait_leaves_the_line(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let (first, middle, last) = (waiting(&queue), waiting(&queue), waiting(&queue));
    drop(middle);
    assert_eq!(queue.waiter_count(), 2);
    drop(first);
    assert!(queue.wake_one());
    assert_eq!(last.wakes(), 1);
}

pub(crate) fn a_dropped_wait_passes_its_wake_on(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let (first, mut second) = (waiting(&queue), waiting(&queue));
    assert!(queue.wake_one());
    assert_eq!(second.wakes(), 0);
    drop(first);
    assert_eq!(second.wakes(), 1);
    assert_eq!(second.poll(), Poll::Ready(true));
}

pub(crate) fn a_seen_wake_is_not_passed_on(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let (mut first, second) = (waiting(&queue), waiting(&queue));
    queue.wake_one();
    assert_eq!(first.poll(), Poll::Ready(true));
    drop(first);
    assert_eq!(second.wakes(), 0);
}

pub(crate) fn a_refused_wait_passes_its_wake_on(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let behind = Cell::new(None);
    let mut wait = Hand::new(queue.add_waiter_if(|| {
        behind.set(Some(waiting(&queue)));
        assert!(queue.wake_one(), "it is the first in line");
        false
    }));
    assert_eq!(wait.poll(), Poll::Ready(false));
    let behind = behind.take().unwrap();
    assert_eq!(behind.wakes(), 1);
    assert_eq!(queue.waiter_count(), 0);
}

pub(crate) fn a_wake_while_the_condition_is_asked_counts(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let mut wait = Hand::new(queue.add_waiter_if(|| queue.wake_one()));
    assert!(wait.poll().is_pending());
    assert_eq!(wait.wakes(), 1);
    assert_eq!(wait.poll(), Poll::Ready(true));
}

pub(crate) fn a_condition_that_panics_leaves_the_line(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let mut wait = Hand::new(queue.add_waiter_if(|| std::panic::resume_unwind(Box::new("no"))));
    assert!(catch_unwind(AssertUnwindSafe(|| wait.poll())).is_err());
    drop(wait);
    assert_eq!(queue.waiter_count(), 0);
    let behind = waiting(&queue);
    assert!(queue.wake_one());
    assert_eq!(behind.wakes(), 1);
}

pub(crate) fn the_last_waker_is_the_one_that_is_called(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let mut wait = waiting(&queue);
    let later = Arc::new(Count::default());
    assert!(
        wait.poll_with(&Waker::from(Arc::clone(&later)))
            .is_pending()
    );
    queue.wake_one();
    assert_eq!((wait.wakes(), later.0.load(SeqCst)), (0, 1));
}

pub(crate) fn the_same_waker_is_not_kept_twice(_: &impl Sleeper) {
    let queue = WaiterQueue::new();
    let mut wait = waiting(&queue);
    let kept = Arc::strong_count(&wait.wakes);
    for _ in 0..3 {
        assert!(wait.poll().is_pending());
        assert_eq!(Arc::strong_count(&wait.wakes), kept);
    }
    queue.wake_one();
    assert_eq!(Arc::strong_count(&wait.wakes), kept - 1);
}

pub(crate) fn a_waker_may_use_the_line(_: &impl Sleeper) {
    /// Wakes the next, and once more when it is dropped.
    struct Next(Arc<WaiterQueue>);
    impl Wake for Next {
        fn wake(self: Arc<Self>) {
            self.0.wake_one();
        }
    }
    impl Drop for Next {
        fn drop(&mut self) {
            self.0.wake_one();
        }
    }
    let queue = Arc::new(WaiterQueue::new());
    let mut first = Hand::new(queue.add_waiter_if(|| true));
    assert!(
        first
            .poll_with(&Waker::from(Arc::new(Next(Arc::clone(&queue)))))
            .is_pending()
    );
    let (second, third) = (waiting(&queue), waiting(&queue));
    assert!(queue.wake_one());
    assert_eq!((second.wakes(), third.wakes()), (1, 1));
}

pub(crate) fn a_sleeper_is_woken_from_another_thread(sleeper: &impl Sleeper) {
    let turn = Turn::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            while turn.queue.waiter_count() == 0 {
                thread::yield_now();
            }
            turn.next();
        });
        sleeper.block_on(turn.wait_for(1));
    });
}

pub(crate) fn two_sleepers_take_turns(sleeper: &impl Sleeper) {
    const TURNS: usize = 500;
    let turn = Turn::default();
    thread::scope(|scope| {
        for side in 0..2 {
            let turn = &turn;
            scope.spawn(move || {
                sleeper.block_on(async {
                    for mine in (side..TURNS).step_by(2) {
                        turn.wait_for(mine).await;
                        turn.next();
                    }
                });
            });
        }
    });
    assert_eq!(turn.now.into_inner(), TURNS);
    assert_eq!(turn.queue.waiter_count(), 0);
}

pub(crate) fn a_lock_lets_one_in_at_a_time(sleeper: &impl Sleeper) {
    let (lock, inside, done) = (Lock::default(), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                sleeper.block_on(async {
                    for _ in 0..500 {
                        lock.lock().await;
                        assert_eq!(inside.fetch_add(1, SeqCst), 0);
                        done.fetch_add(1, SeqCst);
                        inside.fetch_sub(1, SeqCst);
                        lock.unlock();
                    }
                });
            });
        }
    });
    assert_eq!(done.into_inner(), 2_000);
    assert_eq!(lock.queue.waiter_count(), 0);
}

pub(crate) fn threads_and_tasks_stand_in_one_line(sleeper: &impl Sleeper) {
    let (queue, order) = (WaiterQueue::new(), AtomicUsize::new(0));
    let ahead = |count| {
        while queue.waiter_count() < count {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            assert!(queue.blocking_wait_if(|| true));
            assert_eq!(order.fetch_add(1, SeqCst), 0);
            queue.wake_one();
        });
        ahead(1);
        let task = scope.spawn(|| {
            assert!(sleeper.block_on(queue.add_waiter_if(|| true)));
            assert_eq!(order.fetch_add(1, SeqCst), 1);
        });
        ahead(2);
        assert!(queue.wake_one());
        thread.join().unwrap();
        task.join().unwrap();
    });
}

pub(crate) fn several_who_wake_all_wake_each_once(sleeper: &impl Sleeper) {
    const WAITERS: usize = 8;
    let (queue, woken) = (WaiterQueue::new(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..WAITERS {
            scope.spawn(|| sleeper.block_on(queue.add_waiter_if(|| true)));
        }
        while queue.waiter_count() < WAITERS {
            thread::yield_now();
        }
        for _ in 0..3 {
            scope.spawn(|| woken.fetch_add(queue.wake_all(), SeqCst));
        }
    });
    assert_eq!(woken.into_inner(), WAITERS);
}

pub(crate) fn waits_that_are_dropped_in_a_race_lose_no_wake(sleeper: &impl Sleeper) {
    let (lock, done) = (Lock::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for side in 0..4_usize {
            let (lock, done) = (&lock, &done);
            scope.spawn(move || {
                sleeper.block_on(async {
                    for round in 0..500 {
                        if (round + side) % 3 == 0 {
                            let mut wait = Hand::new(lock.lock());
                            if wait.poll().is_ready() {
                                lock.unlock();
                            }
                            continue;
                        }
                        lock.lock().await;
                        done.fetch_add(1, SeqCst);
                        lock.unlock();
                    }
                });
            });
        }
    });
    assert_eq!(lock.queue.waiter_count(), 0);
    assert!(done.into_inner() >= 1_328);
    sleeper.block_on(lock.lock());
}

/// Makes a test of each promise, for each back end of `$sleepers`.
macro_rules! contract {
    ($sleepers:expr) => {
        contract!($sleepers;
            nobody_is_there_to_be_woken,
            a_condition_that_does_not_hold_is_no_wait,
            the_condition_is_asked_once,
            the_condition_is_asked_in_line,
            an_unpolled_wait_is_not_in_line,
            who_waits_is_counted,
            the_first_who_came_is_woken_first,
            one_wake_is_for_one,
            a_wake_of_all_is_for_all_who_wait,
            a_wake_of_all_is_for_nobody_who_comes_later,
            a_wake_without_a_waiter_is_not_kept,
            a_dropped_wait_leaves_the_line,
            a_dropped_wait_passes_its_wake_on,
            a_seen_wake_is_not_passed_on,
            a_refused_wait_passes_its_wake_on,
            a_wake_while_the_condition_is_asked_counts,
            a_condition_that_panics_leaves_the_line,
            the_last_waker_is_the_one_that_is_called,
            the_same_waker_is_not_kept_twice,
            a_waker_may_use_the_line,
            a_sleeper_is_woken_from_another_thread,
            two_sleepers_take_turns,
            a_lock_lets_one_in_at_a_time,
            threads_and_tasks_stand_in_one_line,
            several_who_wake_all_wake_each_once,
            waits_that_are_dropped_in_a_race_lose_no_wake,
        );
    };
    ($sleepers:expr; $($promise:ident),* $(,)?) => {
        $(
            #[test]
            fn $promise() {
                for sleeper in $sleepers {
                    $crate::waiter_contract::$promise(&sleeper);
                }
            }
        )*
    };
}
pub(crate) use contract;
