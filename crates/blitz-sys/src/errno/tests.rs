//! The table row by row, and that both ways an error can come give the same one.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};

use super::*;

/// The kind is std's, whichever way the number came; where std has none the row says so.
#[test]
fn each_row_has_the_kind_that_std_gives_it() {
    for row in table() {
        let from_completion = check(-row.number).unwrap_err();
        let from_call = error(row.number);
        assert_eq!(
            from_completion.raw_os_error(),
            Some(row.number),
            "{}",
            row.name
        );
        assert_eq!(from_completion.kind(), from_call.kind(), "{}", row.name);
        assert_eq!(from_completion.to_string(), from_call.to_string());
        let kind = from_call.kind();
        match row.kind {
            Some(expected) => assert_eq!(kind, expected, "{}", row.name),
            // std's name for "none" is not public, nor are two others.
            None if ["EINPROGRESS", "ELOOP"].contains(&row.name) => {}
            None => assert!(
                format!("{kind:?}") == "Uncategorized",
                "{}: {kind:?}",
                row.name
            ),
        }
    }
}

#[test]
fn no_number_has_two_rows_and_every_row_has_words() {
    let mut seen = BTreeSet::new();
    for row in table() {
        assert!(seen.insert(row.number), "{} is there twice", row.name);
        assert!(
            row.says.len() > 10 && !row.says.ends_with('.'),
            "{}",
            row.name
        );
        assert!(row.name.starts_with('E'));
        assert_eq!(super::row(row.number).unwrap().name, row.name);
        assert_eq!(
            class(row.number),
            row.class,
            "{}: the short way differs",
            row.name
        );
        assert_eq!(Class::of(&error(row.number)), row.class);
    }
}

#[test]
fn what_is_tried_again_is_what_can_succeed() {
    let again: Vec<&str> = table()
        .filter(|row| row.class.is_recoverable())
        .map(|row| row.name)
        .collect();
    let expected = [
        "EINTR",
        "ECANCELED",
        "EAGAIN",
        "EINPROGRESS",
        "EALREADY",
        "ENOMEM",
        "ENOBUFS",
        "EMFILE",
        "ENFILE",
        "EBUSY",
    ];
    for name in expected {
        assert!(again.contains(&name), "{name}");
    }
    assert!(
        again
            .iter()
            .all(|name| expected.contains(name) || *name == "ETIME"),
        "{again:?}"
    );
    assert!(is_undone(-EINTR) && is_undone(-ECANCELED));
    assert!(!is_undone(-EAGAIN) && !is_undone(-ENOMEM) && !is_undone(0) && !is_undone(EINTR));
}

#[test]
fn errors_without_a_number_are_classed_by_their_kind() {
    let class = |kind: ErrorKind| Class::of(&io::Error::from(kind));
    assert_eq!(class(ErrorKind::WouldBlock), Class::RetryWhenReady);
    assert_eq!(class(ErrorKind::Interrupted), Class::RetryNow);
    assert_eq!(class(ErrorKind::OutOfMemory), Class::RetryWhenFreed);
    assert_eq!(class(ErrorKind::NotFound), Class::Operation);
    assert_eq!(Class::of(&io::Error::other("?")), Class::Operation);
}

#[test]
fn an_unknown_number_is_the_operations_own_failure() {
    assert_eq!(class(123_456), Class::Operation);
    assert!(row(123_456).is_none() && says(&error(123_456)).is_none());
    assert_eq!(check(-123_456).unwrap_err().raw_os_error(), Some(123_456));
    assert_eq!(check(7).unwrap(), 7);
}

#[test]
fn groups_that_the_runtime_asks_about() {
    assert!(is_out_of_descriptors(&error(EMFILE)) && is_out_of_descriptors(&error(ENFILE)));
    assert!(!is_out_of_descriptors(&error(ENOMEM)));
    assert!(is_unsupported(&error(EOPNOTSUPP)) && is_unsupported(&error(ENOSYS)));
    assert!(!is_unsupported(&error(EINVAL)));
    // A failing call leaves its number where `last_answer` finds it.
    // SAFETY: closing a number that cannot be open touches nothing.
    assert_eq!(unsafe { libc::close(-1) }, -1);
    assert_eq!(last_answer(), -EBADF);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::close(-1) }, -1);
    assert_eq!(last().raw_os_error(), Some(EBADF));
}
