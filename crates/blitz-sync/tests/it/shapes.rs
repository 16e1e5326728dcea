//! Values of all shapes, on all ways: without a size, aligned to more than the allocator's habit, larger than a page; and values that
//! are sent where a thread ends.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use blitz_sync::{OnceCell, SetOnce, broadcast, mpmc, mpsc, oneshot, watch};
use futures::executor::block_on;

/// Aligned to more than any word of a channel's.
#[derive(Clone, Debug, PartialEq)]
#[repr(align(256))]
struct Aligned(u8);

/// Without a size; those that live are counted.
#[derive(Debug, PartialEq)]
struct Nothing;

static NOTHINGS: AtomicUsize = AtomicUsize::new(0);

impl Nothing {
    fn new() -> Self {
        NOTHINGS.fetch_add(1, SeqCst);
        Self
    }
}

impl Clone for Nothing {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Drop for Nothing {
    fn drop(&mut self) {
        NOTHINGS.fetch_sub(1, SeqCst);
    }
}

/// More than one lap of a small ring, and more than one block of a list.
const ROUNDS: usize = 70;

/// Sends what `make` makes by each channel, two at a time, and looks at what comes.
fn goes_every_way<T>(make: impl Fn() -> T)
where
    T: Clone + Debug + PartialEq + Send + Sync,
{
    let seen = |value: Option<T>| {
        let value = value.expect("it was sent");
        assert!(std::ptr::from_ref(&value).is_aligned());
        assert_eq!(value, make());
    };
    block_on(async {
        let (bounded, mut from_bounded) = mpsc::channel(2);
        let (unbounded, mut from_unbounded) = mpsc::unbounded_channel();
        let (ring, from_ring) = mpmc::channel(2);
        let (list, from_list) = mpmc::unbounded_channel();
        let (all, mut first) = broadcast::channel(2);
        let mut second = all.subscribe();
        for _ in 0..ROUNDS {
            for _ in 0..2 {
                bounded.send(make()).await.unwrap();
                unbounded.send(make()).unwrap();
                ring.send(make()).await.unwrap();
                list.send(make()).await.unwrap();
                all.send(make()).unwrap();
            }
            assert!(bounded.try_send(make()).is_err());
            assert_eq!(ring.force_send(make()), Ok(Some(make())));
            for _ in 0..2 {
                seen(from_bounded.recv().await);
                seen(from_unbounded.recv().await);
                seen(from_ring.recv().await);
                seen(from_list.recv().await);
                seen(first.recv().await.ok());
                seen(second.recv().await.ok());
            }
        }
        // What is left goes with the channels.
        bounded.send(make()).await.unwrap();
        unbounded.send(make()).unwrap();
        ring.send(make()).await.unwrap();
        list.send(make()).await.unwrap();
        for _ in 0..3 {
            all.send(make()).unwrap();
        }
    });
    for _ in 0..3 {
        let (sender, receiver) = oneshot::channel();
        assert!(sender.send(make()).is_ok());
        seen(block_on(receiver).ok());
        let (sender, receiver) = oneshot::channel();
        drop(receiver);
        seen(sender.send(make()).err());
    }
    let (sender, receiver) = watch::channel(make());
    sender.send(make()).unwrap();
    seen(Some(receiver.borrow().clone()));
    let cell = OnceCell::new();
    cell.set(make()).unwrap();
    assert!(cell.set(make()).is_err());
    seen(cell.into_inner());
    let cell = SetOnce::new();
    cell.set(make()).unwrap();
    seen(cell.into_inner());
}

#[test]
fn values_of_all_shapes_go_every_way() {
    goes_every_way(|| ());
    goes_every_way(|| Aligned(7));
    goes_every_way(|| [7_u8; 5_000]);
    goes_every_way(|| Box::new([7_u64; 3]));
    goes_every_way(Nothing::new);
    assert_eq!(NOTHINGS.load(SeqCst), 0, "each was dropped, and once");
}

/// A thread's other values may be gone by then: the lists of free cells, and what a task may do.
#[test]
fn values_are_sent_where_a_thread_ends() {
    type AtTheEnd = Box<dyn FnOnce()>;

    struct Ends(RefCell<Vec<AtTheEnd>>);

    impl Drop for Ends {
        fn drop(&mut self) {
            for end in self.0.take() {
                end();
            }
        }
    }

    thread_local! {
        static ENDS: Ends = const { Ends(RefCell::new(Vec::new())) };
    }

    // Whether the thread has used the channels before its end is prepared, or after.
    for is_used_before in [false, true] {
        let (bounded, mut from_bounded) = mpsc::channel(1);
        let (ring, from_ring) = mpmc::channel(1);
        let (all, mut from_all) = broadcast::channel(1);
        let (one, from_one) = oneshot::channel();
        let value = Arc::new(());
        let sent = Arc::clone(&value);
        thread::spawn(move || {
            let use_a_oneshot = || {
                let (sender, receiver) = oneshot::channel();
                assert!(sender.send(1).is_ok());
                assert_eq!(block_on(receiver), Ok(1));
            };
            if is_used_before {
                use_a_oneshot();
            }
            ENDS.with(|ends| {
                ends.0.borrow_mut().push(Box::new(move || {
                    bounded.try_send(Arc::clone(&sent)).unwrap();
                    ring.try_send(Arc::clone(&sent)).unwrap();
                    all.send(Arc::clone(&sent)).unwrap();
                    assert!(one.send(sent).is_ok());
                    let (sender, mut receiver) = oneshot::channel();
                    assert!(sender.send(1).is_ok());
                    assert_eq!(receiver.try_recv(), Ok(1));
                }));
            });
            use_a_oneshot();
        })
        .join()
        .unwrap();
        assert!(block_on(from_bounded.recv()).is_some());
        assert!(block_on(from_ring.recv()).is_some());
        assert!(block_on(from_all.recv()).is_ok());
        assert!(block_on(from_one).is_ok());
        assert!(block_on(from_bounded.recv()).is_none());
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
