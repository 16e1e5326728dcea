//! Threads that spin, wait and nest, asked for their stacks; signals that are somebody else's or come too late.

use std::hint::black_box;
use std::io::{PipeReader, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::cpu;

const GUARD: Duration = Duration::from_secs(60);

/// Threads ask for the few places that there are.
static ONE_TEST: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE_TEST
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[track_caller]
fn until(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < GUARD);
        thread::yield_now();
    }
}

#[track_caller]
fn answer(asked: Asked) -> Stack {
    until(|| asked.is_answered());
    asked.take().unwrap()
}

fn names(stack: &Stack) -> Vec<String> {
    let frames = stack.frames().into_iter();
    frames
        .map(|frame| frame.function.unwrap_or_default())
        .collect()
}

/// A thread that has begun, and its number.
struct Number(AtomicU32);

impl Number {
    const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    fn tell(&self) {
        self.0.store(cpu::thread_id().unwrap(), SeqCst);
    }

    fn get(&self) -> u32 {
        until(|| self.0.load(SeqCst) != 0);
        self.0.load(SeqCst)
    }
}

#[inline(never)]
fn spins_here(number: &Number, stop: &AtomicBool) {
    number.tell();
    while !stop.load(SeqCst) {
        std::hint::spin_loop();
    }
}

#[inline(never)]
fn calls_it(number: &Number, stop: &AtomicBool) {
    spins_here(number, stop);
    black_box(stop);
}

#[test]
fn a_thread_that_spins_is_named_from_within_to_its_begin() {
    let _alone = alone();
    let (number, stop) = (Number::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| calls_it(&number, &stop));
        let has_line = |stack: &Stack| {
            stack.frames().iter().any(|frame| {
                let name = frame.function.as_deref().unwrap_or_default();
                name.contains("spins_here") && frame.line.is_some()
            })
        };
        // A few instructions belong to no line: then the next look finds another.
        let stack = (0..1_000)
            .map(|_| answer(ask(DEFAULT_SIGNAL, number.get()).unwrap()))
            .find(has_line);
        stop.store(true, SeqCst);
        let stack = stack.expect("in a thousand looks there was no line of `spins_here`");
        let names = names(&stack);
        let at = |what: &str| {
            let at = names.iter().position(|name| name.contains(what));
            at.unwrap_or_else(|| panic!("{what} is not in {names:#?}"))
        };
        assert!(at("spins_here") < at("calls_it"), "{names:#?}");
        // The innermost is that function, or one of an atomic's that were not put in its place.
        assert!(at("spins_here") <= 2, "{names:#?}");
        assert!(stack.is_whole(), "{names:#?}");
        let frames = stack.frames();
        let here = &frames[at("spins_here")];
        assert!(here.file.as_ref().unwrap().ends_with("stack/tests.rs"));
    });
}

#[inline(never)]
fn waits_here(number: &Number, mut pipe: PipeReader) -> u8 {
    let mut byte = [0];
    number.tell();
    assert_eq!(
        pipe.read(&mut byte).expect("it goes on after the signal"),
        1
    );
    byte[0]
}

#[test]
fn a_thread_in_a_system_call_is_named_and_waits_on() {
    let _alone = alone();
    let number = Number::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| waits_here(&number, reader));
        let number = number.get();
        until(|| {
            let state = std::fs::read_to_string(format!("/proc/self/task/{number}/stat")).unwrap();
            state.rsplit(')').next().unwrap().trim().starts_with('S')
        });
        for _ in 0..3 {
            let stack = answer(ask(DEFAULT_SIGNAL, number).unwrap());
            let names = names(&stack);
            assert!(
                names.iter().any(|name| name.contains("waits_here")),
                "{names:#?}"
            );
        }
        writer.write_all(&[7]).unwrap();
        assert_eq!(waits.join().unwrap(), 7);
    });
}

#[inline(never)]
fn deep(left: usize, number: &Number, stop: &AtomicBool) -> u8 {
    let big = black_box([0_u8; 4000]);
    if left == 0 {
        spins_here(number, stop);
        return big[0];
    }
    deep(left - 1, number, stop) + big[1]
}

/// More stack than is copied: the innermost calls are there.
#[test]
fn of_a_deep_stack_the_inner_part_is_known() {
    let _alone = alone();
    let (number, stop) = (Number::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| deep(50, &number, &stop));
        let stack = answer(ask(DEFAULT_SIGNAL, number.get()).unwrap());
        stop.store(true, SeqCst);
        assert!(!stack.is_whole());
        let names = names(&stack);
        let known = names.iter().filter(|name| name.contains("deep")).count();
        assert!((5..50).contains(&known), "{names:#?}");
    });
}

extern "C" fn somebody_elses(_: libc::c_int) {}

fn set(signal: i32, handler: libc::sighandler_t) {
    // SAFETY: a handler that does nothing, or one of the system's two.
    assert_ne!(unsafe { libc::signal(signal, handler) }, libc::SIG_ERR);
}

