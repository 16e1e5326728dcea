//! The socket from which a running process is read: who may, what it answers, and that no reader harms the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use blitz_io::runtime::{Builder, Runtime};
use serde_json::Value;

use crate::child;
use crate::harness::{FLAVORS, Flavor, GUARD, each_case, guarded, patient, run};

/// A folder for one test's socket.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder of our own")
}

fn inspected(builder: &mut Builder, path: &Path) -> Runtime {
    builder
        .inspect(path)
        .build()
        .expect("a runtime with a socket")
}

/// One reader.
pub(crate) struct Reader(BufReader<UnixStream>);

impl Reader {
    #[track_caller]
    pub(crate) fn new(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("somebody listens");
        stream
            .set_read_timeout(Some(patient(GUARD)))
            .expect("it is open");
        stream
            .set_write_timeout(Some(patient(GUARD)))
            .expect("it is open");
        Self(BufReader::new(stream))
    }

    #[track_caller]
    fn send(&mut self, request: &str) {
        let request = format!("{request}\n");
        self.0
            .get_mut()
            .write_all(request.as_bytes())
            .expect("it is taken");
    }

    /// The next line; `None` once the connection has ended.
    #[track_caller]
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self
            .0
            .read_line(&mut line)
            .expect("an answer comes in time")
        {
            0 => None,
            _ => Some(serde_json::from_str(&line).expect("a line is JSON")),
        }
    }

    /// The lines of one answer without the last, which says how many there were.
    #[track_caller]
    fn answer(&mut self) -> Vec<Value> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().expect("the answer has an end");
            assert!(line.get("error").is_none(), "{line}");
            if line.get("end").is_some() {
                assert_eq!(line["lines"], lines.len());
                return lines;
            }
            lines.push(line);
        }
    }

    #[track_caller]
    pub(crate) fn get(&mut self, what: &str) -> Vec<Value> {
        self.send(&format!("{{\"get\":\"{what}\"}}"));
        self.answer()
    }

    #[track_caller]
    fn refused(&mut self, request: &str) -> String {
        self.send(request);
        let line = self.line().expect("it says why");
        line["error"].as_str().expect("it says why").to_owned()
    }
}

/// The objects of one kind among the lines of an answer.
fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter_map(|line| line.get(kind)).collect()
}

#[test]
fn a_runtime_is_read_on_every_back_end_and_flavour() {
    each_case(&FLAVORS, |case| {
        let folder = folder();
        let path = folder.path().join("socket");
        let runtime = inspected(&mut case.builder(), &path);
        let sleeper =
            runtime.spawn(async { blitz_io::time::sleep(Duration::from_secs(3600)).await });
        run(&runtime, blitz_io::task::yield_now());
        let mut reader = Reader::new(&path);
        let lines = reader.get("runtime");
        let about = &lines[0]["runtime"];
        assert_eq!(about["protocol"], 1);
        assert_eq!(about["process"], std::process::id());
        assert_eq!(about["backend"], case.backend.to_string());
        assert_eq!(about["tasks_alive"], 1, "{about}");
        let workers = runtime.metrics().num_workers();
        for what in ["workers", "rings"] {
            assert_eq!(reader.get(what).len(), workers, "{what}");
        }
        let ring = &reader.get("rings")[0]["ring"];
        assert_eq!(ring["backend"], case.backend.to_string());
        let page = reader.get("prometheus");
        assert!(
            page[0]["prometheus"]
                .as_str()
                .is_some_and(|page| page.contains("blitz_io_workers"))
        );
        let tasks = reader.get("tasks");
        assert_eq!(tasks.len(), 1);
        let task = &tasks[0]["task"];
        assert!(
            task["spawned_at"]
                .as_str()
                .is_some_and(|at| at.contains("inspect.rs")),
            "{task}"
        );
        let dump = reader.get("dump");
        assert!(dump[0]["runtime"].is_object());
        assert_eq!(of_kind(&dump, "task").len(), 1);
        let sites = reader.get("sites");
        assert_eq!(sites[0]["site"]["tasks"], 1, "{sites:?}");
        // A first poll that had no processor would be warned of.
        guarded(GUARD, || {
            while reader.get("tasks")[0]["task"]["state"] != "idle" {
                std::thread::yield_now();
            }
        });
        let warnings = reader.get("warnings");
        assert!(of_kind(&warnings, "warning").is_empty(), "{warnings:?}");
        sleeper.abort();
    });
}

