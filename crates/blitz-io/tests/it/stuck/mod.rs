//! Workers that are stuck in a task: reported, rescued, and everything of theirs goes on.
//!
//! Nothing here asserts how soon: the machine may be busy. `examples/stuck.rs` measures that.

mod bounds;
mod hold;
mod stacks;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::{Backend, Builder, Runtime, StuckOutcome, StuckPlace, StuckReport};
use blitz_io::task::{JoinHandle, block_in_place, yield_now};
use blitz_io::time::sleep;

use crate::harness::{Case, Flavor, GUARD, each_case, guarded, patient, run};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Every report of every runtime here. (The runtime's own list is short, and on a busy machine there are many.)
static TOLD: Mutex<Vec<StuckReport>> = Mutex::new(Vec::new());

/// A builder with thresholds that a test need not wait for.
pub(crate) fn builder(case: Case, workers: usize) -> Builder {
    let mut builder = case.builder();
    builder
        .worker_threads(workers)
        .stuck_report_after(4 * MS)
        .stuck_rescue_after(20 * MS)
        .on_stuck(|report| TOLD.lock().unwrap().push(report.clone()));
    builder
}

/// A name for tasks that no other test's have.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{name} {}", NEXT.fetch_add(1, SeqCst))
}

pub(crate) fn each_ring(test: impl Fn(Case)) {
    each_case(&[Flavor::MultiThread], test);
}

/// Keeps tasks in their polls until the first one of it is dropped.
pub(crate) struct Stop {
    stopped: Arc<AtomicBool>,
    is_first: bool,
}

impl Clone for Stop {
    fn clone(&self) -> Self {
        Self {
            stopped: Arc::clone(&self.stopped),
            is_first: false,
        }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        if self.is_first {
            self.stop();
        }
    }
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self {
            stopped: Arc::new(AtomicBool::new(false)),
            is_first: true,
        }
    }

    pub(crate) fn spin(&self) {
        while !self.stopped.load(SeqCst) {
            std::hint::spin_loop();
        }
    }

    /// Until it is stopped, without spinning.
    pub(crate) fn wait(&self) {
        until("it is stopped", || self.stopped.load(SeqCst));
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, SeqCst);
    }
}

/// Spawns a task with a name that is stuck, and returns when it is.
pub(crate) fn stick(
    runtime: &Runtime,
    name: &str,
    f: impl FnOnce() + Send + 'static,
) -> JoinHandle<()> {
    let (started, wait) = mpsc::channel();
    let stuck = async move {
        started.send(()).unwrap();
        f();
    };
    let task = blitz_io::task::Builder::new()
        .name(name)
        .spawn_on(stuck, runtime.handle())
        .unwrap();
    wait.recv_timeout(patient(GUARD))
        .expect("a worker takes it");
    task
}

/// Beyond [`GUARD`]: a report is told when the names of its stack were read from the program's file. Beside threads that spin, on a busy
/// machine, that has taken more than a minute.
pub(crate) const NAMED: Duration = Duration::from_secs(240);

/// Waits for what happens on some thread sooner or later.
#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < patient(NAMED), "{what}: not in {NAMED:?}");
        std::thread::sleep(MS);
    }
}

/// A server on the runtime: its address.
fn echo_server(runtime: &Runtime) -> SocketAddr {
    let listener = run(runtime, TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            blitz_io::spawn(async move {
                let mut bytes = [0; 64];
                while let Ok(n @ 1..) = socket.read(&mut bytes).await {
                    socket.write_all(&bytes[..n]).await.unwrap();
                }
            });
        }
    });
    address
}

/// A client outside of every runtime.
struct Client(std::net::TcpStream);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let socket = std::net::TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(patient(GUARD))).unwrap();
        Self(socket)
    }

    fn echo(&mut self) {
        self.0.write_all(b"ping").unwrap();
        let mut answer = [0; 4];
        self.0.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ping");
    }
}

