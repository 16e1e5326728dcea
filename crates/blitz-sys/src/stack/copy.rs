//! Asking a thread for its stack: the signal, its handler, and the places for the answers.
//!
//! The handler may run in the middle of anything: it takes no lock, allocates nothing, and makes a few system calls itself. The
//! kernel copies the stack for it, which ends at the first page that is not there instead of faulting: by `process_vm_readv(2)`,
//! or, where that is refused, as by a sandbox, through a pipe.
//!
//! The signal's handler, once installed, stays: the default action of most signals ends the process, and one may be on its way.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter};
use std::mem;
use std::process;
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use blitz_core::question::{self, Question};

use super::machine::{self, Registers};
use super::unwind;
use super::{NotAsked, Stack};
use crate::descriptor::AsRawFd;
use crate::errno;

/// Its default action is to be ignored, it means nothing by itself, and debuggers let it pass.
pub const DEFAULT_SIGNAL: i32 = libc::SIGURG;

/// So many threads can be asked at once.
const PLACES: usize = 4;

/// So much of a stack is copied: a debug build's deep nest of futures takes some 20 KiB.
const BYTES_MAX: usize = 64 * 1024;

/// The kernel copies by whole pieces, so none is to reach into a page that is not there.
const PAGE: usize = 4096;

/// What a handler leaves.
pub(super) struct Copy {
    pub(super) registers: Registers,
    pub(super) bytes: [u8; BYTES_MAX],
    pub(super) len: usize,
    /// Where there is no shorter way.
    pub(super) pipe: Option<(PipeReader, PipeWriter)>,
}

impl Copy {
    /// The piece of the stack, from its top.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

static ANSWERS: OnceLock<Vec<Question<Copy>>> = OnceLock::new();

fn answers() -> &'static [Question<Copy>] {
    ANSWERS.get_or_init(|| {
        let mut probe = [0];
        let here = ptr::from_ref(&PLACES).expose_provenance();
        let is_read = at_once(here, &mut probe) == 1;
        let place = |_| {
            let mut empty = Copy::new();
            if !is_read {
                // Without one, or without a descriptor for it, the answer has the registers only.
                empty.pipe = io::pipe().ok();
            }
            Question::new(empty)
        };
        (0..PLACES).map(place).collect()
    })
}

/// Whether a program may handle this signal at all, and for such a purpose: not `SIGKILL` and `SIGSTOP`, nor those that a fault
/// of the program raises.
pub fn can_be_handled(signal: i32) -> bool {
    let no = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGILL,
        libc::SIGFPE,
        libc::SIGABRT,
        libc::SIGTRAP,
        libc::SIGSYS,
    ];
    // Those between the last classic one and the first for programs belong to the C library.
    let is_one =
        (1..=31).contains(&signal) || (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&signal);
    is_one && !no.contains(&signal)
}

/// Asks `thread`, by its number, for its stack; the answer comes when it next runs.
///
/// A system call that the thread waits in goes on where the kernel can do that (`SA_RESTART`); see signal(7) for those that end
/// with `EINTR` all the same. A thread that has blocked the signal answers when it lets it through, or never.
///
/// # Errors
/// If the program has a handler of its own for this signal, or ignores it; if there is no place for one more answer; if there is
/// no such thread.
pub fn ask(signal: i32, thread: u32) -> Result<Asked, NotAsked> {
    install(signal)?;
    let place = answers().iter().find_map(|place| place.ask(thread));
    let question = place.ok_or(NotAsked::TooMany)?;
    // SAFETY: it takes three numbers and no memory. The handler that will run is ours, and may run anywhere.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, process::id(), thread, signal) };
    if answer < 0 {
        return Err(NotAsked::Refused(errno::last()));
    }
    Ok(Asked(question))
}

/// Makes sure that the signal is handled by us and nobody else.
fn install(signal: i32) -> Result<(), NotAsked> {
    // Two that install at once would each find the other's.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = handler as extern "C" fn(_, _, _) as libc::sighandler_t;
    // Before any signal: the handler makes nothing.
    answers();
    // SAFETY: all zeroes are a sigaction.
    let mut now: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: it only writes to the struct.
    if unsafe { libc::sigaction(signal, ptr::null(), &raw mut now) } < 0 {
        return Err(NotAsked::Refused(errno::last()));
    }
    if now.sa_sigaction == ours {
        return Ok(());
    }
    if now.sa_sigaction != libc::SIG_DFL {
        return Err(NotAsked::SignalIsTaken);
    }
    // SAFETY: as above; an empty mask is all zeroes.
    let mut new: libc::sigaction = unsafe { mem::zeroed() };
    new.sa_sigaction = ours;
    // On the other stack, where the thread has one: its own may be nearly full.
    new.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the struct is whole, and the handler does only what a handler may.
    if unsafe { libc::sigaction(signal, &raw const new, ptr::null_mut()) } < 0 {
        return Err(NotAsked::Refused(errno::last()));
    }
    Ok(())
}

