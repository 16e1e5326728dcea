//! The list of tasks: states, and what each leaf says that it waits for.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt, Interest};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::dump::{Target, TaskInfo, TaskState};
use blitz_io::runtime::{Handle, Runtime};
use blitz_io::task::{self, JoinHandle, JoinSet, yield_now};
use blitz_io::time;

use super::{until, until_outside};
use crate::harness::{Flavor, each_case, on_every, run};

const LONG: Duration = Duration::from_secs(3600);

fn info(id: task::Id) -> TaskInfo {
    let tasks = Handle::current().tasks();
    let task = tasks.into_iter().find(|task| task.id == id);
    task.expect("the task is alive")
}

/// Waits until the task waits, and returns what for.
async fn awaited(task: &JoinHandle<()>) -> TaskInfo {
    until("it waits", || {
        let info = info(task.id());
        info.state == TaskState::Idle && info.polls > 0 && info.awaits.is_some()
    })
    .await;
    info(task.id())
}

/// Asserts that the task waits in `what`, at a line of the caller's file, and ends it.
#[track_caller]
pub(super) fn assert_waits(
    task: JoinHandle<()>,
    what: &str,
    line: u32,
) -> impl Future<Output = Option<Target>> {
    let place = std::panic::Location::caller();
    async move {
        let info = awaited(&task).await;
        let awaits = info.awaits.clone().expect("looked at above");
        assert_eq!(awaits.what, what, "{place}: {info}");
        let at = awaits
            .at
            .unwrap_or_else(|| panic!("{place}: no line: {info}"));
        assert_eq!(at.file(), place.file(), "{place}: {info}");
        assert_eq!(at.line(), line, "{place}: {info}");
        let text = info.to_string();
        assert!(
            text.contains(what) && text.contains(&at.to_string()),
            "{text}"
        );
        task.abort();
        awaits.on
    }
}

async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

#[test]
fn timers_say_until_when() {
    on_every(|runtime| {
        run(runtime, async {
            let line = line!() + 1;
            let sleep = blitz_io::spawn(async { time::sleep(LONG).await });
            let on = assert_waits(sleep, "time::sleep", line).await;
            let Some(Target::Deadline { left }) = on else {
                panic!("{on:?}")
            };
            assert!(LONG - Duration::from_secs(60) < left && left <= LONG);

            let line = line!() + 3;
            let ticks = blitz_io::spawn(async {
                let mut ticks = time::interval_at(time::Instant::now() + LONG, LONG);
                ticks.tick().await;
            });
            let on = assert_waits(ticks, "Interval::tick", line).await;
            assert!(matches!(on, Some(Target::Deadline { .. })), "{on:?}");

            // A timeout says what it is around, unless that says nothing.
            let line = line!() + 2;
            let inner = blitz_io::spawn(async {
                time::timeout(LONG, time::sleep(2 * LONG)).await.ok();
            });
            assert_waits(inner, "time::sleep", line).await;
            let line = line!() + 2;
            let unknown = blitz_io::spawn(async {
                time::timeout(LONG, std::future::pending::<()>()).await.ok();
            });
            assert_waits(unknown, "time::timeout of something unknown", line).await;
        });
    });
}

#[test]
fn sockets_say_which_and_to_whom() {
    on_every(|runtime| {
        run(runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let line = line!() + 2;
            let accept = blitz_io::spawn(async move {
                listener.accept().await.map(drop).unwrap_or(());
            });
            let on = assert_waits(accept, "TcpListener::accept", line).await;
            assert!(
                matches!(
                    on,
                    Some(Target::Descriptor {
                        kind: "TcpListener",
                        peer: None,
                        ..
                    })
                ),
                "{on:?}"
            );

            let (mut one, other) = pair().await?;
            let peer = Some(one.peer_addr()?.to_string());
            let line = line!() + 2;
            let read = blitz_io::spawn(async move {
                one.read(&mut [0; 8]).await.map(drop).unwrap_or(());
            });
            let on = assert_waits(read, "read", line).await;
            let Some(Target::Descriptor { kind, peer: to, .. }) = on else {
                panic!("{on:?}")
            };
            assert_eq!((kind, to), ("TcpStream", peer));
            drop(other);

            let (mut one, _other) = pair().await?;
            let line = line!() + 2;
            let write = blitz_io::spawn(async move {
                one.write_all(&vec![1; 64 << 20]).await.unwrap_or(());
            });
            assert_waits(write, "write_all", line).await;

            let (one, _other) = pair().await?;
            let line = line!() + 2;
            let ready = blitz_io::spawn(async move {
                one.ready(Interest::READABLE).await.map(drop).unwrap_or(());
            });
            assert_waits(ready, "TcpStream::ready", line).await;

            let (one, _other) = pair().await?;
            let line = line!() + 2;
            let owned = blitz_io::spawn(async move {
                one.read_owned(vec![0; 8]).await.0.map(drop).unwrap_or(());
            });
            assert_waits(owned, "TcpStream::read_owned", line).await;

            let (one, _other) = pair().await?;
            let line = line!() + 2;
            let leased = blitz_io::spawn(async move {
                one.recv_lease().await.map(drop).unwrap_or(());
            });
            assert_waits(leased, "TcpStream::recv_lease", line).await;

            let (one, _other) = pair().await?;
            let (mut half, _write) = one.into_split();
            let line = line!() + 2;
            let peek = blitz_io::spawn(async move {
                half.peek(&mut [0; 8]).await.map(drop).unwrap_or(());
            });
            assert_waits(peek, "TcpStream::peek", line).await;
            io::Result::Ok(())
        })
        .expect("sockets work");
    });
}

