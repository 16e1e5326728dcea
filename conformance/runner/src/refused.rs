//! A kernel that refuses io_uring, for the tests on epoll: those that are about the ring look for one themselves, and find none.

/// To the number: io_uring_setup(2), the same on every architecture.
#[cfg(target_os = "linux")]
const IO_URING_SETUP: i64 = 425;

/// From here on the kernel answers EPERM to a ring that this thread, or whatever it starts, wants to make.
///
/// # Errors
/// Where a thread may not be confined, or this architecture is not known to the library that does it.
#[cfg(target_os = "linux")]
pub(crate) fn refuse_rings() -> Result<(), String> {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    const EPERM: u32 = 1;
    let told = |error: &dyn std::fmt::Display| format!("io_uring cannot be refused: {error}");
    let arch = std::env::consts::ARCH
        .try_into()
        .map_err(|error| told(&error))?;
    let filter = SeccompFilter::new(
        [(IO_URING_SETUP, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(EPERM),
        arch,
    );
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .map_err(|error| told(&error))?;
    seccompiler::apply_filter(&program).map_err(|error| told(&error))
}

/// There are no rings to refuse.
#[cfg(not(target_os = "linux"))]
pub(crate) fn refuse_rings() -> Result<(), String> {
    Ok(())
}
