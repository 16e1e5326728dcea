//! Operations keep what the kernel works on until its last answer, whatever becomes of the future and of the driver.
//!
//! No sanitizer sees what a kernel writes. So here the test is the kernel (`blitz_sys::completion::faults`): it writes
//! late, twice, or after everyone has gone; and it is run with an allocator that gives each allocation pages of its own,
//! which can never be touched again once it is freed. Memory that an operation lets go of too early ends the process: hence
//! each test runs in a child, and two that are wrong on purpose show that the harness sees it.

// Where `blitz-sys` has rings.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CString;
use std::fs::File;
use std::future::Future;
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use blitz_driver::completion::{
    Accepts, BufferConfig, BufferPool, FixedPool, Leases, Links, Op, Outcome, Request, ToFill,
    ToWrite, accept, advise, allocate, close, connect, link, make_dir, open, read_at, read_fixed,
    read_vectored_at, receive, rename, send, send_zc, send_zc_vectored, shut_down, splice, stat,
    symlink, sync, sync_range, truncate, unlink, write_at, write_fixed, write_vectored_at,
};
use blitz_driver::{Backend, Config, Driver, Handle, Registration, RingUse};
use blitz_sys::completion::faults::{Kernel, Mercy};
use blitz_sys::completion::{Faults, Opcode, Sqe, cqe_flags};
use blitz_sys::file::{Advice, WriteBack};

#[allow(dead_code, reason = "a part of it is used here")]
#[path = "it/child.rs"]
mod own;

// The allocator.

const PAGE: usize = 4096;
/// Address space for what is allocated while the guard is on; none of it is used twice.
const SPACE: usize = 16 << 30;

struct Guarded {
    is_on: AtomicBool,
    space: AtomicUsize,
    used: AtomicUsize,
}

#[global_allocator]
static MEMORY: Guarded = Guarded {
    is_on: AtomicBool::new(false),
    space: AtomicUsize::new(0),
    used: AtomicUsize::new(0),
};

impl Guarded {
    /// From now on each allocation has pages of its own.
    fn begin(&self) {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: new address space.
        let space =
            unsafe { libc::mmap(std::ptr::null_mut(), SPACE, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(space, libc::MAP_FAILED, "{}", io::Error::last_os_error());
        self.space.store(space.addr(), Relaxed);
        self.is_on.store(true, Relaxed);
    }

    fn pages(layout: Layout) -> usize {
        layout.size().max(1).next_multiple_of(PAGE)
    }

    fn protect(start: usize, len: usize, protection: libc::c_int) -> bool {
        // SAFETY: pages of our own space.
        unsafe { libc::mprotect(start as *mut _, len, protection) == 0 }
    }
}

// SAFETY: each allocation has pages of its own, at whose end it stands, aligned; what is not of our space is the system's.
unsafe impl GlobalAlloc for Guarded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !self.is_on.load(Relaxed) || layout.align() > PAGE {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        }
        let len = Self::pages(layout);
        // One page more, which stays closed.
        let at = self.used.fetch_add(len + PAGE, Relaxed);
        let start = self.space.load(Relaxed) + at;
        let open = libc::PROT_READ | libc::PROT_WRITE;
        if at + len + PAGE > SPACE || !Self::protect(start, len, open) {
            return std::ptr::null_mut();
        }
        let from_end = layout.size().max(1).next_multiple_of(layout.align());
        (start + len - from_end) as *mut u8
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let space = self.space.load(Relaxed);
        if space == 0 || !(space..space + SPACE).contains(&memory.addr()) {
            // SAFETY: the caller's promise.
            return unsafe { System.dealloc(memory, layout) };
        }
        let start = memory.addr() & !(PAGE - 1);
        let closed = Self::protect(start, Self::pages(layout), libc::PROT_NONE);
        assert!(closed, "what is freed can be closed");
    }
}

// Children.

