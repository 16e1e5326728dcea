//! The table at the head of `state`, line by line, and what holds for every move from every word.

use super::*;

/// A move, its answer as text.
type Move = (&'static str, fn(&State) -> String);

const START: Move = ("start", |s| format!("{:?}", s.start()));
const FINISH: Move = ("finish", |s| format!("{:?}", s.finish()));
const PUBLISH: Move = ("publish", |s| format!("{:?}", s.publish()));
const SET: Move = ("set_waker", |s| format!("{:?}", s.set_waker()));
const UNSET: Move = ("unset_waker", |s| format!("{:?}", s.unset_waker()));
const CANCEL: Move = ("cancel", |s| format!("{}", s.cancel()));
const LEAVE: Move = ("leave", |s| format!("{:?}", s.leave()));

/// Applies a move to a word; returns the word after it, and the answer.
fn apply((_, step): Move, word: u8) -> (u8, String) {
    let state = State(AtomicU8::new(word));
    let answer = step(&state);
    // ORDERING: one thread.
    (state.0.load(Relaxed), answer)
}

const S: u8 = STARTED;
const C: u8 = COMPLETE;
const W: u8 = WAKER;
const T: u8 = TAKING;
const X: u8 = CANCELLED;
const L: u8 = LEFT;

#[test]
fn the_table_is_what_the_code_does() {
    // Move, from, to, answer.
    let lines: &[(Move, u8, u8, &str)] = &[
        (START, X | L, X | L, "Free"),
        (START, X, X | L, "Gone"),
        (START, 0, S, "Run"),
        (START, W, S | W, "Run"),
        (START, L, S | L, "Run"),
        (FINISH, S | L, S | L, "Free"),
        (FINISH, S | W, S | T, "TakeWaker"),
        (FINISH, S, S | C, "Gone"),
        (PUBLISH, S | T, S | T | C, "Gone"),
        (PUBLISH, S | T | L, S | T | L | C, "Free"),
        (SET, 0, W, "Done"),
        (SET, S, S | W, "Done"),
        (SET, S | C, S | C, "Complete"),
        (UNSET, W, 0, "Done"),
        (UNSET, S | W, S, "Done"),
        (UNSET, S | T, S | T, "Soon"),
        (UNSET, S | T | C, S | T | C, "Complete"),
        (CANCEL, 0, X, "true"),
        (CANCEL, S, S, "false"),
        (CANCEL, S | C, S | C, "false"),
        (LEAVE, 0, L, "Gone"),
        (LEAVE, S, S | L, "Gone"),
        (LEAVE, S | T, S | T | L, "Gone"),
        (LEAVE, X, X | L, "Gone"),
        (LEAVE, X | L, X | L, "Free"),
        (LEAVE, S | C, S | C, "Free"),
        (LEAVE, S | T | C, S | T | C, "Free"),
    ];
    for &(step, from, to, answer) in lines {
        assert_eq!(
            apply(step, from),
            (to, answer.to_owned()),
            "{} from {from:#b}",
            step.0
        );
    }
}

/// What a side does next, with the moves that lead there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Runner {
    Has,
    Runs,
    Takes,
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Caller {
    Idle,
    Waiting,
    Cancels,
    Gone,
}

/// Every order of the moves of two sides that keep to the protocol: the call is freed once, by one of them, and only when the
/// other is gone; the closure goes to one of them; the waker's place to one at a time.
#[test]
fn every_order_of_moves_frees_the_call_once() {
    let mut seen = std::collections::BTreeSet::new();
    let mut open = vec![(0u8, Runner::Has, Caller::Idle, 0u8, 0u8)];
    let (mut ends, mut most) = (0, 0);
    while let Some(now @ (word, runner, caller, closures, frees)) = open.pop() {
        if !seen.insert((word, runner as u8, caller as u8, closures, frees)) {
            continue;
        }
        most = most.max(frees);
        assert!(closures <= 1 && frees <= 1, "{now:?}");
        if (runner, caller) == (Runner::Gone, Caller::Gone) {
            assert_eq!((closures, frees), (1, 1), "{now:?}");
            ends += 1;
            continue;
        }
        assert_eq!(frees, 0, "freed while a side is there: {now:?}");
        // The runner's next move.
        let step = match runner {
            Runner::Has => Some(START),
            Runner::Runs => Some(FINISH),
            Runner::Takes => Some(PUBLISH),
            Runner::Gone => None,
        };
        if let Some(step) = step {
            let (word, answer) = apply(step, word);
            let (runner, closure, free) = match answer.as_str() {
                "Run" => (Runner::Runs, 1, 0),
                "TakeWaker" => (Runner::Takes, 0, 0),
                "Gone" => (Runner::Gone, 0, 0),
                "Free" => (Runner::Gone, 0, 1),
                other => panic!("{other}"),
            };
            open.push((word, runner, caller, closures + closure, frees + free));
        }
        // Each move of the caller's.
        let mut push = |step: Move, next: fn(&str) -> (Caller, u8, u8)| {
            let (word, answer) = apply(step, word);
            let (caller, closure, free) = next(&answer);
            open.push((word, runner, caller, closures + closure, frees + free));
        };
        let leaves: fn(&str) -> (Caller, u8, u8) =
            |answer| (Caller::Gone, 0, u8::from(answer == "Free"));
        let cancels: fn(&str) -> (Caller, u8, u8) =
            |answer| (Caller::Cancels, u8::from(answer == "true"), 0);
        match caller {
            Caller::Idle => {
                push(SET, |answer| match answer {
                    "Done" => (Caller::Waiting, 0, 0),
                    // It reads, and frees.
                    "Complete" => (Caller::Gone, 0, 1),
                    other => panic!("{other}"),
                });
                push(CANCEL, cancels);
                // A detached one.
                push(LEAVE, leaves);
            }
            Caller::Waiting => {
                push(UNSET, |answer| match answer {
                    "Done" => (Caller::Idle, 0, 0),
                    "Soon" => (Caller::Waiting, 0, 0),
                    "Complete" => (Caller::Gone, 0, 1),
                    other => panic!("{other}"),
                });
                // A drop that found the waker in the runner's hands, or the end.
                if word & (TAKING | COMPLETE) != 0 {
                    push(CANCEL, cancels);
                    push(LEAVE, leaves);
                }
            }
            Caller::Cancels => push(LEAVE, leaves),
            Caller::Gone => {}
        }
    }
    assert!(ends > 4 && most == 1, "{ends} ends");
}