/// Timers, files, old and new connections, blocking calls.
fn all_goes_on(runtime: &Runtime, address: SocketAddr, old: &mut Client) {
    old.echo();
    Client::connect(address).echo();
    run(runtime, async {
        let work = blitz_io::spawn(async {
            sleep(MS).await;
            assert!(
                !blitz_io::fs::read("/proc/self/status")
                    .await
                    .unwrap()
                    .is_empty()
            );
            blitz_io::task::spawn_blocking(|| ()).await.unwrap();
            block_in_place(|| ());
            yield_now().await;
        });
        work.await.unwrap();
    });
}

pub(crate) fn all_back(runtime: &Runtime) {
    until("the stuck threads come back", || {
        runtime.metrics().num_replaced_threads() == 0
    });
}

pub(crate) fn reports_of(name: &str, outcome: &StuckOutcome) -> Vec<StuckReport> {
    let mut reports = TOLD.lock().unwrap().clone();
    reports.retain(|report| {
        report.outcome == *outcome
            && report.task.as_ref().and_then(|task| task.name.as_deref()) == Some(name)
    });
    reports
}

#[test]
fn tasks_that_spin_on_all_workers_stop_nothing_else() {
    each_ring(|case| {
        let runtime = builder(case, 2).build().unwrap();
        let address = echo_server(&runtime);
        let mut old = Client::connect(address);
        old.echo();
        for _ in 0..2 {
            let (name, stop) = (unique("spins"), Stop::new());
            let spinning: Vec<_> = (0..2)
                .map(|_| {
                    let stop = stop.clone();
                    stick(&runtime, &name, move || stop.spin())
                })
                .collect();
            for _ in 0..5 {
                all_goes_on(&runtime, address, &mut old);
            }
            assert_eq!(runtime.metrics().num_workers(), 2);
            until("both are rescued", || {
                reports_of(&name, &StuckOutcome::Rescued).len() == 2
            });
            let seen = reports_of(&name, &StuckOutcome::Reported);
            assert_eq!(seen.len(), 2);
            for report in &seen {
                assert_eq!(report.place, StuckPlace::Task);
                assert!(report.stuck_for >= 4 * MS);
                assert!(report.os_thread.is_some());
                let task = report.task.as_ref().unwrap();
                assert!(task.spawned_at.file().ends_with("stuck/mod.rs"));
                assert!(report.to_string().contains("spins"), "{report}");
            }
            assert!(spinning.iter().all(|task| !task.is_finished()));
            stop.stop();
            for task in spinning {
                run(&runtime, task).unwrap();
            }
            all_back(&runtime);
            until("they are told of", || {
                reports_of(&name, &StuckOutcome::CameBack).len() == 2
            });
            all_goes_on(&runtime, address, &mut old);
        }
        guarded(GUARD, || drop(runtime));
    });
}

#[test]
fn tasks_that_are_blocked_in_a_system_call_stop_nothing_else() {
    each_ring(|case| {
        let runtime = builder(case, 2).build().unwrap();
        let address = echo_server(&runtime);
        let mut old = Client::connect(address);
        old.echo();
        let pipes: Vec<_> = (0..2).map(|_| std::io::pipe().unwrap()).collect();
        let mut ends = Vec::new();
        let mut blocked = Vec::new();
        for (mut reader, writer) in pipes {
            ends.push(writer);
            blocked.push(stick(&runtime, "reads", move || {
                assert_eq!(reader.read(&mut [0]).unwrap(), 1);
            }));
        }
        all_goes_on(&runtime, address, &mut old);
        for mut writer in ends {
            writer.write_all(b"x").unwrap();
        }
        for task in blocked {
            run(&runtime, task).unwrap();
        }
        all_back(&runtime);
        all_goes_on(&runtime, address, &mut old);
    });
}

struct SpinsInDrop(Stop, Arc<AtomicBool>);

impl Drop for SpinsInDrop {
    fn drop(&mut self) {
        self.1.store(true, SeqCst);
        self.0.spin();
    }
}

