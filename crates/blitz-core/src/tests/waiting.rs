//! Notes: whose they are, how long they last, and that nobody reads half of one.

use super::*;

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
        place.begin_poll();
        assert!(place.read(|| true).is_none());
        assert_eq!(place.polls(), 2);
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
}

/// A reader meets polls that leave notes whose three parts belong together.
#[cfg(loom)]
#[test]
fn no_note_is_made_of_two() {
    use crate::primitive::sync::Arc;

    let first_line = Location::caller();
    let second_line = Location::caller();
    loom::model(move || {
        // Bit 0 of the state: somebody polls.
        let task = Arc::new((Place::new(), AtomicUsize::new(0)));
        task.1.fetch_add(1, Acquire);
        task.0.begin_poll();
        task.0.leave(&FIRST, 1, first_line);
        task.1.fetch_add(1, Release);
        let runner = {
            let task = Arc::clone(&task);
            loom::thread::spawn(move || {
                task.1.fetch_add(1, Acquire);
                task.0.begin_poll();
                // Two leaves in one poll.
                task.0.leave(&FIRST, 1, first_line);
                task.0.leave(&SECOND, 2, second_line);
                task.1.fetch_add(1, Release);
            })
        };
        if let Some(note) = task.0.read(|| task.1.load(Acquire) & 1 == 0) {
            let (what, line) = match note.resource {
                1 => ("first", first_line),
                _ => ("second", second_line),
            };
            assert_eq!((note.site.what, note.location), (what, Some(line)));
        }
        runner.join().unwrap();
        let note = task
            .0
            .read(|| task.1.load(Acquire) & 1 == 0)
            .expect("it waits");
        assert_eq!(
            (note.site.what, note.resource, note.location),
            ("second", 2, Some(second_line))
        );
    });
}
