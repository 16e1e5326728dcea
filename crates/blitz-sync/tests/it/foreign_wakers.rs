//! A waker is a user's code: its clone, its wake and its drop may use the very lock or channel that has it. Under a lock of ours that
//! would be the end; and none is kept longer than its wait.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc as std_mpsc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread;
use std::time::Duration;

use blitz_sync::{
    Barrier, CancellationToken, Mutex, Notify, OnceCell, RwLock, Semaphore, SetOnce, TaskTracker,
    UnfairMutex, WaiterQueue, broadcast, mpmc, mpsc, oneshot, watch,
};

/// Longer than any of these takes by far.
const GUARD: Duration = Duration::from_secs(60);

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a waker does whenever it is cloned, woken or dropped.
type Hook = Arc<dyn Fn() + Send + Sync>;

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

fn waker(hook: &Hook) -> Waker {
    let hook = Arc::into_raw(Arc::new(Arc::clone(hook)));
    // SAFETY: the table's functions take what `into_raw` gave for an `Arc<Hook>`, of which each waker has one count.
    unsafe { Waker::from_raw(RawWaker::new(hook.cast(), &TABLE)) }
}

/// The hook of a waker, whose count stays the waker's.
///
/// # Safety
/// `data` is a living waker's.
unsafe fn borrow(data: *const ()) -> ManuallyDrop<Arc<Hook>> {
    // SAFETY: it came from `Arc::into_raw`, and the count is not given up.
    ManuallyDrop::new(unsafe { Arc::from_raw(data.cast::<Hook>()) })
}

/// A waker's clone: it calls the hook.
///
/// # Safety
/// `data` is a living waker's.
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker lives while it is cloned.
    let hook = unsafe { borrow(data) };
    hook();
    let more = Arc::into_raw(Arc::clone(&hook));
    RawWaker::new(more.cast(), &TABLE)
}

/// A wake that ends its waker: it calls the hook.
///
/// # Safety
/// `data` is a living waker's.
unsafe fn wake(data: *const ()) {
    // SAFETY: a wake by value ends the waker, so its count is ours.
    let hook = unsafe { Arc::from_raw(data.cast::<Hook>()) };
    hook();
}

/// A wake: it calls the hook.
///
/// # Safety
/// `data` is a living waker's.
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker lives while it is called.
    let hook = unsafe { borrow(data) };
    hook();
}

/// A waker's drop: it calls the hook.
///
/// # Safety
/// `data` is a living waker's.
unsafe fn drop_waker(data: *const ()) {
    // SAFETY: as in `wake`.
    let hook = unsafe { Arc::from_raw(data.cast::<Hook>()) };
    hook();
}

fn poll(wait: &mut Wait, waker: &Waker) -> Poll<()> {
    wait.as_mut().poll(&mut Context::from_waker(waker))
}

/// Something to wait for: how, and what ends the waits that there are.
struct Scene {
    wait: Arc<dyn Fn() -> Wait + Send + Sync>,
    event: Box<dyn FnOnce() + Send>,
}

impl Scene {
    /// `wait` makes one more wait for the same thing, which is pending until `event`.
    fn new(
        wait: impl Fn() -> Wait + Send + Sync + 'static,
        event: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self {
            wait: Arc::new(wait),
            event: Box::new(event),
        }
    }
}

/// Makes a scene's waits with wakers that wait for the same thing themselves, for a moment.
fn play(scene: Scene) {
    let wait = scene.wait;
    let calls = Arc::new(AtomicUsize::new(0));
    let hook: Hook = {
        let (wait, calls) = (Arc::clone(&wait), Arc::clone(&calls));
        Arc::new(move || {
            calls.fetch_add(1, Relaxed);
            // It stands in the line, if there is one, and leaves it.
            let mut another = wait();
            let _ = poll(&mut another, Waker::noop());
        })
    };
    {
        let wakers = [waker(&hook), waker(&hook)];
        let (mut first, mut left) = (wait(), wait());
        assert!(poll(&mut first, &wakers[0]).is_pending());
        // Another waker takes the first one's place.
        assert!(poll(&mut first, &wakers[1]).is_pending());
        assert!(poll(&mut left, &wakers[0]).is_pending());
        drop(left);
        let mut second = wait();
        assert!(poll(&mut second, &wakers[0]).is_pending());
        (scene.event)();
        let _ = (poll(&mut first, &wakers[0]), poll(&mut second, &wakers[1]));
        drop((first, second));
    }
    // Two wakers were dropped here; each of the others was cloned, and dropped or woken.
    let calls = calls.load(Relaxed);
    assert!(calls >= 6, "{calls} calls");
    // One is here. What was kept would hold a count of it.
    assert_eq!(Arc::strong_count(&hook), 1, "a waker is kept");
}