/// Runs the ignored test `name` alone in a process of its own.
fn child(name: &str) -> (ExitStatus, String) {
    let output = own::own_program()
        .args([
            "--exact",
            name,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        // Under a sanitizer too, an access to closed memory ends the process by its signal.
        .envs(["ASAN_OPTIONS", "TSAN_OPTIONS"].map(|name| (name, "handle_segv=0:handle_sigbus=0")))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn passes(name: &str) {
    let (status, text) = child(name);
    assert!(
        status.success() && text.contains("1 passed"),
        "{name}: {status}\n{text}"
    );
}

#[track_caller]
fn is_caught(name: &str) {
    let (status, text) = child(name);
    let signal = status.signal();
    assert!(
        signal == Some(libc::SIGSEGV) || signal == Some(libc::SIGBUS),
        "{name}: {status}\n{text}"
    );
}

// The kernel.

/// Far longer than anything here takes: who waits longer waits in vain.
const GUARD: Duration = Duration::from_secs(60);

/// Drivers that give up soon what does not end.
fn drivers() -> impl Iterator<Item = (Driver, Kernel)> {
    drivers_draining_for(Duration::from_millis(20))
}

fn drivers_draining_for(drain_limit: Duration) -> impl Iterator<Item = (Driver, Kernel)> {
    [RingUse::SingleThread, RingUse::Shared]
        .into_iter()
        .map(move |ring| {
            let kernel = Kernel::new();
            let config = Config {
                backend: Some(Backend::IoUring),
                ring,
                buffers: BufferConfig {
                    count: 4,
                    size: 64,
                    ..BufferConfig::default()
                },
                drain_limit,
                faults: Some(Faults::Kernel(kernel.clone())),
                ..Config::default()
            };
            let mut driver = Driver::new(config).unwrap();
            driver.bind();
            (driver, kernel)
        })
}

fn turn(driver: &mut Driver) {
    for _ in 0..3 {
        driver.turn(Some(Duration::ZERO));
    }
}

/// Does what the kernel would, and looks whether the descriptor is still the operation's.
#[track_caller]
fn work(kernel: &Kernel, sqe: &Sqe, byte: u8) {
    // SAFETY: if it is not, the child ends here, and its parent says so.
    unsafe { kernel.touch(sqe, byte) };
    if sqe.get_fd() >= 0 && sqe.opcode() != Opcode::CLOSE {
        // SAFETY: no memory is passed.
        let open = unsafe { libc::fcntl(sqe.get_fd(), libc::F_GETFD) };
        assert!(
            open >= 0,
            "{}: its descriptor was closed",
            sqe.opcode().name()
        );
    }
}

/// The last answer to `sqe`, a success, with the work before each part of it; `deliver` has the driver read what there is.
fn succeed(kernel: &Kernel, sqe: &Sqe, mut deliver: impl FnMut()) {
    work(kernel, sqe, 0xa5);
    let len = sqe.operands().1 as i32;
    let result = match sqe.opcode() {
        Opcode::SEND_ZC | Opcode::SENDMSG_ZC => {
            kernel.answer(sqe, 1, cqe_flags::MORE);
            deliver();
            assert!(kernel.is_read());
            // The network still has it.
            work(kernel, sqe, 0xa5);
            return kernel.answer(sqe, 0, cqe_flags::NOTIF);
        }
        Opcode::OPENAT | Opcode::ACCEPT => File::open("/dev/null").unwrap().into_raw_fd(),
        Opcode::CLOSE => {
            // SAFETY: no memory is passed; the operation gave it to us to close.
            unsafe { libc::close(sqe.get_fd()) }
        }
        Opcode::POLL_ADD => 1,
        Opcode::READ | Opcode::READ_FIXED | Opcode::RECV => len,
        Opcode::READV => 40,
        Opcode::WRITE | Opcode::WRITE_FIXED | Opcode::SEND | Opcode::SPLICE => len,
        _ => 0,
    };
    kernel.answer(sqe, result, 0);
}

// The operations.

/// An operation, whatever it owns and gives.
trait Flight {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    fn detach(self: Box<Self>);
}

impl<D: Request> Flight for Op<D> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(self).poll(cx).map(drop)
    }

    fn detach(self: Box<Self>) {
        (*self).detach();
    }
}

fn path(name: &str) -> CString {
    CString::new(format!("/nowhere/{name}")).unwrap()
}

fn null() -> Arc<File> {
    Arc::new(
        File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap(),
    )
}

/// One of each kind that names memory or a descriptor. Polls are real with this kernel and name no memory.
fn operations(handle: &Handle, fixed: &FixedPool) -> Vec<Box<dyn Flight>> {
    let bytes = || b"bytes that are sent".to_vec();
    let lease = || fixed.pool().try_lease().unwrap();
    let filled = || {
        let mut lease = lease();
        lease.as_mut_slice().fill(1);
        lease
    };
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    vec![
        Box::new(read_at(handle, null(), vec![0; 100], Some(0))),
        Box::new(read_at(
            handle,
            null(),
            bytes::BytesMut::from(&[0_u8; 9][..]),
            None,
        )),
        Box::new(write_at(handle, null(), bytes(), Some(0))),
        Box::new(read_fixed(fixed, null(), lease(), 0)),
        Box::new(write_fixed(fixed, null(), filled(), 0)),
        Box::new(read_vectored_at(
            handle,
            null(),
            ToFill::new(vec![vec![0; 10], Vec::new(), Vec::with_capacity(30)]),
            0,
        )),
        Box::new(write_vectored_at(
            handle,
            null(),
            ToWrite::new(vec![bytes(), Vec::new(), bytes()]),
            0,
        )),
        Box::new(sync(handle, null(), false)),
        Box::new(sync_range(handle, null(), 0, 1, WriteBack::Begin)),
        Box::new(advise(handle, null(), 0, 1, Advice::WillNeed)),
        Box::new(truncate(handle, null(), 1)),
        Box::new(allocate(handle, null(), 0, 0, 1)),
        Box::new(close(
            handle,
            OwnedFd::from(File::open("/dev/null").unwrap()),
        )),
        Box::new(open(handle, path("opened"), 0, 0)),
        Box::new(stat(handle, path("asked about"), false)),
        Box::new(rename(handle, path("from"), path("to"), 0)),
        Box::new(link(handle, path("original"), path("linked"))),
        Box::new(symlink(handle, path("target"), path("symlink"))),
        Box::new(unlink(handle, path("unlinked"), false)),
        Box::new(make_dir(handle, path("made"), 0)),
        Box::new(receive(handle, null(), vec![0; 33], true)),
        Box::new(send(handle, null(), bytes())),
        Box::new(send_zc(handle, null(), bytes())),
        Box::new(send_zc_vectored(
            handle,
            null(),
            vec![bytes(), Vec::new(), bytes()],
        )),
        Box::new(accept(handle, null())),
        Box::new(connect(handle, null(), address.into())),
        Box::new(shut_down(handle, null(), 1)),
        Box::new(splice(handle, (null(), None), (null(), None), 8)),
    ]
}

const KINDS: usize = 28;

/// A driver with one of each operation in its kernel's hands; `each` has them all, and what they are held by.
fn in_flight(test: impl FnMut(Driver, Kernel, Vec<Box<dyn Flight>>, Vec<Sqe>)) {
    in_flight_on(drivers(), test);
}

fn in_flight_on(
    drivers: impl Iterator<Item = (Driver, Kernel)>,
    mut test: impl FnMut(Driver, Kernel, Vec<Box<dyn Flight>>, Vec<Sqe>),
) {
    for (mut driver, kernel) in drivers {
        let handle = driver.handle().clone();
        let pool = BufferPool::new(4, 64);
        let fixed = FixedPool::register(&handle, &pool).unwrap();
        let mut flights = operations(&handle, &fixed);
        let mut cx = Context::from_waker(Waker::noop());
        for flight in &mut flights {
            assert!(flight.poll(&mut cx).is_pending());
        }
        turn(&mut driver);
        let held = kernel.held();
        assert_eq!((held.len(), flights.len()), (KINDS, KINDS));
        // Nothing of ours keeps the driver's table.
        drop((fixed, pool, handle));
        test(driver, kernel, flights, held);
    }
}

#[test]
#[ignore = "watches the memory of its process: run in a child by the test that names it"]
fn kept_while_the_future_waits() {
    MEMORY.begin();
    in_flight(|mut driver, kernel, mut flights, held| {
        // Twice: what a short read does that is done again inside the kernel.
        for byte in [1, 2] {
            held.iter().for_each(|sqe| work(&kernel, sqe, byte));
        }
        held.iter()
            .for_each(|sqe| succeed(&kernel, sqe, || turn(&mut driver)));
        turn(&mut driver);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(
            flights
                .iter_mut()
                .all(|flight| flight.poll(&mut cx).is_ready())
        );
        assert!(driver.handle().operations_in_flight().is_empty());
    });
}

#[test]
#[ignore = "watches the memory of its process: run in a child by the test that names it"]
fn kept_after_the_future_until_a_late_answer() {
    MEMORY.begin();
    for mercy in [Mercy::TooLate, Mercy::Deaf] {
        in_flight(|mut driver, kernel, flights, held| {
            kernel.set_mercy(mercy);
            drop(flights);
            for byte in [1, 2] {
                turn(&mut driver);
                held.iter().for_each(|sqe| work(&kernel, sqe, byte));
            }
            // Half of them were cancelled in the end, half succeeded.
            for (n, sqe) in held.iter().enumerate() {
                if n % 2 == 0 {
                    succeed(&kernel, sqe, || turn(&mut driver));
                } else {
                    work(&kernel, sqe, 3);
                    kernel.answer(sqe, -libc::ECANCELED, 0);
                }
            }
            turn(&mut driver);
            assert!(driver.handle().operations_in_flight().is_empty());
        });
    }
}

#[test]
#[ignore = "watches the memory of its process: run in a child by the test that names it"]
fn kept_after_it_was_detached_or_forgotten() {
    MEMORY.begin();
    in_flight(|mut driver, kernel, flights, held| {
        for (n, flight) in flights.into_iter().enumerate() {
            if n % 2 == 0 {
                flight.detach();
            } else {
                std::mem::forget(flight);
            }
        }
        turn(&mut driver);
        held.iter().for_each(|sqe| work(&kernel, sqe, 1));
        held.iter()
            .for_each(|sqe| succeed(&kernel, sqe, || turn(&mut driver)));
        turn(&mut driver);
        assert!(driver.handle().operations_in_flight().is_empty());
    });
}

#[test]
#[ignore = "watches the memory of its process: run in a child by the test that names it"]
fn kept_for_ever_if_no_answer_comes() {
    MEMORY.begin();
    for mercy in [Mercy::TooLate, Mercy::Deaf] {
        // The futures go first, or the driver does.
        in_flight(|driver, kernel, flights, held| {
            kernel.set_mercy(mercy);
            drop(flights);
            drop(driver);
            held.iter().for_each(|sqe| work(&kernel, sqe, 1));
        });
        in_flight(|mut driver, kernel, mut flights, held| {
            kernel.set_mercy(mercy);
            driver.shutdown();
            held.iter().for_each(|sqe| work(&kernel, sqe, 1));
            let mut cx = Context::from_waker(Waker::noop());
            for flight in &mut flights {
                assert!(
                    flight.poll(&mut cx).is_pending(),
                    "what is not over gives nothing back"
                );
            }
            drop((driver, flights));
            held.iter().for_each(|sqe| work(&kernel, sqe, 2));
        });
    }
}

#[test]
#[ignore = "watches the memory of its process: run in a child by the test that names it"]
fn kept_until_the_shutdown_has_its_last_answer() {
    MEMORY.begin();
    // However long the other thread is kept from its processor, the shutdown waits for it.
    in_flight_on(
        drivers_draining_for(GUARD),
        |mut driver, kernel, flights, held| {
            kernel.set_mercy(Mercy::TooLate);
            drop(flights);
            // Another thread is the kernel, while this one waits in the shutdown.
            let answers = {
                let kernel = kernel.clone();
                std::thread::spawn(move || {
                    for sqe in &held {
                        work(&kernel, sqe, 1);
                        succeed(&kernel, sqe, || {
                            let begun = Instant::now();
                            while !kernel.is_read() {
                                assert!(begun.elapsed() < GUARD, "nobody reads the answer");
                                std::thread::yield_now();
                            }
                        });
                    }
                })
            };
            driver.shutdown();
            answers.join().unwrap();
        },
    );
}

#[test]
#[ignore = "watches the memory of its process: run in a child by the test that names it"]
fn kept_by_each_of_a_chain() {
    MEMORY.begin();
    for (mut driver, kernel) in drivers() {
        kernel.set_mercy(Mercy::TooLate);
        let handle = driver.handle().clone();
        let mut chain = read_at(&handle, null(), vec![0; 10], Some(0))
            .link(write_at(&handle, null(), vec![7; 20], Some(0)))
            .link(sync(&handle, null(), true));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut chain).poll(&mut cx).is_pending());
        turn(&mut driver);
        let held = kernel.held();
        assert_eq!(held.len(), 3);
        drop(chain);
        turn(&mut driver);
        for sqe in &held {
            work(&kernel, sqe, 1);
            succeed(&kernel, sqe, || turn(&mut driver));
        }
        turn(&mut driver);
        assert!(driver.handle().operations_in_flight().is_empty());
    }
}

