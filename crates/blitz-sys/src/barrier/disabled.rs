//! The barrier where the platform offers none (or none is written yet).

/// It is not.
pub fn is_supported() -> bool {
    false
}

/// Not done.
pub fn all_threads() -> bool {
    false
}