#[test]
fn other_leaves_say_what_they_are() {
    use blitz_io::io::unix::AsyncFd;
    use blitz_io::signal::unix::{SignalKind, signal};
    use std::os::unix::net::UnixStream;

    on_every(|runtime| {
        run(runtime, async {
            let (one, _other) = UnixStream::pair()?;
            one.set_nonblocking(true)?;
            let fd = AsyncFd::new(one)?;
            let line = line!() + 2;
            let readable = blitz_io::spawn(async move {
                fd.readable().await.map(drop).unwrap_or(());
            });
            let on = assert_waits(readable, "AsyncFd::readable", line).await;
            assert!(
                matches!(
                    on,
                    Some(Target::Descriptor {
                        kind: "UnixStream",
                        ..
                    })
                ),
                "{on:?}"
            );

            let mut usr2 = signal(SignalKind::user_defined2())?;
            let line = line!() + 2;
            let hears = blitz_io::spawn(async move {
                usr2.recv().await;
            });
            let on = assert_waits(hears, "Signal::recv", line).await;
            let number = SignalKind::user_defined2().as_raw_value();
            assert_eq!(on, Some(Target::Signal { number }));

            let line = line!() + 4;
            let set = blitz_io::spawn(async {
                let mut set = JoinSet::new();
                set.spawn(std::future::pending::<()>());
                set.join_next().await;
            });
            let on = assert_waits(set, "JoinSet::join_next", line).await;
            assert_eq!(on, Some(Target::Number(1)));

            let line = line!() + 2;
            let scope = blitz_io::spawn(async {
                task::scope(|scope| async move {
                    scope.spawn(std::future::pending::<()>());
                })
                .await;
            });
            let on = assert_waits(scope, "task::scope", line).await;
            assert_eq!(on, Some(Target::Number(1)));

            // A file that nobody writes to: opening it takes as long as that takes.
            let dir = tempfile::tempdir()?;
            let fifo = dir.path().join("fifo");
            let made = std::process::Command::new("mkfifo").arg(&fifo).status()?;
            assert!(made.success());
            let path = fifo.clone();
            let line = line!() + 2;
            let open = blitz_io::spawn(async move {
                blitz_io::fs::read(&path).await.map(drop).unwrap_or(());
            });
            assert_waits(open, "fs::read", line).await;
            // Lets the thread that opens go on.
            drop(std::fs::OpenOptions::new().write(true).open(&fifo)?);
            io::Result::Ok(())
        })
        .expect("the system serves");
    });
}

#[test]
fn locks_and_channels_say_which() {
    use blitz_io::sync::{Mutex, mpsc, oneshot};

    on_every(|runtime| {
        run(runtime, async {
            let mutex = Arc::new(Mutex::new(()));
            let held = mutex.lock().await;
            let line = line!() + 4;
            let waiting = [(); 2].map(|()| {
                let mutex = Arc::clone(&mutex);
                blitz_io::spawn(async move {
                    drop(mutex.lock().await);
                })
            });
            let mut objects = Vec::new();
            for task in waiting {
                objects.push(assert_waits(task, "Mutex::lock", line).await);
            }
            assert!(matches!(objects[0], Some(Target::Object { .. })));
            assert_eq!(objects[0], objects[1], "they wait for the same lock");
            drop(held);

            let (_sender, mut receiver) = mpsc::channel::<u8>(1);
            let line = line!() + 2;
            let receives = blitz_io::spawn(async move {
                receiver.recv().await;
            });
            assert_waits(receives, "mpsc::Receiver::recv", line).await;

            let (_sender, receiver) = oneshot::channel::<u8>();
            let line = line!() + 2;
            let receives = blitz_io::spawn(async move {
                receiver.await.map(drop).unwrap_or(());
            });
            assert_waits(receives, "oneshot::Receiver", line).await;
        });
    });
}