extern "C" fn handler(
    _signal: libc::c_int,
    _info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let Some(answers) = ANSWERS.get() else { return };
    // SAFETY: the thread's own, and it lives as long as the thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    // SAFETY: it takes nothing and cannot fail.
    let here = unsafe { libc::syscall(libc::SYS_gettid) } as u32;
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel hands it to a handler with SA_SIGINFO, and nobody changes it meanwhile.
    let registers = machine::interrupted(unsafe { &*context });
    // Not asked: the signal came from elsewhere.
    answers
        .iter()
        .any(|place| place.answer(here, |copy| copy.fill(&registers)));
    // SAFETY: as above. Who was interrupted finds its own number.
    unsafe { *errno = before };
}

/// Copies from an address on, as far as there is memory; by one call. Both this and the next are called in the handler.
pub(super) fn at_once(address: usize, bytes: &mut [u8]) -> usize {
    let mut pieces = [libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    }; BYTES_MAX / PAGE + 1];
    for (piece, (from, len)) in pieces.iter_mut().zip(pages(address, bytes.len())) {
        piece.iov_base = ptr::without_provenance_mut(from);
        piece.iov_len = len;
    }
    let into = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: the kernel writes no more than `into` has, and reads from this process what is there to be read.
    let read = unsafe {
        libc::syscall(
            libc::SYS_process_vm_readv,
            process::id(),
            &raw const into,
            1_usize,
            pieces.as_ptr(),
            pieces.len(),
            0_usize,
        )
    };
    usize::try_from(read).unwrap_or(0)
}

/// The same through a pipe, page by page: it is empty before and after, and has room for one.
pub(super) fn through(
    (reader, writer): &(PipeReader, PipeWriter),
    address: usize,
    bytes: &mut [u8],
) -> usize {
    let mut done = 0;
    for (from, len) in pages(address, bytes.len()) {
        let from = ptr::without_provenance::<libc::c_void>(from);
        // SAFETY: the kernel reads what is there to be read, or answers EFAULT.
        let written = unsafe { libc::write(writer.as_raw_fd(), from, len) };
        let Ok(written @ 1..) = usize::try_from(written) else {
            break;
        };
        let Some(into) = bytes.get_mut(done..done + written) else {
            break;
        };
        // SAFETY: it writes no more than `into` has.
        let read = unsafe { libc::read(reader.as_raw_fd(), into.as_mut_ptr().cast(), written) };
        done += usize::try_from(read).unwrap_or(0);
    }
    done
}

/// The pieces of a piece of memory, none of which reaches over the end of a page: where each begins, and its length.
fn pages(address: usize, len: usize) -> impl Iterator<Item = (usize, usize)> {
    let (mut from, end) = (address, address.saturating_add(len));
    std::iter::from_fn(move || {
        let to = (from / PAGE + 1).saturating_mul(PAGE).min(end);
        let piece = (from < to).then_some((from, to - from));
        from = to;
        piece
    })
}

impl Copy {
    pub(super) fn new() -> Self {
        Self {
            registers: [0; machine::COUNT],
            bytes: [0; BYTES_MAX],
            len: 0,
            pipe: None,
        }
    }

    /// In the handler.
    fn fill(&mut self, registers: &Registers) {
        self.registers = *registers;
        let top = registers[machine::SP] as usize;
        self.len = match &self.pipe {
            None => at_once(top, &mut self.bytes),
            Some(pipe) => through(pipe, top, &mut self.bytes),
        };
    }
}

/// A thread was asked for its stack. Dropped, the answer does not matter any more: a signal that is still under way does nothing.
pub struct Asked(question::Asked<'static, Copy>);

impl Asked {
    /// Whether the answer is there.
    pub fn is_answered(&self) -> bool {
        self.0.is_answered()
    }

    /// The answer.
    ///
    /// # Errors
    /// It is not there yet.
    pub fn take(self) -> Result<Stack, Self> {
        self.0.take(unwind::walk).map_err(Self)
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("is_answered", &self.is_answered())
            .finish()
    }
}
