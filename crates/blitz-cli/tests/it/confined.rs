//! Commands that start with less than the test has: behind a filter on system calls, or with little memory to lock.
//!
//! What is taken away is taken away in the child, between its fork and its exec, by calls that are safe there.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What the filter does with a call of `io_uring_setup`.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// The call fails with this error number.
    Errno(i32),
    /// The process is killed.
    Kill,
}

const ERRNO: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const ALLOW: u32 = 0x7fff_0000;

/// The command starts behind a seccomp filter that answers `io_uring_setup`.
pub(crate) fn without_rings(command: &mut Command, answer: Answer) -> &mut Command {
    let answer = match answer {
        Answer::Errno(errno) => ERRNO | errno.unsigned_abs(),
        Answer::Kill => KILL_PROCESS,
    };
    let op = |code: u32, k: u32, jt, jf| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let mut filter = [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        op(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            libc::SYS_io_uring_setup as u32,
            0,
            1,
        ),
        op(libc::BPF_RET | libc::BPF_K, answer, 0, 0),
        op(libc::BPF_RET | libc::BPF_K, ALLOW, 0, 0),
    ];
    let install = move || {
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: no pointers.
        check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        // SAFETY: the program is read during the call.
        check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const program) })
    };
    // SAFETY: two system calls and no allocation.
    unsafe { command.pre_exec(install) }
}

/// The command starts with so many bytes of memory to lock, and without the right to lock more.
pub(crate) fn with_little_memory(command: &mut Command, bytes: libc::rlim_t) -> &mut Command {
    const CAP_IPC_LOCK: libc::c_ulong = 14;
    let confine = move || {
        let limit = libc::rlimit {
            rlim_cur: bytes,
            rlim_max: bytes,
        };
        // SAFETY: the limit is read during the call.
        check(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) })?;
        // What is not in the bounding set is not given back by the exec, not even to root; others have it not to begin with.
        // SAFETY: no pointers.
        let _ = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) };
        Ok(())
    };
    // SAFETY: two system calls and no allocation.
    unsafe { command.pre_exec(confine) }
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
