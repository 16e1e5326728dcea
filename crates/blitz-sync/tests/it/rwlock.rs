//! The lock for readers and writers.

use std::sync::Arc;

use blitz_sync::{OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::harness::Hand;

#[test]
fn readers_share_and_a_writer_does_not() {
    let lock = RwLock::new(1);
    let readers = (lock.try_read().unwrap(), lock.try_read().unwrap());
    assert!(lock.try_write().is_err());
    drop(readers);
    let writer = lock.try_write().unwrap();
    assert!(lock.try_read().is_err());
    drop(writer);
    assert!(lock.try_read().is_ok());
}

#[test]
fn a_writer_that_waits_lets_no_reader_past() {
    let lock = RwLock::new(1);
    let reader = lock.try_read().unwrap();
    let mut writer = Hand::new(lock.write());
    writer.waits();
    let mut later = Hand::new(lock.read());
    later.waits();
    drop(reader);
    assert_eq!((writer.wakes(), later.wakes()), (1, 0));
    *writer.done() = 2;
    assert_eq!(*later.done(), 2);
}

#[test]
fn a_writer_that_gives_up_lets_the_readers_behind_it_through() {
    let lock = RwLock::new(1);
    let _reader = lock.try_read().unwrap();
    let mut writer = Hand::new(lock.write());
    writer.waits();
    let mut later = Hand::new(lock.read());
    later.waits();
    drop(writer);
    assert_eq!(later.wakes(), 1);
    assert_eq!(*later.done(), 1);
}

#[test]
fn a_writer_becomes_a_reader_before_any_other_writer() {
    let lock = RwLock::new((1, 2));
    let writer = lock.try_write().unwrap();
    let mut other = Hand::new(lock.write());
    other.waits();
    let reader = writer.downgrade();
    other.waits();
    assert_eq!(reader.0, 1);
    drop(reader);
    other.done().0 = 5;
    let part = RwLockWriteGuard::downgrade_map(lock.try_write().unwrap(), |pair| &pair.0);
    assert_eq!((*part, lock.try_read().unwrap().0), (5, 5));
}

#[test]
fn a_refused_part_leaves_the_guard_as_it_was() {
    let lock = RwLock::new(1);
    let writer = lock.try_write().unwrap();
    let writer = RwLockWriteGuard::try_downgrade_map(writer, |_| None::<&u8>).unwrap_err();
    assert!(lock.try_read().is_err(), "still the writer's");
    let writer = RwLockWriteGuard::try_map(writer, |_| None::<&mut u8>).unwrap_err();
    let mut mapped = RwLockWriteGuard::into_mapped(writer);
    *mapped = 3;
    drop(mapped);
    let reader = lock.try_read().unwrap();
    let reader = RwLockReadGuard::try_map(reader, |_| None::<&u8>).unwrap_err();
    assert_eq!(*RwLockReadGuard::map(reader, |value| value), 3);
    assert!(lock.try_write().is_ok());
}

#[test]
fn owned_guards_keep_the_lock() {
    let lock = Arc::new(RwLock::new(vec![1, 2]));
    let reader = Hand::new(Arc::clone(&lock).read_owned()).done();
    assert_eq!(reader.len(), 2);
    drop(reader);
    let writer = Arc::clone(&lock).try_write_owned().unwrap();
    let mut last = OwnedRwLockWriteGuard::map(writer, |list| &mut list[1]);
    *last = 9;
    drop(last);
    let writer = Hand::new(Arc::clone(&lock).write_owned()).done();
    let reader = OwnedRwLockWriteGuard::downgrade_map(writer, |list| &list[1]);
    assert_eq!(*reader, 9);
    assert!(Arc::clone(&lock).try_read_owned().is_ok());
}

#[test]
fn readers_are_bounded() {
    let lock = RwLock::with_max_readers((), 2);
    let _held = (lock.try_read().unwrap(), lock.try_read().unwrap());
    assert!(lock.try_read().is_err());
    assert!(std::panic::catch_unwind(|| RwLock::with_max_readers((), 0)).is_err());
    assert!(std::panic::catch_unwind(|| RwLock::with_max_readers((), u32::MAX)).is_err());
}

#[test]
fn threads_wait_too() {
    let lock = RwLock::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..100 {
                    *lock.blocking_write() += 1;
                    assert!(*lock.blocking_read() > 0);
                }
            });
        }
    });
    assert_eq!(lock.into_inner(), 300);
}