#[test]
fn who_waits_for_a_task_says_which() {
    on_every(|runtime| {
        run(runtime, async {
            let inner = blitz_io::spawn(std::future::pending::<()>());
            let (id, abort) = (inner.id(), inner.abort_handle());
            let outer = blitz_io::spawn(async move { inner.await.unwrap_or(()) });
            let awaits = awaited(&outer).await.awaits.expect("it waits");
            assert_eq!(awaits.what, "JoinHandle");
            assert_eq!(awaits.on, Some(Target::Task { id: id.as_u64() }));
            abort.abort();

            let (release, held) = mpsc::channel::<()>();
            let call = task::spawn_blocking(move || held.recv().unwrap_or(()));
            let outer = blitz_io::spawn(async move { call.await.unwrap_or(()) });
            let awaits = awaited(&outer).await.awaits.expect("it waits");
            assert_eq!(awaits.what, "JoinHandle of a blocking call");
            drop(release);
            outer.await.expect("no panic");
        });
    });
}

#[test]
fn states_are_what_they_are() {
    on_every(|runtime| {
        run(runtime, async {
            let lost = blitz_io::spawn(std::future::pending::<()>());
            until("it waits for something unknown", || {
                let info = info(lost.id());
                info.state == TaskState::Idle && info.polls == 1 && info.awaits.is_none()
            })
            .await;
            let idle = info(lost.id());
            assert!(idle.to_string().contains("in something unknown"), "{idle}");
            assert_eq!((idle.wakers, idle.has_join_handle), (0, true));
            assert!(
                idle.bytes > 0 && idle.since < Duration::from_secs(60),
                "{idle:?}"
            );
            lost.abort();

            let named = task::Builder::new()
                .name("by name")
                .spawn(async {
                    for _ in 0..10 {
                        yield_now().await;
                    }
                    let me = task::id();
                    let tasks = Handle::current().tasks();
                    let own = tasks.iter().find(|task| task.id == me);
                    let own = own.expect("it is alive");
                    assert_eq!(own.state, TaskState::Running);
                    assert_eq!(own.name.as_deref(), Some("by name"));
                    assert_eq!((own.polls, own.self_wakes), (11, 10));
                })
                .expect("spawned");
            named.await.expect("no assertion failed");
        });
    });
}

/// A list stops nobody: polls are counted while it is made, more than fit between its caller's looks at the count.
#[test]
fn tasks_go_on_while_they_are_listed() {
    const POLLS: u64 = 100;
    each_case(&[Flavor::MultiThread, Flavor::ThreadPerCore], |case| {
        let runtime = case.runtime();
        let polls = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&polls);
        let counting = runtime.spawn(async move {
            loop {
                // Through the lists that are being read, too.
                blitz_io::spawn(async {}).await.expect("no panic");
                counts.fetch_add(1, Relaxed);
            }
        });
        let others: Vec<_> = (0..20_000)
            .map(|_| runtime.spawn(std::future::pending::<()>()))
            .collect();
        until_outside("tasks are polled during a list", || {
            let before = polls.load(Relaxed);
            let listed = runtime.handle().tasks().len();
            assert!(listed > others.len());
            polls.load(Relaxed) - before >= POLLS
        });
        counting.abort();
        others.iter().for_each(JoinHandle::abort);
    });
}

/// While others come and go, each task that stays is listed once.
#[test]
fn a_list_is_complete_whatever_goes_on() {
    fn lists(runtime: &Runtime) {
        run(runtime, async {
            let mut staying: Vec<_> = (0..2_000)
                .map(|_| blitz_io::spawn(std::future::pending::<()>()))
                .collect();
            let churn: Vec<_> = (0..4)
                .map(|_| {
                    blitz_io::spawn(async {
                        loop {
                            let short: Vec<_> =
                                (0..100).map(|_| blitz_io::spawn(yield_now())).collect();
                            for task in short {
                                task.await.expect("no panic");
                            }
                        }
                    })
                })
                .collect();
            let handle = Handle::current();
            let lister =
                std::thread::spawn(move || (0..20).map(|_| handle.tasks()).collect::<Vec<_>>());
            until("the lists are made", || lister.is_finished()).await;
            for list in lister.join().expect("no panic") {
                let mut ids: Vec<_> = list.iter().map(|task| task.id).collect();
                ids.sort_unstable();
                assert!(
                    ids.windows(2).all(|pair| pair[0] != pair[1]),
                    "one is there twice"
                );
                for task in &staying {
                    assert!(ids.binary_search(&task.id()).is_ok(), "one is missing");
                }
            }
            churn.iter().for_each(JoinHandle::abort);
            staying.drain(..).for_each(|task| task.abort());
        });
    }
    on_every(lists);
}
