//! Letting the other tasks run: how things that are always ready end a turn.
//!
//! A pipe in memory, a [`copy`](crate::copy) between two vectors or a read from [`empty`](crate::empty) never waits for
//! anything, so nothing outside would ever end the turn of a task that loops over them. Two means together
//! see to it, and neither needs a runtime:
//!
//! - **A hook.** A runtime with a cooperative budget calls [`set_coop_hook`] once for the process. From then on
//!   everything in memory asks it before each step, through `charge`.
//! - **A count of rounds.** A loop of ours counts what it does within one poll (`Rounds`), and after
//!   `ROUNDS_MAX` it wakes itself and returns `Pending`. That holds under any executor.

use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

/// Asks the runtime for a unit of the running task's budget around one step.
///
/// The hook either has no unit left: it arranges that the task is woken, does not call `step`, and returns `Pending`. Or it calls
/// `step` exactly once and returns `Ready(())`; when `step` returned `false`, nothing was done and the unit
/// goes back. Outside a task it simply calls `step`.
pub type CoopHook =
    fn(&mut Context<'_>, step: &mut dyn FnMut(&mut Context<'_>) -> bool) -> Poll<()>;

static HOOK: OnceLock<CoopHook> = OnceLock::new();

/// Sets the hook of this process, and returns whether it is the one in force.
///
/// The first one stays; a runtime may call this as often as it likes with its own.
pub fn set_coop_hook(hook: CoopHook) -> bool {
    std::ptr::fn_addr_eq(*HOOK.get_or_init(|| hook), hook)
}

/// Runs `step`, unless the task has used up its budget.
pub(crate) fn charge<T>(
    cx: &mut Context<'_>,
    step: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let Some(hook) = HOOK.get() else {
        return step(cx);
    };
    let (mut step, mut answer) = (Some(step), Poll::Pending);
    ready!(hook(cx, &mut |cx| {
        let step = step.take().expect("a coop hook calls its step once");
        answer = step(cx);
        answer.is_ready()
    }));
    answer
}

/// Takes a unit of the task's budget for something that is always ready.
pub(crate) fn poll_unit(cx: &mut Context<'_>) -> Poll<()> {
    charge(cx, |_| Poll::Ready(()))
}

/// How many rounds a loop makes within one poll.
const ROUNDS_MAX: u32 = 128;

/// Counts the rounds of a loop within one poll.
pub(crate) struct Rounds(u32);

impl Rounds {
    /// Starts to count, at the beginning of a poll.
    pub(crate) fn new() -> Self {
        Rounds(0)
    }

    /// Permits one more round; `Pending` ends this poll, and the task has been woken for the next one.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == ROUNDS_MAX {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(poll_unit(cx));
        self.0 += 1;
        Poll::Ready(())
    }
}
