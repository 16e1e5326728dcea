//! `select!`, `join!`, `try_join!`, `pin!`: which branch runs, what the futures borrow, and who is polled when.

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use blitz_io::runtime::{Builder, RngSeed};
use blitz_io::sync::{mpsc, oneshot};
use blitz_io::time::sleep;
use blitz_io::{join, pin, select, try_join};

#[blitz_io::test]
async fn the_first_that_is_ready_runs_and_the_others_are_dropped() {
    struct Flag(Rc<Cell<bool>>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let dropped = Rc::new(Cell::new(false));
    let flag = Flag(Rc::clone(&dropped));
    let answer = select! {
        () = async move { let _flag = flag; pending().await } => unreachable!("it never ends"),
        number = ready(7) => {
            assert!(dropped.get(), "the losers are gone before the handler runs");
            number + 1
        }
    };
    assert_eq!(answer, 8);
}

#[blitz_io::test]
async fn a_pattern_may_borrow_from_what_came() {
    let len = select! {
        Some(ref mut words) = async { Some("two".to_owned()) } => {
            words.push_str(" words");
            words.len()
        }
        else => 0,
    };
    assert_eq!(len, 9);
}

#[blitz_io::test]
async fn handlers_use_what_the_futures_borrowed() {
    let (sender, mut receiver) = mpsc::channel(2);
    sender.send(1).await.unwrap();
    let mut seen = Vec::new();
    loop {
        select! {
            Some(value) = receiver.recv() => {
                seen.push(value);
                receiver.close();
            },
            else => break,
        }
    }
    assert_eq!(seen, [1]);
}

#[blitz_io::test]
async fn what_does_not_fit_its_pattern_is_out_and_the_rest_goes_on() {
    let (sender, receiver) = oneshot::channel::<u8>();
    blitz_io::spawn(async move {
        blitz_io::task::yield_now().await;
        sender.send(3)
    });
    let answer = select! {
        biased;
        Some(_) = ready(None::<u8>) => "some",
        Err(_) = ready(Ok::<u8, u8>(1)) => "error",
        (1, [_, 2, ..]) | (2, [1, ..]) = ready((1, [0, 3, 0])) => "numbers",
        Ok(number @ 3..) = receiver => {
            assert_eq!(number, 3);
            "received"
        }
    };
    assert_eq!(answer, "received");
}

#[blitz_io::test]
async fn conditions_and_else() {
    let mut polled = false;
    let answer = select! {
        () = async { polled = true }, if false => "first",
        Some(_) = ready(None::<u8>), if true => "second",
        else => "else",
    };
    assert_eq!((answer, polled), ("else", false));
    let mut rounds = 0;
    let mut done = (false, false);
    while done != (true, true) {
        select! {
            () = ready(()), if !done.0 => done.0 = true,
            () = ready(()), if !done.1 => done.1 = true,
        }
        rounds += 1;
    }
    assert_eq!(rounds, 2);
}

#[blitz_io::test]
#[should_panic(expected = "all branches of `select!` are disabled and there is no `else`")]
async fn no_branch_and_no_else_panics() {
    select! {
        Some(()) = ready(None) => {}
    }
}

#[blitz_io::test]
async fn a_future_outside_goes_on_from_round_to_round() {
    let slow = async {
        for _ in 0..3 {
            blitz_io::task::yield_now().await;
        }
        "slow"
    };
    pin!(slow);
    let mut rounds = 0;
    let answer = loop {
        select! {
            biased;
            answer = &mut slow => break answer,
            () = ready(()) => rounds += 1,
        }
    };
    assert_eq!((answer, rounds), ("slow", 3));
}

#[test]
fn who_is_asked_first_is_random_and_repeats_with_the_seed() {
    let run = |seed: u64| {
        let runtime = Builder::new_current_thread()
            .rng_seed(RngSeed::from(seed))
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut row = Vec::new();
            for _ in 0..64 {
                row.push(select! {
                    () = ready(()) => 0,
                    () = ready(()) => 1,
                    () = ready(()) => 2,
                });
            }
            row
        })
    };
    let row = run(1);
    assert_eq!(row, run(1));
    assert_ne!(row, run(2));
    assert!((0..3).all(|branch| row.contains(&branch)));
}

#[blitz_io::test]
async fn a_loop_over_what_is_always_ready_lets_others_run() {
    let ran = Rc::new(Cell::new(false));
    let local = blitz_io::task::LocalSet::new();
    let other = Rc::clone(&ran);
    local.spawn_local(async move { other.set(true) });
    local
        .run_until(async {
            let (sender, mut receiver) = mpsc::unbounded_channel();
            while !ran.get() {
                sender.send(()).unwrap();
                select! {
                    value = receiver.recv() => assert!(value.is_some()),
                    () = pending() => {}
                }
            }
        })
        .await;
}

#[blitz_io::test]
async fn handlers_may_return_and_question() -> Result<(), &'static str> {
    async fn fails() -> Result<u8, &'static str> {
        let value = select! {
            value = ready(Err::<u8, _>("no")) => value?,
        };
        Ok(value)
    }
    assert_eq!(fails().await, Err("no"));
    select! {
        () = ready(()) => return Ok(()),
        else => {}
    };
    Err("the handler returns")
}

