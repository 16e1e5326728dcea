//! Models and short tests of the readiness word.

use super::*;

#[cfg(not(loom))]
mod plain {
    use super::*;

    fn word() -> Word {
        Word(AtomicU64::new(0))
    }

    #[test]
    fn the_tick_wraps_into_nothing_else() {
        let word = word();
        word.0.store(TICK | WAITERS, Relaxed);
        let view = word.publish(Ready::READABLE);
        assert_eq!(view.tick(), 0);
        assert!(view.has_waiters() && !view.is_over());
        assert_eq!(view.ready(), Ready::READABLE);
    }

    #[test]
    fn a_write_that_would_block_refutes_a_failure_but_not_a_hangup() {
        use blitz_sys::readiness::bits::{WRITABLE, WRITE_CLOSED, WRITE_FAILED};
        for (bit, stays) in [(WRITE_FAILED, false), (WRITE_CLOSED, true)] {
            let source = Source::new();
            source.deliver(Ready::from_bits(WRITABLE | bit), &mut |_| ());
            let event = source.look(Direction::Write.mask()).unwrap();
            assert!(event.ready.is_write_closed());
            source.clear(event);
            let ready = source.look(Direction::Write.mask()).unwrap().ready;
            assert_eq!(ready.is_write_closed(), stays);
        }
    }
}

#[cfg(loom)]
mod models {
    use super::*;
    use loom::future::block_on;
    use loom::sync::Arc;
    use loom::thread;
    use std::future::poll_fn;
    use std::task::Poll;

    fn deliver(source: &Source, ready: Ready) {
        let mut wakers = Vec::new();
        source.deliver(ready, &mut |waker| wakers.push(waker));
        for waker in wakers {
            waker.wake();
        }
    }

    async fn wait(source: &Source, direction: Direction) -> ReadyEvent {
        poll_fn(|cx| {
            let look = || source.look(direction.mask()).unwrap();
            if look().ready.is_empty() {
                source.register(direction, cx.waker());
            }
            let event = look();
            if event.ready.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(event)
            }
        })
        .await
    }

    /// An event that comes while a task registers is seen by it. `block_on` fails a task that sleeps for ever.
    #[test]
    fn no_event_is_lost_to_the_slot() {
        loom::model(|| {
            let source = Arc::new(Source::new());
            let driver = Arc::clone(&source);
            let driver = thread::spawn(move || deliver(&driver, Ready::READABLE));
            block_on(wait(&source, Direction::Read));
            driver.join().unwrap();
        });
    }

    /// A task that clears what it saw never clears the event after it.
    #[test]
    fn no_event_is_lost_to_a_clear() {
        loom::model(|| {
            let source = Arc::new(Source::new());
            let driver = Arc::clone(&source);
            let driver = thread::spawn(move || {
                deliver(&driver, Ready::READABLE);
                deliver(&driver, Ready::READABLE);
            });
            let first = block_on(wait(&source, Direction::Read));
            source.clear(first);
            driver.join().unwrap();
            let view = source.word.view();
            assert_eq!(view.tick(), 2);
            assert!(view.ready().is_readable() || first.tick == 2);
        });
    }

    /// Both directions: the reader's clear and the writer's wait do not meet.
    #[test]
    fn a_clear_takes_nothing_from_the_other_direction() {
        loom::model(|| {
            let source = Arc::new(Source::new());
            let driver = Arc::clone(&source);
            let driver = thread::spawn(move || deliver(&driver, Ready::READABLE | Ready::WRITABLE));
            let reader = Arc::clone(&source);
            let reader = thread::spawn(move || {
                if let Ok(event) = reader.look(Direction::Read.mask()) {
                    reader.clear(event);
                }
            });
            block_on(wait(&source, Direction::Write));
            driver.join().unwrap();
            reader.join().unwrap();
        });
    }

    /// What a stream has taken ahead is found by one who reads by himself, also when the stream begins while he looks.
    #[test]
    fn nothing_that_was_taken_ahead_is_missed() {
        loom::model(|| {
            let source = Arc::new(Source::new());
            let queue = Arc::new(loom::sync::Mutex::new(false));
            let (stream, taken) = (Arc::clone(&source), Arc::clone(&queue));
            let stream = thread::spawn(move || {
                stream.begin_ahead();
                *taken.lock().unwrap() = true;
                deliver(&stream, Ready::READABLE);
            });
            let (mask, mut id) = (Direction::Read.mask(), None);
            block_on(poll_fn(|cx| {
                loop {
                    let event = source.look(mask).unwrap();
                    if source.is_ahead() && *queue.lock().unwrap() {
                        return Poll::Ready(());
                    }
                    source.clear(event);
                    let event = source.join(&mut id, mask, cx.waker()).unwrap();
                    if event.ready.is_empty() {
                        return Poll::Pending;
                    }
                }
            }));
            stream.join().unwrap();
        });
    }

    /// Who sees that the resource failed sees why.
    #[test]
    fn no_failure_comes_without_its_reason() {
        loom::model(|| {
            let source = Arc::new(Source::new());
            let driver = Arc::clone(&source);
            let driver = thread::spawn(move || driver.fail(5, &mut |_| ()));
            if let Err(error) = source.look(Direction::Read.mask()) {
                assert_eq!(error.raw_os_error(), Some(5));
            }
            driver.join().unwrap();
        });
        loom::model(|| {
            let source = Arc::new(Source::new());
            let driver = Arc::clone(&source);
            let driver = thread::spawn(move || driver.fail(5, &mut |_| ()));
            let noop = std::task::Waker::noop();
            if let Err(error) = source.join(&mut None, Direction::Read.mask(), noop) {
                assert_eq!(error.raw_os_error(), Some(5));
            }
            driver.join().unwrap();
        });
    }

    /// One who joins the list and an event: one sees the other.
    #[test]
    fn no_event_is_lost_to_the_list() {
        loom::model(|| {
            let source = Arc::new(Source::new());
            let driver = Arc::clone(&source);
            let driver = thread::spawn(move || deliver(&driver, Ready::READABLE));
            let mut id = None;
            block_on(poll_fn(|cx| {
                let event = source.join(&mut id, Direction::Read.mask(), cx.waker());
                if event.unwrap().ready.is_empty() {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            }));
            driver.join().unwrap();
            if let Some(id) = id {
                source.leave(id);
            }
            assert!(!source.word.view().has_waiters());
        });
    }
}
