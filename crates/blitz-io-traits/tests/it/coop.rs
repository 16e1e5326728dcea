//! What is always ready still lets others run: with a budget, by the hook; without, by the count of rounds.

use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll};

use blitz_io_traits::coop::set_coop_hook;
use blitz_io_traits::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom, copy, copy_bidirectional,
    copy_buf, duplex, empty, join, repeat, simplex, sink,
};

use crate::script::{Count, poll_once};

thread_local! {
    /// The budget of this test's thread; none means without limit.
    static BUDGET: Cell<Option<u32>> = const { Cell::new(None) };
}

fn hook(cx: &mut Context<'_>, step: &mut dyn FnMut(&mut Context<'_>) -> bool) -> Poll<()> {
    match BUDGET.get() {
        None => {
            step(cx);
        }
        Some(0) => {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Some(n) => {
            if step(cx) {
                BUDGET.set(Some(n - 1));
            }
        }
    }
    Poll::Ready(())
}

/// Polls `future` with a budget of ten and returns how much is left, and how often it was woken.
fn within_ten(future: impl Future) -> (u32, usize) {
    set_coop_hook(hook);
    let (count, waker) = Count::new();
    BUDGET.set(Some(10));
    let answer = pin!(future).poll(&mut Context::from_waker(&waker));
    let left = BUDGET.replace(None).expect("it was set");
    assert!(answer.is_pending(), "an endless loop has ended");
    (left, count.get())
}

#[test]
fn the_first_hook_stays() {
    assert!(set_coop_hook(hook));
    assert!(set_coop_hook(hook));
    assert!(!set_coop_hook(|_, _| Poll::Ready(())));
}

/// Runs `$step` in an endless loop, which has to end its turn when the budget is used up.
macro_rules! ends_its_turn {
    ($($name:ident: $step:expr;)+) => {$(
        #[test]
        fn $name() {
            assert_eq!(within_ten(async { loop { $step; } }), (0, 1));
        }
    )+};
}

ends_its_turn! {
    reading_nothing: empty().read(&mut [0; 8]).await.unwrap();
    reading_lines_of_nothing: empty().read_line(&mut String::new()).await.unwrap();
    seeking_in_nothing: empty().seek(SeekFrom::End(0)).await.unwrap();
    reading_one_byte_for_ever: repeat(1).read(&mut [0; 8]).await.unwrap();
    writing_to_nowhere: sink().write(b"x").await.unwrap();
    flushing_nowhere: sink().flush().await.unwrap();
    copying_memory: copy(&mut &b"x"[..], &mut Vec::new()).await.unwrap();
    copying_buffered_memory: copy_buf(&mut &b"x"[..], &mut Vec::new()).await.unwrap();
    copying_both_ways: copy_bidirectional(&mut join(&b"x"[..], Vec::new()), &mut join(&b"y"[..], Vec::new())).await.unwrap();
}

#[test]
fn pipes_end_their_turn() {
    let (mut here, mut there) = duplex(64);
    assert_eq!(
        within_ten(async {
            loop {
                here.write_all(b"ping").await.unwrap();
                there.read_exact(&mut [0; 4]).await.unwrap();
            }
        }),
        (0, 1)
    );
    let (mut reading, mut writing) = simplex(64);
    let (left, woken) = within_ten(async {
        loop {
            writing.write_all(b"ping").await.unwrap();
            reading.read_exact(&mut [0; 4]).await.unwrap();
        }
    });
    assert_eq!((left, woken), (0, 1));
}

#[test]
fn waiting_costs_nothing() {
    let (_here, mut there) = duplex(64);
    // Ten units, none used: the pipe was empty.
    assert_eq!(within_ten(there.read(&mut [0; 4])), (10, 0));
}

#[test]
fn an_endless_copy_ends_its_turn_without_any_budget() {
    set_coop_hook(hook);
    let (mut source, mut target) = (repeat(1), sink());
    let mut copying = pin!(copy(&mut source, &mut target));
    for _ in 0..3 {
        let (count, waker) = Count::new();
        assert!(
            copying
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        assert_eq!(count.get(), 1);
    }

    let mut source = blitz_io_traits::BufReader::new(repeat(1));
    let mut target = sink();
    assert!(poll_once(pin!(copy_buf(&mut source, &mut target))).is_pending());
}
