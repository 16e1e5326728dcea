//! Counting wakers, drivers of each back end, and waits with a generous guard.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use blitz_driver::completion::receive;
use blitz_driver::{Backend, Clock, Config, Driver, Registration, RingUse};

/// Nothing here takes this long unless it hangs.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// Counts how often it was woken.
#[derive(Default)]
pub(crate) struct Counter(AtomicUsize);

impl Counter {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let counter = Arc::new(Self::default());
        (Arc::clone(&counter), Waker::from(counter))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Every way to set a driver up that this machine allows.
pub(crate) fn configs() -> Vec<Config> {
    let ring = |ring| Config {
        backend: Some(Backend::IoUring),
        ring,
        ..Config::default()
    };
    let all = [
        ring(RingUse::Shared),
        ring(RingUse::SingleThread),
        Config {
            backend: Some(Backend::Epoll),
            ..Config::default()
        },
    ];
    all.into_iter()
        .filter(|config| config.backend == Some(Backend::Epoll) || ring_allowed())
        .collect()
}

/// Whether this machine has rings at all.
pub(crate) fn ring_allowed() -> bool {
    blitz_sys::completion::probe().is_ok()
}

thread_local! {
    static IDLE_OPERATIONS: Cell<usize> = const { Cell::new(0) };
}

/// So many operations of the driver under test are there only to be there.
pub(crate) fn idle_operations() -> usize {
    IDLE_OPERATIONS.get()
}

/// Runs `test` with a bound driver of each kind.
///
/// The ring beside a selector has two turns: without operations, where the selector waits, and with one that never ends,
/// where the ring does.
pub(crate) fn on_each(test: impl Fn(&mut Driver)) {
    for config in configs() {
        eprintln!("on {:?}, {:?}", config.backend, config.ring);
        let two_wait = config.backend == Some(Backend::IoUring) && config.ring == RingUse::Shared;
        let mut driver = Driver::new(config.clone()).unwrap();
        driver.bind();
        test(&mut driver);
        drop(driver);
        if two_wait {
            eprintln!("the same with an operation in flight");
            let clock = Clock::default();
            let mut driver = Driver::new(Config { clock, ..config }).unwrap();
            driver.bind();
            let (idle, _peer) = UnixStream::pair().unwrap();
            let buffer: Vec<u8> = Vec::with_capacity(1);
            let mut op = receive(driver.handle(), Arc::new(idle), buffer, true);
            let polled = Pin::new(&mut op).poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            IDLE_OPERATIONS.set(1);
            test(&mut driver);
            IDLE_OPERATIONS.set(0);
            driver.shutdown();
        }
    }
}

/// Runs `test` with a bound driver on the ring, if there are rings here.
pub(crate) fn on_ring(config: Config, test: impl FnOnce(&mut Driver)) {
    if !ring_allowed() {
        eprintln!("no rings on this machine: nothing tested");
        return;
    }
    let config = Config {
        backend: Some(Backend::IoUring),
        ..config
    };
    let mut driver = Driver::new(config).unwrap();
    driver.bind();
    test(&mut driver);
}

/// Runs `test` where an event tells of a change: everywhere but on poll(2), which reports once and is asked again.
pub(crate) fn on_each_edge(test: impl Fn(&mut Driver)) {
    on_each(|driver| {
        if driver.handle().is_ring() || blitz_sys::readiness::EDGE {
            test(driver);
        }
    });
}

/// Turns until `done`.
#[track_caller]
pub(crate) fn turn_until(driver: &mut Driver, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < GUARD, "it never happened");
        driver.turn(Some(Duration::from_millis(200)));
    }
}

/// Delivers what is there already.
pub(crate) fn turn_now(driver: &mut Driver) {
    for _ in 0..4 {
        driver.turn(Some(Duration::ZERO));
    }
}

/// A registered end and a plain one of a pair of sockets, neither blocking.
pub(crate) fn pair(driver: &Driver) -> (Registration, UnixStream) {
    let (mine, peer) = UnixStream::pair().unwrap();
    mine.set_nonblocking(true).unwrap();
    peer.set_nonblocking(true).unwrap();
    (register(driver, mine), peer)
}

/// The same over TCP.
pub(crate) fn tcp_pair(driver: &Driver) -> (Registration, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mine, _) = listener.accept().unwrap();
    mine.set_nonblocking(true).unwrap();
    (register(driver, mine), peer)
}

pub(crate) fn register(driver: &Driver, fd: impl Into<OwnedFd>) -> Registration {
    Registration::new(Arc::new(fd.into()), driver.handle().clone())
}

/// Reads from a registration's descriptor, once.
pub(crate) fn read(registration: &Registration, buffer: &mut [u8]) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let fd = registration.fd().as_raw_fd();
    // SAFETY: the buffer is as long as said.
    let read = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Writes to a registration's descriptor, once.
pub(crate) fn write(registration: &Registration, bytes: &[u8]) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let fd = registration.fd().as_raw_fd();
    // SAFETY: the bytes are as many as said.
    let written = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}
