//! What this kernel's ring can do, found out by trying, once a process, and quietly.
//!
//! One small ring is opened and thrown away. Where a sandbox forbids rings this is the one call that it sees.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::OnceLock;

use io_uring::{EnterFlags, IoUring, Probe};

use crate::errno;

use super::uring::Ring;
use super::{Cqe, Features, Refusal, Sqe};

/// What the kernel can do.
///
/// # Errors
/// Why there can be no ring; the same answer each time.
pub fn probe() -> Result<&'static Features, Refusal> {
    static FOUND: OnceLock<Result<Features, (String, i32)>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        look().map_err(|refusal| {
            let code = refusal.error.raw_os_error().unwrap_or(libc::EOPNOTSUPP);
            (refusal.step, code)
        })
    });
    found
        .as_ref()
        .map_err(|(step, code)| Refusal::new(step.as_str(), errno::error(*code)))
}

fn look() -> Result<Features, Refusal> {
    let mut ring = Ring::smallest()?;
    let io = ring.io();
    let params = io.params();
    let mut features = Features {
        ext_arg: params.is_feature_ext_arg(),
        no_drop: params.is_feature_nodrop(),
        skip_success: params.is_feature_skip_cqe_on_success(),
        ..Features::default()
    };
    let missing = |what: &str| {
        let error = errno::error(libc::EOPNOTSUPP);
        Err(Refusal::new(format!("finding {what}"), error))
    };
    if !features.ext_arg {
        return missing("waits with a time limit (Linux 5.11)");
    }
    if !features.no_drop {
        return missing("completions that are never dropped (Linux 5.5)");
    }
    let mut probe = Probe::new();
    if io.submitter().register_probe(&mut probe).is_err() {
        return missing("the list of operations (Linux 5.6)");
    }
    features.opcodes = (0..128u8)
        .filter(|code| probe.is_supported(*code))
        .fold(0, |all, code| all | 1 << code);
    features.send_zc = features.has_opcode(super::Opcode::SEND_ZC.0);
    features.no_iowait = takes_no_iowait(io);
    features.multishot_poll = polls_many_times(&mut ring).unwrap_or(false);
    if !features.multishot_poll {
        return missing("polls that answer many times (Linux 5.13)");
    }
    features.cancel_any = cancels_any(&mut ring);
    features.poll_first = polls_first(&mut ring).unwrap_or(false);
    features.multishot_accept = accepts_many_times(&mut ring).unwrap_or(false);
    if let Ok(page) = Page::new() {
        let address = page.0;
        // SAFETY: the page is as long as one entry needs, and outlives the ring's registration.
        features.buffer_ring = unsafe { ring.submissions.register_buf_ring(address, 1, 0) }.is_ok();
        if features.buffer_ring {
            features.multishot_recv = receives_many_times(&mut ring, &page).unwrap_or(false);
            // The ring is closed below, which does the same.
            let _ = ring.submissions.unregister_buf_ring(0);
        }
        // The ring goes first: it may still know the page.
        drop(ring);
    }
    Ok(features)
}

fn takes_no_iowait(io: &IoUring) -> bool {
    let flags = EnterFlags::GETEVENTS | EnterFlags::NO_IOWAIT;
    // SAFETY: no argument is passed, nothing is submitted, nothing is waited for.
    unsafe {
        io.submitter()
            .enter::<libc::sigset_t>(0, 0, flags.bits(), None)
    }
    .is_ok()
}

/// Submits `sqe` and returns its first answer, if it comes at once.
fn answer(ring: &mut Ring, sqe: Sqe) -> Option<Cqe> {
    // SAFETY: the entries tried here name no memory but the page of `receives_many_times`, which stays.
    unsafe { ring.submissions.push(&sqe) };
    ring.submissions.submit();
    let mut answers = Vec::new();
    ring.completions.reap(&mut answers, 16);
    answers
        .into_iter()
        .find(|cqe| cqe.user_data == sqe.get_user_data())
}

