//! No ring at all: a kernel that the test is.
//!
//! Entries are taken and held. The test sees them, touches the memory that they name as the kernel would, answers when it
//! likes, or never; how cancels fare is its choice, too. Polls alone are real, by an epoll of ours, so that a driver's bell
//! rings. One ring a kernel.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering::Acquire};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::completion::{Cqe, Entered, Features, Opcode, Refusal, Sqe, cqe_flags, sqe_flags};
use crate::errno::{self, EALREADY, ECANCELED, EINVAL, ENOENT};

/// How many entries its queue holds.
const CAPACITY: usize = 256;
/// How long one look at its epoll lasts at most, so that answers of other threads are seen.
const STEP_MS: i32 = 2;

/// What becomes of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mercy {
    /// The target answers that it was cancelled.
    Obeys,
    /// The target is running and will answer in its own time.
    TooLate,
    /// The target was not found, and will answer all the same.
    Deaf,
}

/// The kernel of one ring, for its test. Clones are one kernel.
#[derive(Clone)]
pub struct Kernel(Arc<Mutex<State>>);

struct State {
    queue: VecDeque<Sqe>,
    held: Vec<Sqe>,
    answers: VecDeque<Cqe>,
    mercy: Mercy,
    polls: Vec<Option<Sqe>>,
    epoll: Option<OwnedFd>,
    buffers: Option<Buffers>,
}

/// A ring of provided buffers.
struct Buffers {
    address: *mut u8,
    mask: u16,
    head: u16,
}

// SAFETY: an address that its registrar keeps valid; used under the lock.
unsafe impl Send for Buffers {}

impl Default for Kernel {
    fn default() -> Self {
        Self::new()
    }
}

impl Kernel {
    /// A kernel that has nothing, and obeys cancels.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            queue: VecDeque::new(),
            held: Vec::new(),
            answers: VecDeque::new(),
            mercy: Mercy::Obeys,
            polls: Vec::new(),
            epoll: None,
            buffers: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on cancels fare so.
    pub fn set_mercy(&self, mercy: Mercy) {
        self.state().mercy = mercy;
    }

    /// The entries that it has taken and not answered for the last time; polls are not among them.
    pub fn held(&self) -> Vec<Sqe> {
        self.state().held.clone()
    }

    /// True if the driver has read every answer.
    pub fn is_read(&self) -> bool {
        self.state().answers.is_empty()
    }

    /// Answers `sqe`; for the last time unless `flags` has [`cqe_flags::MORE`].
    ///
    /// # Panics
    /// If it is not held.
    pub fn answer(&self, sqe: &Sqe, result: i32, flags: u32) {
        let mut state = self.state();
        let user_data = sqe.get_user_data();
        let same = |held: &Sqe| held.get_user_data() == user_data;
        let at = state.held.iter().position(same);
        let at = at.expect("only what was taken and not answered yet is answered");
        if flags & cqe_flags::MORE == 0 {
            state.held.remove(at);
        }
        state.answers.push_back(Cqe {
            user_data,
            result,
            flags,
        });
    }

    /// Picks a provided buffer for `sqe` and fills it with `len` bytes of `byte`; the number for the answer's flags.
    ///
    /// # Safety
    /// The group's memory is as it was registered.
    pub unsafe fn pick(&self, len: usize, byte: u8) -> Option<u16> {
        let mut state = self.state();
        let buffers = state.buffers.as_mut()?;
        // SAFETY: the tail stands in the last two bytes of the first entry, aligned.
        let tail = unsafe { AtomicU16::from_ptr(buffers.address.wrapping_add(14).cast()) };
        // ORDERING: Acquire pairs with the Release in the group's `give_back`: the entry is filled in.
        if tail.load(Acquire) == buffers.head {
            return None;
        }
        let at = usize::from(buffers.head & buffers.mask) * 16;
        buffers.head = buffers.head.wrapping_add(1);
        let entry = buffers.address.wrapping_add(at);
        // SAFETY: an entry within the ring: its address first.
        let start = unsafe { entry.cast::<u64>().read() } as *mut u8;
        // SAFETY: its number stands behind address and length.
        let number = unsafe { entry.wrapping_add(12).cast::<u16>().read() };
        // SAFETY: the buffer is lent to us until it is answered with.
        unsafe { start.write_bytes(byte, len) };
        Some(number)
    }

