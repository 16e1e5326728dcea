//! io_uring behind the two halves, by way of the crate `io-uring`.
//!
//! The crate's ring is shared by the halves; what keeps its "one queue object at a time" rule is that each
//! half is one value that cannot be cloned, and touches only its own queue.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, squeue};

use crate::errno::{self, Class};

use super::{Cqe, Entered, Features, Mode, Refusal, Setup, Sqe};

use super::probe::probe;

/// Below this a ring is of no use, and memory is short indeed.
const ENTRIES_MIN: u32 = 16;

/// Where entries are queued. One thread at a time: the driver's lock.
pub(super) struct Submissions {
    io: Arc<IoUring>,
    sqpoll: bool,
    deferred: bool,
}

/// Where answers come out, and where a thread waits. One thread at a time: the core's holder.
pub(super) struct Completions {
    io: Arc<IoUring>,
    sqpoll: bool,
    no_iowait: EnterFlags,
}

/// Both halves in one hand, for a trial.
pub(super) struct Ring {
    pub(super) submissions: Submissions,
    pub(super) completions: Completions,
}

impl Ring {
    /// The smallest ring, with the plainest flags.
    pub(super) fn smallest() -> Result<Self, Refusal> {
        let setup = Setup {
            sq_entries: ENTRIES_MIN,
            cq_entries: ENTRIES_MIN,
            mode: Mode::Shared,
            sqpoll: None,
            faults: None,
        };
        let io = Arc::new(build_with(&setup, Flags::default())?);
        Ok(Self {
            submissions: Submissions {
                io: Arc::clone(&io),
                sqpoll: false,
                deferred: false,
            },
            completions: Completions {
                io,
                sqpoll: false,
                no_iowait: EnterFlags::empty(),
            },
        })
    }

    pub(super) fn io(&self) -> &IoUring {
        &self.submissions.io
    }
}

/// Opens a ring as `setup` asks; flags that the kernel does not know are left out, one after the other.
///
/// A ring for a [`Mode::SingleThread`] is disabled until [`enable`] is called on its thread.
///
/// # Errors
/// If the kernel refuses even the plainest ring, or lacks what the driver cannot do without.
pub(super) fn open(setup: &Setup) -> Result<(Submissions, Completions, Features), Refusal> {
    let probed = probe()?;
    let mut features = probed.clone();
    let (io, flags) = build(setup)?;
    features.coop_taskrun = flags.coop;
    features.defer_taskrun = flags.defer;
    features.no_sqarray = flags.no_sqarray;
    features.submit_all = flags.submit_all;
    let sqpoll = io.params().is_setup_sqpoll();
    let io = Arc::new(io);
    let submissions = Submissions {
        io: Arc::clone(&io),
        sqpoll,
        deferred: flags.defer,
    };
    let completions = Completions {
        io,
        sqpoll,
        no_iowait: if features.no_iowait {
            EnterFlags::NO_IOWAIT
        } else {
            EnterFlags::empty()
        },
    };
    Ok((submissions, completions, features))
}

/// Lets a ring for one thread begin; that thread is the caller. A ring for any thread is left as it is.
///
/// # Errors
/// If it was enabled on another thread.
pub(super) fn enable(submissions: &Submissions) -> io::Result<()> {
    if !submissions.deferred {
        return Ok(());
    }
    match submissions.io.submitter().register_enable_rings() {
        // Enabled already: by this thread, or the next entering will say EEXIST.
        Err(error) if error.raw_os_error() == Some(libc::EBADFD) => Ok(()),
        result => result,
    }
}

/// Which flags of the setup the kernel took.
#[derive(Clone, Copy, Default)]
struct Flags {
    coop: bool,
    defer: bool,
    no_sqarray: bool,
    submit_all: bool,
}

/// Tries the flags from the newest kernel's to the oldest's, and for each the entries from many to few.
fn build(setup: &Setup) -> Result<(IoUring, Flags), Refusal> {
    let single = setup.mode == Mode::SingleThread && setup.sqpoll.is_none();
    let all = Flags {
        // The kernel refuses COOP_TASKRUN beside SQPOLL: there is no task to interrupt.
        coop: setup.sqpoll.is_none() && !single,
        defer: single,
        no_sqarray: true,
        submit_all: true,
    };
    let steps = [
        all,
        Flags {
            no_sqarray: false,
            ..all
        },
        Flags {
            no_sqarray: false,
            defer: false,
            coop: setup.sqpoll.is_none(),
            ..all
        },
        Flags::default(),
    ];
    let mut last = None;
    for flags in steps {
        match build_with(setup, flags) {
            Ok(ring) => return Ok((ring, flags)),
            Err(refusal) if refusal.error.raw_os_error() == Some(libc::EINVAL) => {
                last = Some(refusal)
            }
            Err(refusal) => return Err(refusal),
        }
    }
    Err(last.expect("four steps were tried"))
}