fn cancel(ring: &mut Ring, target: u64) {
    answer(ring, Sqe::cancel(target).user_data(u64::MAX));
    let mut rest = Vec::new();
    ring.completions.reap(&mut rest, 16);
}

fn polls_many_times(ring: &mut Ring) -> io::Result<bool> {
    let (socket, _peer) = UnixStream::pair()?;
    let sqe = Sqe::poll_multishot(socket.as_raw_fd(), libc::POLLOUT as u32).user_data(1);
    let works = answer(ring, sqe).is_some_and(|cqe| cqe.result > 0 && !cqe.is_last());
    cancel(ring, 1);
    Ok(works)
}

/// A kernel without it refuses the flag, which stands where every other operation has none.
fn polls_first(ring: &mut Ring) -> io::Result<bool> {
    let (socket, _peer) = UnixStream::pair()?;
    let sqe = Sqe::recv(socket.as_raw_fd(), std::ptr::null_mut(), 0, 0).poll_first();
    let refused = answer(ring, sqe.user_data(5));
    cancel(ring, 5);
    Ok(refused.is_none())
}

fn cancels_any(ring: &mut Ring) -> bool {
    answer(ring, Sqe::cancel_any().user_data(2)).is_some_and(|cqe| cqe.result != -libc::EINVAL)
}

fn accepts_many_times(ring: &mut Ring) -> io::Result<bool> {
    let listener = anonymous_listener()?;
    let fd = listener.as_raw_fd();
    // A kernel without it says so at once; the others have nothing to answer yet.
    let refused = answer(
        ring,
        Sqe::accept_multishot(fd, libc::SOCK_CLOEXEC).user_data(3),
    );
    cancel(ring, 3);
    Ok(refused.is_none())
}

fn anonymous_listener() -> io::Result<UnixListener> {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("blitz-io-probe-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    UnixListener::bind_addr(&address)
}

fn receives_many_times(ring: &mut Ring, page: &Page) -> io::Result<bool> {
    use std::io::Write;
    let (socket, mut peer) = UnixStream::pair()?;
    peer.write_all(b"?")?;
    page.provide_one();
    let sqe = Sqe::recv_multishot(socket.as_raw_fd(), 0).user_data(4);
    let works = answer(ring, sqe).is_some_and(|cqe| cqe.result == 1 && !cqe.is_last());
    cancel(ring, 4);
    Ok(works)
}

/// One page: a buffer ring of one entry at its start, the buffer in its second half.
struct Page(*mut u8);

const PAGE_LEN: usize = 4096;

impl Page {
    fn new() -> io::Result<Self> {
        let layout = Self::layout();
        // SAFETY: the layout is not empty.
        let address = unsafe { std::alloc::alloc_zeroed(layout) };
        if address.is_null() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(Self(address))
    }

    const fn layout() -> std::alloc::Layout {
        match std::alloc::Layout::from_size_align(PAGE_LEN, PAGE_LEN) {
            Ok(layout) => layout,
            Err(_) => unreachable!(),
        }
    }

    /// Fills the entry in: address, length, number; then the ring's tail, which shares its last two bytes.
    fn provide_one(&self) {
        let buffer = self.0.wrapping_add(PAGE_LEN / 2) as u64;
        let entry = self.0.cast::<u64>();
        // SAFETY: the page is ours, aligned, and the kernel reads it only when it is entered.
        unsafe { entry.write_volatile(buffer) };
        let length_and_number = (PAGE_LEN / 2) as u64 | 1 << 48;
        // SAFETY: as above; bits 48.. are the tail: one buffer is there.
        unsafe {
            entry
                .wrapping_add(1)
                .write_volatile(length_and_number.to_le())
        };
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout.
        unsafe { std::alloc::dealloc(self.0, Self::layout()) };
    }
}
