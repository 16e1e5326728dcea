//! The mutex: its guards, their parts, and threads that wait.

use std::sync::Arc;
use std::thread;

use blitz_sync::{Mutex, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard};

use crate::harness::Hand;

static SHARED: Mutex<u32> = Mutex::const_new(7);

#[test]
fn the_lock_goes_to_the_one_in_front() {
    let mutex = Mutex::new(0);
    let guard = mutex.try_lock().unwrap();
    let mut first = Hand::new(mutex.lock());
    let mut second = Hand::new(mutex.lock());
    first.waits();
    second.waits();
    drop(guard);
    assert!(mutex.try_lock().is_err(), "it is the first one's already");
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    *first.done() += 1;
    assert_eq!(*second.done(), 1);
}

#[test]
fn a_part_is_guarded_as_the_whole_was() {
    let mutex = Mutex::new((1, String::from("one")));
    let name = MutexGuard::map(mutex.try_lock().unwrap(), |pair| &mut pair.1);
    assert!(mutex.try_lock().is_err());
    assert_eq!(&*name, "one");
    drop(name);
    let whole = MutexGuard::try_map(mutex.try_lock().unwrap(), |_| None::<&mut u8>).unwrap_err();
    assert_eq!(whole.0, 1);
    assert!(std::ptr::eq(MutexGuard::mutex(&whole), &mutex));
}

#[test]
fn an_owned_guard_keeps_the_lock() {
    let mutex = Arc::new(Mutex::new(vec![1, 2, 3]));
    let guard = Hand::new(Arc::clone(&mutex).lock_owned()).done();
    assert!(Arc::clone(&mutex).try_lock_owned().is_err());
    let mut second: OwnedMappedMutexGuard<Vec<i32>, i32> =
        OwnedMutexGuard::map(guard, |list| &mut list[1]);
    *second = 20;
    drop(second);
    assert_eq!(*mutex.try_lock().unwrap(), [1, 20, 3]);
}

#[test]
fn a_panic_lets_go_and_poisons_nothing() {
    let mutex = Mutex::new(1);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = mutex.try_lock().unwrap();
        panic!("under the lock");
    }));
    assert!(panicked.is_err());
    assert_eq!(*mutex.try_lock().unwrap(), 1);
}

#[test]
fn a_thread_waits_too() {
    let mutex = Arc::new(Mutex::new(0));
    let guard = mutex.blocking_lock();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || {
                for _ in 0..100 {
                    *mutex.blocking_lock() += 1;
                }
            })
        })
        .collect();
    drop(guard);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*mutex.blocking_lock(), 400);
}

#[test]
fn it_shows_what_it_guards() {
    let mutex = Mutex::from(5);
    assert_eq!(format!("{mutex:?}"), "Mutex { data: 5 }");
    let guard = mutex.try_lock().unwrap();
    assert_eq!(
        format!("{mutex:?} {guard:?} {guard}"),
        "Mutex { data: <locked> } 5 5"
    );
    drop(guard);
    assert_eq!(*SHARED.try_lock().unwrap(), 7);
}

#[test]
fn what_has_no_size_can_be_locked() {
    let mutex: Arc<Mutex<[u8]>> = Arc::new(Mutex::new([1, 2, 3]));
    mutex.try_lock().unwrap()[0] = 9;
    assert_eq!(mutex.try_lock().unwrap().len(), 3);
}