/// How long a ring is waited for that there is no memory for, step by step: what a closed ring had locked is given back by the
/// kernel in its own time, some 20 ms later, and counts against the user's limit until then.
const GIVEN_BACK_MS: [u64; 7] = [2, 4, 8, 16, 32, 64, 128];

fn build_with(setup: &Setup, flags: Flags) -> Result<IoUring, Refusal> {
    let mut steps = GIVEN_BACK_MS.into_iter();
    loop {
        match build_that_fits(setup, flags) {
            Err(refusal) if is_short_of_memory(&refusal.error) => match steps.next() {
                Some(ms) => std::thread::sleep(Duration::from_millis(ms)),
                None => return Err(refusal),
            },
            done => return done,
        }
    }
}

/// Tries the entries from many to few.
fn build_that_fits(setup: &Setup, flags: Flags) -> Result<IoUring, Refusal> {
    let mut entries = setup.sq_entries.max(ENTRIES_MIN);
    let mut cq_entries = setup.cq_entries.max(entries);
    loop {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_clamp().setup_cqsize(cq_entries);
        if flags.coop {
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        if flags.defer {
            builder
                .setup_single_issuer()
                .setup_defer_taskrun()
                .setup_taskrun_flag()
                .setup_r_disabled();
        }
        if flags.no_sqarray {
            builder.setup_no_sqarray();
        }
        if flags.submit_all {
            builder.setup_submit_all();
        }
        if let Some(sqpoll) = setup.sqpoll {
            builder.setup_sqpoll(sqpoll.idle_ms);
            if let Some(cpu) = sqpoll.cpu {
                builder.setup_sqpoll_cpu(cpu);
            }
        }
        match builder.build(entries) {
            Ok(ring) => return Ok(ring),
            Err(error) if is_short_of_memory(&error) && entries > ENTRIES_MIN => {
                entries /= 2;
                cq_entries = (cq_entries / 2).max(entries);
            }
            Err(error) => {
                let step = format!("setting up a ring of {entries} entries");
                return Err(Refusal::new(step, error));
            }
        }
    }
}

/// Whether a smaller ring may be had: EAGAIN is what mapping one says under a limit of locked memory.
fn is_short_of_memory(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(errno::ENOMEM | errno::EAGAIN))
}

fn entered(result: io::Result<usize>) -> Entered {
    let Err(error) = result else {
        return Entered::Done;
    };
    if error.raw_os_error() == Some(libc::ETIME) {
        return Entered::TimedOut;
    }
    match Class::of(&error) {
        Class::RetryNow => Entered::Interrupted,
        Class::RetryWhenReady | Class::RetryWhenFreed => Entered::Busy,
        Class::Operation | Class::Ring => Entered::Failed(error),
    }
}

impl Submissions {
    /// Queues `sqe`; false if the queue is full.
    ///
    /// # Safety
    /// The memory that the entry names must stay valid, and untouched where the kernel writes, until the last
    /// answer to it has been read.
    #[inline]
    pub(super) unsafe fn push(&mut self, sqe: &Sqe) -> bool {
        // SAFETY: `Sqe` is the kernel's 64 bytes, as `squeue::Entry` is (asserted below).
        let entry = unsafe { &*std::ptr::from_ref(sqe).cast::<squeue::Entry>() };
        // SAFETY: we are the one `Submissions` of this ring, borrowed mutably: no other queue object exists.
        let mut queue = unsafe { self.io.submission_shared() };
        // SAFETY: the caller's promise.
        unsafe { queue.push(entry) }.is_ok()
    }

    /// How many entries wait to be taken by the kernel.
    #[inline]
    pub(super) fn len(&mut self) -> usize {
        // SAFETY: as in `push`.
        unsafe { self.io.submission_shared() }.len()
    }

    /// How many entries fit in now.
    #[inline]
    pub(super) fn room(&mut self) -> usize {
        self.capacity() - self.len()
    }