/// A provided buffer is the kernel's until it is taken, also when the stream, or the driver, has gone.
#[test]
#[ignore = "watches the memory of its process: run in a child by the test that names it"]
fn kept_for_a_stream_of_bytes() {
    MEMORY.begin();
    let brings = |number: u16| cqe_flags::BUFFER | u32::from(number) << 16;
    for (mut driver, kernel) in drivers() {
        let (mine, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        mine.set_nonblocking(true).unwrap();
        let socket = Registration::new(Arc::new(mine.into()), driver.handle().clone());
        let leases = Leases::new();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(leases.poll_next(&mut cx, &socket).is_pending());
        turn(&mut driver);
        let [receive] = kernel.held()[..] else {
            panic!("one receive is armed")
        };

        // SAFETY: the group is registered.
        let pick = |byte| unsafe { kernel.pick(64, byte) }.expect("a buffer is free");
        kernel.answer(&receive, 64, brings(pick(1)) | cqe_flags::MORE);
        turn(&mut driver);
        let Poll::Ready(Ok(view)) = leases.poll_next(&mut cx, &socket) else {
            panic!("bytes have come");
        };
        // One waits for its reader, one is in the kernel's hands when the reader goes.
        kernel.answer(&receive, 64, brings(pick(2)) | cqe_flags::MORE);
        turn(&mut driver);
        let late = pick(3);
        kernel.set_mercy(Mercy::TooLate);
        drop(leases);
        turn(&mut driver);
        kernel.answer(&receive, 64, brings(late) | cqe_flags::MORE);
        turn(&mut driver);
        // All but the one that is out came home: three more can be picked, and not a fourth.
        let again = [pick(4), pick(5), pick(6)];
        // SAFETY: as above.
        let fourth = unsafe { kernel.pick(64, 7) };
        assert_eq!(fourth, None, "a buffer that is out was lent again");
        assert!(
            view.iter().all(|byte| *byte == 1),
            "what is read was written over"
        );
        kernel.answer(&receive, 64, brings(again[0]) | cqe_flags::MORE);
        turn(&mut driver);
        drop((socket, driver));
        // The last answer never came: the group stays for ever.
        // SAFETY: as above.
        assert!(unsafe { kernel.pick(64, 8) }.is_some());
        assert!(view.iter().all(|byte| *byte == 1));
    }
}

/// What is accepted for a stream that is gone is closed, and its listener stays open until the last answer.
#[test]
#[ignore = "watches the memory of its process: run in a child by the test that names it"]
fn kept_for_a_stream_of_connections() {
    MEMORY.begin();
    for (mut driver, kernel) in drivers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = Registration::new(Arc::new(listener.into()), driver.handle().clone());
        let accepts = Accepts::new();
        let mut cx = Context::from_waker(Waker::noop());
        let mut stream = accepts.stream(&listener);
        assert!(stream.poll_next(&mut cx).is_pending());
        turn(&mut driver);
        let [accept] = kernel.held()[..] else {
            panic!("one accept is armed")
        };
        let (reader, writer) = io::pipe().unwrap();
        kernel.set_mercy(Mercy::TooLate);
        drop(stream);
        drop((accepts, listener));
        turn(&mut driver);
        work(&kernel, &accept, 0);
        kernel.answer(
            &accept,
            OwnedFd::from(writer).into_raw_fd(),
            cqe_flags::MORE,
        );
        turn(&mut driver);
        let end = io::Read::read(&mut &reader, &mut [0]).unwrap();
        assert_eq!(end, 0, "the connection that nobody takes is open");
        work(&kernel, &accept, 0);
        kernel.answer(&accept, -libc::ECANCELED, 0);
        turn(&mut driver);
        assert!(driver.handle().operations_in_flight().is_empty());
        // SAFETY: no memory is passed.
        let left = unsafe { libc::fcntl(accept.get_fd(), libc::F_GETFD) };
        assert!(left < 0, "the listener was left open");
    }
}

