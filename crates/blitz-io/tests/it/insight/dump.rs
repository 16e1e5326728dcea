//! Traces: every leaf's stack of futures, on request.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};

use blitz_io::runtime::Handle;
use blitz_io::runtime::dump::Dump;
use blitz_io::task::yield_now;
use blitz_io::time::sleep;

use super::{until, until_outside};
use crate::harness::{Flavor, GUARD, each_case, on_every, patient, run};

const LONG: Duration = Duration::from_secs(3600);

const INNERMOST: u32 = line!() + 3;
#[inline(never)]
async fn innermost_of_the_test() {
    sleep(LONG).await;
}

const MIDDLE: u32 = line!() + 3;
#[inline(never)]
async fn middle_of_the_test() {
    innermost_of_the_test().await;
}

const FOREIGN: u32 = line!() + 3;
/// A leaf of another crate: it takes the waker, and knows nothing of us.
async fn foreign_of_the_test(kept: futures::channel::oneshot::Receiver<()>) {
    kept.await.ok();
}

/// A dump in which each of these tasks was traced: a busy machine may not get to all of them within a second.
async fn traced(ids: &[blitz_io::task::Id]) -> Dump {
    let begun = Instant::now();
    loop {
        let dump = Handle::current().dump().await;
        let is_traced = |id| {
            let task = dump.tasks().iter().find(|task| task.id() == id);
            task.is_some_and(|task| !task.trace().is_empty())
        };
        if ids.iter().all(|id| is_traced(*id)) {
            return dump;
        }
        assert!(begun.elapsed() < patient(GUARD), "a task is never traced");
    }
}

/// A future may end because it is traced: the dump ends all the same, and so does the task.
#[test]
fn a_future_knows_that_it_is_traced() {
    on_every(|runtime| {
        run(runtime, async {
            let task = blitz_io::spawn(poll_fn(|cx| {
                if Handle::is_tracing() {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }));
            assert!(!Handle::is_tracing());
            while !task.is_finished() {
                Handle::current().dump().await;
            }
            task.await.unwrap();
        });
    });
}

#[test]
fn a_trace_shows_the_chain_of_futures() {
    on_every(|runtime| {
        run(runtime, async {
            let (_kept, receiver) = futures::channel::oneshot::channel();
            let nested = blitz_io::spawn(middle_of_the_test());
            let foreign = blitz_io::spawn(foreign_of_the_test(receiver));
            let both = blitz_io::spawn(async {
                let (left, right) = (pin!(innermost_of_the_test()), pin!(sleep(2 * LONG)));
                futures::future::join(left, right).await;
            });
            let yields = blitz_io::spawn(async {
                loop {
                    yield_now().await;
                }
            });
            let ids = [nested.id(), foreign.id(), both.id(), yields.id()];
            until("all were polled", || {
                let tasks = Handle::current().tasks();
                ids.iter()
                    .all(|id| tasks.iter().any(|task| task.id == *id && task.polls > 0))
            })
            .await;
            let dump = traced(&ids).await;
            let of = |id| {
                dump.tasks()
                    .iter()
                    .find(|task| task.id() == id)
                    .expect("dumped")
            };

            let trace = of(ids[0]).trace();
            let text = trace.to_string();
            assert_eq!(trace.len(), 1, "{text}");
            let inner = text.find(&format!("dump.rs:{INNERMOST}"));
            let middle = text.find(&format!("dump.rs:{MIDDLE}"));
            assert!(inner.is_some() && inner < middle, "{text}\n{:?}", trace);
            assert!(text.starts_with("time::sleep (in "), "{text}");
            assert!(
                !text.contains("harness") && !text.contains("clone_traced"),
                "{text}"
            );
            let frames = trace.resolve_backtraces();
            let mut lines = frames[0].frames().flat_map(|frame| frame.symbols());
            assert!(lines.any(|symbol| {
                let file = symbol
                    .filename()
                    .is_some_and(|file| file.ends_with("insight/dump.rs"));
                file && symbol.lineno().is_some()
            }));

            let trace = of(ids[1]).trace();
            let text = trace.to_string();
            assert!(!trace.is_empty() && trace.awaits()[0].is_none(), "{text}");
            assert!(text.contains(&format!("dump.rs:{FOREIGN}")), "{text}");

            assert_eq!(
                of(ids[2]).trace().len(),
                2,
                "one for each branch: {}",
                of(ids[2]).trace()
            );
            let text = of(ids[3]).trace().to_string();
            assert!(text.contains("yield_now"), "{text}");

            // They go on as ever, and the next dump works too.
            traced(&ids).await;
            for task in [nested, foreign, both, yields] {
                task.abort();
                assert!(task.await.is_err_and(|error| error.is_cancelled()));
            }
        });
    });
}

#[test]
fn a_task_whose_worker_is_stuck_is_listed_without_a_trace() {
    each_case(&[Flavor::MultiThread], |case| {
        let runtime = case.runtime();
        let (release, held) = mpsc::channel::<()>();
        let stuck = runtime.spawn(async move { held.recv().unwrap_or(()) });
        until_outside("it is polled", || {
            let tasks = runtime.handle().tasks();
            tasks
                .iter()
                .any(|task| task.id == stuck.id() && task.polls > 0)
        });
        run(&runtime, async {
            let dump = Handle::current().dump().await;
            let task = dump.tasks().iter().find(|task| task.id() == stuck.id());
            assert!(task.expect("listed").trace().is_empty());
            drop(release);
            stuck.await.expect("no panic");
        });
    });
}

/// A task that ends in its traced poll, or was cancelled meanwhile, keeps no dump waiting for long, and paused time stands still.
#[test]
fn tasks_that_end_meanwhile_are_no_matter() {
    each_case(&[Flavor::CurrentThread], |case| {
        let runtime = case.builder().start_paused(true).build().expect("built");
        run(&runtime, async {
            let before = blitz_io::time::Instant::now();
            let tasks: Vec<_> = (0..100).map(|_| blitz_io::spawn(yield_now())).collect();
            let dump = Handle::current().dump().await;
            assert_eq!(dump.tasks().iter().count(), 100);
            for task in tasks {
                task.await.expect("no panic");
            }
            assert_eq!(blitz_io::time::Instant::now(), before);
        });
    });
}
