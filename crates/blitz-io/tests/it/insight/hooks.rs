//! Every hook is called, on every flavour, and told of the right task.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use blitz_io::task::{Id, yield_now};

use super::{until, until_outside};
use crate::harness::{FLAVORS, each_case, run};

/// Which hook, of which task, spawned at which line.
type Told = Vec<(&'static str, Id, u32)>;

#[test]
fn each_hook_is_called_where_it_should_be() {
    each_case(&FLAVORS, |case| {
        const HOOKS: [&str; 4] = ["start", "stop", "park", "unpark"];
        let counts: Arc<[AtomicUsize; 4]> = Arc::default();
        let tasks: Arc<Mutex<Told>> = Arc::default();
        let count = |hook: usize| {
            let counts = Arc::clone(&counts);
            move || {
                counts[hook].fetch_add(1, SeqCst);
            }
        };
        let note = |what: &'static str| {
            let tasks = Arc::clone(&tasks);
            move |meta: &blitz_io::runtime::TaskMeta<'_>| {
                let line = meta.spawned_at().line();
                tasks
                    .lock()
                    .expect("no panic")
                    .push((what, meta.id(), line));
            }
        };
        let runtime = case
            .builder()
            .on_thread_start(count(0))
            .on_thread_stop(count(1))
            .on_thread_park(count(2))
            .on_thread_unpark(count(3))
            .on_task_spawn(note("spawn"))
            .on_before_task_poll(note("before"))
            .on_after_task_poll(note("after"))
            .on_task_terminate(note("terminate"))
            .build()
            .expect("built");
        let ended = |id| {
            let tasks = Arc::clone(&tasks);
            move || {
                let tasks = tasks.lock().expect("no panic");
                tasks
                    .iter()
                    .any(|(what, of, _)| (*what, *of) == ("terminate", id))
                    && tasks.iter().filter(|(_, of, _)| *of == id).count() >= 5
            }
        };
        run(&runtime, async {
            // Whoever always finds something to do never waits: where a blocking call was over before anybody looked again, no
            // worker parked in all of this. This one is over when one has.
            let parks = Arc::clone(&counts);
            let parked = move || until_outside("one parks", || parks[2].load(SeqCst) > 0);
            blitz_io::task::spawn_blocking(parked)
                .await
                .expect("no panic");
            let line = line!() + 1;
            let task = blitz_io::spawn(async { yield_now().await });
            let id = task.id();
            task.await.expect("no panic");
            // The last hook comes after the handle is told.
            until("the end was told", ended(id)).await;
            let told = tasks.lock().expect("no panic").clone();
            let told: Vec<_> = told.into_iter().filter(|(_, of, _)| *of == id).collect();
            assert!(told.iter().all(|(_, _, at)| *at == line));
            let told: Vec<_> = told.into_iter().map(|(what, ..)| what).collect();
            // The end is told within the last poll, or right after it, by whoever sees the handle's last reference go.
            let expected = ["spawn", "before", "after", "before", "terminate"];
            assert_eq!(told[..5], expected, "{told:?}");

            let aborted = blitz_io::spawn(std::future::pending::<()>());
            let id = aborted.id();
            aborted.abort();
            assert!(aborted.await.is_err_and(|error| error.is_cancelled()));
            let cancelled = Arc::clone(&tasks);
            until("a cancelled task's end is told", || {
                let tasks = cancelled.lock().expect("no panic");
                tasks
                    .iter()
                    .any(|(what, of, _)| (*what, *of) == ("terminate", id))
            })
            .await;
        });
        drop(runtime);
        for (hook, count) in HOOKS.iter().zip(counts.iter()) {
            assert!(count.load(SeqCst) > 0, "{case}: {hook} was never called");
        }
        assert_eq!(
            counts[0].load(SeqCst),
            counts[1].load(SeqCst),
            "each thread that starts stops"
        );
        assert!(counts[2].load(SeqCst) >= counts[3].load(SeqCst));
    });
}
