//! Everything at once on a kernel that fails: sockets on every face, files, timers, accepts, cancels, and a runtime dropped in
//! the midst of it, with faults that a seed draws, in the ring and at the calls of the readiness path. No byte is lost or comes
//! twice, no descriptor and no buffer is left, and nothing hangs.
//!
//! A failure names its seed; `BLITZ_FAULT_SEED=n cargo test -p blitz-io --test it faults` repeats those faults, and
//! `BLITZ_FAULT_SEEDS=100` tries so many.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use blitz_io::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, IoBuf, IoBufMut};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::{Backend, Runtime};
use blitz_io::{fs, task, time};
use blitz_sys::completion::Faults;
use blitz_sys::completion::faults::Plan;
use blitz_sys::errno::{EAGAIN, ECANCELED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM};
use blitz_sys::readiness::faults::{Call, Plan as CallPlan};
use blitz_sys::stack;

use crate::child;
use crate::harness::{Case, FLAVORS, backends, guarded, patient};

/// What operations are refused with. Whoever is told of one asks again, also where the table does not promise that it helps.
const REFUSALS: [i32; 8] = [
    EAGAIN, EINTR, ECANCELED, EPERM, ENOMEM, ENOBUFS, EMFILE, ENFILE,
];
/// Of a thousand operations so many meet a fault.
const PER_MILLE: u32 = 80;
const CONNECTIONS: usize = 8;
const LIMIT: Duration = Duration::from_secs(480);

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    match (number("BLITZ_FAULT_SEED"), number("BLITZ_FAULT_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (0..count).collect(),
        (None, None) => (1..=4).collect(),
    }
}

/// The number of this error, or of the one that it explains.
fn number(error: &io::Error) -> Option<i32> {
    let mut error: &(dyn std::error::Error + 'static) = error;
    loop {
        let io = error.downcast_ref::<io::Error>();
        if let Some(number) = io.and_then(io::Error::raw_os_error) {
            return Some(number);
        }
        let inner = io.and_then(io::Error::get_ref);
        error = match inner {
            Some(inner) => inner,
            None => error.source()?,
        };
    }
}

/// Whether it is one of those that were injected.
fn is_injected(error: &io::Error) -> bool {
    number(error).is_some_and(|number| REFUSALS.contains(&number))
}

/// Does it until it is done or fails by itself.
macro_rules! again {
    ($call:expr) => {{
        let mut tries = 0;
        loop {
            match $call {
                Err(error) if is_injected(&error) && tries < 1000 => tries += 1,
                done => break done,
            }
        }
    }};
}

/// Buffers that are counted.
static ALIVE: AtomicIsize = AtomicIsize::new(0);

struct Counted(Vec<u8>);

impl Counted {
    fn new(bytes: Vec<u8>) -> Self {
        ALIVE.fetch_add(1, SeqCst);
        Self(bytes)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, SeqCst);
    }
}

// SAFETY: the bytes are the vector's.
unsafe impl IoBuf for Counted {
    fn stable_ptr(&self) -> *const u8 {
        self.0.stable_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.0.bytes_init()
    }

    fn bytes_total(&self) -> usize {
        self.0.bytes_total()
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Counted {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.stable_mut_ptr()
    }

    unsafe fn set_init(&mut self, n: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.0.set_init(n) };
    }
}

/// Bytes that say whose they are.
fn pattern(who: usize, len: usize) -> Vec<u8> {
    (0..len)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8 ^ who as u8)
        .collect()
}

/// Sends back what comes, by one face or another.
async fn echo(mut stream: TcpStream, face: usize) -> io::Result<()> {
    let mut buf = Counted::new(Vec::with_capacity(2048));
    loop {
        match face {
            0 => {
                // The tokio-shaped face never tells of a fault: it is tried again where it belongs.
                let mut bytes = [0; 2048];
                let n = stream.read(&mut bytes).await?;
                if n == 0 {
                    return Ok(());
                }
                stream.write_all(&bytes[..n]).await?;
                continue;
            }
            1 => {
                let view = again!(stream.recv_lease().await)?;
                if view.is_empty() {
                    return Ok(());
                }
                stream.write_all(&view).await?;
                continue;
            }
            _ => {}
        }
        buf.0.clear();
        let received;
        (received, buf) = stream.read_owned(buf).await;
        let len = match received {
            Err(error) if is_injected(&error) => continue,
            received => received?,
        };
        if len == 0 {
            return Ok(());
        }
        let mut sent = 0;
        while sent < len {
            let part = buf.slice(sent..len);
            let (done, part) = if face == 2 {
                stream.write_owned(part).await
            } else {
                stream.send_zc(part).await
            };
            buf = part.into_inner();
            match done {
                Err(error) if is_injected(&error) => {}
                done => sent += done?,
            }
        }
    }
}