    /// Does to the memory that `sqe` names what the kernel would: fills what it writes with `byte`, looks at what it reads.
    ///
    /// Returns a sum of the bytes that were looked at.
    ///
    /// # Safety
    /// None that can be kept: whether the memory is still there is what a test wants to know. Without it the process dies.
    pub unsafe fn touch(&self, sqe: &Sqe, byte: u8) -> u64 {
        let (address, len, offset) = sqe.operands();
        let address = address as *mut u8;
        match sqe.opcode() {
            // SAFETY: the caller's.
            Opcode::READ | Opcode::READ_FIXED => unsafe { fill(address, len as usize, byte) },
            Opcode::RECV if !sqe.has_flags(sqe_flags::BUFFER_SELECT) => {
                // SAFETY: the caller's.
                unsafe { fill(address, len as usize, byte) }
            }
            Opcode::WRITE | Opcode::WRITE_FIXED | Opcode::SEND | Opcode::SEND_ZC => {
                // SAFETY: the caller's.
                unsafe { sum(address, len as usize) }
            }
            Opcode::SENDMSG | Opcode::SENDMSG_ZC => {
                // SAFETY: the caller's.
                let header = unsafe { address.cast::<libc::msghdr>().read_volatile() };
                // Its type is the C library's choice.
                let count: usize = header.msg_iovlen as _;
                (0..count)
                    .map(|n| {
                        // SAFETY: the caller's.
                        let part = unsafe { header.msg_iov.wrapping_add(n).read_volatile() };
                        // SAFETY: the caller's.
                        unsafe { sum(part.iov_base.cast(), part.iov_len) }
                    })
                    .fold(0, u64::wrapping_add)
            }
            Opcode::READV | Opcode::WRITEV => (0..len as usize)
                .map(|n| {
                    let part = address.cast::<libc::iovec>().wrapping_add(n);
                    // SAFETY: the caller's.
                    let part = unsafe { part.read_volatile() };
                    let start = part.iov_base.cast();
                    if sqe.opcode() == Opcode::READV {
                        // SAFETY: the caller's.
                        unsafe { fill(start, part.iov_len, byte) }
                    } else {
                        // SAFETY: the caller's.
                        unsafe { sum(start, part.iov_len) }
                    }
                })
                .fold(0, u64::wrapping_add),
            // SAFETY: the caller's.
            Opcode::CONNECT => unsafe { sum(address, offset as usize) },
            Opcode::STATX => {
                // SAFETY: the caller's.
                let path = unsafe { text(address) };
                // SAFETY: the caller's.
                path + unsafe { fill(offset as *mut u8, size_of::<libc::statx>(), byte) }
            }
            // SAFETY: the caller's.
            Opcode::OPENAT | Opcode::UNLINKAT | Opcode::MKDIRAT => unsafe { text(address) },
            Opcode::RENAMEAT | Opcode::LINKAT | Opcode::SYMLINKAT => {
                // SAFETY: the caller's.
                let from = unsafe { text(address) };
                // SAFETY: the caller's.
                from + unsafe { text(offset as *mut u8) }
            }
            _ => 0,
        }
    }

    pub(in crate::completion) fn open(
        &self,
    ) -> Result<(Submissions, Completions, Features), Refusal> {
        // SAFETY: no pointers.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(Refusal::new("opening a ring that is none", errno::last()));
        }
        // SAFETY: the kernel has just given it to us.
        self.state().epoll = Some(unsafe { OwnedFd::from_raw_fd(epoll) });
        let features = Features {
            ext_arg: true,
            no_drop: true,
            multishot_poll: true,
            multishot_accept: true,
            multishot_recv: true,
            buffer_ring: true,
            send_zc: true,
            cancel_any: true,
            opcodes: u128::MAX,
            ..Features::default()
        };
        Ok((
            Submissions(self.clone()),
            Completions(self.clone()),
            features,
        ))
    }
}

