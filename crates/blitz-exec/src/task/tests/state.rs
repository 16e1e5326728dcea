//! The table at the head of `state`, line by line, and what holds for every move from every word.

use super::*;

/// A move, its answer as text.
type Move = (&'static str, fn(&State) -> String);

const START: Move = ("start", |s| format!("{:?}", s.start()));
const REST: Move = ("rest", |s| format!("{:?}", s.rest()));
const COMPLETES: Move = ("complete", |s| format!("{:?}", s.complete()));
const WAKE: Move = ("wake_by_value", |s| format!("{:?}", s.wake_by_value(false)));
const WAKE_KEEP: Move = ("wake_by_value, keep", |s| {
    format!("{:?}", s.wake_by_value(true))
});
const WAKE_REF: Move = ("wake_by_ref", |s| format!("{:?}", s.wake_by_ref()));
const ABORT: Move = ("abort", |s| format!("{:?}", s.abort()));
const TRACE: Move = ("trace", |s| format!("{:?}", s.trace()));
const END_TRACE: Move = ("end_trace", |s| format!("{:?}", s.end_trace()));
const REST_TRACED: Move = ("rest_traced", |s| format!("{:?}", s.rest_traced()));
const SHUTDOWN: Move = ("shutdown", |s| format!("{}", s.shutdown()));
const SET: Move = ("set_waker", |s| format!("{:?}", s.set_waker()));
const UNSET: Move = ("unset_waker", |s| format!("{:?}", s.unset_waker()));
const LEAVE: Move = ("leave", |s| format!("{:?}", s.leave()));

/// Applies a move to a word; returns the word after it, and the answer.
fn apply((_, step): Move, bits: usize, refs: usize) -> (usize, usize, String) {
    let state = State(AtomicUsize::new(bits | (refs * ONE_REF)));
    let answer = step(&state);
    // ORDERING: one thread.
    let word = state.0.load(Relaxed);
    (word % ONE_REF, word / ONE_REF, answer)
}

#[test]
fn the_table_is_what_the_code_does() {
    const R: usize = RUNNING;
    const C: usize = COMPLETE;
    const N: usize = NOTIFIED;
    const X: usize = CANCELLED;
    const J: usize = JOIN_INTEREST;
    const W: usize = JOIN_WAKER;
    const T: usize = TRACED;
    // Move, from, to, references before and after, answer.
    let lines: &[(Move, usize, usize, usize, usize, &str)] = &[
        (START, N, R, 2, 2, "Poll"),
        (START, N | X, R | X, 2, 2, "Cancel"),
        (START, N | T, R | T, 2, 2, "Trace"),
        (START, N | T | X, R | T | X, 2, 2, "Cancel"),
        (START, N | R, N | R, 2, 1, "Gone"),
        (START, N | C, N | C, 2, 1, "Gone"),
        (START, N | C, N | C, 1, 0, "Last"),
        (REST, R, 0, 2, 1, "Sleep"),
        (REST, R, 0, 1, 0, "Last"),
        (REST, R | N, N, 2, 2, "Again"),
        (REST, R | X, R | X, 2, 2, "Cancel"),
        (REST, R | N | X, R | N | X, 2, 2, "Cancel"),
        (REST, R | T, R | T, 2, 2, "Traced"),
        (REST, R | T | N, R | T | N, 2, 2, "Traced"),
        (REST, R | T | X, R | T | X, 2, 2, "Cancel"),
        (END_TRACE, R | T, R, 2, 2, "()"),
        (END_TRACE, R | T | N, R | N, 2, 2, "()"),
        (REST_TRACED, R, 0, 2, 1, "Sleep"),
        (REST_TRACED, R | N, N, 2, 2, "Again"),
        (REST_TRACED, R | T | N, N | T, 2, 2, "Again"),
        (REST_TRACED, R | T | X, R | T | X, 2, 2, "Cancel"),
        (COMPLETES, R, C, 2, 2, "DropOutput"),
        (COMPLETES, R | J, C | J, 2, 2, "KeepOutput"),
        (COMPLETES, R | J | W, C | J | W, 2, 2, "WakeJoiner"),
        (WAKE, 0, N, 2, 2, "Submit"),
        (WAKE, N, N, 2, 1, "Nothing"),
        (WAKE, R, R | N, 2, 1, "Nothing"),
        (WAKE, C, C, 2, 1, "Nothing"),
        (WAKE, C, C, 1, 0, "Last"),
        (WAKE_KEEP, 0, N, 2, 3, "Submit"),
        (WAKE_KEEP, R, R | N, 2, 1, "Nothing"),
        (WAKE_REF, 0, N, 2, 3, "Submit"),
        (WAKE_REF, N, N, 2, 2, "Nothing"),
        (WAKE_REF, R, R | N, 2, 2, "Nothing"),
        (WAKE_REF, C, C, 2, 2, "Nothing"),
        (ABORT, 0, N | X, 2, 3, "Submit"),
        (ABORT, N, N | X, 2, 2, "Nothing"),
        (ABORT, R, R | X, 2, 2, "Nothing"),
        (ABORT, C, C, 2, 2, "Nothing"),
        (ABORT, N | X, N | X, 2, 2, "Nothing"),
        (TRACE, 0, N | T, 2, 3, "Submit"),
        (TRACE, N, N | T, 2, 2, "Nothing"),
        (TRACE, R, R | N | T, 2, 2, "Nothing"),
        (TRACE, C, C, 2, 2, "Nothing"),
        (TRACE, N | X, N | X, 2, 2, "Nothing"),
        (SHUTDOWN, 0, R | X, 2, 2, "true"),
        (SHUTDOWN, N, R | N | X, 2, 2, "true"),
        (SHUTDOWN, R, R | X, 2, 2, "false"),
        (SHUTDOWN, C, C, 2, 2, "false"),
        (SET, J, J | W, 2, 2, "Ok(())"),
        (SET, J | C, J | C, 2, 2, "Err(IsComplete)"),
        (UNSET, J | W, J, 2, 2, "Ok(())"),
        (UNSET, J | W | C, J | W | C, 2, 2, "Err(IsComplete)"),
        (LEAVE, J, 0, 2, 1, "Done"),
        (LEAVE, J, 0, 1, 0, "Last"),
        (LEAVE, J | W, 0, 2, 2, "DropWaker"),
        (LEAVE, J | C, J | C, 2, 2, "DropOutput"),
        (LEAVE, J | C | W, J | C | W, 2, 2, "DropOutput"),
    ];
    for &(step, from, to, before, after, answer) in lines {
        assert_eq!(
            apply(step, from, before),
            (to, after, answer.to_owned()),
            "{} from {from:#b}",
            step.0
        );
    }
}

/// From every word in which a move may happen: COMPLETE and CANCELLED stay, only `start` and `shutdown` make RUNNING, only
/// the runner ends it, the joiner's bits are the joiner's, and only an answer "Last" leaves no reference.
#[test]
fn no_move_touches_what_is_not_its_own() {
    for bits in 0..ONE_REF {
        let running = bits & RUNNING != 0;
        let complete = bits & COMPLETE != 0;
        let joined = bits & JOIN_INTEREST != 0;
        let waiting = bits & JOIN_WAKER != 0;
        if (running && complete) || (waiting && !joined) {
            // No such word.
            continue;
        }
        let mut moves = vec![WAKE, WAKE_KEEP, WAKE_REF, ABORT, TRACE, SHUTDOWN];
        moves.extend((bits & NOTIFIED != 0).then_some(START));
        moves.extend(
            running
                .then_some(REST)
                .into_iter()
                .chain(running.then_some(COMPLETES)),
        );
        moves.extend((running && bits & TRACED != 0).then_some(END_TRACE));
        moves.extend(running.then_some(REST_TRACED));
        moves.extend(joined.then_some(LEAVE));
        moves.extend((joined && !waiting).then_some(SET));
        moves.extend((joined && waiting).then_some(UNSET));
        for step in moves {
            let name = step.0;
            let (after, refs, answer) = apply(step, bits, 2);
            assert_eq!(
                bits & LANE,
                after & LANE,
                "{name}: a task changes lanes by `set_lane`"
            );
            let gone = |bit| bits & bit != 0 && after & bit == 0;
            let new = |bit| bits & bit == 0 && after & bit != 0;
            let context = format!("{name} from {bits:#b} to {after:#b}: {answer}");
            assert!(!gone(COMPLETE) && !gone(CANCELLED), "{context}");
            assert!(
                !new(RUNNING) || ["start", "shutdown"].contains(&name),
                "{context}"
            );
            assert!(
                !gone(RUNNING) || ["rest", "rest_traced", "complete"].contains(&name),
                "{context}"
            );
            assert!(!new(COMPLETE) || name == "complete", "{context}");
            assert!(!gone(JOIN_INTEREST) || name == "leave", "{context}");
            assert!(!new(JOIN_WAKER) || name == "set_waker", "{context}");
            assert!(
                !gone(JOIN_WAKER) || ["unset_waker", "leave"].contains(&name),
                "{context}"
            );
            assert!(
                !new(CANCELLED) || ["abort", "shutdown"].contains(&name),
                "{context}"
            );
            assert!(!new(TRACED) || name == "trace", "{context}");
            assert!(!gone(TRACED) || name == "end_trace", "{context}");
            // Who submits has made the one notification there is.
            assert_eq!(answer == "Submit", new(NOTIFIED) && !running, "{context}");
            assert!((1..=3).contains(&refs) && answer != "Last", "{context}");
        }
    }
}

#[test]
fn a_change_of_lanes_changes_nothing_else() {
    for bits in 0..ONE_LANE {
        for before in Lane::ALL {
            for after in Lane::ALL {
                let state = State(AtomicUsize::new(
                    bits | (before.number() * ONE_LANE) | (2 * ONE_REF),
                ));
                assert_eq!(state.lane(), before);
                assert_eq!(state.set_lane(after), before);
                assert_eq!(state.lane(), after);
                // ORDERING: one thread.
                assert_eq!(state.0.load(Relaxed) & !LANE, bits | (2 * ONE_REF));
            }
        }
    }
}

#[test]
fn the_last_reference_says_so() {
    let state = State::owned(Lane::Normal);
    assert!(!state.drop_refs(2));
    state.add_ref();
    assert!(!state.drop_refs(1));
    assert!(state.drop_refs(1));
    assert!(!state.is_complete());
    assert!(format!("{state:?}").contains("join_interest"));
    assert!(!State::unowned(Lane::Low).drop_refs(1));
}