#[test]
fn a_dump_says_what_a_task_does() {
    each_case(&FLAVORS, |case| {
        let folder = folder();
        let path = folder.path().join("socket");
        let runtime = inspected(&mut case.builder(), &path);
        let (said, polled) = std::sync::mpsc::channel();
        let sleeper = blitz_io::task::Builder::new().name("sleeper").spawn_on(
            async move {
                said.send(()).expect("the test waits");
                blitz_io::time::sleep(Duration::from_secs(3600)).await;
            },
            runtime.handle(),
        );
        let sleeper = sleeper.expect("it is spawned");
        run(&runtime, async {
            blitz_io::time::sleep(Duration::from_millis(1)).await
        });
        polled.recv_timeout(patient(GUARD)).expect("it is polled");
        let mut reader = Reader::new(&path);
        // The worker may not be out of the poll yet.
        guarded(GUARD, || {
            loop {
                let dump = reader.get("dump");
                let task = of_kind(&dump, "task")[0];
                assert_eq!(task["name"], "sleeper");
                if task["state"] == "idle" {
                    let says = task["says"].as_str().expect("a sentence");
                    assert!(says.contains("\"sleeper\" idle for"), "{says}");
                    return;
                }
                std::thread::yield_now();
            }
        });
        sleeper.abort();
    });
}

const TRACED: u32 = line!() + 4;
/// What a trace is to name.
#[inline(never)]
async fn traced_by_a_reader() {
    blitz_io::time::sleep(Duration::from_secs(3600)).await;
}

/// The task lines of a trace.
fn trace(reader: &mut Reader, more: &str) -> Vec<Value> {
    reader.send(&format!("{{\"get\":\"trace\"{more}}}"));
    let lines = reader.answer();
    assert!(lines[0]["runtime"].is_object());
    of_kind(&lines, "task").into_iter().cloned().collect()
}

#[test]
fn a_trace_shows_the_stacks_of_tasks() {
    each_case(&FLAVORS, |case| {
        let folder = folder();
        let path = folder.path().join("socket");
        let runtime = inspected(&mut case.builder(), &path);
        let tasks = [(); 3].map(|()| runtime.spawn(traced_by_a_reader()));
        let ask = move || {
            let mut reader = Reader::new(&path);
            let traced = guarded(GUARD, || {
                loop {
                    let traced = trace(&mut reader, ",\"within_ms\":10000");
                    if traced.iter().all(|task| !task["stacks"].is_null()) {
                        return traced;
                    }
                }
            });
            // Nobody is woken but whom the limit admits.
            let stacks = |limit| {
                let tasks = trace(&mut reader, &format!(",\"limit\":{limit}"));
                assert_eq!(tasks.len(), 3);
                let asked = tasks.iter().filter(|task| task.get("stacks").is_some());
                asked.count()
            };
            assert_eq!([0, 1, 3].map(stacks), [0, 1, 3]);
            traced
        };
        let traced = run(&runtime, async {
            blitz_io::task::spawn_blocking(ask).await.expect("no panic")
        });
        assert_eq!(traced.len(), 3);
        for task in traced {
            let stacks = task["stacks"].as_array().expect("a list");
            assert_eq!(stacks.len(), 1, "{task}");
            assert_eq!(stacks[0]["awaits"]["what"], "time::sleep");
            let says = stacks[0]["says"].as_str();
            assert!(says.is_some_and(|says| says.starts_with("time::sleep (in ")));
            let line = format!("tests/it/inspect.rs:{TRACED}");
            let mut frames = stacks[0]["frames"].as_array().expect("a list").iter();
            assert!(
                frames.any(|frame| frame["at"].as_str().is_some_and(|at| at.ends_with(&line))),
                "{task}"
            );
        }
        tasks.iter().for_each(|task| task.abort());
    });
}

