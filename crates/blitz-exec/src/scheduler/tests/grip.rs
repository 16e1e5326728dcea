//! A core, its owner and a rescuer.

use std::sync::Arc;

use blitz_core::barrier::Asymmetric;
use blitz_core::primitive::thread;

use crate::scheduler::multi::grip::{Grip, NotSeized};

type Shared = Arc<Grip<Box<usize>>>;

fn grip() -> Shared {
    Arc::new(Grip::new(Box::new(0), Asymmetric::full()))
}

fn rescuer(grip: &Shared) -> thread::JoinHandle<Result<usize, NotSeized>> {
    let grip = Arc::clone(grip);
    thread::spawn(move || grip.seize().map(|count| *count))
}

/// What a task does: 1 if it had the core.
fn in_task(grip: &Shared) -> usize {
    // SAFETY: the model's thread is the owner.
    usize::from(unsafe { grip.with(|count| *count += 1) }.is_some())
}

/// What the loop does inside: 1 if it had the core.
fn in_loop(grip: &Shared) -> usize {
    // SAFETY: as above.
    unsafe { grip.come_in() };
    // SAFETY: as above.
    let had = unsafe { grip.own(|count| *count += 1) };
    // SAFETY: as above.
    unsafe { grip.come_out() };
    usize::from(had.is_some())
}

/// Whoever has the core in the end has all that was done to it; nobody else has it then.
fn check(grip: &Shared, done: usize, seized: Result<usize, NotSeized>) {
    assert_eq!(grip.is_seized(), seized.is_ok());
    // SAFETY: as above.
    unsafe { grip.come_in() };
    // SAFETY: as above.
    let mine = unsafe { grip.own(|count| *count) };
    assert_eq!(mine.xor(seized.ok()), Some(done));
}

/// However a task and the loop meet a rescuer, the core is in one hand at a time, with all that was done to it.
#[test]
fn a_core_is_in_one_hand_at_a_time() {
    loom::model(|| {
        let grip = grip();
        let rescuer = rescuer(&grip);
        let mut done = in_task(&grip);
        done += in_loop(&grip);
        done += in_task(&grip);
        check(&grip, done, rescuer.join().unwrap());
    });
}

/// The owner stays inside, for a turn of the driver in which wakers come: nobody takes the core then.
#[test]
fn nobody_seizes_from_who_is_inside() {
    loom::model(|| {
        let grip = grip();
        let rescuer = rescuer(&grip);
        // SAFETY: the model's thread is the owner.
        unsafe { grip.come_in() };
        let had_it = !grip.is_seized();
        // SAFETY: as above.
        let mut done = usize::from(unsafe { grip.own(|count| *count += 1) }.is_some());
        done += in_task(&grip);
        assert_eq!(done, 2 * usize::from(had_it));
        // SAFETY: as above.
        unsafe { grip.come_out() };
        done += in_loop(&grip);
        check(&grip, done, rescuer.join().unwrap());
    });
}

/// The owner lends its core and has it back while a rescuer comes.
#[test]
fn a_core_is_lent_or_seized() {
    loom::model(|| {
        let grip = grip();
        let rescuer = rescuer(&grip);
        let mut done = in_task(&grip);
        // SAFETY: as above.
        if let Some(core) = unsafe { grip.lend(|_| true) } {
            assert_eq!(in_task(&grip) + in_loop(&grip), 0);
            // SAFETY: as above; the core is lent.
            unsafe { grip.put(core) };
        }
        done += in_task(&grip);
        check(&grip, done, rescuer.join().unwrap());
    });
}

/// One rescuer gives up and another one comes.
#[test]
fn a_second_rescuer_finds_what_the_first_left() {
    loom::model(|| {
        let grip = grip();
        let rescuer = {
            let grip = Arc::clone(&grip);
            thread::spawn(move || {
                let seized = grip.seize().or_else(|_| grip.seize());
                seized.map(|count| *count)
            })
        };
        let mut done = in_loop(&grip);
        done += in_task(&grip);
        check(&grip, done, rescuer.join().unwrap());
    });
}
