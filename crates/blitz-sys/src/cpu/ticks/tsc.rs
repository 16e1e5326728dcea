//! The time stamp counter of x86-64 (`RDTSC`, Intel SDM volume 2).

use std::arch::x86_64::_rdtsc;
use std::fs;
use std::sync::OnceLock;

/// Which counter the kernel takes its time from: `Documentation/ABI/testing/sysfs-devices-system-clocksource`.
const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// The counter. Instructions before and after it may be done on its other side.
#[inline]
pub(crate) fn now() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and reading the counter touches no memory. A process that forbade it to itself
    // (`PR_SET_TSC`) could not read the system's clock either: the kernel's own code for that, in the process, uses it.
    unsafe { _rdtsc() }
}

/// Whether the counter goes evenly, at all times and on all processors alike: so the kernel found, if it takes the time from it.
pub(crate) fn are_time() -> bool {
    static ARE_TIME: OnceLock<bool> = OnceLock::new();
    *ARE_TIME.get_or_init(|| fs::read_to_string(SOURCE).is_ok_and(|source| source.trim() == "tsc"))
}
