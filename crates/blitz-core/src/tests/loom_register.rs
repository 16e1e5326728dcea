//! The version of a record, explored. Each test is named by what can never happen.

use loom::thread;

use super::*;
use crate::waiting::Resource;

static SITE: Site = Site::new("a model", Resource::Object);

/// What a reader gets is of one moment: two figures that are written together are read together.
#[test]
fn no_two_moments_are_read_as_one() {
    loom::model(|| {
        // A record's memory is never given back; loom's own is, at the end of each run.
        let record: &'static Record = Box::leak(Box::new(Record::new()));
        let write = move |number: usize| {
            record.write(|record| {
                record.object.set(number);
                record.turns.set(number);
                record.site.set(Some(&SITE));
                record.at.set(Some(Location::caller()));
                record.state.set(IN_LINE);
            });
        };
        write(1);
        let writer = thread::spawn(move || write(2));
        if let Some(seen) = record.read() {
            assert_eq!(seen.share.object, seen.turns);
        }
        writer.join().unwrap();
        let seen = record.read().expect("nobody writes");
        assert_eq!((seen.share.object, seen.turns), (2, 2));
    });
}

/// Who sees the end of a write sees all of it, also without having met the writer otherwise.
#[test]
fn no_half_of_a_record_is_seen() {
    loom::model(|| {
        let record: &'static Record = Box::leak(Box::new(Record::new()));
        let writer = thread::spawn(move || {
            record.write(|record| {
                record.site.set(Some(&SITE));
                record.at.set(Some(Location::caller()));
                record.object.set(1);
                record.turns.set(1);
                record.state.set(IN_LINE);
            });
        });
        if let Some(seen) = record.read() {
            assert_eq!((seen.share.object, seen.turns), (1, 1));
        }
        writer.join().unwrap();
    });
}
