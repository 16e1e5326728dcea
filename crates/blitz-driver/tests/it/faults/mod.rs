//! A kernel that fails: asked for again, or its caller's with all that the operation owned.
//!
//! `table.rs` has each operation against each fault, `chains.rs` what falls back or fails together, `streams.rs` what answers
//! many times, `setup.rs` a driver that cannot be made, or cannot enter its ring, `calls.rs` the calls of the readiness path.
//!
//! The faults come by `blitz_sys::completion::faults`, which stands in for the ring. What counts descriptors runs in a child.

mod calls;
mod chains;
mod setup;
mod streams;
mod table;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use blitz_driver::completion::BufferConfig;
use blitz_driver::{Backend, Config, Driver, RingUse};
use blitz_sys::completion::Faults;
use blitz_sys::completion::faults::Plan;
use blitz_sys::errno::{EAGAIN, ECANCELED, EINTR, EMFILE, ENOBUFS, ENOMEM, EPERM};

use crate::support::ring_allowed;

pub(super) const REFUSALS: [i32; 7] = [EAGAIN, EINTR, ECANCELED, EPERM, ENOMEM, ENOBUFS, EMFILE];
pub(super) const CONTENT: &[u8] = b"0123456789abcdef";

/// Runs `test` with a bound driver on a ring that `plan` tampers with, for either use of rings.
pub(super) fn on_tampered(test: impl Fn(&mut Driver, &Plan)) {
    for ring in [RingUse::Shared, RingUse::SingleThread] {
        if !ring_allowed() {
            eprintln!("no rings on this machine: nothing tested");
            return;
        }
        let plan = Plan::none();
        let mut driver = Driver::new(tampered(&plan, ring)).unwrap();
        driver.bind();
        test(&mut driver, &plan);
    }
}

pub(super) fn tampered(plan: &Plan, ring: RingUse) -> Config {
    Config {
        backend: Some(Backend::IoUring),
        ring,
        buffers: BufferConfig {
            count: 16,
            size: 64,
            ..BufferConfig::default()
        },
        faults: Some(Faults::Plan(plan.clone())),
        ..Config::default()
    }
}

pub(super) fn file(dir: &Path, content: &[u8]) -> Arc<File> {
    let path = dir.join("file");
    std::fs::write(&path, content).unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    Arc::new(file)
}

pub(super) fn content(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("file")).unwrap()
}

pub(super) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).unwrap()
}

/// What was sent, read from its peer.
pub(super) fn received(peer: &mut impl io::Read, len: usize) -> Vec<u8> {
    let mut got = vec![0; len];
    peer.read_exact(&mut got).unwrap();
    got
}

/// How many descriptors this process has.
pub(super) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