/// Sends what is its own and looks whether it comes back.
async fn client(addr: std::net::SocketAddr, who: usize) -> io::Result<()> {
    let stream = again!(TcpStream::connect(addr).await)?;
    let bytes = pattern(who, 60_000 + who * 1_111);
    let (mut reads, mut writes) = stream.into_split();
    let expected = bytes.clone();
    let writer = task::spawn(async move {
        for chunk in bytes.chunks(1 + who * 997) {
            writes.write_all(chunk).await?;
        }
        writes.shutdown().await?;
        io::Result::Ok(writes)
    });
    let mut got = Vec::new();
    reads.read_to_end(&mut got).await?;
    assert!(
        got == expected,
        "client {who}: {} of {} bytes",
        got.len(),
        expected.len()
    );
    drop(writer.await.map_err(io::Error::other)??);
    Ok(())
}

/// A connection on which nothing ever comes: reads of every face are begun and given up, and lose nothing.
async fn canceller(addr: std::net::SocketAddr) -> io::Result<()> {
    let stream = again!(TcpStream::connect(addr).await)?;
    for n in 0..40 {
        let limit = Duration::from_micros(50 * (n % 7));
        let buf = Counted::new(vec![0; 64]);
        if n % 2 == 0 {
            if let Ok((received, _)) = time::timeout(limit, stream.read_owned(buf)).await {
                let told = received.expect_err("nothing was sent");
                assert!(is_injected(&told), "{told:?}");
            }
        } else {
            let _ = time::timeout(limit, stream.recv_lease()).await;
        }
    }
    Ok(())
}

/// Writes, reads, moves and removes, by whole files, at positions, and through a buffered `File`.
async fn files(dir: &Path, who: usize) -> io::Result<()> {
    for round in 0..6 {
        let bytes = pattern(who * 10 + round, 3_000 + round * 5_000);
        let (path, moved) = (dir.join(format!("{who}")), dir.join(format!("{who}-moved")));
        again!(fs::write(&path, &bytes).await)?;
        assert!(
            again!(fs::read(&path).await)? == bytes,
            "{who}: written and read whole"
        );

        let file = again!(fs::File::options().read(true).write(true).open(&path).await)?;
        let mut at = 0;
        while at < 1_000 {
            let part = Counted::new(vec![round as u8; 1_000 - at]);
            let (written, _) = file.write_at(part, 500 + at as u64).await;
            at += again_later(written)?;
        }
        let mut got = Vec::new();
        while got.len() < 1_000 {
            let part = Counted::new(Vec::with_capacity(1_000 - got.len()));
            let (read, part) = file.read_at(part, 500 + got.len() as u64).await;
            again_later(read)?;
            got.extend_from_slice(&part.0);
        }
        assert!(
            got.iter().all(|byte| *byte == round as u8),
            "{who}: at its position"
        );
        ranges(&file, who).await?;
        drop(file);
        let linked = dir.join(format!("{who}-linked"));
        again!(fs::hard_link(&path, &linked).await)?;
        again!(fs::remove_file(&linked).await)?;
        again!(fs::symlink(&path, &linked).await)?;
        let mut entries = again!(fs::read_dir(dir).await)?;
        while again!(entries.next_entry().await)?.is_some() {}
        again!(fs::remove_file(&linked).await)?;

        // What is in the buffer is written behind the caller's back: if that fails for good its bytes are gone, a later call
        // tells, and all of it is written anew.
        while let Err(error) = through_a_buffer(&path, &bytes).await {
            if number(&error) != Some(EPERM) {
                return Err(error);
            }
        }
        again!(fs::rename(&path, &moved).await)?;
        assert!(
            again!(fs::read(&moved).await)? == bytes,
            "{who}: through a file's buffer"
        );
        again!(fs::remove_file(&moved).await)?;
    }
    Ok(())
}

/// Several buffers at a position, and what is said of ranges.
async fn ranges(file: &fs::File, who: usize) -> io::Result<()> {
    let halves = [vec![who as u8; 100], vec![!who as u8; 100]];
    let mut parts = halves.clone().map(Counted::new).into();
    loop {
        let written;
        (written, parts) = file.write_vectored_at(parts, 200).await;
        // A part alone is written again with the other.
        if again_later(written)? == 200 {
            break;
        }
    }
    loop {
        let rooms = (0..2).map(|_| Counted::new(Vec::with_capacity(100)));
        let (read, rooms) = file.read_vectored_at(rooms.collect(), 200).await;
        if again_later(read)? == 200 {
            assert!(
                rooms[0].0 == halves[0] && rooms[1].0 == halves[1],
                "{who}: in parts"
            );
            break;
        }
    }
    again!(file.fadvise(0, 0, fs::Advice::WillNeed).await)?;
    again!(file.sync_file_range(0, 0, fs::WriteBack::Begin).await)?;
    let mode = fs::FallocateMode::KeepSize;
    match again!(file.fallocate(mode, 0, 10_000).await) {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        done => done,
    }
}