// Wrong on purpose.

/// Frees its buffer as soon as the entry is made.
struct EarlyFree(Option<Vec<u8>>);

// SAFETY: none: it breaks the contract, which is what the harness has to see.
unsafe impl Request for EarlyFree {
    type Output = ();
    const OPCODE: Opcode = Opcode::READ;

    fn entry(&mut self) -> Sqe {
        let mut buffer = self.0.take().unwrap();
        Sqe::read(0, buffer.as_mut_ptr(), buffer.len() as u32, 0)
    }

    fn call(&mut self) -> i32 {
        0
    }

    fn finish(self, _outcome: io::Result<Outcome>) {}
}

/// Names a buffer that is its future's neighbour and goes with it, as a future that borrows would.
struct Borrows(*mut u8, u32);

// SAFETY: none, as above.
unsafe impl Send for Borrows {}

// SAFETY: none, as above.
unsafe impl Request for Borrows {
    type Output = ();
    const OPCODE: Opcode = Opcode::READ;

    fn entry(&mut self) -> Sqe {
        Sqe::read(0, self.0, self.1, 0)
    }

    fn call(&mut self) -> i32 {
        0
    }

    fn finish(self, _outcome: io::Result<Outcome>) {}
}

#[test]
#[ignore = "kills its process on purpose: run in a child by the test that names it"]
fn planted_a_buffer_freed_at_once() {
    MEMORY.begin();
    let (mut driver, kernel) = drivers().next().unwrap();
    let mut op = Op::new(driver.handle(), EarlyFree(Some(vec![0; 64])));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut op).poll(&mut cx).is_pending());
    turn(&mut driver);
    work(&kernel, &kernel.held()[0], 1);
}

