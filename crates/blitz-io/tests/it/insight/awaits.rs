//! What tasks await, as a reader of the inspection socket is told: the kind, the resource, the line.

use std::io;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use blitz_io::fs::File;
use blitz_io::io::AsyncReadExt;
use blitz_io::net::{TcpListener, TcpSocket, TcpStream, splice};
use blitz_io::sync::oneshot;
use blitz_io::task::JoinHandle;
use serde_json::{Value, json};

use crate::harness::{Case, Flavor, GUARD, each_case, patient, run};
use crate::inspect::Reader;

/// Holds the runtime's one worker where it has nothing more to run and has not asked the system yet: no operation ends, and no task
/// moves, until it is let go.
#[derive(Clone, Default)]
struct Hold(Arc<(Mutex<Held>, Condvar)>);

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Held {
    /// It goes where it likes.
    #[default]
    Free,
    /// It stops before its next wait.
    Wanted,
    /// It has stopped.
    Yes,
}

impl Hold {
    fn set(&self, held: Held) {
        *self.0.0.lock().expect("no panic") = held;
        self.0.1.notify_all();
    }

    fn wait_for(&self, wanted: Held) {
        let held = self.0.0.lock().expect("no panic");
        let waited = self
            .0
            .1
            .wait_timeout_while(held, patient(GUARD), |held| *held != wanted);
        assert_eq!(*waited.expect("no panic").0, wanted, "in time");
    }

    /// The worker's hook.
    fn stop_here(&self) {
        if *self.0.0.lock().expect("no panic") == Held::Wanted {
            self.set(Held::Yes);
            self.wait_for(Held::Free);
        }
    }
}

/// One task, and what is to be said of it.
struct Expected {
    task: JoinHandle<()>,
    what: &'static str,
    line: Option<u32>,
    on: Box<dyn Fn(&Value) -> bool + Send>,
}

fn expect(
    task: JoinHandle<()>,
    what: &'static str,
    line: impl Into<Option<u32>>,
    on: impl Fn(&Value) -> bool + Send + 'static,
) -> Expected {
    Expected {
        task,
        what,
        line: line.into(),
        on: Box::new(on),
    }
}