type Make = fn() -> Scene;

/// One of each kind that has wakers.
const SCENES: &[(&str, Make)] = &[
    ("Mutex::lock", || {
        let lock = Arc::new(Mutex::new(()));
        let held = Arc::clone(&lock).try_lock_owned().unwrap();
        Scene::new(
            move || {
                let lock = Arc::clone(&lock);
                Box::pin(async move { drop(lock.lock().await) })
            },
            move || drop(held),
        )
    }),
    ("UnfairMutex::lock", || {
        let lock = Arc::new(UnfairMutex::new(()));
        // (There is no owned guard of it.)
        let held = Arc::clone(&lock);
        std::mem::forget(held.try_lock().unwrap());
        Scene::new(
            move || {
                let lock = Arc::clone(&lock);
                Box::pin(async move { drop(lock.lock().await) })
            },
            || (),
        )
    }),
    ("RwLock::read", || {
        let lock = Arc::new(RwLock::new(()));
        let held = Arc::clone(&lock).try_write_owned().unwrap();
        Scene::new(
            move || {
                let lock = Arc::clone(&lock);
                Box::pin(async move { drop(lock.read().await) })
            },
            move || drop(held),
        )
    }),
    ("RwLock::write", || {
        let lock = Arc::new(RwLock::new(()));
        let held = Arc::clone(&lock).try_read_owned().unwrap();
        Scene::new(
            move || {
                let lock = Arc::clone(&lock);
                Box::pin(async move { drop(lock.write().await) })
            },
            move || drop(held),
        )
    }),
    ("Semaphore::acquire_many", || {
        let all = Arc::new(Semaphore::new(1));
        let more = Arc::clone(&all);
        Scene::new(
            move || {
                let all = Arc::clone(&all);
                Box::pin(async move { drop(all.acquire_many(2).await) })
            },
            move || more.add_permits(3),
        )
    }),
    ("Semaphore::close", || {
        let all = Arc::new(Semaphore::new(0));
        let end = Arc::clone(&all);
        Scene::new(
            move || {
                let all = Arc::clone(&all);
                Box::pin(async move { drop(all.acquire().await) })
            },
            move || end.close(),
        )
    }),
    ("Notify::notify_waiters", || {
        let notify = Arc::new(Notify::new());
        let event = Arc::clone(&notify);
        Scene::new(
            move || Box::pin(Arc::clone(&notify).notified_owned()),
            move || event.notify_waiters(),
        )
    }),
    ("Notify::notify_one", || {
        let notify = Arc::new(Notify::new());
        let event = Arc::clone(&notify);
        Scene::new(
            move || Box::pin(Arc::clone(&notify).notified_owned()),
            move || {
                event.notify_one();
                event.notify_last();
            },
        )
    }),
    ("WaiterQueue::wake_one", || {
        let queue = Arc::new(WaiterQueue::new());
        let event = Arc::clone(&queue);
        Scene::new(
            move || {
                let queue = Arc::clone(&queue);
                Box::pin(async move {
                    queue.add_waiter_if(|| true).await;
                })
            },
            move || {
                event.wake_one();
                event.wake_all();
            },
        )
    }),
    ("Barrier::wait", || {
        let barrier = Arc::new(Barrier::new(1_000));
        Scene::new(
            move || {
                let barrier = Arc::clone(&barrier);
                Box::pin(async move {
                    barrier.wait().await;
                })
            },
            || (),
        )
    }),
    ("OnceCell::get_or_init", || {
        let cell = Arc::new(OnceCell::new());
        let maker = Arc::clone(&cell);
        // It makes the value, and takes its time.
        let mut making: Wait = Box::pin(async move {
            let made = maker.get_or_init(|| async { std::future::pending().await });
            let _: &u8 = made.await;
        });
        assert!(poll(&mut making, Waker::noop()).is_pending());
        let set = Arc::clone(&cell);
        Scene::new(
            move || {
                let cell = Arc::clone(&cell);
                Box::pin(async move {
                    cell.get_or_init(|| async { 2 }).await;
                })
            },
            move || {
                drop(making);
                let _ = set.set(3);
            },
        )
    }),
    ("SetOnce::wait", || {
        let once = Arc::new(SetOnce::new());
        let set = Arc::clone(&once);
        Scene::new(
            move || {
                let once = Arc::clone(&once);
                Box::pin(async move {
                    once.wait().await;
                })
            },
            move || set.set(1).unwrap(),
        )
    }),
    ("CancellationToken::cancelled", || {
        let token = CancellationToken::new();
        let event = token.clone();
        Scene::new(
            move || Box::pin(token.child_token().cancelled_owned()),
            move || event.cancel(),
        )
    }),
    ("TaskTracker::wait", || {
        let tracker = TaskTracker::new();
        let (one, end) = (tracker.token(), tracker.clone());
        Scene::new(
            move || {
                let tracker = tracker.clone();
                Box::pin(async move { tracker.wait().await })
            },
            move || {
                end.close();
                drop(one);
            },
        )
    }),
    ("mpsc::Sender::reserve", || {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        Scene::new(
            move || {
                let sender = sender.clone();
                Box::pin(async move { drop(sender.reserve().await) })
            },
            move || {
                receiver.try_recv().unwrap();
                drop(receiver);
            },
        )
    }),
    ("mpsc::Sender::closed", || {
        let (sender, receiver) = mpsc::channel::<u8>(1);
        Scene::new(
            move || {
                let sender = sender.clone();
                Box::pin(async move { sender.closed().await })
            },
            move || drop(receiver),
        )
    }),
    ("mpmc::Receiver::recv", || {
        let (sender, receiver) = mpmc::channel(1);
        Scene::new(
            move || {
                let receiver = receiver.clone();
                Box::pin(async move {
                    let _ = receiver.recv().await;
                })
            },
            move || {
                sender.try_send(1).unwrap();
                drop(sender);
            },
        )
    }),
    ("mpmc::Sender::send", || {
        let (sender, receiver) = mpmc::channel(1);
        sender.try_send(1).unwrap();
        Scene::new(
            move || {
                let sender = sender.clone();
                Box::pin(async move {
                    let _ = sender.send(2).await;
                })
            },
            move || {
                receiver.try_recv().unwrap();
                receiver.close();
            },
        )
    }),
    ("broadcast::Receiver::recv", || {
        let (sender, receiver) = broadcast::channel(4);
        Scene::new(
            move || {
                let mut receiver = receiver.resubscribe();
                Box::pin(async move {
                    let _ = receiver.recv().await;
                })
            },
            move || {
                sender.send(1).unwrap();
                drop(sender);
            },
        )
    }),
    ("broadcast::Sender::closed", || {
        let (sender, receiver) = broadcast::channel::<u8>(4);
        Scene::new(
            move || {
                let sender = sender.clone();
                Box::pin(async move { sender.closed().await })
            },
            move || drop(receiver),
        )
    }),
    ("watch::Receiver::changed", || {
        let (sender, receiver) = watch::channel(1);
        Scene::new(
            move || {
                let mut receiver = receiver.clone();
                Box::pin(async move {
                    let _ = receiver.changed().await;
                })
            },
            move || {
                sender.send(2).unwrap();
                drop(sender);
            },
        )
    }),
    ("watch::Sender::closed", || {
        let (sender, receiver) = watch::channel(1);
        Scene::new(
            move || {
                let sender = sender.clone();
                Box::pin(async move { sender.closed().await })
            },
            move || drop(receiver),
        )
    }),
];