/// Writes a file in small pieces, asking again for what says that it may succeed then.
async fn through_a_buffer(path: &Path, bytes: &[u8]) -> io::Result<()> {
    macro_rules! unless_refused {
        ($call:expr) => {
            again!(match $call {
                Err(error) if number(&error) == Some(EPERM) => return Err(error),
                done => done,
            })
        };
    }
    let mut file = again!(fs::File::create(path).await)?;
    for chunk in bytes.chunks(777) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let n = unless_refused!(file.write(rest).await)?;
            rest = &rest[n..];
        }
    }
    unless_refused!(file.flush().await)?;
    again!(file.sync_all().await)?;
    assert!(again!(file.stream_position().await)? == bytes.len() as u64);
    Ok(())
}

/// Nothing, of a call that was refused.
fn again_later(done: io::Result<usize>) -> io::Result<usize> {
    match done {
        Err(error) if is_injected(&error) => Ok(0),
        done => done,
    }
}

async fn timers() {
    for n in 0..60 {
        let (begun, wait) = (Instant::now(), Duration::from_micros(n * 37 % 2_000));
        time::sleep(wait).await;
        assert!(begun.elapsed() >= wait, "early");
    }
}

/// Hands each connection to a task of its own, by streams of connections or one by one.
async fn serve(listener: TcpListener, by_stream: bool) -> io::Result<()> {
    let mut incoming = listener.incoming();
    loop {
        // A stream takes connections ahead: the two ways are not mixed on one listener.
        let accepted = if by_stream {
            again!(incoming.accept().await)
        } else {
            again!(listener.accept().await)
        };
        let (stream, _) = accepted?;
        task::spawn(async move {
            let face = stream.as_raw_fd() as usize % 4;
            if let Err(error) = echo(stream, face).await {
                // The canceller breaks its connection off with bytes unread.
                assert_eq!(
                    error.kind(),
                    ErrorKind::ConnectionReset,
                    "face {face}: {error}"
                );
            }
        });
    }
}

/// One part of the load, which says which it is if it fails or hangs.
async fn named(name: &str, part: impl Future<Output = io::Result<()>>) {
    match time::timeout(patient(LIMIT / 4), part).await {
        Ok(done) => done.unwrap_or_else(|error| panic!("{name}: {error:?}")),
        Err(_) => panic!("{name} hangs"),
    }
}

