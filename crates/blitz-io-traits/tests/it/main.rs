//! The public face of `blitz-io-traits`, in one binary.
//!
//! `script` makes streams that misbehave on demand: short reads and writes, `Pending` and `Interrupted` where a plan says so.
//! Properties hold for any plan, `cancel` drops each future at each await point, `regressions` holds one test for each
//! fault known from other libraries.

#[path = "../../../blitz-sync/tests/it/async_methods.rs"]
mod async_methods;
mod auto_traits;
mod cancel;
mod compat;
mod coop;
mod halves;
mod pipes;
mod properties;
mod regressions;
mod script;
mod seeking;