#[test]
fn a_waker_may_use_what_it_waits_for_and_is_not_kept() {
    for &(name, make) in SCENES {
        let (done, is_done) = std_mpsc::channel();
        let playing = thread::spawn(move || {
            play(make());
            // Nobody hears it who has given up.
            let _ = done.send(());
        });
        // A thread that waits for itself is left behind.
        match is_done.recv_timeout(GUARD) {
            Err(std_mpsc::RecvTimeoutError::Timeout) => {
                panic!("{name}: a waker was called under a lock")
            }
            _ => assert!(playing.join().is_ok(), "{name}"),
        }
    }
}

/// Where there is one who waits, its waker may send to it, or ask for its figures.
#[test]
fn a_waker_may_use_the_other_end_of_its_channel_and_is_not_kept() {
    let use_and_count = |hook: Hook, mut wait: Wait, event: Box<dyn FnOnce()>| {
        let wakers = [waker(&hook), waker(&hook)];
        assert!(poll(&mut wait, &wakers[0]).is_pending());
        assert!(poll(&mut wait, &wakers[1]).is_pending());
        event();
        assert!(poll(&mut wait, &wakers[0]).is_ready());
        drop((wait, wakers));
        assert_eq!(Arc::strong_count(&hook), 1, "a waker is kept");
    };
    let (done, is_done) = std_mpsc::channel();
    let playing = thread::spawn(move || {
        let (sender, mut receiver) = mpsc::channel(2);
        let (figures, event) = (sender.clone(), sender.clone());
        use_and_count(
            Arc::new(move || {
                let room = figures.try_reserve();
                assert!(room.is_err() || figures.capacity() < 2);
            }),
            Box::pin(async move { assert_eq!(receiver.recv().await, Some(1)) }),
            Box::new(move || event.try_send(1).unwrap()),
        );
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (clones, event) = (sender.clone(), sender);
        use_and_count(
            Arc::new(move || drop((clones.clone(), clones.is_closed()))),
            Box::pin(async move { assert_eq!(receiver.recv().await, Some(1)) }),
            Box::new(move || event.send(1).unwrap()),
        );
        let (sender, receiver) = oneshot::channel();
        let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
        let event = Arc::clone(&sender);
        use_and_count(
            Arc::new(move || {
                if let Ok(sender) = sender.try_lock() {
                    assert!(sender.as_ref().is_none_or(|sender| !sender.is_closed()));
                }
            }),
            Box::pin(async move { assert_eq!(receiver.await, Ok(1)) }),
            Box::new(move || {
                let sender = event.lock().unwrap().take();
                sender.unwrap().send(1).unwrap();
            }),
        );
        let (mut sender, receiver) = oneshot::channel::<u8>();
        use_and_count(
            Arc::new(|| ()),
            Box::pin(async move { sender.closed().await }),
            Box::new(move || drop(receiver)),
        );
        // Nobody hears it who has given up.
        let _ = done.send(());
    });
    match is_done.recv_timeout(GUARD) {
        Err(std_mpsc::RecvTimeoutError::Timeout) => panic!("a waker was called under a lock"),
        _ => assert!(playing.join().is_ok()),
    }
}

/// One that panics has told so by the panic hook: what its wake was about is done all the same, and no value goes with the panic.
#[test]
fn a_waker_that_panics_costs_no_value() {
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new("its own affair"));
        }
    }

    let waker = Waker::from(Arc::new(Panics));
    let (sender, receiver) = mpmc::channel(1);
    assert!(sender.try_send(1).is_ok());
    let sending = sender.clone();
    let mut wait: Wait = Box::pin(async move { sending.send(2).await.expect("it is open") });
    assert!(poll(&mut wait, &waker).is_pending());
    assert_eq!(receiver.try_recv(), Ok(1));
    assert!(poll(&mut wait, Waker::noop()).is_ready());
    assert_eq!(receiver.try_recv(), Ok(2));

    let receiving = receiver.clone();
    let mut wait: Wait = Box::pin(async move { assert_eq!(receiving.recv().await, Some(3)) });
    assert!(poll(&mut wait, &waker).is_pending());
    assert!(sender.try_send(3).is_ok());
    assert!(poll(&mut wait, Waker::noop()).is_ready());
}