async fn load(dir: &Path) {
    let mut servers = Vec::new();
    let mut addrs = Vec::new();
    for by_stream in [false, true] {
        let listener = again!(TcpListener::bind("127.0.0.1:0").await).unwrap();
        addrs.push(listener.local_addr().unwrap());
        servers.push(task::spawn(serve(listener, by_stream)));
    }
    let mut all = task::JoinSet::new();
    for who in 0..CONNECTIONS {
        let addr = addrs[who % 2];
        all.spawn(named("a client", client(addr, who)));
        if who % 4 < 2 {
            all.spawn(named("a canceller", canceller(addr)));
            let dir = dir.to_owned();
            all.spawn(named("files", async move { files(&dir, who).await }));
            all.spawn(named("timers", async {
                timers().await;
                Ok(())
            }));
        }
    }
    // Tasks that are ended in the midst of whatever they do.
    let aborted: Vec<_> = (0..6)
        .map(|who| {
            let dir = dir.join(format!("aborted-{who}"));
            task::spawn(async move {
                again!(fs::create_dir(&dir).await).unwrap();
                loop {
                    files(&dir, who).await.unwrap();
                }
            })
        })
        .collect();
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    for task in aborted {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    for server in servers {
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
    }
}

/// Leaves operations of every kind behind, in flight, for the end of the runtime.
async fn leave_behind(dir: &Path) {
    let listener = again!(TcpListener::bind("127.0.0.1:0").await).unwrap();
    let addr = listener.local_addr().unwrap();
    for n in 0..20 {
        let (mine, peer) = (
            again!(TcpStream::connect(addr).await).unwrap(),
            again!(listener.accept().await),
        );
        let peer = peer.unwrap().0;
        let dir = dir.join(format!("left-{n}"));
        task::spawn(async move {
            // Nothing comes but a refusal, or that the runtime ends.
            let buf = Counted::new(vec![0; 128]);
            let received = if n % 2 == 0 {
                again!(mine.read_owned(Counted::new(vec![0; 8])).await.0)
            } else {
                again!(mine.recv_lease().await).map(|view| view.len())
            };
            assert!(received.is_err(), "{received:?} came from {peer:?}");
            drop(buf);
        });
        task::spawn(async move {
            // Until the end of the runtime, which some call or other is told of.
            if again!(fs::create_dir(&dir).await).is_ok() {
                while files(&dir, n).await.is_ok() {}
            }
        });
        task::spawn(time::sleep(Duration::from_secs(3600)));
    }
    for _ in 0..10 {
        task::yield_now().await;
    }
}

fn under_faults(case: Case, seed: u64) {
    let plan = Plan::random(seed, PER_MILLE).refusing(&REFUSALS);
    let mut builder = case.builder();
    builder
        .ring_submission_entries(16)
        .ring_completion_entries(32);
    let runtime: Runtime = builder
        .driver_faults(Faults::Plan(plan.clone()))
        .build()
        .unwrap();
    // Not at registering: the tokio-shaped face is told of that in the midst of a `write_all`.
    let calls = CallPlan::random(seed, PER_MILLE).sparing(&[Call::Watch]);
    let in_use = calls.install();
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    guarded(LIMIT, || {
        runtime.block_on(load(dir.path()));
        runtime.block_on(leave_behind(dir.path()));
    });
    let loaded = begun.elapsed();
    let begun = Instant::now();
    guarded(LIMIT, || drop(runtime));
    drop(in_use);
    let took = begun.elapsed();
    let injected = plan.injected();
    let count = plan.injected_count();
    let at_calls = calls.injected_count();
    eprintln!(
        "{case}, seed {seed}: {count} faults, {at_calls} at calls, done in {loaded:?}, dropped in {took:?}"
    );
    let kinds = calls.injected();
    assert!(
        at_calls > 50 && kinds.len() > 4,
        "{at_calls} faults at calls: {kinds:?}"
    );
    if case.backend == Backend::IoUring {
        let kinds = injected.len();
        assert!(
            count > 100 && kinds > 20,
            "{count} faults of {kinds} kinds: {injected:?}"
        );
    }
}

#[test]
#[ignore = "counts the process's descriptors: run in a child by `under_load_no_fault_loses_or_leaks_anything`"]
fn under_load_in_a_child() {
    // What is made once a process is there before.
    for backend in backends() {
        for flavor in FLAVORS {
            let case = Case { backend, flavor };
            case.runtime().block_on(async {
                drop(fs::read("/dev/null").await);
                drop(TcpListener::bind("127.0.0.1:0").await);
            });
        }
    }
    // So are the places for stacks: a worker is asked for its own where a poll takes long, as on a slow machine, and where the
    // kernel copies none directly, as under an emulator, each place has a pipe for good.
    let here = blitz_sys::cpu::thread_id().unwrap();
    drop(stack::ask(stack::DEFAULT_SIGNAL, here).unwrap());
    let before = child::open_descriptors();
    for seed in seeds() {
        for backend in backends() {
            for flavor in FLAVORS {
                let case = Case { backend, flavor };
                let run = std::panic::AssertUnwindSafe(|| under_faults(case, seed));
                let failed = std::panic::catch_unwind(run).is_err();
                assert!(!failed, "{case} failed with BLITZ_FAULT_SEED={seed}");
                let (now, alive) = (child::open_descriptors(), ALIVE.load(SeqCst));
                if now > before {
                    tell_what_is_open(before);
                }
                assert_eq!(
                    (now, alive),
                    (before, 0),
                    "descriptors and buffers after {case} with BLITZ_FAULT_SEED={seed}"
                );
            }
        }
    }
}

/// Says which descriptors are there beyond `before`, and whether they stay: for who reads the failure.
fn tell_what_is_open(before: usize) {
    let begun = Instant::now();
    eprintln!("open: {:#?}", child::names_of_descriptors());
    while child::open_descriptors() > before {
        if begun.elapsed() > patient(Duration::from_secs(2)) {
            eprintln!(
                "after {:?}: {:#?}",
                begun.elapsed(),
                child::names_of_descriptors()
            );
            return;
        }
        std::thread::yield_now();
    }
    eprintln!("all were closed {:?} later", begun.elapsed());
}

#[test]
fn under_load_no_fault_loses_or_leaks_anything() {
    child::run_long("faults::under_load_in_a_child");
}

/// The same plan is the same, and other seeds are others: checked where the plan is, and here that the runtime is given it.
#[test]
fn a_runtime_without_faults_has_none() {
    let plan = Plan::random(1, 1000);
    for backend in backends() {
        let mut builder = blitz_io::runtime::Builder::new_current_thread();
        let runtime = builder
            .driver_backend(backend)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { drop(fs::read("/dev/null").await) });
    }
    assert_eq!(plan.injected_count(), 0);
    drop(Arc::new(plan));
}
