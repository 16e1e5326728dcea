//! Paused time: exact on every flavour, and never ahead of what can still run.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::Builder;
use blitz_io::time::{self, Duration, Instant};
use blitz_io::{fs, task};
use futures::channel::{mpsc, oneshot};
use futures::{SinkExt, StreamExt};

use super::{on_every, panic_of};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// No rounding to a millisecond, and none added (tokio-rs/tokio#6866).
#[test]
fn sleeps_take_exactly_their_time() {
    on_every(true, || async {
        for duration in [
            Duration::from_nanos(1),
            Duration::from_micros(333),
            MS,
            MS * 5,
            HOUR,
            HOUR * 24 * 1_000,
        ] {
            let start = Instant::now();
            time::sleep(duration).await;
            assert_eq!(start.elapsed(), duration);
        }
        let start = Instant::now();
        assert!(
            time::timeout(MS * 7, std::future::pending::<()>())
                .await
                .is_err()
        );
        assert_eq!(start.elapsed(), MS * 7);
    });
}

#[test]
fn pausing_in_the_middle_works_too() {
    on_every(false, || async {
        time::sleep(Duration::from_micros(100)).await;
        time::pause();
        let start = Instant::now();
        let real = std::time::Instant::now();
        time::sleep(HOUR).await;
        assert_eq!(start.elapsed(), HOUR);
        assert!(real.elapsed() < HOUR / 60);
        time::resume();
        let resumed = Instant::now();
        assert!(resumed >= start + HOUR);
        time::sleep(MS).await;
        assert!(resumed.elapsed() >= MS);
        time::pause();
        time::advance(HOUR).await;
        assert!(resumed.elapsed() >= HOUR);
        time::resume();
    });
}

#[test]
fn advancing_fires_what_is_due_and_nothing_else() {
    on_every(true, || async {
        let mut near = pin!(time::sleep(MS * 10));
        let mut far = pin!(time::sleep(MS * 10 + Duration::from_nanos(1)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(near.as_mut().poll(&mut cx).is_pending());
        assert!(far.as_mut().poll(&mut cx).is_pending());
        time::advance(MS * 10).await;
        assert!(near.is_elapsed() && !far.is_elapsed());
        assert!(near.as_mut().poll(&mut cx).is_ready());
        assert!(far.as_mut().poll(&mut cx).is_pending());
        time::advance(Duration::from_nanos(1)).await;
        assert!(far.as_mut().poll(&mut cx).is_ready());
    });
}

#[test]
fn wrong_order_is_told() {
    on_every(true, || async {
        assert!(panic_of(time::pause).contains("already frozen"));
        let advance = || {
            let _ =
                pin!(time::advance(Duration::MAX)).poll(&mut Context::from_waker(Waker::noop()));
        };
        assert!(panic_of(advance).contains("overflow"));
        time::resume();
        assert!(panic_of(time::resume).contains("not frozen"));
        let advance = || {
            let _ = pin!(time::advance(MS)).poll(&mut Context::from_waker(Waker::noop()));
        };
        assert!(panic_of(advance).contains("not frozen"));
    });
}

/// Within one turn wakers are called by deadline, then by registration.
#[test]
fn order_within_one_instant_is_as_stated() {
    struct Note(u32, Arc<Mutex<Vec<u32>>>);
    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }
    on_every(true, || async {
        // In a spawned task, so that all of them are with one driver.
        let order = blitz_io::spawn(async {
            let order = Arc::new(Mutex::new(Vec::new()));
            let start = Instant::now();
            let nanos = [500, 200, 500, 100, 900, 200];
            let mut sleeps: Vec<_> = nanos
                .map(|nanos| Box::pin(time::sleep_until(start + MS + Duration::from_nanos(nanos))))
                .into();
            for (n, sleep) in sleeps.iter_mut().enumerate() {
                let waker = Waker::from(Arc::new(Note(n as u32, order.clone())));
                assert!(
                    sleep
                        .as_mut()
                        .poll(&mut Context::from_waker(&waker))
                        .is_pending()
                );
            }
            // A reset registers anew: behind those that were there.
            let again = sleeps[1].deadline();
            sleeps[1].as_mut().reset(again);
            time::advance(MS * 2).await;
            Arc::try_unwrap(order).unwrap().into_inner().unwrap()
        });
        assert_eq!(order.await.unwrap(), [3, 5, 1, 0, 2, 4]);
    });
}

/// Tasks that sleep and hand messages on: all of it happens at exact moments, whoever runs it.
#[test]
fn time_waits_for_everything_that_can_run() {
    on_every(true, || async {
        let start = Instant::now();
        let (first, mut stage) = mpsc::channel::<u32>(1);
        let mut first = first;
        for step in 1..=4u32 {
            let (mut next, out) = mpsc::channel(1);
            blitz_io::spawn(async move {
                while let Some(n) = stage.next().await {
                    time::sleep(MS * step).await;
                    task::yield_now().await;
                    next.send(n).await.unwrap();
                }
            });
            stage = out;
        }
        for n in 0..20 {
            let sent = start.elapsed();
            first.send(n).await.unwrap();
            assert_eq!(stage.next().await, Some(n));
            assert_eq!(start.elapsed() - sent, MS * 10, "1 + 2 + 3 + 4");
        }
    });
}

#[test]
fn many_sleepers_wake_at_their_own_moments() {
    on_every(true, || async {
        let start = Instant::now();
        let tasks: Vec<_> = (0..300u32)
            .map(|n| {
                blitz_io::spawn(async move {
                    let mut total = Duration::ZERO;
                    for step in 0..10 {
                        let nap = Duration::from_micros(u64::from(n * 37 + step * 101) % 5_000 + 1);
                        total += nap;
                        time::sleep(nap).await;
                        assert_eq!(start.elapsed(), total, "task {n}, step {step}");
                    }
                    total
                })
            })
            .collect();
        let mut latest = Duration::ZERO;
        for task in tasks {
            latest = latest.max(task.await.unwrap());
        }
        assert_eq!(start.elapsed(), latest);
    });
}

#[test]
fn a_blocking_call_holds_time_still() {
    on_every(true, || async {
        let start = Instant::now();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let blocking = task::spawn_blocking(move || {
            held.recv().unwrap();
            Instant::now()
        });
        let sleeper = blitz_io::spawn(async move {
            time::sleep(HOUR).await;
            start.elapsed()
        });
        // However often everyone else has nothing to do, time stands.
        for _ in 0..50 {
            task::yield_now().await;
        }
        let outside = std::thread::spawn(move || release.send(()).unwrap());
        assert_eq!(blocking.await.unwrap(), start);
        outside.join().unwrap();
        assert_eq!(sleeper.await.unwrap(), HOUR);
    });
}

#[test]
fn block_in_place_holds_time_still() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let start = Instant::now();
        let sleeper = blitz_io::spawn(time::sleep(HOUR));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let blocking = blitz_io::spawn(async move {
            task::block_in_place(|| held.recv().unwrap());
            Instant::now()
        });
        let outside = std::thread::spawn(move || release.send(()).unwrap());
        assert_eq!(blocking.await.unwrap(), start);
        outside.join().unwrap();
        sleeper.await.unwrap();
        assert_eq!(start.elapsed(), HOUR);
    });
}