#[blitz_io::test(start_paused = true)]
async fn joined_futures_run_side_by_side() {
    let begun = blitz_io::time::Instant::now();
    let (one, two, ()) = join!(
        async {
            sleep(Duration::from_secs(2)).await;
            1
        },
        async {
            sleep(Duration::from_secs(3)).await;
            "two"
        },
        ready(()),
    );
    assert_eq!((one, two), (1, "two"));
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    join!();
    assert_eq!(join!(biased; ready(1)), (1,));
}

#[blitz_io::test]
async fn an_error_ends_a_try_join_at_once() {
    let ended = Cell::new(false);
    let failed = try_join!(
        async {
            pending::<()>().await;
            Ok::<(), &str>(())
        },
        async {
            blitz_io::task::yield_now().await;
            Err::<u8, _>("no")
        },
        async {
            pending::<()>().await;
            ended.set(true);
            Ok(1)
        }
    );
    assert_eq!(failed, Err("no"));
    assert!(!ended.get());
    assert_eq!(try_join!(ready(Ok::<_, ()>(1)), ready(Ok(2))), Ok((1, 2)));
}

#[blitz_io::test]
async fn join_begins_with_another_each_time() {
    let first = Rc::new(Cell::new(Vec::new()));
    let order = |name: &'static str| {
        let first = Rc::clone(&first);
        let mut polls = 0;
        poll_fn(move |cx| {
            let mut list = first.take();
            list.push(name);
            first.set(list);
            polls += 1;
            cx.waker().wake_by_ref();
            if polls == 2 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    };
    join!(order("a"), order("b"));
    assert_eq!(first.take(), ["a", "b", "b", "a"]);
    join!(biased; order("a"), order("b"));
    assert_eq!(first.take(), ["a", "b", "a", "b"]);
}

/// In order there is nothing to remember between two polls.
#[test]
fn a_biased_join_holds_its_futures_and_no_more() {
    let fair = async { join!(ready(0_i32), ready(0_i32)) };
    let biased = async { join!(biased; ready(0_i32), ready(0_i32)) };
    assert!(size_of_val(&biased) < size_of_val(&fair));
    let (one, two) = (ready(Ok::<_, ()>(0_i32)), ready(Ok(0_i32)));
    let fair = async { try_join!(one, two) };
    let (one, two) = (ready(Ok::<_, ()>(0_i32)), ready(Ok(0_i32)));
    let biased = async { try_join!(biased; one, two) };
    assert!(size_of_val(&biased) < size_of_val(&fair));
}

/// The most that there may be, and each can win.
#[blitz_io::test]
async fn sixty_four_branches() {
    macro_rules! branches {
        ($chosen:ident; $($number:literal)*) => {
            select! {
                $(() = ready(()), if $chosen == $number => $number,)*
                else => 64,
            }
        };
    }
    for chosen in 0..=64 {
        let won = branches!(
            chosen;
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
        );
        assert_eq!(won, chosen);
    }
}

/// Patterns that move, refer and change what came.
#[blitz_io::test]
async fn patterns_bind_as_in_a_match() {
    let text = select! {
        Some((mut text, ref count)) = ready(Some((String::from("a"), 2u8))) => {
            text.push_str(&count.to_string());
            text
        }
        else => unreachable!(),
    };
    assert_eq!(text, "a2");
    const SEVEN: u8 = 7;
    let which = select! {
        biased;
        SEVEN = ready(6) => "seven",
        &[first, .., 3] = ready(&[1u8, 2, 4][..]) => { let _: u8 = first; "slice" }
        (whole @ (1..=5 | 9), _) = ready((9u8, "x")) => { assert_eq!(whole, 9); "range" }
    };
    assert_eq!(which, "range");
}

/// What a macro makes must not trip the lints of whoever uses it.
#[deny(warnings, unused, unused_results, clippy::all, clippy::pedantic)]
#[blitz_io::test]
async fn the_users_lints_are_quiet() {
    let number = || ready(3u8);
    select! {
        value = number() => assert_eq!(value, 3),
    }
    let both = join!(number(), number());
    assert_eq!(both, (3, 3));
    let checked: Result<_, ()> = try_join!(async { Ok(number().await) });
    assert_eq!(checked, Ok((3,)));
    let future = number();
    pin!(future);
    assert_eq!(future.await, 3);
}

#[blitz_io::test]
async fn branches_that_never_return_have_any_type() {
    let value: u8 = loop {
        select! {
            () = ready(()), if false => return,
            () = ready(()), if false => continue,
            value = ready(4) => break value,
        }
    };
    assert_eq!(value, 4);
}

/// What a branch borrows of a temporary is there until the race is over.
#[blitz_io::test]
async fn a_branch_may_borrow_a_temporary() {
    let value = select! {
        value = &mut ready(5) => value,
    };
    assert_eq!(value, 5);
}
