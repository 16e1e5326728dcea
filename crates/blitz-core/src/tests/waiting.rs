//! Notes: whose they are, how long they last, and that nobody reads half of one.

use super::*;
#[cfg(loom)]
use crate::primitive::sync::atomic::Ordering::AcqRel;

static FIRST: Site = Site::new("first", Resource::Number);
#[cfg(not(loom))]
static OTHER: Site = Site::new("other", Resource::Descriptor);
static SECOND: Site = Site::new("second", Resource::Number);

#[cfg(not(loom))]
mod plain {
    use super::*;

    #[test]
    fn a_note_lasts_until_the_next_poll() {
        let place = Place::new();
        let here = Location::caller();
        note(&FIRST, 1, Some(here));
        assert!(place.read(|| true).is_none(), "outside of a task");
        {
            let _entered = enter(NonNull::from(&place));
            place.notify(3);
            place.begin_poll();
            assert!(!is_noted());
            note(&FIRST, 1, None);
            note(&SECOND, 2, Some(here));
            assert!(is_noted());
        }
        let read = place.read(|| true).expect("a note was left");
        assert_eq!(read.site.what, "second");
        assert_eq!(read.resource, 2);
        assert_eq!(read.location, Some(here));
        assert!(place.read(|| false).is_none(), "the task runs");
        place.notify_again();
        place.begin_poll();
        assert!(place.read(|| true).is_none());
        assert_eq!((place.turns(), place.self_wakes()), (2, 1));
        assert_eq!(place.since(), 3);
    }

    #[test]
    fn an_adapter_adds_its_line_to_a_note_or_leaves_its_own() {
        let place = Place::new();
        let here = Location::caller();
        let _entered = enter(NonNull::from(&place));
        place.begin_poll();
        locate(&SECOND, here);
        assert_eq!(
            place.read(|| true).map(|note| note.site.what),
            Some("second")
        );
        place.begin_poll();
        note(&FIRST, 7, None);
        locate(&SECOND, here);
        let read = place.read(|| true).expect("a note was left");
        assert_eq!(
            (read.site.what, read.resource, read.location),
            ("second", 7, Some(here)),
            "the same kind of number"
        );
        place.begin_poll();
        note(&OTHER, 8, None);
        locate(&SECOND, here);
        let read = place.read(|| true).expect("a note was left");
        assert_eq!(
            (read.site.what, read.resource, read.location),
            ("other", 8, Some(here))
        );
        call(&SECOND, 9, here);
        let read = place.read(|| true).expect("a note was left");
        assert_eq!((read.site.what, read.resource), ("second", 9));
    }

    #[test]
    fn a_traced_poll_keeps_every_leafs_stack() {
        let place = Place::new();
        {
            let _entered = enter_traced(NonNull::from(&place));
            assert_eq!(current(), Some(NonNull::from(&place)));
            assert!(is_traced(NonNull::from(&place)));
            place.begin_poll();
            leave_trace();
            leave_trace();
            note(&SECOND, 2, None);
            locate(&FIRST, Location::caller());
        }
        assert!(!is_traced(NonNull::from(&place)));
        let leaves = take_leaves().expect("a traced poll was");
        assert_eq!(leaves.len(), 2);
        assert!(leaves[0].note.is_none());
        let note = leaves[1].note.expect("it left one");
        assert_eq!((note.site.what, note.resource), ("first", 2));
        assert!(note.location.is_some());
        let stack = leaves[0].backtrace.to_string();
        assert!(
            stack.contains("a_traced_poll_keeps_every_leafs_stack"),
            "{stack}"
        );
        assert!(take_leaves().is_none());
        assert_eq!(
            place.read(|| true).map(|note| note.site.what),
            Some("first")
        );
        assert_eq!(current(), None);
    }

    /// Whoever runs tasks inside of a task's poll puts back what it found.
    #[test]
    fn who_steps_out_comes_back() {
        let (outer, inner) = (Place::of(1), Place::of(2));
        let _entered = enter(NonNull::from(&outer));
        {
            let _out = step_out();
            assert_eq!(current_task(), 0);
            {
                let _running = enter_next(NonNull::from(&inner));
                assert_eq!(current_task(), 2);
                let _dropped = enter(NonNull::from(&outer));
                assert_eq!(current_task(), 1);
            }
            assert_eq!(current_task(), 0);
        }
        assert_eq!(current_task(), 1);
    }

