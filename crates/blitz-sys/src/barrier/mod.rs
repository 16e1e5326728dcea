//! A memory barrier that every running thread of the process passes, made by one of them.
//!
//! Each platform file defines `is_supported` and `all_threads`; what a platform lacks stands in `disabled.rs`.

#[cfg(not(linux))]
#[path = "disabled.rs"]
mod imp;
#[cfg(linux)]
#[path = "linux.rs"]
mod imp;

pub use imp::{all_threads, is_supported};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_where_it_is_promised() {
        assert!(!is_supported() || all_threads());
    }
}