    /// How many entries the queue has.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.io.params().sq_entries() as usize
    }

    /// True if the kernel keeps answers back until it is entered: after an overflow, or work put off.
    #[inline]
    pub(super) fn wants_entering(&mut self) -> bool {
        // SAFETY: as in `push`.
        let queue = unsafe { self.io.submission_shared() };
        queue.cq_overflow() || queue.taskrun()
    }

    /// True if the completion queue is full and the kernel keeps answers that did not fit.
    pub(super) fn has_overflowed(&mut self) -> bool {
        // SAFETY: as in `push`.
        unsafe { self.io.submission_shared() }.cq_overflow()
    }

    /// How many answers the completion queue holds.
    pub(super) fn answers(&self) -> usize {
        self.io.params().cq_entries() as usize
    }

    /// Hands every queued entry to the kernel and runs what it has put off, without waiting.
    ///
    /// Only on the ring's thread, if it is for one thread.
    pub(super) fn submit(&mut self) -> Entered {
        let count = self.len() as u32;
        let mut flags = EnterFlags::GETEVENTS;
        if self.sqpoll {
            flags |= EnterFlags::SQ_WAKEUP;
        }
        let submitter = self.io.submitter();
        // SAFETY: no argument is passed, and zero completions are waited for.
        entered(unsafe { submitter.enter::<libc::sigset_t>(count, 0, flags.bits(), None) })
    }

    /// Registers the ring of provided buffers at `address` as group `group`.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// # Safety
    /// `address` must be `entries` aligned buffer entries that stay until the group is unregistered.
    pub(super) unsafe fn register_buf_ring(
        &mut self,
        address: *mut u8,
        entries: u16,
        group: u16,
    ) -> io::Result<()> {
        let submitter = self.io.submitter();
        // SAFETY: the caller's promise.
        unsafe { submitter.register_buf_ring_with_flags(address as u64, entries, group, 0) }
    }

    /// Ends the group of provided buffers `group`.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn unregister_buf_ring(&mut self, group: u16) -> io::Result<()> {
        self.io.submitter().unregister_buf_ring(group)
    }

    /// Registers `len` bytes from `start` on as the one fixed buffer, number 0.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// # Safety
    /// They must stay valid until they are unregistered or the ring is gone.
    pub(super) unsafe fn register_buffer(&mut self, start: *mut u8, len: usize) -> io::Result<()> {
        let block = libc::iovec {
            iov_base: start.cast(),
            iov_len: len,
        };
        // SAFETY: the caller's promise.
        unsafe { self.io.submitter().register_buffers(&[block]) }
    }

    /// Ends the registration of the fixed buffers.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn unregister_buffers(&mut self) -> io::Result<()> {
        self.io.submitter().unregister_buffers()
    }
}

impl Completions {
    /// Hands `to_submit` entries to the kernel and waits for one answer, no longer than `limit`.
    ///
    /// `None` waits without limit, zero does not wait. `to_submit` must not be more than are queued.
    pub(super) fn enter(&mut self, to_submit: u32, limit: Option<Duration>) -> Entered {
        let mut flags = EnterFlags::GETEVENTS;
        if self.sqpoll {
            // Harmless when the kernel's thread is awake, and it spares a fence and a look at its flag.
            flags |= EnterFlags::SQ_WAKEUP;
        }
        let submitter = self.io.submitter();
        let result = match limit {
            Some(Duration::ZERO) => {
                // SAFETY: no argument is passed.
                unsafe { submitter.enter::<libc::sigset_t>(to_submit, 0, flags.bits(), None) }
            }
            None => {
                flags |= self.no_iowait;
                // SAFETY: no argument is passed.
                unsafe { submitter.enter::<libc::sigset_t>(to_submit, 1, flags.bits(), None) }
            }
            Some(limit) => {
                flags |= self.no_iowait | EnterFlags::EXT_ARG;
                let time = Timespec::from(limit);
                let args = SubmitArgs::new().timespec(&time);
                // SAFETY: EXT_ARG announces the argument, which lives until the call returns.
                unsafe { submitter.enter(to_submit, 1, flags.bits(), Some(&args)) }
            }
        };
        entered(result)
    }

    /// Hands the full queue over without waiting for answers: there is room in it afterwards, if the kernel took any.
    pub(super) fn make_room(&mut self, to_submit: u32) -> Entered {
        let mut flags = EnterFlags::GETEVENTS;
        if self.sqpoll {
            // The kernel's thread takes them in its own time: sleep until it has, instead of looking again and again.
            flags |= EnterFlags::SQ_WAKEUP | EnterFlags::SQ_WAIT;
        }
        let submitter = self.io.submitter();
        // SAFETY: no argument is passed, and zero completions are waited for.
        entered(unsafe { submitter.enter::<libc::sigset_t>(to_submit, 0, flags.bits(), None) })
    }

    /// How many entries the submission queue has.
    pub(super) fn entries(&self) -> usize {
        self.io.params().sq_entries() as usize
    }

    /// True if there is no answer to read.
    #[inline]
    pub(super) fn is_empty(&mut self) -> bool {
        // SAFETY: we are the one `Completions` of this ring, borrowed mutably.
        unsafe { self.io.completion_shared() }.is_empty()
    }

    /// Moves up to `max` answers into `batch`.
    #[inline]
    pub(super) fn reap(&mut self, batch: &mut Vec<Cqe>, max: usize) {
        // SAFETY: as in `is_empty`.
        let queue = unsafe { self.io.completion_shared() };
        batch.extend(queue.take(max).map(|cqe| Cqe {
            user_data: cqe.user_data(),
            result: cqe.result(),
            flags: cqe.flags(),
        }));
    }
}

impl fmt::Debug for Submissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submissions")
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Completions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completions").finish_non_exhaustive()
    }
}

const _: () = {
    assert!(size_of::<Sqe>() == size_of::<squeue::Entry>());
    assert!(align_of::<Sqe>() >= align_of::<squeue::Entry>());
};
