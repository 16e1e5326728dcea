//! No ring on this platform: the names of `uring.rs`, and a refusal.

use std::io;
use std::time::Duration;

use super::{Cqe, Entered, Features, Refusal, Setup, Sqe};

/// What a test would have in a ring's place; there is none.
#[derive(Clone, Debug)]
pub enum Faults {}

/// Where entries are queued; here it cannot exist.
#[derive(Debug)]
pub struct Submissions(std::convert::Infallible);

/// Where answers come out; here it cannot exist.
#[derive(Debug)]
pub struct Completions(std::convert::Infallible);

fn refuse() -> Refusal {
    Refusal::new(
        "opening a ring",
        io::Error::new(
            io::ErrorKind::Unsupported,
            "this platform has no completion ring",
        ),
    )
}

/// Refuses.
///
/// # Errors
/// Always.
pub fn open(_setup: &Setup) -> Result<(Submissions, Completions, Features), Refusal> {
    Err(refuse())
}

/// Refuses.
///
/// # Errors
/// Always.
pub fn probe() -> Result<&'static Features, Refusal> {
    Err(refuse())
}

/// Does nothing: there is no ring.
///
/// # Errors
/// Never.
pub fn enable(submissions: &Submissions) -> io::Result<()> {
    match submissions.0 {}
}

#[allow(
    clippy::missing_errors_doc,
    missing_docs,
    reason = "documented where there is such a thing"
)]
impl Submissions {
    /// # Safety
    /// Cannot be called: there is no ring.
    pub unsafe fn push(&mut self, _sqe: &Sqe) -> bool {
        match self.0 {}
    }
    pub fn len(&mut self) -> usize {
        match self.0 {}
    }
    pub fn is_empty(&mut self) -> bool {
        match self.0 {}
    }
    pub fn room(&mut self) -> usize {
        match self.0 {}
    }
    pub fn capacity(&self) -> usize {
        match self.0 {}
    }
    pub fn wants_entering(&mut self) -> bool {
        match self.0 {}
    }
    pub fn has_overflowed(&mut self) -> bool {
        match self.0 {}
    }
    pub fn answers(&self) -> usize {
        match self.0 {}
    }
    pub fn submit(&mut self) -> Entered {
        match self.0 {}
    }
    /// # Safety
    /// Cannot be called: there is no ring.
    pub unsafe fn register_buf_ring(
        &mut self,
        _address: *mut u8,
        _entries: u16,
        _group: u16,
    ) -> io::Result<()> {
        match self.0 {}
    }
    pub fn unregister_buf_ring(&mut self, _group: u16) -> io::Result<()> {
        match self.0 {}
    }
    /// # Safety
    /// Cannot be called: there is no ring.
    pub unsafe fn register_buffer(&mut self, _start: *mut u8, _len: usize) -> io::Result<()> {
        match self.0 {}
    }
    pub fn unregister_buffers(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}

#[allow(missing_docs, reason = "documented where there is such a thing")]
impl Completions {
    pub fn enter(&mut self, _to_submit: u32, _limit: Option<Duration>) -> Entered {
        match self.0 {}
    }
    pub fn make_room(&mut self, _to_submit: u32) -> Entered {
        match self.0 {}
    }
    pub fn is_empty(&mut self) -> bool {
        match self.0 {}
    }
    pub fn reap(&mut self, _batch: &mut Vec<Cqe>, _max: usize) {
        match self.0 {}
    }
}
