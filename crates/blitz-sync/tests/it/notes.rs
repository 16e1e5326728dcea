//! What a task that waits for something of this crate says that it waits for, to whoever looks at it.

use std::future::Future;
use std::pin::pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use blitz_core::waiting::{self, Note, Place, Resource};
use blitz_sync::{Barrier, Mutex, Notify, OnceCell, RwLock, Semaphore, SetOnce};
use blitz_sync::{broadcast, mpsc, oneshot, watch};

/// Polls `future` twice, as a runtime polls a task, and returns what it says after each poll that was pending.
fn notes<F: Future>(future: F) -> [Option<Note>; 2] {
    let place = Place::new();
    let mut future = pin!(future);
    let mut is_ready = false;
    [(); 2].map(|()| {
        if is_ready {
            return None;
        }
        place.begin_poll();
        let task = waiting::enter(NonNull::from(&place));
        is_ready = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready();
        drop(task);
        place.read(|| true)
    })
}

/// Asserts that `notes` are of `what`, called at `line` of this file, each of the same thing; returns which.
#[track_caller]
fn assert_waits(notes: [Option<Note>; 2], what: &str, line: u32) -> u64 {
    let [first, second] = notes.map(|note| {
        let note = note.expect("it waits, and says for what");
        assert_eq!(note.site.what, what);
        assert_eq!(note.site.resource, Resource::Object);
        let at = note.location.expect("the line is known");
        assert!(at.file().ends_with("notes.rs"), "{at}");
        assert_eq!(at.line(), line, "{what}");
        note.resource
    });
    assert_eq!(first, second);
    first
}

#[test]
fn whoever_waits_for_a_lock_says_which_and_where() {
    let (one, two) = (Arc::new(Mutex::new(1)), Mutex::new(2));
    let _held = (one.try_lock(), two.try_lock());
    let line = line!() + 1;
    let first = assert_waits(notes(one.lock()), "Mutex::lock", line);
    let owned = notes(Arc::clone(&one).lock_owned());
    assert_eq!(first, assert_waits(owned, "Mutex::lock_owned", line + 1));
    let other = notes(two.lock());
    assert_ne!(first, assert_waits(other, "Mutex::lock", line + 3));

    let lock = Arc::new(RwLock::new(1));
    let held = lock.try_write();
    let line = line!() + 1;
    assert_waits(notes(lock.read()), "RwLock::read", line);
    assert_waits(notes(lock.write()), "RwLock::write", line + 1);
    let owned = notes(Arc::clone(&lock).read_owned());
    assert_waits(owned, "RwLock::read_owned", line + 2);
    let owned = notes(Arc::clone(&lock).write_owned());
    assert_waits(owned, "RwLock::write_owned", line + 4);
    drop(held);

    let semaphore = Arc::new(Semaphore::new(0));
    let line = line!() + 1;
    assert_waits(notes(semaphore.acquire()), "Semaphore::acquire", line);
    let many = notes(semaphore.acquire_many(2));
    assert_waits(many, "Semaphore::acquire_many", line + 1);
    let owned = notes(Arc::clone(&semaphore).acquire_owned());
    assert_waits(owned, "Semaphore::acquire_owned", line + 3);
    let owned = notes(Arc::clone(&semaphore).acquire_many_owned(2));
    assert_waits(owned, "Semaphore::acquire_many_owned", line + 5);
}

#[test]
fn whoever_waits_for_an_event_says_which_and_where() {
    let notify = Arc::new(Notify::new());
    let line = line!() + 1;
    assert_waits(notes(notify.notified()), "Notify::notified", line);
    let owned = notes(Arc::clone(&notify).notified_owned());
    assert_waits(owned, "Notify::notified", line + 1);
    let barrier = Barrier::new(2);
    assert_waits(notes(barrier.wait()), "Barrier::wait", line + 4);
    let set = SetOnce::<u8>::new();
    assert_waits(notes(set.wait()), "SetOnce::wait", line + 6);
}

/// Of a cell that is being made one says the wait for its turn, and what its own future waits for after that.
#[test]
fn a_cell_says_whose_turn_it_is() {
    let cell = OnceCell::<u8>::new();
    let notify = Notify::new();
    let line = line!() + 2;
    let makes = async || {
        notify.notified().await;
        1
    };
    assert_waits(notes(cell.get_or_init(makes)), "Notify::notified", line);
    let mut made = pin!(cell.get_or_init(makes));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(made.as_mut().poll(&mut cx).is_pending());
    let line = line!() + 1;
    let waits = notes(cell.get_or_init(async || 2));
    assert_waits(waits, "OnceCell::get_or_init", line);
    let waits = notes(cell.get_or_try_init(async || Ok::<_, ()>(2)));
    assert_waits(waits, "OnceCell::get_or_init", line + 2);
}

