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

use crate::context::start_process_thread;

/// How often it asks where no event comes.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The descriptor that tells of a process's end.
type Open = fn(u32) -> io::Result<OwnedFd>;

/// The thread, and what it is to see.
struct Reaper {
    state: Mutex<State>,
    open: Open,
}

struct State {
    /// What the thread has not seen yet.
    new: Vec<Child>,
    /// What wakes the thread, if it runs.
    bell: Option<OwnedFd>,
    /// A child that was forked has not its parent's thread, and not its parent's children.
    process: u32,
}

/// Waits for the child's end, in the background.
pub(super) fn reap(child: Child) {
    static REAPER: Reaper = Reaper::new(blitz_sys::process::open);
    REAPER.reap(child);
}

impl Reaper {
    const fn new(open: Open) -> Self {
        Self {
            state: Mutex::new(State {
                new: Vec::new(),
                bell: None,
                process: 0,
            }),
            open,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reap(&'static self, mut child: Child) {
        // One that has ended needs no thread; if its status was taken by somebody else there is nothing to wait for.
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        let mut state = self.lock();
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
            None => self.start(&mut state),
        };
        drop(state);
        drop(foreign);
        // Without a descriptor or thread to be had the next one that is dropped tries again; until then the child may be a zombie.
        let _ = done;
    }

    /// Starts the thread.
    fn start(&'static self, state: &mut State) -> io::Result<()> {
        let (hears, rings) = blitz_sys::pipe::make()?;
        start_process_thread("blitz-io-reaper".to_owned(), move || self.run(&hears))?;
        state.bell = Some(rings);
        Ok(())
    }

    fn run(&self, bell: &OwnedFd) {
        let mut orphans: Vec<Orphan> = Vec::new();
        loop {
            let mut state = self.lock();
            let new = mem::take(&mut state.new);
            if new.is_empty() && orphans.is_empty() {
                state.bell = None;
                return;
            }
            drop(state);
            orphans.extend(new.into_iter().map(|child| Orphan {
                // Its number is its own until it is waited for.
                fd: (self.open)(child.id()).ok(),
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
}

/// A child, and the descriptor that tells of its end.
struct Orphan {
    child: Child,
    fd: Option<OwnedFd>,
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;

    const GUARD: Duration = Duration::from_secs(60);

    /// A child that ends when the returned end of its input is dropped; and its number.
    fn waiting() -> (Child, std::process::ChildStdin, u32) {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (input, id) = (child.stdin.take().unwrap(), child.id());
        (child, input, id)
    }

    /// Whether the system still has the process, as one that runs or as a zombie: it knows its number until it was waited for.
    fn is_known(id: u32) -> bool {
        let known = Command::new("kill")
            .args(["-0", &id.to_string()])
            .stderr(Stdio::null())
            .status();
        known.unwrap().success()
    }

    fn goes(id: u32) {
        let begun = Instant::now();
        while is_known(id) {
            assert!(begun.elapsed() < GUARD, "{id} is a zombie for ever");
            thread::yield_now();
        }
    }

    fn never(_id: u32) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// As on a kernel without descriptors of processes, or where a filter refuses them, or none is left.
    #[test]
    fn children_without_descriptors_are_reaped_and_the_thread_ends() {
        static WITHOUT: Reaper = Reaper::new(never);
        static WITH: Reaper = Reaper::new(blitz_sys::process::open);
        for reaper in [&WITHOUT, &WITH] {
            let (first, first_input, first_id) = waiting();
            let (second, second_input, second_id) = waiting();
            reaper.reap(first);
            reaper.reap(second);
            assert!(is_known(first_id) && is_known(second_id));
            drop(second_input);
            goes(second_id);
            assert!(is_known(first_id), "the other runs on");
            drop(first_input);
            goes(first_id);
            let begun = Instant::now();
            while reaper.lock().bell.is_some() {
                assert!(begun.elapsed() < GUARD, "the thread stays");
                thread::yield_now();
            }
            // And one after that has a thread again.
            let (third, input, id) = waiting();
            reaper.reap(third);
            drop(input);
            goes(id);
        }
    }

    #[test]
    fn one_that_has_ended_needs_no_thread() {
        static REAPER: Reaper = Reaper::new(never);
        let reaper = &REAPER;
        let mut child = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
        let id = child.id();
        // Its output is closed before it has quite ended; a zombie is one that `try_wait` finds.
        while matches!(child.try_wait(), Ok(None)) {
            thread::yield_now();
        }
        reaper.reap(child);
        assert!(reaper.lock().bell.is_none());
        assert!(!is_known(id));
    }
}