/// # Safety
/// As for [`Kernel::touch`].
unsafe fn fill(start: *mut u8, len: usize, byte: u8) -> u64 {
    for at in 0..len {
        // SAFETY: the caller's.
        unsafe { start.wrapping_add(at).write_volatile(byte) };
    }
    u64::from(byte) * len as u64
}

/// # Safety
/// As for [`Kernel::touch`].
unsafe fn sum(start: *mut u8, len: usize) -> u64 {
    (0..len)
        // SAFETY: the caller's.
        .map(|at| u64::from(unsafe { start.wrapping_add(at).read_volatile() }))
        .sum()
}

/// # Safety
/// As for [`Kernel::touch`].
unsafe fn text(start: *mut u8) -> u64 {
    (0..)
        // SAFETY: the caller's.
        .map(|at| u64::from(unsafe { start.wrapping_add(at).read_volatile() }))
        .take_while(|byte| *byte != 0)
        .sum()
}

impl State {
    /// Takes up to `count` entries from the queue.
    fn take(&mut self, count: usize) {
        for _ in 0..count {
            let Some(sqe) = self.queue.pop_front() else {
                return;
            };
            match sqe.opcode() {
                Opcode::POLL_ADD => self.poll(sqe),
                Opcode::ASYNC_CANCEL => {
                    let result = self.cancel(sqe.operands().0);
                    self.post(&sqe, result, 0);
                }
                Opcode::NOP => self.post(&sqe, 0, 0),
                _ => self.held.push(sqe),
            }
        }
    }

    fn post(&mut self, sqe: &Sqe, result: i32, flags: u32) {
        self.answers.push_back(Cqe {
            user_data: sqe.get_user_data(),
            result,
            flags,
        });
    }

    fn poll(&mut self, sqe: Sqe) {
        let Some(epoll) = &self.epoll else { return };
        let mut event = libc::epoll_event {
            events: sqe.poll_events() | libc::EPOLLET as u32,
            u64: self.polls.len() as u64,
        };
        // SAFETY: the event is read during the call.
        let added = unsafe {
            libc::epoll_ctl(
                epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                sqe.get_fd(),
                &raw mut event,
            )
        };
        if added < 0 {
            let refused = errno::last_answer();
            return self.post(&sqe, refused, 0);
        }
        self.polls.push(Some(sqe));
    }

    fn cancel(&mut self, target: u64) -> i32 {
        let is_target = |sqe: &Sqe| sqe.get_user_data() == target;
        let poll = self
            .polls
            .iter()
            .position(|poll| poll.as_ref().is_some_and(is_target));
        if let (Some(at), Some(epoll)) = (poll, &self.epoll)
            && let Some(sqe) = self.polls[at].take()
        {
            // SAFETY: no event is passed. It fails if the descriptor is closed, and then it is gone from there, too.
            unsafe {
                libc::epoll_ctl(
                    epoll.as_raw_fd(),
                    libc::EPOLL_CTL_DEL,
                    sqe.get_fd(),
                    std::ptr::null_mut(),
                )
            };
            self.post(&sqe, -ECANCELED, 0);
            return 0;
        }
        match (self.mercy, self.held.iter().position(is_target)) {
            (Mercy::Obeys, Some(at)) => {
                let sqe = self.held.remove(at);
                self.post(&sqe, -ECANCELED, 0);
                0
            }
            (Mercy::TooLate, Some(_)) => -EALREADY,
            (Mercy::Deaf, _) | (_, None) => -ENOENT,
        }
    }

