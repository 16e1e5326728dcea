//! Children whose owners are gone: one thread of the process waits for their ends, so that none stays a zombie.
//!
//! It belongs to no runtime, since a child may outlive all of them; it starts with the first such child that has not ended yet, and
//! exits with the last one. It waits for all of them at once by their descriptors, where the kernel has these; where it has not,
//! it asks ten times a second.

use std::io;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How often it asks where no event comes.
const ASK_EVERY: Duration = Duration::from_millis(100);

static STATE: Mutex<State> = Mutex::new(State {
    new: Vec::new(),
    bell: None,
    process: 0,
});

struct State {
    /// What the thread has not seen yet.
    new: Vec<Child>,
    /// What wakes the thread, if it runs.
    bell: Option<OwnedFd>,
    /// A child that was forked has not its parent's thread, and not its parent's children.
    process: u32,
}

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the child's end, in the background.
pub(super) fn reap(mut child: Child) {
    // One that has ended needs no thread; if its status was taken by somebody else there is nothing to wait for.
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    let mut state = lock();
    let process = std::process::id();
    let mut foreign = Vec::new();
    if mem::replace(&mut state.process, process) != process {
        foreign = mem::take(&mut state.new);
        state.bell = None;
    }
    state.new.push(child);
    let done = match &state.bell {
        // A bell that is full rings already.
        Some(bell) => {
            let _ = blitz_sys::pipe::write(bell.as_fd(), &[1]);
            Ok(())
        }
        None => start(&mut state),
    };
    drop(state);
    drop(foreign);
    // Without a descriptor or thread to be had the next one that is dropped tries again; until then the child may be a zombie.
    let _ = done;
}

/// Starts the thread.
fn start(state: &mut State) -> io::Result<()> {
    let (hears, rings) = blitz_sys::pipe::make()?;
    thread::Builder::new()
        .name("blitz-io-reaper".to_owned())
        .spawn(move || run(&hears))?;
    state.bell = Some(rings);
    Ok(())
}

/// A child, and the descriptor that tells of its end.
struct Orphan {
    child: Child,
    fd: Option<OwnedFd>,
}

fn run(bell: &OwnedFd) {
    let mut orphans: Vec<Orphan> = Vec::new();
    loop {
        let mut state = lock();
        let new = mem::take(&mut state.new);
        if new.is_empty() && orphans.is_empty() {
            state.bell = None;
            return;
        }
        drop(state);
        orphans.extend(new.into_iter().map(|child| Orphan {
            // Its number is its own until it is waited for.
            fd: blitz_sys::process::open(child.id()).ok(),
            child,
        }));
        // Whoever's status was taken by somebody else is gone, too.
        orphans.retain_mut(|orphan| matches!(orphan.child.try_wait(), Ok(None)));
        if orphans.is_empty() {
            continue;
        }
        let tells = orphans.iter().filter_map(|orphan| orphan.fd.as_ref());
        let fds: Vec<_> = tells.chain([bell]).map(AsFd::as_fd).collect();
        let limit = (fds.len() <= orphans.len()).then_some(ASK_EVERY);
        if blitz_sys::process::wait_for_any(&fds, limit).is_err() {
            thread::sleep(ASK_EVERY);
        }
        // What rang is heard; the list says why.
        while blitz_sys::pipe::read(bell.as_fd(), &mut [0; 64]).is_ok_and(|rung| rung > 0) {}
    }
}