#[test]
#[ignore = "kills its process on purpose: run in a child by the test that names it"]
fn planted_a_buffer_freed_with_its_future() {
    MEMORY.begin();
    let (mut driver, kernel) = drivers().next().unwrap();
    kernel.set_mercy(Mercy::TooLate);
    let mut buffer = vec![0; 64];
    let mut op = Op::new(driver.handle(), Borrows(buffer.as_mut_ptr(), 64));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut op).poll(&mut cx).is_pending());
    turn(&mut driver);
    let held = kernel.held();
    // While the future lives nothing is wrong.
    work(&kernel, &held[0], 1);
    drop((op, buffer));
    turn(&mut driver);
    work(&kernel, &held[0], 2);
}

#[test]
fn every_operation_keeps_what_the_kernel_works_on_until_its_last_answer() {
    for name in [
        "kept_while_the_future_waits",
        "kept_after_the_future_until_a_late_answer",
        "kept_after_it_was_detached_or_forgotten",
        "kept_for_ever_if_no_answer_comes",
        "kept_until_the_shutdown_has_its_last_answer",
        "kept_by_each_of_a_chain",
        "kept_for_a_stream_of_bytes",
        "kept_for_a_stream_of_connections",
    ] {
        passes(name);
    }
}

#[test]
fn memory_freed_too_early_is_seen() {
    is_caught("planted_a_buffer_freed_at_once");
    is_caught("planted_a_buffer_freed_with_its_future");
}
