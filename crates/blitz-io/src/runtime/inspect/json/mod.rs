//! As much JSON as the inspection socket speaks: [`write`] shows objects, [`read`] reads a request.
//!
//! Our own, because a library that everybody links should bring no crate along that it hardly uses, and `serde_json`'s
//! comparisons with `Value` take the types away that others' code infers (`docs/dependencies.md`).

mod read;
mod write;

pub(super) use read::{Word, object};
pub(super) use write::{List, Maybe, Text, Value};

/// `fields! { "key": value, … }`: an object.
macro_rules! fields {
    ($($key:literal: $value:expr),* $(,)?) => {
        $crate::runtime::inspect::json::Value::Object(vec![$(($key.into(), $value.into())),*])
    };
}
pub(super) use fields;