#[test]
fn a_drop_that_takes_long_stops_nothing_else() {
    each_ring(|case| {
        let runtime = builder(case, 1).build().unwrap();
        let address = echo_server(&runtime);
        let mut old = Client::connect(address);
        old.echo();
        let (stop, dropping) = (Stop::new(), Arc::new(AtomicBool::new(false)));
        let spins = SpinsInDrop(stop.clone(), Arc::clone(&dropping));
        let task = runtime.spawn(async move {
            let _spins = spins;
            std::future::pending::<()>().await;
        });
        run(&runtime, async {
            blitz_io::spawn(yield_now()).await.unwrap()
        });
        task.abort();
        until("the drop has begun", || dropping.load(SeqCst));
        all_goes_on(&runtime, address, &mut old);
        stop.stop();
        assert!(run(&runtime, task).unwrap_err().is_cancelled());
        all_back(&runtime);
        all_goes_on(&runtime, address, &mut old);
    });
}

/// All that is in flight on the ring of the one worker there is comes to its end while that worker is stuck.
#[test]
fn what_is_in_flight_on_a_stuck_workers_ring_is_delivered() {
    each_ring(|case| {
        // A thread that came back does not stay: what it had submitted goes with it, and is submitted anew.
        let mut builder = builder(case, 1);
        builder.thread_keep_alive(MS);
        let runtime = builder.build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        let mut writer = std::fs::File::options()
            .read(true)
            .write(true)
            .open(&fifo)
            .unwrap();
        for _ in 0..3 {
            let listener = run(&runtime, TcpListener::bind("127.0.0.1:0")).unwrap();
            let address = listener.local_addr().unwrap();
            let mut peer = std::net::TcpStream::connect(address).unwrap();
            let (mut socket, _) = run(&runtime, listener.accept()).unwrap();
            let (fired, timer) = mpsc::channel();
            let fifo = fifo.clone();
            let waiting = runtime.spawn(async move {
                let timer = async {
                    sleep(30 * MS).await;
                    fired.send(()).unwrap();
                };
                let read = async { socket.read_u8().await.unwrap() };
                let accept = async { listener.accept().await.unwrap() };
                let file = async {
                    let mut file = blitz_io::fs::File::open(&fifo).await.unwrap();
                    file.read_u8().await.unwrap()
                };
                let ((), byte, _, from_file) = futures::join!(timer, read, accept, file);
                (byte, from_file)
            });
            // It is in flight when another task has had its turn a few times.
            run(&runtime, async {
                blitz_io::spawn(async {
                    for _ in 0..200 {
                        yield_now().await;
                    }
                })
                .await
                .unwrap();
            });
            let stop = Stop::new();
            let stuck = stop.clone();
            let spinning = stick(&runtime, "spins", move || stuck.spin());
            peer.write_all(&[7]).unwrap();
            writer.write_all(&[8]).unwrap();
            let second = std::net::TcpStream::connect(address).unwrap();
            timer.recv_timeout(patient(GUARD)).expect("the timer fires");
            assert_eq!(run(&runtime, waiting).unwrap(), (7, 8));
            assert!(!spinning.is_finished());
            stop.stop();
            run(&runtime, spinning).unwrap();
            all_back(&runtime);
            drop(second);
        }
    });
}

/// Threads that had their workers taken, and end soon after they are back, or, where what they had submitted is still in the
/// ring, stay for that: nothing is lost with them.
#[test]
fn threads_that_end_take_nothing_along() {
    each_ring(|case| {
        let mut builder = builder(case, 1);
        builder.thread_keep_alive(MS);
        let runtime = builder.build().unwrap();
        let address = echo_server(&runtime);
        let mut clients: Vec<_> = (0..20).map(|_| Client::connect(address)).collect();
        clients.iter_mut().for_each(Client::echo);
        let listener = run(&runtime, TcpListener::bind("127.0.0.1:0")).unwrap();
        let second = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        runtime.spawn(async move {
            // A stream of answers, which stands in the ring.
            use futures::StreamExt;
            let mut incoming = std::pin::pin!(listener.incoming());
            while let Some(Ok(_)) = incoming.next().await {
                count.fetch_add(1, SeqCst);
            }
        });
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        for round in 1..=3 {
            let stop = Stop::new();
            let stuck = stop.clone();
            let spinning = stick(&runtime, "spins", move || stuck.spin());
            clients.iter_mut().for_each(Client::echo);
            drop(Client::connect(second));
            until("accepted", || accepted.load(SeqCst) == 2 * round - 1);
            let before = threads();
            stop.stop();
            run(&runtime, spinning).unwrap();
            all_back(&runtime);
            if case.backend == Backend::Epoll {
                // It may be another test's thread that ends: then this round shows less.
                until("a thread has ended", || threads() < before);
            }
            clients.iter_mut().for_each(Client::echo);
            drop(Client::connect(second));
            until("accepted", || accepted.load(SeqCst) == 2 * round);
        }
    });
}

