//! What a ring is asked for, what it was found to have, and why it was refused.

use std::fmt;
use std::io;

use crate::errno;

/// Who may enter the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Any thread, one at a time waiting (`COOP_TASKRUN`): the ring may travel from thread to thread.
    Shared,
    /// The thread that calls [`enable`](super::enable), and no other (`SINGLE_ISSUER | DEFER_TASKRUN`).
    SingleThread,
}

/// A kernel thread that looks for submissions, so that none needs a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqPoll {
    /// How long it looks in vain before it sleeps.
    pub idle_ms: u32,
    /// The processor it is bound to, if any.
    pub cpu: Option<u32>,
}

/// What a ring is asked for.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Submission entries; halved and tried again where memory is short.
    pub sq_entries: u32,
    /// Completion entries.
    pub cq_entries: u32,
    /// Who may enter.
    pub mode: Mode,
    /// A kernel thread that submits.
    pub sqpoll: Option<SqPoll>,
    /// What stands in for the ring, in a test.
    pub faults: Option<super::Faults>,
}

/// What the kernel was seen to do, and what this ring was given.
#[derive(Clone, Debug, Default)]
pub struct Features {
    /// A wait may carry its own time limit.
    pub ext_arg: bool,
    /// Completions are never lost, only kept back, when the queue is full.
    pub no_drop: bool,
    /// A wait need not count as waiting for a disk.
    pub no_iowait: bool,
    /// One poll answers many times.
    pub multishot_poll: bool,
    /// One accept answers many times.
    pub multishot_accept: bool,
    /// One receive answers many times, into provided buffers.
    pub multishot_recv: bool,
    /// Rings of provided buffers.
    pub buffer_ring: bool,
    /// A receive may be told to wait for readiness before its first try (Linux 5.19).
    pub poll_first: bool,
    /// Sends without a copy.
    pub send_zc: bool,
    /// An entry may ask for no answer where it succeeds (Linux 5.17).
    pub skip_success: bool,
    /// One entry cancels everything.
    pub cancel_any: bool,
    /// `COOP_TASKRUN`: the kernel does not interrupt a running thread to complete.
    pub coop_taskrun: bool,
    /// `SINGLE_ISSUER | DEFER_TASKRUN`: completions run in the wait alone.
    pub defer_taskrun: bool,
    /// `NO_SQARRAY`.
    pub no_sqarray: bool,
    /// `SUBMIT_ALL`: one bad entry does not hold up those behind it.
    pub submit_all: bool,
    /// Bit n is set if opcode n is supported.
    pub opcodes: u128,
}

impl Features {
    /// True if the kernel knows operation `code`.
    #[inline]
    pub const fn has_opcode(&self, code: u8) -> bool {
        code < 128 && self.opcodes >> code & 1 == 1
    }
}

/// Why there is no ring.
#[derive(Debug)]
pub struct Refusal {
    /// What was being done, as a phrase: "setting up a ring of 16 entries".
    pub step: String,
    /// What the kernel said.
    pub error: io::Error,
}

impl Refusal {
    pub(super) fn new(step: impl Into<String>, error: io::Error) -> Self {
        Self {
            step: step.into(),
            error,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.step, self.error)?;
        let hint = match self.error.raw_os_error() {
            Some(libc::ENOSYS) => "this kernel has no io_uring, or a sandbox hides it",
            // What the table says of these two is too general here: the remedy is the ring's own.
            Some(libc::EPERM) | Some(libc::EACCES) => {
                "it is forbidden here: a container's seccomp profile or the sysctl kernel.io_uring_disabled"
            }
            Some(libc::ENOMEM) => {
                "the limit of locked memory is too low even for a small ring (ulimit -l)"
            }
            _ => match errno::says(&self.error) {
                Some(says) => says,
                None => return Ok(()),
            },
        };
        write!(f, " ({hint})")
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        io::Error::new(refusal.error.kind(), refusal)
    }
}
