//! What a runtime tells by `tracing`.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::harness::{Flavor, each_case, guarded};

/// Keeps every event of the runtime's as one line: level, message, fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<String>>>);

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "blitz_io"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Kept {
    /// Whether an event holds all these words.
    pub(crate) fn has(&self, words: &[&str]) -> bool {
        let kept = self.0.lock().unwrap();
        kept.iter()
            .any(|line| words.iter().all(|word| line.contains(word)))
    }
}

#[test]
fn the_back_end_and_its_reason_are_told_once() {
    each_case(
        &[
            Flavor::CurrentThread,
            Flavor::MultiThread,
            Flavor::ThreadPerCore,
        ],
        |case| {
            let kept = Kept::default();
            let backend = case.backend.to_string();
            tracing::subscriber::with_default(kept.clone(), || drop(case.runtime()));
            assert!(
                kept.has(&[
                    "INFO",
                    "back end chosen",
                    &backend,
                    "the builder asked for it"
                ]),
                "{:?}",
                kept.0
            );
            assert_eq!(kept.0.lock().unwrap().len(), 1, "all workers have the same");
        },
    );
}

#[test]
fn a_shutdown_tells_what_it_cut() {
    let kept = Kept::default();
    guarded(Duration::from_secs(30), || {
        tracing::subscriber::with_default(kept.clone(), || {
            let runtime = blitz_io::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let endless = blitz_io::task::Builder::new().name("endless");
            drop(endless.spawn_on(std::future::pending::<()>(), runtime.handle()));
            let report = runtime.shutdown_graceful(Duration::from_millis(10));
            assert_eq!(report.cut.len(), 1);
            let runtime = blitz_io::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            assert!(runtime.shutdown_graceful(Duration::from_secs(5)).is_clean());
        });
    });
    assert!(kept.has(&["WARN", "endless", "cut=1"]), "{:?}", kept.0);
    assert!(
        kept.has(&["INFO", "every task ran to its end"]),
        "{:?}",
        kept.0
    );
}

#[test]
fn a_long_poll_is_told_with_its_task() {
    let kept = Kept::default();
    tracing::subscriber::with_default(kept.clone(), || {
        let mut builder = blitz_io::runtime::Builder::new_current_thread();
        builder
            .enable_metrics_poll_time_histogram()
            .long_poll_threshold(Duration::from_millis(1));
        let runtime = builder.build().unwrap();
        let slow = blitz_io::task::Builder::new().name("slow").spawn_on(
            async {
                let begun = std::time::Instant::now();
                while begun.elapsed() < Duration::from_millis(5) {
                    std::hint::spin_loop();
                }
            },
            runtime.handle(),
        );
        runtime.block_on(slow.unwrap()).unwrap();
        runtime.block_on(async { blitz_io::time::sleep(Duration::from_millis(1)).await });
    });
    assert!(
        kept.has(&["WARN", "long poll", "slow", "events.rs"]),
        "{:?}",
        kept.0
    );
}
