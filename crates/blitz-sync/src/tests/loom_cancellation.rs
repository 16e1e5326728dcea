//! Tokens, explored. Each test is named by what can never happen.

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::CancellationToken;

fn bounded_model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(check);
}

/// Who waits while a token is cancelled goes on.
#[test]
fn no_waiter_misses_a_cancel() {
    bounded_model(|| {
        let token = CancellationToken::new();
        let waiting = {
            let token = token.child_token();
            thread::spawn(move || block_on(token.cancelled()))
        };
        token.cancel();
        waiting.join().unwrap();
    });
}

/// A child that is made while its parent is cancelled is cancelled too.
#[test]
fn no_child_escapes() {
    bounded_model(|| {
        let token = CancellationToken::new();
        let cancelling = {
            let token = token.clone();
            thread::spawn(move || token.cancel())
        };
        let child = token.child_token();
        cancelling.join().unwrap();
        assert!(child.is_cancelled());
    });
}

/// A token between the two that goes meanwhile does not part them.
#[test]
fn no_cancel_stops_at_a_token_that_goes() {
    bounded_model(|| {
        let token = CancellationToken::new();
        let between = token.child_token();
        let last = between.child_token();
        let going = thread::spawn(move || drop(between));
        token.cancel();
        assert!(last.is_cancelled());
        going.join().unwrap();
    });
}

/// Clones that go at once take their place out of the tree once, while another child comes.
#[test]
fn no_place_is_left_twice() {
    bounded_model(|| {
        let token = CancellationToken::new();
        let child = token.child_token();
        let going = {
            let child = child.clone();
            thread::spawn(move || drop(child))
        };
        drop(child);
        let other = token.child_token();
        going.join().unwrap();
        token.cancel();
        assert!(other.is_cancelled());
    });
}

/// Who sees that a token is cancelled sees what was done before that.
#[test]
fn no_cancel_is_seen_before_what_led_to_it() {
    bounded_model(|| {
        let token = CancellationToken::new();
        let reason = Arc::new(UnsafeCell::new(0));
        // The other way round loom would miss it: the load that `cancel` begins with hides from its store who has looked before.
        let looking = {
            let (token, reason) = (token.clone(), Arc::clone(&reason));
            thread::spawn(move || {
                if token.is_cancelled() {
                    // SAFETY: it was written before the cancel; loom objects if that is not seen.
                    reason.with(|reason| assert_eq!(unsafe { *reason }, 7));
                }
            })
        };
        // SAFETY: nobody reads it before the cancel.
        reason.with_mut(|reason| unsafe { *reason = 7 });
        token.cancel();
        looking.join().unwrap();
    });
}