    /// Looks for events, no longer than `limit_ms`.
    fn look(&mut self, events: &mut [libc::epoll_event], count: i32) {
        for event in &events[..count.max(0) as usize] {
            let (number, mask) = (event.u64 as usize, event.events);
            if let Some(Some(sqe)) = self.polls.get(number).copied() {
                self.post(&sqe, mask as i32, cqe_flags::MORE);
            }
        }
    }
}

pub(in crate::completion) struct Submissions(Kernel);

pub(in crate::completion) struct Completions(Kernel);

impl Submissions {
    /// # Safety
    /// As for a ring's.
    pub(in crate::completion) unsafe fn push(&mut self, sqe: &Sqe) -> bool {
        let mut state = self.0.state();
        let fits = state.queue.len() < CAPACITY;
        if fits {
            state.queue.push_back(*sqe);
        }
        fits
    }

    pub(in crate::completion) fn len(&mut self) -> usize {
        self.0.state().queue.len()
    }

    pub(in crate::completion) fn room(&mut self) -> usize {
        CAPACITY - self.len()
    }

    pub(in crate::completion) fn capacity(&self) -> usize {
        CAPACITY
    }

    pub(in crate::completion) fn wants_entering(&mut self) -> bool {
        false
    }

    pub(in crate::completion) fn has_overflowed(&mut self) -> bool {
        false
    }

    pub(in crate::completion) fn submit(&mut self) -> Entered {
        let mut state = self.0.state();
        let all = state.queue.len();
        state.take(all);
        Entered::Done
    }

    /// # Safety
    /// As for a ring's.
    pub(in crate::completion) unsafe fn register_buf_ring(
        &mut self,
        address: *mut u8,
        entries: u16,
        _group: u16,
    ) -> io::Result<()> {
        if !entries.is_power_of_two() {
            return Err(errno::error(EINVAL));
        }
        self.0.state().buffers = Some(Buffers {
            address,
            mask: entries - 1,
            head: 0,
        });
        Ok(())
    }

    pub(in crate::completion) fn unregister_buf_ring(&mut self, _group: u16) -> io::Result<()> {
        let registered = self.0.state().buffers.take();
        registered.map(drop).ok_or_else(|| errno::error(EINVAL))
    }

    /// # Safety
    /// As for a ring's.
    pub(in crate::completion) unsafe fn register_buffer(
        &mut self,
        _start: *mut u8,
        _len: usize,
    ) -> io::Result<()> {
        Ok(())
    }

    pub(in crate::completion) fn unregister_buffers(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Completions {
    pub(in crate::completion) fn enter(
        &mut self,
        to_submit: u32,
        limit: Option<Duration>,
    ) -> Entered {
        let begun = Instant::now();
        self.0.state().take(to_submit as usize);
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 16];
        loop {
            let mut state = self.0.state();
            let Some(epoll) = state.epoll.as_ref().map(AsRawFd::as_raw_fd) else {
                return Entered::Done;
            };
            let spent = limit.is_some_and(|limit| begun.elapsed() >= limit);
            let step = if spent || !state.answers.is_empty() {
                0
            } else {
                STEP_MS
            };
            // SAFETY: sixteen events are there to be written.
            let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), 16, step) };
            state.look(&mut events, count);
            if !state.answers.is_empty() {
                return Entered::Done;
            }
            if spent {
                return Entered::TimedOut;
            }
        }
    }

    pub(in crate::completion) fn make_room(&mut self, to_submit: u32) -> Entered {
        self.0.state().take(to_submit as usize);
        Entered::Done
    }

    pub(in crate::completion) fn is_empty(&mut self) -> bool {
        self.0.state().answers.is_empty()
    }

    pub(in crate::completion) fn reap(&mut self, batch: &mut Vec<Cqe>, max: usize) {
        let mut state = self.0.state();
        let count = state.answers.len().min(max);
        batch.extend(state.answers.drain(..count));
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("held", &self.state().held.len())
            .finish_non_exhaustive()
    }
}