/// A wait within a call that blocks in place is a wait of the thread: time goes on, however deep they lie in one another.
#[test]
fn time_goes_on_for_a_wait_within_a_blocking_call() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    fn sleep_in_place(depth: usize) {
        let start = Instant::now();
        task::block_in_place(|| {
            assert_eq!(Instant::now(), start);
            blitz_io::runtime::Handle::current().block_on(async {
                time::sleep(HOUR).await;
                if depth > 0 {
                    sleep_in_place(depth - 1);
                }
            });
        });
        assert_eq!(start.elapsed(), HOUR * (1 + depth as u32));
    }
    crate::harness::guarded(crate::harness::GUARD, || {
        // On the thread in `block_on`, and on a worker.
        runtime.block_on(async { sleep_in_place(2) });
        let task = runtime.spawn(async { sleep_in_place(2) });
        runtime.block_on(task).unwrap();
        // And afterwards the outer wait counts again.
        runtime.block_on(async {
            let start = Instant::now();
            sleep_in_place(0);
            time::sleep(HOUR).await;
            assert_eq!(start.elapsed(), HOUR * 2);
        });
    });
}

/// Blocking calls that follow one another from task to task: time moves only when the last has been answered.
#[test]
fn the_answer_of_a_blocking_call_goes_before_time() {
    on_every(true, || async {
        let start = Instant::now();
        let alarm = blitz_io::spawn(time::sleep(HOUR));
        for n in 0..200 {
            assert_eq!(task::spawn_blocking(move || n).await.unwrap(), n);
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
        alarm.await.unwrap();
        assert_eq!(start.elapsed(), HOUR);
    });
}

#[test]
fn another_runtimes_pause_is_not_ours() {
    let paused = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    paused.block_on(async { time::sleep(HOUR * 1_000).await });
    let there = paused.block_on(async { Instant::now() });
    assert!(
        there > Instant::now() + HOUR * 900,
        "outside of a runtime time is real"
    );
    on_every(false, || async {
        let start = Instant::now();
        assert!(there > start + HOUR * 900);
        time::sleep(Duration::from_micros(300)).await;
        assert!(start.elapsed() >= Duration::from_micros(300) && start.elapsed() < HOUR);
    });
}

/// Nobody in `block_on`: paused time stands, on every flavour with a runtime that can be left and entered again.
#[test]
fn time_stands_while_nobody_blocks_on_the_runtime() {
    for mut builder in [
        Builder::new_multi_thread(),
        Builder::new_current_thread(),
        Builder::new_thread_per_core(),
    ] {
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        let (send, mut woken) = oneshot::channel();
        let start = runtime.block_on(async move {
            blitz_io::spawn(async move {
                time::sleep(HOUR).await;
                let _ = send.send(());
            });
            task::yield_now().await;
            Instant::now()
        });
        assert_eq!(woken.try_recv(), Ok(None));
        runtime.block_on(async {
            assert_eq!(start.elapsed(), Duration::ZERO);
            woken.await.unwrap();
            assert_eq!(start.elapsed(), HOUR);
        });
    }
}

/// Two threads in `block_on` of one runtime: time moves when both wait, and goes on when one leaves.
#[test]
fn two_block_ons_share_one_time() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let start = runtime.block_on(async { Instant::now() });
    std::thread::scope(|scope| {
        for by in [1u32, 3] {
            let runtime = &runtime;
            scope.spawn(move || {
                runtime.block_on(async {
                    for step in 1..=5 {
                        time::sleep_until(start + HOUR * by * step).await;
                        assert!(start.elapsed() >= HOUR * by * step);
                    }
                });
            });
        }
    });
    runtime.block_on(async { assert_eq!(start.elapsed(), HOUR * 15) });
}

