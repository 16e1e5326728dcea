//! The barrier on Linux: `membarrier(2)`, private and expedited, since 4.14.

use std::sync::OnceLock;

const QUERY: libc::c_int = 0;
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

/// The answer; `None` if the kernel refuses, for whatever reason: there is no remedy but to do without.
fn membarrier(command: libc::c_int) -> Option<libc::c_long> {
    // SAFETY: the call takes three numbers and no memory.
    let answer = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    (answer >= 0).then_some(answer)
}

/// Whether this kernel has the barrier. Asked once.
pub fn is_supported() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let wanted = libc::c_long::from(PRIVATE_EXPEDITED | REGISTER_PRIVATE_EXPEDITED);
        membarrier(QUERY).is_some_and(|has| has & wanted == wanted)
    })
}

/// Has every running thread of this process pass a full barrier; false if that could not be done.
pub fn all_threads() -> bool {
    if membarrier(PRIVATE_EXPEDITED).is_some() {
        return true;
    }
    // The first one of a process, or of a child of a fork: the intent is to be registered. That may take milliseconds.
    membarrier(REGISTER_PRIVATE_EXPEDITED).is_some() && membarrier(PRIVATE_EXPEDITED).is_some()
}
