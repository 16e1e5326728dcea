//! One thread at a time.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use blitz_exec::scheduler::single::Shared;
use blitz_exec::scheduler::{Config, Hooks, PanicPolicy};
use blitz_exec::task::SpawnInfo;

use crate::fake::{FakePark, yield_now};

fn scheduler(config: Config) -> (Arc<Shared>, Arc<crate::fake::Token>) {
    let (park, token) = FakePark::pair();
    (Shared::new(0, park, Arc::new(config)), token)
}

#[test]
fn the_root_and_the_tasks_take_turns() {
    let (shared, token) = scheduler(Config::default());
    let order = Arc::new(Mutex::new(Vec::new()));
    shared.block_on(async {
        for task in 1..=2 {
            let order = Arc::clone(&order);
            shared.spawn(
                async move {
                    for _ in 0..3 {
                        order.lock().unwrap().push(task);
                        yield_now().await;
                    }
                },
                SpawnInfo::here(),
            );
        }
        for _ in 0..4 {
            order.lock().unwrap().push(0);
            yield_now().await;
        }
    });
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
    assert_eq!(token.parks.load(SeqCst), 0, "nobody had to wait");
    shared.shutdown();
    assert_eq!(token.shutdowns.load(SeqCst), 1);
    assert!(!token.bound.load(SeqCst));
}

#[test]
fn the_driver_turns_at_its_interval_under_load() {
    let (shared, token) = scheduler(Config {
        event_interval: 10,
        ..Config::default()
    });
    shared.block_on(async {
        for _ in 0..1_000 {
            yield_now().await;
        }
    });
    let turns = token.turns.load(SeqCst);
    assert!((99..=101).contains(&turns), "{turns} turns in 1,000 polls");
    shared.shutdown();
}

#[test]
fn a_hook_that_spawns_before_the_wait_is_heard() {
    let spawned = Arc::new(AtomicUsize::new(0));
    let slot: Arc<Mutex<Option<Arc<Shared>>>> = Arc::default();
    let (count, scheduler_of_hook) = (Arc::clone(&spawned), Arc::clone(&slot));
    let (send, receive) = futures_channel();
    let send = Mutex::new(Some(send));
    let hooks = Hooks {
        before_park: Some(Arc::new(move || {
            if count.fetch_add(1, SeqCst) == 0
                && let Some(shared) = &*scheduler_of_hook.lock().unwrap()
                && let Some(send) = send.lock().unwrap().take()
            {
                shared.spawn(async move { send() }, SpawnInfo::here());
            }
        })),
        ..Hooks::default()
    };
    let (shared, _) = scheduler(Config {
        hooks,
        ..Config::default()
    });
    *slot.lock().unwrap() = Some(Arc::clone(&shared));
    shared.block_on(receive);
    assert_eq!(
        spawned.load(SeqCst),
        1,
        "the driver was not waited in, though there was work"
    );
    slot.lock().unwrap().take();
    shared.shutdown();
}

/// A panic of the user's last hook is the hook's: the task is over, joined and freed, and the thread goes on.
#[test]
fn a_hook_that_panics_at_a_task_s_end_harms_nobody() {
    let hooks = Hooks {
        task_terminate: Some(Arc::new(|_| panic!("the hook"))),
        ..Hooks::default()
    };
    let (shared, _) = scheduler(Config {
        hooks,
        ..Config::default()
    });
    let spawner = Arc::clone(&shared);
    shared.block_on(async move {
        let whole = Arc::new(());
        let part = Arc::clone(&whole);
        let task = spawner.spawn(async move { drop(part) }, SpawnInfo::here());
        assert!(task.await.is_ok());
        assert_eq!(Arc::strong_count(&whole), 1);
        assert_eq!(spawner.tasks_alive(), 0);
    });
    shared.shutdown();
}

/// A one-shot signal.
fn futures_channel() -> (impl FnOnce() + Send + 'static, impl Future<Output = ()>) {
    let state: Arc<Mutex<(bool, Option<std::task::Waker>)>> = Arc::default();
    let sender = Arc::clone(&state);
    let send = move || {
        let waker = {
            let mut state = sender.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    };
    let receive = std::future::poll_fn(move |cx| {
        let mut state = state.lock().unwrap();
        if state.0 {
            return std::task::Poll::Ready(());
        }
        state.1 = Some(cx.waker().clone());
        std::task::Poll::Pending
    });
    (send, receive)
}

#[test]
fn hooks_see_each_task_by_its_name() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let hook = |what: &'static str| -> Option<blitz_exec::scheduler::TaskHook> {
        let seen = Arc::clone(&seen);
        Some(Arc::new(move |task| {
            seen.lock()
                .unwrap()
                .push(format!("{what} {}", task.name().unwrap_or("-")))
        }))
    };
    let hooks = Hooks {
        task_spawn: hook("spawn"),
        before_poll: hook("before"),
        after_poll: hook("after"),
        task_terminate: hook("end"),
        ..Hooks::default()
    };
    let (shared, _) = scheduler(Config {
        hooks,
        ..Config::default()
    });
    let info = SpawnInfo::here().named("one");
    let task = shared.spawn(yield_now(), info);
    shared.block_on(task).unwrap();
    shared.shutdown();
    let seen = seen.lock().unwrap();
    assert_eq!(
        *seen,
        [
            "spawn one",
            "before one",
            "after one",
            "before one",
            "end one",
            "after one"
        ]
    );
}

#[test]
fn a_panic_ends_block_on_if_that_is_the_policy() {
    let (shared, _) = scheduler(Config {
        panic_policy: PanicPolicy::Shutdown,
        ..Config::default()
    });
    let running = Arc::clone(&shared);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        running.block_on(async {
            shared.spawn(async { panic!("expected") }, SpawnInfo::here());
            std::future::pending::<()>().await;
        });
    }));
    assert!(result.is_err());
    shared.shutdown();
}
