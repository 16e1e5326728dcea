//! Spans of tasks and timers, and events of wakers, as tokio-console asks for them.

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
