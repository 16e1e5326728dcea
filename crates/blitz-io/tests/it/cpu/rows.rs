//! Many items: in order, within their bound, with panics and drops in the middle.

use std::collections::HashSet;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use blitz_io::cpu::{Window, parallel_map, parallel_map_stream};
use blitz_io::fs::{self, File};
use blitz_io::runtime::Handle;
use blitz_io::task;
use futures::future::FutureExt;
use futures::stream::{self, FusedStream, Stream, StreamExt};

use super::{busy, on_every_with, one, panic_of, text_of};
use crate::harness::{FLAVORS, GUARD, each_case, guarded, patient, run};

#[test]
fn a_parallel_map_keeps_the_order_and_uses_every_thread() {
    on_every_with(2, |runtime| {
        run(runtime, async {
            let squares = parallel_map(0..10_000_u64, |i| i * i).await;
            assert!(squares.iter().copied().eq((0..10_000).map(|i| i * i)));
            assert!(parallel_map(Vec::<u8>::new(), |b| b).await.is_empty());
            // Each item waits until another thread has begun one.
            let threads = Arc::new(Mutex::new(HashSet::new()));
            let seen = Arc::clone(&threads);
            let both = parallel_map(0..2, move |_| {
                seen.lock()
                    .expect("no panic")
                    .insert(thread::current().id());
                guarded(GUARD, || {
                    while seen.lock().expect("no panic").len() < 2 {
                        thread::yield_now();
                    }
                });
            });
            assert_eq!(both.await.len(), 2);
        });
    });
}

#[test]
fn the_first_panic_of_a_parallel_map_goes_on_and_the_rest_is_dropped() {
    on_every_with(2, |runtime| {
        let held = Arc::new(());
        let begun = Arc::new(AtomicUsize::new(0));
        let items: Vec<_> = (0..100_000).map(|i| (i, Arc::clone(&held))).collect();
        let begins = Arc::clone(&begun);
        let panicked = run(runtime, async move {
            task::spawn(parallel_map(items, move |(i, held)| {
                begins.fetch_add(1, SeqCst);
                assert!(i != 70_000 && i != 3, "on purpose: item {i}");
                held
            }))
            .await
        });
        let said = text_of(panicked.expect_err("an item panicked").into_panic());
        assert!(
            said == "on purpose: item 3" || said == "on purpose: item 70000",
            "{said}"
        );
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(begun.load(SeqCst) < 100_000);
        let next = run(runtime, async { parallel_map([1, 2], |i| i + 1).await });
        assert_eq!(next, [2, 3]);
    });
}

#[test]
fn a_dropped_parallel_map_stops_between_items() {
    let runtime = one(1);
    let begun = Arc::new(AtomicUsize::new(0));
    let held = Arc::new(());
    let (first, wait_first) = channel();
    let (go, wait_go) = channel::<()>();
    let wait_go = Mutex::new(wait_go);
    let items: Vec<_> = (0..1_000).map(|_| Arc::clone(&held)).collect();
    let begins = Arc::clone(&begun);
    let call = {
        let _entered = runtime.enter();
        parallel_map(items, move |held| {
            begins.fetch_add(1, SeqCst);
            let _ = first.send(());
            let _ = wait_go.lock().expect("no panic").recv();
            held
        })
    };
    wait_first.recv_timeout(patient(GUARD)).expect("it begins");
    assert!(!call.is_finished());
    drop(call);
    drop(go);
    runtime.block_on(runtime.handle().compute(|| ()));
    assert_eq!(begun.load(SeqCst), 1);
    assert_eq!(Arc::strong_count(&held), 1);
    // Not even the items are collected if it has not begun.
    let (busy, go) = busy(runtime.handle());
    let call = {
        let _entered = runtime.enter();
        let items = std::iter::repeat_with(|| -> u8 { panic!("nobody wants it") });
        parallel_map(items, |b| b)
    };
    drop(call);
    drop(go);
    runtime.block_on(busy);
}

#[test]
fn a_window_gives_results_in_order_within_its_bound() {
    on_every_with(2, |runtime| {
        run(runtime, async {
            let inside = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&inside);
            let mut window = Window::new(4, move |i: u64| {
                counted.fetch_sub(1, SeqCst);
                // The first of each four is the slowest.
                let rounds = if i.is_multiple_of(4) { 20_000 } else { 10 };
                (i, (0..rounds).map(std::hint::black_box).sum::<u64>())
            });
            let mut seen = Vec::new();
            for i in 0..200 {
                inside.fetch_add(1, SeqCst);
                if let Some((result, _)) = window.push(i).await {
                    seen.push(result);
                }
                assert!(window.len() < 4 && inside.load(SeqCst) < 4);
            }
            while let Some((result, _)) = window.next().await {
                seen.push(result);
            }
            assert!(window.is_empty());
            assert!(seen.into_iter().eq(0..200));
        });
    });
}

#[test]
fn a_dropped_push_loses_nothing() {
    let runtime = one(1);
    let (_first, go) = busy(runtime.handle());
    let mut window = {
        let _entered = runtime.enter();
        Window::new(2, |i: u8| i)
    };
    assert!(window.push(1).now_or_never().is_some_and(|r| r.is_none()));
    for item in [2, 3] {
        assert!(window.push(item).now_or_never().is_none(), "it waits");
    }
    assert_eq!(window.len(), 3);
    drop(go);
    runtime.block_on(async {
        assert_eq!(window.push(4).await, Some(1));
        for item in 2..=4 {
            assert_eq!(window.next().await, Some(item));
        }
        assert_eq!(window.next().await, None);
    });
    let said = panic_of(|| {
        let _entered = runtime.enter();
        drop(Window::new(0, |i: u8| i));
    });
    assert!(said.contains("room"), "{said}");
}