/// Runs `tasks` until they all wait, and asserts that a reader is told what is expected of each.
fn assert_told(case: Case, tasks: impl AsyncFnOnce() -> io::Result<Vec<Expected>>) {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let path = folder.path().join("socket");
    let hold = Hold::default();
    let hook = hold.clone();
    let runtime = case
        .builder()
        .inspect(&path)
        .max_blocking_threads(1)
        .on_thread_park(move || hook.stop_here())
        .build()
        .expect("a runtime with a socket");
    run(&runtime, async {
        // Where there is no ring, this keeps the calls of files from their thread.
        let (release, held) = mpsc::channel::<()>();
        let (said, occupied) = oneshot::channel();
        let blocks = blitz_io::task::spawn_blocking(move || {
            said.send(()).expect("the test waits");
            held.recv().unwrap_or(());
        });
        occupied.await.expect("it runs");
        let expected = tasks().await.expect("the system serves");
        let (told, all_told) = oneshot::channel();
        hold.set(Held::Wanted);
        let reader = thread::spawn({
            let hold = hold.clone();
            move || {
                hold.wait_for(Held::Yes);
                let outcome =
                    std::panic::catch_unwind(AssertUnwindSafe(|| assert_each(&path, &expected)));
                hold.set(Held::Free);
                told.send(()).expect("the test waits");
                (expected, outcome)
            }
        });
        all_told.await.expect("the reader answers");
        let (expected, outcome) = reader.join().expect("no panic");
        for expected in expected {
            expected.task.abort();
        }
        drop(release);
        blocks.await.expect("no panic");
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn assert_each(path: &Path, expected: &[Expected]) {
    let lines = Reader::new(path).get("tasks");
    for Expected {
        task,
        what,
        line,
        on,
    } in expected
    {
        let id = task.id().to_string();
        let mut found = lines.iter().map(|line| &line["task"]);
        let told = found.find(|told| told["id"] == id.as_str());
        let told = told.expect("the task is listed");
        assert_eq!(told["state"], "idle", "{told}");
        assert_eq!(told["awaits"]["what"], *what, "{told}");
        assert!(on(&told["awaits"]["on"]), "{told}");
        let at = told["awaits"]["at"].as_str();
        match line {
            Some(line) => {
                let here = at.and_then(|at| at.split_once("tests/it/insight/awaits.rs:"));
                let (_, place) = here.unwrap_or_else(|| panic!("a line of this file: {told}"));
                let told_line = place.split(':').next().and_then(|line| line.parse().ok());
                assert_eq!(told_line, Some(*line), "{told}");
            }
            None => assert_eq!(at, None, "{told}"),
        }
    }
}

/// The descriptor that a wait is for.
fn descriptor(kind: &'static str, peer: Option<String>) -> impl Fn(&Value) -> bool + Send {
    move |on| on["descriptor"].is_i64() && on["kind"] == kind && on["peer"] == json!(peer)
}

async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

#[test]
fn timers_and_tasks() {
    const LONG: Duration = Duration::from_secs(3600);
    each_case(&[Flavor::CurrentThread], |case| {
        assert_told(case, async || {
            let line = line!() + 1;
            let sleeps = blitz_io::spawn(blitz_io::time::sleep(LONG));
            let is_near = |on: &Value| {
                let left = on["deadline_in_ns"].as_u64().map(Duration::from_nanos);
                left.is_some_and(|left| LONG - GUARD < left && left <= LONG)
            };
            // A handle is a future by itself and not the call of a method: it has no line.
            let other = blitz_io::spawn(std::future::pending());
            let id = other.id().to_string();
            let joins = blitz_io::spawn(async move { other.await.unwrap_or(()) });
            Ok(vec![
                expect(sleeps, "time::sleep", line, is_near),
                expect(joins, "JoinHandle", None, move |on| {
                    on["task"] == id.as_str()
                }),
            ])
        });
    });
}

#[test]
fn sockets() {
    each_case(&[Flavor::CurrentThread], |case| {
        assert_told(case, async || {
            let (mut one, other) = pair().await?;
            let peer = Some(one.peer_addr()?.to_string());
            let line = line!() + 3;
            let reads = blitz_io::spawn(async move {
                let _other = other;
                one.read(&mut [0; 8]).await.map(drop).unwrap_or(());
            });
            let reads = expect(reads, "read", line, descriptor("TcpStream", peer));

            // Whoever connects to a listener whose line is full waits until somebody accepts.
            let listener = TcpSocket::new_v4()?;
            listener.bind("127.0.0.1:0".parse().expect("an address"))?;
            let listener = listener.listen(0)?;
            let address = listener.local_addr()?;
            let first = std::net::TcpStream::connect(address)?;
            let line = line!() + 3;
            let connects = blitz_io::spawn(async move {
                let _ends = (&listener, &first);
                TcpStream::connect(address).await.map(drop).unwrap_or(());
            });
            let on = descriptor("TcpStream", None);
            let connects = expect(connects, "TcpStream::connect", line, on);

            let (from, other) = pair().await?;
            let peer = Some(from.peer_addr()?.to_string());
            let (to, far) = pair().await?;
            let line = line!() + 3;
            let splices = blitz_io::spawn(async move {
                let _ends = (&other, &far);
                splice(&from, &to, u64::MAX).await.map(drop).unwrap_or(());
            });
            let splices = expect(splices, "net::splice", line, descriptor("TcpStream", peer));

            let (mut from, other) = pair().await?;
            let peer = Some(from.peer_addr()?.to_string());
            let line = line!() + 3;
            let copies = blitz_io::spawn(async move {
                let _other = other;
                blitz_io::io::copy(&mut from, &mut Vec::new())
                    .await
                    .map(drop)
                    .unwrap_or(());
            });
            let copies = expect(copies, "copy", line, descriptor("TcpStream", peer));
            Ok(vec![reads, connects, splices, copies])
        });
    });
}

#[test]
fn files() {
    each_case(&[Flavor::CurrentThread], |case| {
        assert_told(case, async || {
            // What cannot be read at once, whatever is cached.
            let file = File::from_std(std::fs::File::open("/proc/self/status")?);
            let line = line!() + 2;
            let reads = blitz_io::spawn(async move {
                file.read_at(Vec::with_capacity(8), 0)
                    .await
                    .0
                    .map(drop)
                    .unwrap_or(());
            });
            let file = File::from_std(tempfile::tempfile()?);
            let line_of_sync = line!() + 2;
            let syncs = blitz_io::spawn(async move {
                file.sync_all().await.unwrap_or(());
            });
            Ok(vec![
                expect(reads, "fs::File::read_at", line, Value::is_null),
                expect(syncs, "fs::File::sync_all", line_of_sync, Value::is_null),
            ])
        });
    });
}