/// What a task does in the rest of its poll, after its worker was taken: all of it is right.
#[test]
fn a_task_that_lost_its_worker_goes_on_as_from_outside() {
    each_ring(|case| {
        let runtime = builder(case, 1).build().unwrap();
        let other = builder(case, 1).build().unwrap();
        let (metrics, elsewhere) = (runtime.metrics(), other.handle().clone());
        let task = runtime.spawn(async move {
            let rescued = || metrics.rescue_count() > 0;
            until("it is rescued", rescued);
            assert_eq!(blitz_io::runtime::worker_index(), None);
            // Timers and sockets that are first polled here, in this poll.
            let mut timer = Box::pin(sleep(200 * MS));
            assert!(futures::poll!(&mut timer).is_pending());
            let listener = {
                let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                std.set_nonblocking(true).unwrap();
                TcpListener::from_std(std).unwrap()
            };
            let address = listener.local_addr().unwrap();
            {
                let mut accept = Box::pin(listener.accept());
                assert!(futures::poll!(&mut accept).is_pending());
            }
            // Spawns, waits for what it spawned without leaving the poll, blocks in place.
            let child = blitz_io::spawn(async {
                sleep(MS).await;
                5
            });
            let handle = blitz_io::runtime::Handle::current();
            assert_eq!(block_in_place(|| handle.block_on(child)).unwrap(), 5);
            let file = block_in_place(|| handle.block_on(blitz_io::fs::read("/proc/self/status")));
            assert!(!file.unwrap().is_empty());
            let there = {
                let _other = elsewhere.enter();
                let mut there = Box::pin(sleep(200 * MS));
                // No await under the guard: it belongs to this thread.
                assert!(futures::FutureExt::now_or_never(&mut there).is_none());
                (there, blitz_io::spawn(async { 6 }))
            };
            let connect = blitz_io::spawn(TcpStream::connect(address));
            // From here on it is polled by whoever is the worker.
            timer.await;
            listener.accept().await.unwrap();
            connect.await.unwrap().unwrap();
            there.0.await;
            assert_eq!(there.1.await.unwrap(), 6);
            // In its next poll at the latest, if it has lost this one to its being without a processor.
            while blitz_io::runtime::worker_index() != Some(0) {
                yield_now().await;
            }
        });
        run(&runtime, task).unwrap();
        all_back(&runtime);
        guarded(GUARD, || {
            drop(runtime);
            drop(other);
        });
    });
}

/// Polls about as long as the threshold: rescues meet every stage of a poll's end, with I/O and timers about.
#[test]
fn rescues_that_race_with_everything() {
    each_ring(|case| {
        let mut builder = case.builder();
        builder
            .worker_threads(2)
            .stuck_report_after(MS / 2)
            .stuck_rescue_after(MS);
        let runtime = builder.build().unwrap();
        let address = echo_server(&runtime);
        let tasks: Vec<_> = (0..8_u32)
            .map(|n| {
                runtime.spawn(async move {
                    let mut socket = TcpStream::connect(address).await.unwrap();
                    for round in 0..25_u32 {
                        let busy = MS / 4 * ((n * 7 + round * 3) % 12);
                        let begun = Instant::now();
                        while begun.elapsed() < busy {
                            std::hint::spin_loop();
                        }
                        socket.write_all(b"ping").await.unwrap();
                        let mut answer = [0; 4];
                        socket.read_exact(&mut answer).await.unwrap();
                        assert_eq!(&answer, b"ping");
                        if round % 5 == 0 {
                            block_in_place(std::thread::yield_now);
                        }
                        sleep(MS / 3).await;
                    }
                })
            })
            .collect();
        run(&runtime, async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        all_back(&runtime);
        guarded(GUARD, || drop(runtime));
    });
}
