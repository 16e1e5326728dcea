//! The processor's counter of time: `now` and `are_time`, for one platform each; where none is written it stands in `disabled.rs`.

#[cfg(not(tsc))]
#[path = "disabled.rs"]
mod imp;
#[cfg(tsc)]
#[path = "tsc.rs"]
mod imp;

pub(super) use imp::{are_time, now};