#[test]
fn whoever_waits_for_a_channel_says_which_and_where() {
    let (sender, mut receiver) = mpsc::channel(1);
    let line = line!() + 1;
    assert_waits(notes(receiver.recv()), "mpsc::Receiver::recv", line);
    let many = notes(receiver.recv_many(&mut Vec::new(), 1));
    // The buffer is made on that line too.
    assert_waits(many, "mpsc::Receiver::recv_many", line + 1);
    sender.try_send(1).expect("there is room");
    let line = line!() + 1;
    assert_waits(notes(sender.send(2)), "mpsc::Sender::send", line);
    assert_waits(notes(sender.reserve()), "mpsc::Sender::reserve", line + 1);
    let many = notes(sender.reserve_many(1));
    assert_waits(many, "mpsc::Sender::reserve_many", line + 2);
    let owned = notes(sender.clone().reserve_owned());
    assert_waits(owned, "mpsc::Sender::reserve_owned", line + 4);
    assert_waits(notes(sender.closed()), "mpsc::Sender::closed", line + 6);

    let (sender, mut receiver) = mpsc::unbounded_channel::<u8>();
    let line = line!() + 1;
    let one = notes(receiver.recv());
    assert_waits(one, "mpsc::UnboundedReceiver::recv", line);
    let many = notes(receiver.recv_many(&mut Vec::new(), 1));
    assert_waits(many, "mpsc::UnboundedReceiver::recv_many", line + 2);
    let closed = notes(sender.closed());
    assert_waits(closed, "mpsc::UnboundedSender::closed", line + 4);

    let (mut sender, _receiver) = oneshot::channel::<u8>();
    let line = line!() + 1;
    assert_waits(notes(sender.closed()), "oneshot::Sender::closed", line);

    let (sender, mut receiver) = broadcast::channel::<u8>(1);
    let line = line!() + 1;
    assert_waits(notes(receiver.recv()), "broadcast::Receiver::recv", line);
    let closed = notes(sender.closed());
    assert_waits(closed, "broadcast::Sender::closed", line + 1);

    let (sender, mut receiver) = watch::channel(1);
    let line = line!() + 1;
    assert_waits(notes(receiver.changed()), "watch::Receiver::changed", line);
    let wanted = notes(receiver.wait_for(|value| *value == 2));
    assert_waits(wanted, "watch::Receiver::wait_for", line + 1);
    assert_waits(notes(sender.closed()), "watch::Sender::closed", line + 3);
}

/// A oneshot receiver is its own future, so it knows the line that awaits it.
#[test]
fn a_oneshot_receiver_knows_where_it_is_awaited() {
    let (_sender, receiver) = oneshot::channel::<u8>();
    let line = line!() + 2;
    let waits = notes(async {
        receiver.await.expect("nobody sends");
    });
    assert_waits(waits, "oneshot::Receiver", line);
    let (_sender, mut receiver) = oneshot::channel::<u8>();
    let [note, _] = notes(&mut receiver);
    let note = note.expect("it waits");
    assert_eq!((note.site.what, note.location), ("oneshot::Receiver", None));
}

#[test]
fn whoever_does_not_wait_says_nothing() {
    let mutex = Mutex::new(1);
    assert!(notes(mutex.lock())[0].is_none());
    let (sender, mut receiver) = mpsc::channel(1);
    assert!(notes(sender.send(1))[0].is_none());
    assert!(notes(receiver.recv())[0].is_none());
    let notify = Notify::new();
    notify.notify_one();
    assert!(notes(notify.notified())[0].is_none());
}

/// Another executor's task has no place for a note: the wait is a wait, and that is all.
#[test]
fn under_another_executor_nothing_is_said() {
    assert!(waiting::current().is_none());
    let mutex = Mutex::new(1);
    let held = mutex.try_lock();
    let mut waits = pin!(mutex.lock());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waits.as_mut().poll(&mut cx).is_pending());
    assert!(waiting::current().is_none() && !waiting::is_noted());
    drop(held);
    assert!(matches!(waits.as_mut().poll(&mut cx), Poll::Ready(guard) if *guard == 1));
}
