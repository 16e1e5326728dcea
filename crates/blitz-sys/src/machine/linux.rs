//! What Linux tells of itself and of this process.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::mem::MaybeUninit;

use crate::errno;

use super::{ClockFacts, Kernel, RingCall, Sandbox, status};

/// The kernel's own names.
///
/// # Errors
/// Those of `uname(2)`, which has none that can happen here.
pub fn kernel() -> io::Result<Kernel> {
    let mut names = MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: the call fills the structure that the pointer names.
    if unsafe { libc::uname(names.as_mut_ptr()) } != 0 {
        return Err(errno::last());
    }
    // SAFETY: the call succeeded, so it was filled.
    let names = unsafe { names.assume_init() };
    let text = |field: &[libc::c_char]| {
        // SAFETY: the kernel ends each field with a zero, within its length.
        let field = unsafe { CStr::from_ptr(field.as_ptr()) };
        field.to_string_lossy().into_owned()
    };
    Ok(Kernel {
        system: text(&names.sysname),
        release: text(&names.release),
        machine: text(&names.machine),
    })
}

/// The process's freedom, from `/proc/self/status`.
///
/// # Errors
/// If that cannot be read.
pub fn sandbox() -> io::Result<Sandbox> {
    Ok(status::parse(&fs::read_to_string("/proc/self/status")?))
}

/// The value of `kernel.io_uring_disabled`: 0 for everyone, 1 for the privileged and a group, 2 for nobody. `None` on kernels
/// before 6.6, which have no such switch.
pub fn rings_disabled() -> Option<u8> {
    let text = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?;
    text.trim().parse().ok()
}

/// The clock's source, step and slack.
pub fn clock() -> ClockFacts {
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    ClockFacts {
        source: fs::read_to_string(source)
            .ok()
            .map(|name| name.trim().to_owned()),
        resolution_ns: resolution_ns(),
        timer_slack_ns: timer_slack_ns(),
    }
}

fn resolution_ns() -> Option<u64> {
    let mut step = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call fills the structure that the pointer names.
    if unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC, &mut step) } != 0 {
        return None;
    }
    #[allow(
        clippy::useless_conversion,
        reason = "their widths differ from target to target"
    )]
    let (seconds, ns) = (i64::from(step.tv_sec), i64::from(step.tv_nsec));
    u64::try_from(seconds * 1_000_000_000 + ns).ok()
}

fn timer_slack_ns() -> Option<u64> {
    // SAFETY: no pointers; the answer is the value.
    let slack = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK, 0, 0, 0, 0) };
    u64::try_from(slack).ok()
}

/// Makes each of the ring's three calls with arguments that name nothing, and tells which are answered by someone else than the
/// ring's own code, such as a filter.
#[cfg(uring)]
pub fn ring_calls() -> Vec<RingCall> {
    // Each argument is as wide as a register: what a narrower one leaves in the upper half is not defined.
    const ZERO: libc::c_long = 0;
    const ONE: libc::c_long = 1;
    const NO_FD: libc::c_long = -1;
    // The smallest of what `io_uring_register` takes: ends the registration of buffers.
    const UNREGISTER_BUFFERS: libc::c_long = 1;
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the parameters are no address, so the kernel answers EFAULT and makes nothing.
    let setup = unsafe { libc::syscall(libc::SYS_io_uring_setup, ONE, none) };
    let setup = refused(setup);
    // SAFETY: there is no such descriptor, so nothing is entered.
    let enter = unsafe {
        libc::syscall(
            libc::SYS_io_uring_enter,
            NO_FD,
            ZERO,
            ZERO,
            ZERO,
            none,
            ZERO,
        )
    };
    let enter = refused(enter);
    // SAFETY: there is no such descriptor, so nothing is registered.
    let register = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            NO_FD,
            UNREGISTER_BUFFERS,
            none,
            ZERO,
        )
    };
    let register = refused(register);
    let call = |name, refused| RingCall { name, refused };
    vec![
        call("io_uring_setup", setup),
        call("io_uring_enter", enter),
        call("io_uring_register", register),
    ]
}

/// What kept the call from the ring's code, which complains of the arguments.
#[cfg(uring)]
fn refused(answer: libc::c_long) -> Option<io::Error> {
    let error = errno::last();
    match error.raw_os_error() {
        _ if answer >= 0 => None,
        Some(libc::EFAULT | libc::EBADF | libc::EINVAL | libc::EOPNOTSUPP) => None,
        _ => Some(error),
    }
}

/// No ring on this target, whatever the kernel has.
#[cfg(not(uring))]
pub fn ring_calls() -> Vec<RingCall> {
    Vec::new()
}
