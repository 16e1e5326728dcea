//! Spans of tasks, timers, locks and channels, and events of wakers, as tokio-console asks for them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use blitz_io::runtime::Builder;

/// Keeps what tokio-console looks at: a line for each span that begins or ends, and for each event.
#[derive(Clone, Default)]
struct Kept {
    lines: Arc<Mutex<Vec<String>>>,
    next: Arc<AtomicU64>,
}

impl Kept {
    fn push(&self, what: String) {
        self.lines.lock().unwrap().push(what);
    }

    fn count(&self, words: &[&str]) -> usize {
        let lines = self.lines.lock().unwrap();
        let has_all = |line: &&String| words.iter().all(|word| line.contains(word));
        lines.iter().filter(has_all).count()
    }
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tokio::") || metadata.target().starts_with("runtime::")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        // ORDERING: only unlike the others.
        let id = self.next.fetch_add(1, Relaxed) + 1;
        let metadata = span.metadata();
        let mut line = Line(format!(
            "new {id} {} {}",
            metadata.target(),
            metadata.name()
        ));
        span.record(&mut line);
        self.push(line.0);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("event {}", event.metadata().target()));
        event.record(&mut line);
        self.push(line.0);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.push(format!("clone {}.", id.into_u64()));
        id.clone()
    }

    fn enter(&self, id: &Id) {
        self.push(format!("enter {}.", id.into_u64()));
    }

    fn exit(&self, _: &Id) {}

    fn try_close(&self, id: Id) -> bool {
        self.push(format!("close {}.", id.into_u64()));
        true
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

/// What a subscriber hears while `future` runs on a runtime of this thread.
fn heard<F: Future>(future: F) -> Kept {
    let kept = Kept::default();
    let runtime = Builder::new_current_thread().build().unwrap();
    tracing::subscriber::with_default(kept.clone(), || {
        runtime.block_on(future);
        drop(runtime);
    });
    kept
}

#[test]
fn a_task_has_a_span_from_its_spawn_to_its_end() {
    let kept = heard(async {
        let builder = blitz_io::task::Builder::new().name("watched");
        let task = builder.spawn(async { blitz_io::task::yield_now().await });
        task.unwrap().await.unwrap();
    });
    let lines = kept.lines.lock().unwrap().clone();
    let span = lines.iter().find(|line| line.contains("task.name=watched"));
    let span = span.expect("the task has a span");
    for field in [
        "tokio::task runtime.spawn",
        "kind=task",
        "loc.file=",
        "size.bytes=",
        file!(),
    ] {
        assert!(span.contains(field), "{span}");
    }
    let id = span.split(' ').nth(1).unwrap();
    // Two polls, and the drop.
    assert_eq!(kept.count(&[&format!("enter {id}.")]), 3);
    assert_eq!(kept.count(&[&format!("close {id}.")]), 1);
}

/// As many are dropped or used up as there are clones.
#[test]
fn the_wakers_of_a_task_are_told() {
    let kept = heard(async {
        let (sender, receiver) = blitz_io::sync::oneshot::channel();
        let waits = blitz_io::spawn(receiver);
        blitz_io::task::yield_now().await;
        sender.send(7).unwrap();
        assert_eq!(waits.await.unwrap(), Ok(7));
    });
    let of = |op: &str| kept.count(&["tokio::task::waker", op]);
    assert_eq!(of("waker.clone"), 1);
    assert_eq!(of("\"waker.wake\"") + of("waker.drop"), 1);
}

#[test]
fn large_local_and_blocking_tasks_are_told_apart() {
    let kept = heard(async {
        let large = [0_u8; 64 * 1024];
        blitz_io::spawn(async move {
            blitz_io::task::yield_now().await;
            std::hint::black_box(&large);
        })
        .await
        .unwrap();
        let set = blitz_io::task::LocalSet::new();
        set.run_until(async { blitz_io::task::spawn_local(async {}).await.unwrap() })
            .await;
        blitz_io::task::spawn_blocking(|| ()).await.unwrap();
    });
    assert_eq!(kept.count(&["original_size.bytes=", "size.bytes=8"]), 1);
    assert_eq!(kept.count(&["kind=local"]), 1);
    assert_eq!(kept.count(&["tokio::task::blocking", "kind=blocking"]), 1);
    assert_eq!(kept.count(&["kind=block_on"]), 1);
}

#[test]
fn a_timer_is_a_resource_and_its_wait_an_operation() {
    let kept = heard(async {
        let mut sleep = std::pin::pin!(blitz_io::time::sleep(Duration::from_millis(1)));
        sleep.as_mut().await;
        let soon = blitz_io::time::Instant::now() + Duration::from_millis(1);
        sleep.as_mut().reset(soon);
        sleep.await;
    });
    assert_eq!(
        kept.count(&["runtime.resource ", "concrete_type=\"Sleep\""]),
        1
    );
    assert_eq!(kept.count(&["async_op ", "Sleep::new_timeout"]), 1);
    assert_eq!(kept.count(&["async_op ", "Sleep::reset"]), 1);
    assert_eq!(kept.count(&["state_update", "duration.op=\"override\""]), 2);
    assert!(kept.count(&["poll_op", "is_ready=true"]) >= 2);
    assert!(kept.count(&["poll_op", "is_ready=false"]) >= 1);
}

#[test]
fn a_lock_is_a_resource_that_says_who_has_it() {
    let kept = heard(async {
        let lock = Arc::new(blitz_io::sync::Mutex::new(0));
        let guard = lock.lock().await;
        let waits = blitz_io::spawn({
            let lock = Arc::clone(&lock);
            async move { *lock.lock().await += 1 }
        });
        blitz_io::task::yield_now().await;
        drop(guard);
        waits.await.unwrap();
        assert_eq!(*lock.try_lock().unwrap(), 1);
    });
    let resource = ["tokio::sync::mutex runtime.resource ", "Mutex", file!()];
    assert_eq!(kept.count(&resource), 1);
    assert_eq!(kept.count(&["runtime.resource ", "is_internal=true"]), 1);
    assert_eq!(kept.count(&["state_update", "locked=true"]), 3);
    assert_eq!(kept.count(&["state_update", "locked=false"]), 4);
    assert_eq!(kept.count(&["async_op ", "source=\"Mutex::lock\""]), 2);
    assert_eq!(kept.count(&["async_op ", "source=\"Acquire::new\""]), 2);
    assert_eq!(kept.count(&["poll_op", "poll_acquire", "is_ready=true"]), 2);
    assert_eq!(
        kept.count(&["poll_op", "poll_acquire", "is_ready=false"]),
        1
    );
    // One was taken and given back thrice.
    for op in ["add", "sub"] {
        let op = format!(" permits=1 permits.op=\"{op}\"");
        assert_eq!(kept.count(&["resource::state_update", &op]), 3, "{op}");
    }
    // Who waited was served.
    let got = "permits_obtained=1 permits_obtained.op=\"add\"";
    assert_eq!(kept.count(&["async_op::state_update", got]), 1);
}

#[test]
fn readers_and_a_writer_are_told_apart() {
    let kept = heard(async {
        let lock = blitz_io::sync::RwLock::new(0);
        let (one, two) = (lock.read().await, lock.read().await);
        drop((one, two));
        drop(lock.write().await.downgrade());
    });
    let readers = |op: &str| kept.count(&["current_readers=1", op]);
    assert_eq!((readers("add"), readers("sub")), (3, 3));
    assert_eq!(kept.count(&["write_locked=true"]), 1);
    // As it was made, and when the writer had become a reader.
    assert_eq!(kept.count(&["write_locked=false"]), 2);
}

#[test]
fn a_barrier_and_channels_are_resources() {
    let kept = heard(async {
        let barrier = blitz_io::sync::Barrier::new(2);
        blitz_io::join!(barrier.wait(), barrier.wait());
        let (sender, receiver) = blitz_io::sync::oneshot::channel();
        sender.send(1).unwrap();
        assert_eq!(receiver.await, Ok(1));
        let (sender, mut receiver) = blitz_io::sync::mpsc::channel(5);
        sender.send(1).await.unwrap();
        assert_eq!(receiver.recv().await, Some(1));
        let (sender, mut receiver) = blitz_io::sync::mpsc::unbounded_channel();
        sender.send(1).unwrap();
        assert_eq!(receiver.recv().await, Some(1));
    });
    assert_eq!(kept.count(&["tokio::sync::barrier runtime.resource "]), 1);
    assert_eq!(kept.count(&["state_update", " size=2"]), 1);
    assert_eq!(kept.count(&["arrived=1", "add"]), 1);
    assert_eq!(kept.count(&["async_op ", "Barrier::wait"]), 2);
    assert_eq!(kept.count(&["tokio::sync::oneshot runtime.resource "]), 1);
    for state in ["value_sent", "value_received", "tx_dropped", "rx_dropped"] {
        let [before, after] = ["false", "true"].map(|is| format!("{state}={is}"));
        assert_eq!(kept.count(&[&before]), 1, "{before}");
        assert_eq!(kept.count(&[&after]), 1, "{after}");
    }
    assert_eq!(kept.count(&["tokio::sync::mpsc runtime.resource "]), 2);
    assert_eq!(kept.count(&["permits=5", "override"]), 1);
    assert_eq!(kept.count(&["async_op ", "mpsc::Sender::send"]), 1);
    assert_eq!(kept.count(&["async_op ", "mpsc::Receiver::recv"]), 1);
    assert_eq!(
        kept.count(&["async_op ", "mpsc::UnboundedReceiver::recv"]),
        1
    );
    // Whatever is made or shared comes to its end.
    let begun = kept.count(&["new "]) + kept.count(&["clone "]);
    assert_eq!(begun, kept.count(&["close "]));
}

/// A subscriber that panics at the first event with this target, and only then.
struct Panics(&'static str, std::sync::atomic::AtomicBool);

impl Subscriber for Panics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == self.0
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        // ORDERING: one thread.
        assert!(self.1.swap(true, Relaxed), "the subscriber panics");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Whatever is being told when a subscriber panics, no permit is lost and nobody waits for ever.
#[test]
fn a_subscriber_that_panics_costs_no_permit() {
    use blitz_io::sync::Semaphore;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::task::{Context, Poll, Waker};
    let panics = |target, f: &mut dyn FnMut()| {
        let subscriber = Panics(target, false.into());
        let call = || tracing::subscriber::with_default(subscriber, f);
        assert!(catch_unwind(AssertUnwindSafe(call)).is_err(), "{target}");
    };
    let poll = |future: std::pin::Pin<&mut dyn Future<Output = ()>>| {
        future.poll(&mut Context::from_waker(Waker::noop()))
    };
    let taken = "runtime::resource::state_update";
    let served = "runtime::resource::async_op::state_update";
    let all = Semaphore::new(1);
    panics(taken, &mut || drop(all.try_acquire()));
    assert_eq!(all.available_permits(), 1);
    for count in [1, 2] {
        panics(taken, &mut || {
            let _ = poll(std::pin::pin!(async {
                drop(all.acquire_many(count).await);
            }));
        });
        assert_eq!(all.available_permits(), 1);
    }
    for target in [taken, served] {
        let held = all.try_acquire().unwrap();
        let mut waits = std::pin::pin!(async { drop(all.acquire().await) });
        assert_eq!(poll(waits.as_mut()), Poll::Pending);
        let mut held = Some(held);
        panics(target, &mut || drop(held.take()));
        assert_eq!(poll(waits.as_mut()), Poll::Ready(()));
        assert_eq!(all.available_permits(), 1);
    }
    let lock = blitz_io::sync::Mutex::new(());
    panics(taken, &mut || drop(lock.try_lock()));
    let mut guard = Some(lock.try_lock().unwrap());
    panics(taken, &mut || drop(guard.take()));
    assert!(lock.try_lock().is_ok());
}
