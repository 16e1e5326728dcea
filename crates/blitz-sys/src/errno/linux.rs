//! The numbers that Linux alone has, or that only its rings answer with.

use super::Row;

#[cfg(not(linux))]
pub(super) const ROWS: &[Row] = &[];

#[cfg(linux)]
pub(super) const ROWS: &[Row] = &[
    Row {
        number: libc::ETIME,
        name: "ETIME",
        kind: None,
        class: super::Class::RetryNow,
        says: "the wait's limit passed without an answer",
    },
    Row {
        number: libc::EBADFD,
        name: "EBADFD",
        kind: None,
        class: super::Class::Ring,
        says: "the ring is in the wrong state: enabled twice, or not yet",
    },
    Row {
        number: libc::EHOSTDOWN,
        name: "EHOSTDOWN",
        kind: None,
        class: super::Class::Operation,
        says: "the host does not answer",
    },
];