#[test]
fn a_task_that_is_not_polled_in_time_is_listed_as_such() {
    each_case(&FLAVORS, |case| {
        let folder = folder();
        let path = folder.path().join("socket");
        let runtime = inspected(&mut case.builder(), &path);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (said, blocks) = std::sync::mpsc::channel();
        let stuck = runtime.spawn(async move {
            said.send(()).expect("the test waits");
            held.recv().unwrap_or(());
        });
        let ask = move || {
            let tasks = trace(&mut Reader::new(&path), ",\"within_ms\":20");
            assert_eq!(tasks.len(), 1);
            assert_eq!(tasks[0].get("stacks"), Some(&Value::Null), "{tasks:?}");
            drop(release);
        };
        if case.flavor == Flavor::CurrentThread {
            // Nobody runs it.
            ask();
            drop(blocks);
            stuck.abort();
        } else {
            blocks.recv_timeout(patient(GUARD)).expect("it is polled");
            ask();
            run(&runtime, stuck).expect("it goes on");
        }
    });
}

#[test]
fn the_socket_is_its_owners_and_goes_away_with_the_runtime() {
    let folder = folder();
    let path = folder.path().join("socket");
    // What a process that died has left is replaced.
    drop(UnixListener::bind(&path).expect("a socket"));
    let runtime = inspected(&mut Builder::new_current_thread(), &path);
    let file = std::fs::symlink_metadata(&path).expect("it is there");
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let mut reader = Reader::new(&path);
    reader.get("runtime");
    drop(runtime);
    assert!(!path.exists());
    assert_eq!(
        reader.line(),
        None,
        "the reader is told by the end of its connection"
    );
}