    /// A look changes nothing for the thread: notes are left, in a traced poll too, and whom it works for comes back unmarked.
    #[test]
    fn to_be_seen_changes_nothing() {
        let (outer, inner) = (Place::of(1), Place::of(2));
        let pulse = Pulse::here();
        // SAFETY: this is the thread.
        let see = || unsafe { pulse.read() };
        let nobody = see();
        assert_eq!((nobody.1, see()), (0, nobody));
        assert_eq!(current_task(), 0);
        note(&FIRST, 1, None);
        let entered = enter(NonNull::from(&outer));
        let at_first = see();
        assert_eq!(at_first.1, std::ptr::from_ref(&outer).addr());
        assert_eq!(see(), at_first);
        assert_eq!(current_task(), 1);
        outer.notify(0);
        note_if_none(&FIRST, 1, None);
        note_if_none(&SECOND, 2, None);
        assert_eq!(outer.read(|| true).map(|note| note.resource), Some(1));
        note(&SECOND, 2, None);
        assert_eq!(outer.read(|| true).map(|note| note.resource), Some(2));
        call(&FIRST, 3, Location::caller());
        assert_eq!(outer.read(|| true).map(|note| note.resource), Some(3));
        assert_eq!(see(), at_first, "no task was entered or left");
        let traced = enter_traced(NonNull::from(&inner));
        assert_ne!(see(), at_first);
        assert!(is_traced(NonNull::from(&inner)) && is_tracing());
        leave_trace();
        note(&FIRST, 4, None);
        drop(traced);
        let leaves = take_leaves().expect("a traced poll was");
        assert_eq!(leaves[0].note.map(|note| note.resource), Some(4));
        let nested = enter(NonNull::from(&outer));
        see();
        drop(enter(NonNull::from(&inner)));
        assert_eq!(here(), std::ptr::from_ref(&outer), "not marked any more");
        drop((nested, entered));
        assert_ne!(see(), nobody);
    }

    /// Two looks that are the same have nothing between them but a step that is on its way.
    #[test]
    fn no_step_is_between_equal_looks() {
        use std::sync::atomic::{AtomicBool, AtomicUsize};
        let (steps, done) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let (steps, done) = (&steps, &done);
            scope.spawn(move || {
                let place = Place::of(1);
                let _ = tell.send(Pulse::here());
                while !done.load(Relaxed) {
                    steps.fetch_add(1, Relaxed);
                    let running = enter_next(NonNull::from(&place));
                    steps.fetch_add(1, Relaxed);
                    drop(running);
                }
            });
            let pulse = told.recv().expect("the thread tells");
            let mut equal = 0;
            for _ in 0..200_000 {
                // SAFETY: the thread goes on until we are done.
                let first = unsafe { pulse.read() };
                let before = steps.load(Relaxed);
                let after = steps.load(Relaxed);
                // SAFETY: as above.
                let second = unsafe { pulse.read() };
                if first == second {
                    equal += 1;
                    assert!(after.wrapping_sub(before) <= 1);
                }
            }
            done.store(true, Relaxed);
            std::hint::black_box(equal);
        });
    }
}

/// A reader meets polls that leave notes whose three parts belong together; whoever runs a task tells it so first, as a waker and as a
/// runner does.
#[cfg(loom)]
#[test]
fn no_note_is_made_of_two() {
    use crate::primitive::sync::Arc;

    const IDLE: usize = 0;
    const NOTIFIED: usize = 1;
    const RUNNING: usize = 2;

    fn wakes_itself(task: &(Place, AtomicUsize)) {
        task.1.store(NOTIFIED, Release);
        task.0.notify_again();
        task.1.store(RUNNING, Relaxed);
    }

    let first_line = Location::caller();
    let second_line = Location::caller();
    for again in [false, true] {
        loom::model(move || {
            let task = Arc::new((Place::new(), AtomicUsize::new(IDLE)));
            task.0.notify(0);
            task.0.begin_poll();
            task.0.leave(&FIRST, 1, first_line);
            let runner = {
                let task = Arc::clone(&task);
                loom::thread::spawn(move || {
                    task.1.swap(NOTIFIED, AcqRel);
                    task.0.notify(0);
                    task.1.swap(RUNNING, Acquire);
                    task.0.begin_poll();
                    if again {
                        // A poll that woke its task, and the next one.
                        wakes_itself(&task);
                        task.0.begin_poll();
                        task.0.leave(&SECOND, 2, second_line);
                    } else {
                        // Two leaves in one poll.
                        task.0.leave(&FIRST, 1, first_line);
                        task.0.leave(&SECOND, 2, second_line);
                    }
                    task.1.store(IDLE, Release);
                })
            };
            if let Some(note) = task.0.read(|| task.1.load(Acquire) == IDLE) {
                let (what, line) = match note.resource {
                    1 => ("first", first_line),
                    _ => ("second", second_line),
                };
                assert_eq!((note.site.what, note.location), (what, Some(line)));
            }
            runner.join().unwrap();
            let note = task
                .0
                .read(|| task.1.load(Acquire) == IDLE)
                .expect("it waits");
            assert_eq!(
                (note.site.what, note.resource, note.location),
                ("second", 2, Some(second_line))
            );
        });
    }
}
