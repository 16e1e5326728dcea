//! The models' twin on real threads: storms of calls that are awaited, dropped and detached at every moment.

use super::super::{Bridge, ThreadConfig};
use super::plain::hire;
use crate::park::{NoWatch, ThreadParker};
use crate::scheduler::block_on;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Waker};

const CALLS: usize = 20_000;

/// Counts the drops of what a call holds.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        // ORDERING: read after the threads are joined.
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn no_closure_and_no_output_is_lost_or_doubled() {
    let threads = ThreadConfig {
        count: 2,
        ..ThreadConfig::default()
    };
    let bridge = Bridge::new(threads, Arc::new(NoWatch), hire);
    let (closures, outputs, ran) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (mut awaited, mut detached) = (0, 0);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..2)
            .map(|caller| {
                let (bridge, closures, outputs, ran) = (&bridge, &closures, &outputs, &ran);
                scope.spawn(move || {
                    let mut random = 88_172_645_463_325_252_u64 + caller;
                    let (mut awaited, mut detached) = (0, 0);
                    let mut open = std::collections::VecDeque::new();
                    for _ in 0..CALLS / 2 {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        let (held, gives, runs) = (
                            Counted(Arc::clone(closures)),
                            Arc::clone(outputs),
                            Arc::clone(ran),
                        );
                        let mut call = bridge.call(move || {
                            let _held = held;
                            // ORDERING: read after the threads are joined.
                            runs.fetch_add(1, Relaxed);
                            Counted(gives)
                        });
                        if random & 8 != 0 {
                            let polled =
                                Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop()));
                            if polled.is_ready() {
                                awaited += 1;
                                continue;
                            }
                        }
                        open.push_back(call);
                        if open.len() < (random >> 8) as usize % 32 {
                            continue;
                        }
                        let Some(call) = open.pop_front() else {
                            continue;
                        };
                        match random & 3 {
                            0 => {
                                let wait = ThreadParker::new(Arc::new(NoWatch));
                                awaited += usize::from(block_on(call, &wait).is_ok());
                            }
                            1 => {
                                call.detach();
                                detached += 1;
                            }
                            _ => drop(call),
                        }
                    }
                    (awaited, detached)
                })
            })
            .collect();
        for caller in callers {
            let (a, d) = caller.join().expect("a caller does not panic");
            awaited += a;
            detached += d;
        }
    });
    let waited = block_on(bridge.call(|| ()), &ThreadParker::new(Arc::new(NoWatch)));
    assert!(waited.is_ok());
    bridge.close();
    assert!(bridge.wait_gone(None));
    let metrics = bridge.metrics();
    // ORDERING: everyone is joined.
    let (closures, outputs, ran) = (
        closures.load(Relaxed),
        outputs.load(Relaxed),
        ran.load(Relaxed),
    );
    assert_eq!(closures, CALLS);
    assert_eq!(outputs, ran);
    assert!(awaited > 0 && ran >= awaited, "{awaited} of {ran}");
    assert!(detached > 0);
    assert_eq!(metrics.done as usize, ran + 1);
    assert_eq!((metrics.done + metrics.cancelled) as usize, CALLS + 1);
    assert_eq!((metrics.queued, metrics.running), (0, 0));
}