/// Counts how many items were taken; pending before each one, once.
struct Source {
    next: u32,
    taken: Arc<AtomicUsize>,
    pending: bool,
}

impl Stream for Source {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        if !std::mem::replace(&mut self.pending, false) {
            self.pending = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.next == 100 {
            return Poll::Ready(None);
        }
        self.next += 1;
        self.taken.fetch_add(1, SeqCst);
        Poll::Ready(Some(self.next - 1))
    }
}

#[test]
fn a_stream_gives_results_in_order_within_its_bound() {
    on_every_with(2, |runtime| {
        run(runtime, async {
            let taken = Arc::new(AtomicUsize::new(0));
            let source = Source {
                next: 0,
                taken: Arc::clone(&taken),
                pending: false,
            };
            let mut results = pin!(parallel_map_stream(source, 3, |i: u32| i * 2));
            let mut given = 0;
            while let Some(result) = results.next().await {
                assert_eq!(result, given * 2);
                given += 1;
                assert!(taken.load(SeqCst) <= given as usize + 3);
            }
            assert_eq!(given, 100);
            assert!(results.is_terminated());
            assert!(results.next().await.is_none());
        });
    });
}

#[test]
fn a_panic_in_a_stream_is_its_items_own() {
    let runtime = one(2);
    runtime.block_on(async {
        let mut results = parallel_map_stream(stream::iter(0..5), 2, |i: u8| {
            assert!(i != 2, "on purpose: {i}");
            i
        });
        assert_eq!(results.size_hint(), (5, Some(5)));
        let mut seen = Vec::new();
        for _ in 0..5 {
            let next = std::panic::AssertUnwindSafe(results.next()).catch_unwind();
            match next.await {
                Ok(result) => seen.push(result),
                Err(payload) => assert_eq!(text_of(payload), "on purpose: 2"),
            }
        }
        assert_eq!(seen, [Some(0), Some(1), Some(3), Some(4)]);
        assert_eq!(results.next().await, None);
    });
}

#[test]
fn a_dropped_stream_cancels_what_has_not_begun() {
    let runtime = one(1);
    let (first, go) = busy(runtime.handle());
    let held = Arc::new(());
    let items: Vec<_> = (0..10).map(|_| Arc::clone(&held)).collect();
    let results = {
        let _entered = runtime.enter();
        parallel_map_stream(stream::iter(items), 4, drop)
    };
    let mut results = Box::pin(results);
    let polled = results
        .as_mut()
        .poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    assert_eq!(runtime.handle().compute_metrics().queued, 4);
    drop(results);
    assert_eq!(Arc::strong_count(&held), 1);
    assert_eq!(runtime.handle().compute_metrics().cancelled, 4);
    drop(go);
    runtime.block_on(first);
}

/// The whole way: from a file, through the CPU, into a file, piece by piece.
#[test]
fn read_compute_write() {
    const PIECE: usize = 16 * 1024;
    const PIECES: usize = 40;
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().cpu_threads(2).build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let bytes: Vec<u8> = (0..(PIECE * PIECES - 77) as u64)
            .map(|i| ((i * i) >> 3) as u8)
            .collect();
        std::fs::write(&from, &bytes).expect("room");
        let work = blitz_io_work(from.clone(), to.clone());
        let written = run(&runtime, async { blitz_io::spawn(work).await }).expect("no panic");
        assert_eq!(
            written.expect("files can be read and written"),
            bytes.len() as u64
        );
        let expected: Vec<u8> = bytes.iter().map(|byte| byte.rotate_left(3)).collect();
        assert!(
            std::fs::read(&to).expect("it is there") == expected,
            "{case}"
        );
    });

    async fn blitz_io_work(
        from: std::path::PathBuf,
        to: std::path::PathBuf,
    ) -> std::io::Result<u64> {
        let (source, target) = (File::open(&from).await?, File::create(&to).await?);
        let mut window = Window::new(4, |mut piece: Vec<u8>| {
            piece
                .iter_mut()
                .for_each(|byte| *byte = byte.rotate_left(3));
            piece
        });
        let (mut read, mut written) = (0, 0);
        let mut spare = Vec::new();
        loop {
            let mut buffer: Vec<u8> = spare.pop().unwrap_or_else(|| Vec::with_capacity(PIECE));
            buffer.clear();
            let (count, piece) = source.read_at(buffer, read).await;
            let count = count? as u64;
            let done = if count == 0 {
                match window.next().await {
                    Some(piece) => Some(piece),
                    None => break,
                }
            } else {
                read += count;
                window.push(piece).await
            };
            if let Some(mut piece) = done {
                while !piece.is_empty() {
                    let (count, mut back) = target.write_at(piece, written).await;
                    let count = count?;
                    written += count as u64;
                    back.drain(..count);
                    piece = back;
                }
                spare.push(piece);
            }
        }
        target.sync_all().await?;
        let metadata = fs::metadata(&to).await?;
        assert!(Handle::current().compute_metrics().done > 0);
        Ok(metadata.len())
    }
}