/// Bytes on their way through the kernel from one worker to another are no reason for time to jump.
#[test]
fn what_is_sent_within_the_runtime_goes_before_time() {
    on_every(true, || async {
        let start = Instant::now();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = blitz_io::spawn(async move {
            let (mut stream, _) = time::timeout(HOUR, listener.accept())
                .await
                .unwrap()
                .unwrap();
            let mut byte = [0];
            while time::timeout(HOUR, stream.read(&mut byte))
                .await
                .expect("time jumped")
                .unwrap()
                == 1
            {
                time::timeout(HOUR, stream.write_all(&byte))
                    .await
                    .unwrap()
                    .unwrap();
            }
        });
        let client = blitz_io::spawn(async move {
            let mut stream = time::timeout(HOUR, TcpStream::connect(addr))
                .await
                .unwrap()
                .unwrap();
            for n in 0..100 {
                let mut byte = [n];
                stream.write_all(&byte).await.unwrap();
                time::timeout(MS, stream.read_exact(&mut byte))
                    .await
                    .expect("time jumped")
                    .unwrap();
                assert_eq!(byte, [n]);
            }
        });
        client.await.unwrap();
        server.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        time::sleep(HOUR).await;
        assert_eq!(start.elapsed(), HOUR);
    });
}

/// An operation on a file ends without the outside, so its own timeout does not overtake it, on the ring or on the pool.
#[test]
fn operations_on_files_go_before_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    on_every(true, || async {
        let start = Instant::now();
        let bytes = vec![7; 300_000];
        for _ in 0..10 {
            let write = time::timeout(MS, fs::write(&path, &bytes));
            write.await.expect("time jumped").unwrap();
            let read = time::timeout(MS, fs::read(&path));
            assert_eq!(read.await.expect("time jumped").unwrap(), bytes);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}

/// A waker that is called from a foreign thread ends a wait whose time stands still.
#[test]
fn outside_wakes_arrive_while_time_stands() {
    on_every(true, || async {
        let mut asked: Option<std::thread::JoinHandle<()>> = None;
        let (send, mut receive) = oneshot::channel();
        let mut send = Some(send);
        poll_fn(|cx| {
            if let Some(send) = send.take() {
                asked = Some(std::thread::spawn(move || send.send(5).unwrap()));
            }
            Pin::new(&mut receive)
                .poll(cx)
                .map(|got| assert_eq!(got, Ok(5)))
        })
        .await;
        asked.unwrap().join().unwrap();
        assert!(matches!(
            Pin::new(&mut pin!(time::sleep(MS))).poll(&mut Context::from_waker(Waker::noop())),
            Poll::Pending
        ));
    });
}

/// A thread of no runtime does not wait with the others, so the driver that keeps its timer is told of it.
#[test]
fn a_timer_of_a_thread_outside_moves_time_too() {
    on_every(true, || async {
        let handle = blitz_io::runtime::Handle::current();
        let (send, receive) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let _entered = handle.enter();
            let start = Instant::now();
            futures::executor::block_on(time::sleep(HOUR));
            let _ = send.send(start.elapsed());
        });
        assert_eq!(receive.await, Ok(HOUR));
        thread.join().unwrap();
    });
}
