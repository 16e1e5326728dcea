//! The CPU bridge: results, panics and drops at every stage, on every flavour; rows of items; the end of the runtime.

mod calls;
mod ends;
mod rows;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};

use blitz_io::cpu::{
    Caught, Compute, ComputeError, ComputeMetrics, ParallelMap, ParallelMapStream, Window,
};
use blitz_io::runtime::{Builder, Handle, Runtime};

use crate::harness::{FLAVORS, GUARD, each_case, patient};

/// Calls `test` with a runtime of every back end and flavour that has so many threads to compute on.
fn on_every_with(threads: usize, test: impl Fn(&Runtime)) {
    each_case(&FLAVORS, |case| {
        let runtime = case.builder().cpu_threads(threads).build();
        test(&runtime.expect("a runtime"));
    });
}

/// A runtime on this thread with so many threads to compute on.
fn one(threads: usize) -> Runtime {
    Builder::new_current_thread()
        .cpu_threads(threads)
        .build()
        .expect("a runtime")
}

/// A computation that has begun, and goes on until the sender goes.
fn busy(handle: &Handle) -> (Compute<()>, Sender<()>) {
    let (call, go, begun) = later(handle);
    begun.recv_timeout(patient(GUARD)).expect("it begins");
    (call, go)
}

/// The same, which has perhaps not begun.
fn later(handle: &Handle) -> (Compute<()>, Sender<()>, Receiver<()>) {
    let (begun, wait_begun) = channel();
    let (go, wait_go) = channel::<()>();
    let call = handle.compute(move || {
        let _ = begun.send(());
        let _ = wait_go.recv();
    });
    (call, go, wait_begun)
}

/// What a panic of `f` said.
fn panic_of(f: impl FnOnce()) -> String {
    text_of(catch_unwind(AssertUnwindSafe(f)).expect_err("it should panic"))
}

fn text_of(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a message")).to_owned(),
    }
}

const _: () = {
    const fn shared<T: Send + Sync + Unpin>() {}
    const fn unwind_safe<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    type Function = fn(u8) -> u8;
    shared::<Compute<std::cell::Cell<u8>>>();
    shared::<Caught<std::cell::Cell<u8>>>();
    shared::<ParallelMap<u8>>();
    shared::<Window<Function, u8>>();
    shared::<ParallelMapStream<futures::stream::Empty<u8>, Function, u8>>();
    shared::<ComputeError>();
    shared::<ComputeMetrics>();
    unwind_safe::<Compute<std::cell::Cell<u8>>>();
    unwind_safe::<Caught<std::cell::Cell<u8>>>();
};
