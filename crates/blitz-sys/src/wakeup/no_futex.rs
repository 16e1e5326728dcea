//! No rings here that wait on a word.

/// Cannot exist on this platform: nobody asks for it where the ring has no futex operations.
#[derive(Clone, Debug)]
pub struct FutexWord(std::convert::Infallible);

#[allow(
    missing_docs,
    clippy::new_without_default,
    reason = "documented where there is such a thing; a default that panics is none"
)]
impl FutexWord {
    pub fn new() -> Self {
        unreachable!("no ring of this platform has futex operations")
    }
    pub fn notify(&self) {
        match self.0 {}
    }
    pub fn value(&self) -> u32 {
        match self.0 {}
    }
    pub fn as_ptr(&self) -> *const u32 {
        match self.0 {}
    }
}
