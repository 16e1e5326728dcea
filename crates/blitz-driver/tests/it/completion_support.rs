//! Futures driven by hand, and buffers that say when they are dropped.

use std::future::Future;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Instant;

use blitz_driver::completion::{Op, Request};
use blitz_driver::{Driver, Registration};
use blitz_io_traits::{IoBuf, IoBufMut};

use crate::support::{Counter, GUARD, idle_operations, register};

/// Turns the driver until `future` is ready; polls it only when it was woken.
#[track_caller]
pub(crate) fn drive<F: Future>(driver: &mut Driver, future: F) -> F::Output {
    let mut future = pin!(future);
    let (counter, waker) = Counter::new();
    let begun = Instant::now();
    let mut polled_at = usize::MAX;
    loop {
        if polled_at != counter.count() {
            polled_at = counter.count();
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
        }
        assert!(begun.elapsed() < GUARD, "it never happened");
        driver.turn(Some(std::time::Duration::from_millis(200)));
    }
}

/// Polls once.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    let (_, waker) = Counter::new();
    future.poll(&mut Context::from_waker(&waker))
}

/// Awaits an operation where there is a ring, else calls it on the spot.
#[track_caller]
pub(crate) fn run<D: Request>(driver: &mut Driver, op: Op<D>) -> D::Output {
    if op.has_ring() {
        drive(driver, op)
    } else {
        op.call()
    }
}

/// Turns until nothing is in flight.
#[track_caller]
pub(crate) fn drain(driver: &mut Driver) {
    let handle = driver.handle().clone();
    crate::support::turn_until(driver, || {
        let in_flight = handle.operations_in_flight();
        in_flight.iter().map(|(_, count)| count).sum::<usize>() == idle_operations()
    });
}

/// A buffer that counts its end.
pub(crate) struct Watched {
    bytes: Vec<u8>,
    dropped: Arc<AtomicUsize>,
}

impl Watched {
    pub(crate) fn new(bytes: Vec<u8>) -> (Self, Arc<AtomicUsize>) {
        let dropped = Arc::new(AtomicUsize::new(0));
        (
            Self {
                bytes,
                dropped: Arc::clone(&dropped),
            },
            dropped,
        )
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.bytes.as_mut_slice().fill(0xdd);
        self.dropped.fetch_add(1, SeqCst);
    }
}

// SAFETY: the bytes are the vector's.
unsafe impl IoBuf for Watched {
    fn stable_ptr(&self) -> *const u8 {
        self.bytes.stable_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.bytes.bytes_init()
    }

    fn bytes_total(&self) -> usize {
        self.bytes.bytes_total()
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Watched {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.stable_mut_ptr()
    }

    unsafe fn set_init(&mut self, n: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.bytes.set_init(n) };
    }
}

/// A registered listener, and its address.
pub(crate) fn listener(driver: &Driver) -> (Registration, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (register(driver, listener), address)
}

/// Whether the peer of `stream` has closed, without waiting.
pub(crate) fn is_closed_by_peer(stream: &TcpStream) -> bool {
    use std::io::Read as _;
    stream.set_nonblocking(true).unwrap();
    match (&mut &*stream).read(&mut [0]) {
        Ok(0) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        Ok(_) => false,
    }
}

/// Whether this process has a descriptor of the file `path`.
pub(crate) fn is_open(path: &std::path::Path) -> bool {
    let numbers = std::fs::read_dir("/proc/self/fd").unwrap();
    numbers
        .flatten()
        .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link == path))
}
