//! Where no counter is known, or the system's clock costs nothing more.

/// Never asked for.
pub(crate) fn now() -> u64 {
    0
}

/// No.
pub(crate) fn are_time() -> bool {
    false
}