#[test]
fn a_signal_that_the_program_handles_is_left_alone() {
    let _alone = alone();
    let (signal, here) = (libc::SIGRTMIN() + 9, cpu::thread_id().unwrap());
    let theirs = somebody_elses as extern "C" fn(_) as libc::sighandler_t;
    for handler in [theirs, libc::SIG_IGN] {
        set(signal, handler);
        assert!(matches!(ask(signal, here), Err(NotAsked::SignalIsTaken)));
    }
    set(signal, libc::SIG_DFL);
    let stack = answer(ask(signal, here).unwrap());
    assert!(!stack.addresses().is_empty());
    // It comes later than ours.
    set(signal, theirs);
    assert!(matches!(ask(signal, here), Err(NotAsked::SignalIsTaken)));
    set(signal, libc::SIG_IGN);
}

/// Nobody waits for the answer any more: the signal does nothing, and the place is free.
#[test]
fn a_signal_that_comes_too_late_does_nothing() {
    let _alone = alone();
    let (signal, here) = (DEFAULT_SIGNAL, cpu::thread_id().unwrap());
    let mask = |how| {
        // SAFETY: all zeroes are an empty set.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: it writes to the set.
        unsafe { libc::sigaddset(&raw mut set, signal) };
        // SAFETY: it reads the set.
        unsafe { libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut()) };
    };
    for _ in 0..20 {
        mask(libc::SIG_BLOCK);
        let asked = ask(signal, here).unwrap();
        assert!(!asked.is_answered());
        let asked = asked.take().unwrap_err();
        drop(asked);
        mask(libc::SIG_UNBLOCK);
        answer(ask(signal, here).unwrap());
    }
}

#[test]
fn more_than_there_are_places_for_are_refused_and_so_is_a_thread_that_is_not_there() {
    let _alone = alone();
    let here = u32::MAX >> 2;
    assert!(matches!(
        ask(DEFAULT_SIGNAL, here),
        Err(NotAsked::Refused(_))
    ));
    let (numbers, stop): ([Number; 5], _) = ([const { Number::new() }; 5], AtomicBool::new(false));
    thread::scope(|scope| {
        for number in &numbers {
            scope.spawn(|| spins_here(number, &stop));
        }
        let asked: Vec<_> = numbers[..4]
            .iter()
            .map(|number| ask(DEFAULT_SIGNAL, number.get()).unwrap())
            .collect();
        assert!(matches!(
            ask(DEFAULT_SIGNAL, numbers[4].get()),
            Err(NotAsked::TooMany)
        ));
        drop(asked);
        answer(ask(DEFAULT_SIGNAL, numbers[4].get()).unwrap());
        stop.store(true, SeqCst);
    });
}

#[test]
fn who_is_interrupted_keeps_its_error() {
    let _alone = alone();
    let here = cpu::thread_id().unwrap();
    // SAFETY: the thread's own.
    let errno = unsafe { libc::__errno_location() };
    // A number that no call here leaves.
    let own = libc::EXDEV;
    // SAFETY: as above.
    unsafe { *errno = own };
    let asked = ask(DEFAULT_SIGNAL, here).unwrap();
    // SAFETY: as above.
    let after = unsafe { *errno };
    assert!(
        asked.is_answered(),
        "a thread's own signal comes before the call returns"
    );
    assert_eq!(after, own);
}

#[test]
fn what_cannot_be_handled_is_known() {
    for signal in [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGSEGV,
        libc::SIGRTMIN() - 1,
        0,
        -1,
        1000,
    ] {
        assert!(!can_be_handled(signal), "{signal}");
    }
    for signal in [
        DEFAULT_SIGNAL,
        libc::SIGUSR1,
        libc::SIGRTMIN(),
        libc::SIGRTMAX(),
    ] {
        assert!(can_be_handled(signal), "{signal}");
    }
}

/// Both ways to copy end at the first page that is not there, and give the same.
#[test]
fn a_copy_ends_where_the_memory_does() {
    let page = 4096;
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: a new piece of memory, of which nobody knows.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), 3 * page, protection, flags, -1, 0) };
    assert_ne!(memory, libc::MAP_FAILED);
    // SAFETY: two pages of it, which nobody else touches.
    let there = unsafe { std::slice::from_raw_parts_mut(memory.cast::<u8>(), 2 * page) };
    for (number, byte) in there.iter_mut().enumerate() {
        *byte = number as u8 ^ (number >> 8) as u8;
    }
    let last = memory.wrapping_byte_add(2 * page);
    // SAFETY: the last page of it.
    assert_eq!(unsafe { libc::mprotect(last, page, libc::PROT_NONE) }, 0);
    let pipe = std::io::pipe().unwrap();
    let address = memory.expose_provenance();
    for begin in [0, 1, page - 8, page, 2 * page - 1, 2 * page] {
        for room in [1, 100, page, 3 * page] {
            let (mut one, mut other) = (vec![0; room], vec![0; room]);
            let expected = &there[begin..][..room.min(2 * page - begin)];
            let len = copy::at_once(address + begin, &mut one);
            assert!(len == 0 || one[..len] == *expected, "{begin} {room}");
            let len = copy::through(&pipe, address + begin, &mut other);
            assert_eq!(other[..len], *expected, "{begin} {room}");
        }
    }
    // SAFETY: nobody has it any more.
    unsafe { libc::munmap(memory, 3 * page) };
}
