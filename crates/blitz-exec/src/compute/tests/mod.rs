//! Tests of calls: models of their word, and bridges with a crew of plain threads.

#[cfg(loom)]
mod models;
#[cfg(not(loom))]
mod plain;
#[cfg(not(loom))]
mod stress;

use super::call::Call;
use super::cell::Job;
use super::ledger::Ledger;
use crate::park::NoWatch;
use std::sync::Arc;

/// A call of no bridge.
fn call<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> (Job, Call<R>) {
    Call::new(f, &Ledger::new(0, Arc::new(NoWatch)))
}