#[test]
fn a_name_that_is_taken_is_an_error_of_the_builder() {
    let folder = folder();
    let path = folder.path().join("socket");
    let first = inspected(&mut Builder::new_current_thread(), &path);
    let error = Builder::new_multi_thread()
        .inspect(&path)
        .build()
        .expect_err("it is taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains("socket"), "{error}");
    Reader::new(&path).get("runtime");
    drop(first);
    std::fs::write(&path, "precious").expect("the name is free");
    let error = Builder::new_current_thread()
        .inspect(&path)
        .build()
        .expect_err("it is a file");
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(
        std::fs::read_to_string(&path).expect("it is there"),
        "precious"
    );
}

/// A process that wants the name of a socket: it begins when it is told to, says how it went, and ends when its input does.
struct Rival {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Rival {
    fn new(path: &Path) -> Self {
        let script =
            "exec $BLITZ_TEST_RUNNER \"$0\" --exact inspect::child_rival --ignored --nocapture";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .arg(std::env::current_exe().expect("this test"))
            .env("BLITZ_TEST_SOCKET", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let says = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut rival = Self { child, says };
        rival.until("it is ready");
        rival
    }

    /// The rest of the line that has `word` in it.
    fn until(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.says.read_line(&mut line).expect("it says text");
            assert!(read > 0, "it ended before it said `{word}`");
            if let Some((_, rest)) = line.split_once(word) {
                return rest.trim().to_owned();
            }
        }
    }

    fn begin(&mut self) {
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        stdin.write_all(b"go\n").expect("it reads");
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // However it ended: what it had to say was asked for.
        let _ = self.child.wait();
    }
}

/// What a dead process has left goes to one of those who want it at once, and that one is the one who listens.
#[test]
fn one_of_several_processes_gets_the_name_of_a_dead_one() {
    guarded(GUARD, || {
        let folder = folder();
        let path = folder.path().join("socket");
        for _ in 0..3 {
            drop(UnixListener::bind(&path).expect("a socket"));
            let mut rivals = [(); 3].map(|()| Rival::new(&path));
            rivals.iter_mut().for_each(Rival::begin);
            let outcomes = rivals.each_mut().map(|rival| rival.until("outcome: "));
            let won: Vec<_> = outcomes.iter().filter(|said| *said != "lost").collect();
            assert_eq!(won.len(), 1, "{outcomes:?}");
            let about = &Reader::new(&path).get("runtime")[0]["runtime"];
            assert_eq!(about["process"].to_string(), *won[0]);
            drop(rivals);
            assert!(!path.exists());
        }
    });
}

#[test]
#[ignore = "is one of several processes that want one name: run in children by the test that names it"]
fn child_rival() {
    let path = PathBuf::from(std::env::var_os("BLITZ_TEST_SOCKET").expect("it is set"));
    println!("it is ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("it is open");
    let runtime = Builder::new_current_thread().inspect(&path).build();
    match &runtime {
        Ok(_) => println!("outcome: {}", std::process::id()),
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}");
            println!("outcome: lost");
        }
    }
    // Until the others have looked.
    let _ = std::io::stdin().read_line(&mut line);
}

#[test]
fn the_numbers_of_process_and_runtime_may_stand_in_the_name() {
    let folder = folder();
    let runtime = inspected(
        &mut Builder::new_current_thread(),
        &folder.path().join("a-%p-%r%"),
    );
    let name = format!("a-{}-{}%", std::process::id(), runtime.handle().id());
    Reader::new(&folder.path().join(name)).get("runtime");
}

/// Tells who spins to stop, when it is dropped.
struct Stops(Arc<AtomicBool>);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Spins on a worker until it is told to stop.
async fn spin(stop: Arc<AtomicBool>, spins: std::sync::mpsc::Sender<()>) {
    spins.send(()).expect("the test waits");
    while !stop.load(SeqCst) {
        std::hint::spin_loop();
    }
}

#[test]
fn it_is_read_while_every_worker_is_stuck() {
    let folder = folder();
    let path = folder.path().join("socket");
    let runtime = inspected(Builder::new_multi_thread().worker_threads(2), &path);
    let stop = Arc::new(AtomicBool::new(false));
    // Also if the test fails: the runtime waits for its workers.
    let stops = Stops(Arc::clone(&stop));
    let (said, spins) = std::sync::mpsc::channel();
    for _ in 0..2 {
        runtime.spawn(spin(Arc::clone(&stop), said.clone()));
    }
    for _ in 0..2 {
        spins.recv_timeout(patient(GUARD)).expect("it spins");
    }
    let mut reader = Reader::new(&path);
    for what in [
        "runtime",
        "workers",
        "rings",
        "tasks",
        "dump",
        "trace",
        "sites",
        "warnings",
        "prometheus",
    ] {
        reader.get(what);
    }
    let tasks = reader.get("tasks");
    assert!(
        tasks.iter().all(|line| line["task"]["state"] == "running"),
        "{tasks:?}"
    );
    drop(stops);
}

#[test]
fn mistakes_are_answered_and_the_connection_goes_on() {
    let folder = folder();
    let path = folder.path().join("socket");
    let _runtime = inspected(&mut Builder::new_current_thread(), &path);
    let mut reader = Reader::new(&path);
    assert!(reader.refused("what?").contains("JSON"));
    assert!(
        reader
            .refused("{\"get\":\"everything\"}")
            .contains("everything")
    );
    assert!(
        reader
            .refused("{\"get\":\"tasks\",\"evry_ms\":5}")
            .contains("evry_ms")
    );
    reader.get("runtime");
}

#[test]
fn a_request_without_end_is_cut_off() {
    let folder = folder();
    let path = folder.path().join("socket");
    let _runtime = inspected(&mut Builder::new_current_thread(), &path);
    let mut reader = Reader::new(&path);
    reader
        .0
        .get_mut()
        .write_all(&[b'{'; 4096])
        .expect("so much is read");
    let line = reader.line().expect("it says why");
    assert!(
        line["error"]
            .as_str()
            .is_some_and(|why| why.contains("4096")),
        "{line}"
    );
    // Nothing more comes: an end, or a reset if something was left unread.
    assert!(matches!(reader.0.read(&mut [0; 8]), Ok(0) | Err(_)));
}

#[test]
fn a_reader_that_takes_nothing_harms_nobody() {
    each_case(&FLAVORS, |case| {
        let folder = folder();
        let path = folder.path().join("socket");
        let runtime = inspected(&mut case.builder(), &path);
        // Far more is asked for than any buffer holds.
        let mut lazy = UnixStream::connect(&path).expect("somebody listens");
        lazy.set_nonblocking(true).expect("it is open");
        let request = b"{\"get\":\"prometheus\"}\n".repeat(1000);
        let mut asked = 0;
        while let Ok(count @ 1..) = lazy.write(&request[asked % request.len()..]) {
            asked += count;
        }
        assert!(asked > 0);
        let mut other = Reader::new(&path);
        for _ in 0..3 {
            other.get("tasks");
            run(&runtime, async {
                blitz_io::spawn(blitz_io::task::yield_now())
                    .await
                    .expect("tasks run");
            });
        }
        drop(lazy);
    });
}

#[test]
fn one_reader_too_many_is_told_so() {
    let folder = folder();
    let path = folder.path().join("socket");
    let _runtime = inspected(&mut Builder::new_current_thread(), &path);
    let mut readers: Vec<Reader> = (0..16).map(|_| Reader::new(&path)).collect();
    for reader in &mut readers {
        reader.get("runtime");
    }
    let line = Reader::new(&path).line().expect("it says why");
    assert!(
        line["error"]
            .as_str()
            .is_some_and(|why| why.contains("readers")),
        "{line}"
    );
    // When one goes, there is room again. Whoever is turned away may find the connection gone while it asks.
    readers.pop();
    guarded(GUARD, || {
        loop {
            let mut stream = UnixStream::connect(&path).expect("somebody listens");
            let asked = stream.write_all(b"{\"get\":\"runtime\"}\n");
            let mut line = String::new();
            let read = BufReader::new(stream).read_line(&mut line);
            if asked.is_ok() && read.is_ok() && line.starts_with("{\"runtime\"") {
                return;
            }
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_watch_goes_on_until_the_reader_says_a_word() {
    let folder = folder();
    let path = folder.path().join("socket");
    let runtime = inspected(&mut Builder::new_current_thread(), &path);
    let mut reader = Reader::new(&path);
    reader.send("{\"get\":\"watch\",\"every_ms\":50}");
    for _ in 0..3 {
        let lines = reader.answer();
        assert_eq!(lines.len(), 3, "runtime, worker, ring");
        run(&runtime, blitz_io::task::yield_now());
    }
    reader.send("");
    // A round may be on its way; then it is quiet, and requests are answered again.
    reader.send("{\"get\":\"workers\"}");
    guarded(GUARD, || while reader.answer().len() != 1 {});
}

#[test]
fn the_environment_names_a_socket_for_each_runtime() {
    let folder = folder();
    let path = folder.path().join("socket");
    let path = path.to_str().expect("it is text");
    child::run(
        &format!("export BLITZ_IO_INSPECT='{path}'"),
        "inspect::child_environment",
    );
}

#[test]
#[ignore = "reads an environment of its own: run in a child by `the_environment_names_a_socket_for_each_runtime`"]
fn child_environment() {
    let path = PathBuf::from(std::env::var("BLITZ_IO_INSPECT").expect("it is set"));
    let first = Builder::new_current_thread().build().expect("a runtime");
    let second = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime");
    let id = |path: &Path| Reader::new(path).get("runtime")[0]["runtime"]["id"].clone();
    assert_eq!(id(&path), first.handle().id().to_string());
    let beside = format!(
        "{}.{}.{}",
        path.display(),
        std::process::id(),
        second.handle().id()
    );
    let beside = PathBuf::from(beside);
    assert_eq!(id(&beside), second.handle().id().to_string());
    drop((first, second));
    assert!(!path.exists() && !beside.exists());
}

#[test]
fn what_the_environment_cannot_have_stops_no_program() {
    let setup = "export BLITZ_IO_INSPECT=/no/such/folder/socket";
    child::run(setup, "inspect::child_no_such_folder");
}

#[test]
#[ignore = "reads an environment of its own: run in a child by `what_the_environment_cannot_have_stops_no_program`"]
fn child_no_such_folder() {
    let runtime = Builder::new_current_thread()
        .build()
        .expect("a runtime all the same");
    assert_eq!(runtime.block_on(async { 1 + 1 }), 2);
}
