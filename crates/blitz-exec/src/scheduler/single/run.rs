//! The loop: the root, a batch of tasks, the driver.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use blitz_core::budget;
use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::Relaxed;
use blitz_core::quiet::loudly;
use blitz_core::waiting;

use super::context::Context;
use super::{Core, RootWaker, Shared};
use crate::park::{Park, ThreadParker, Watching, call_hook};
use crate::scheduler::classes::Next;
use crate::scheduler::run_observed;
use crate::stats::{Switches, WorkerStats};
use crate::task::{Lane, Notified, PulseRef};

impl Shared {
    /// Runs `future` and the tasks until it is ready. While another thread runs the tasks, only the future.
    ///
    /// # Panics
    /// If the future does, if a task has panicked and the policy is to shut down then, or if a waker has in the driver's turn and is to
    /// unwind.
    pub fn block_on<F: Future>(self: &Arc<Self>, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let core = match self.take_core() {
            Some(core) => core,
            None => match self.wait_for_core(future.as_mut()) {
                Ok(core) => core,
                Err(output) => return output,
            },
        };
        let waker = RootWaker::waker(self);
        self.wake_root();
        self.run(core, || {
            let mut cx = task::Context::from_waker(&waker);
            match budget::with_budget(|| future.as_mut().poll(&mut cx)) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            }
        })
    }

    /// Another thread runs the tasks. Polls the future here until it is ready, or the core is free.
    #[cold]
    fn wait_for_core<F: Future>(&self, mut future: Pin<&mut F>) -> Result<Box<Core>, F::Output> {
        let _awake = Watching::begin(&self.config.watch);
        let heir = ThreadParker::new(Arc::clone(&self.config.watch));
        let waker = heir.waker();
        let mut cx = task::Context::from_waker(&waker);
        loop {
            self.stand_in_line(&heir);
            if let Some(core) = self.take_core() {
                return Ok(core);
            }
            if let Poll::Ready(output) = budget::with_budget(|| future.as_mut().poll(&mut cx)) {
                self.pass_on();
                return Err(output);
            }
            heir.park();
            if let Some(core) = self.take_core() {
                return Ok(core);
            }
        }
    }

    /// Once, however often the thread comes back from its wait without the core.
    fn stand_in_line(&self, heir: &Arc<ThreadParker>) {
        let mut heirs = self.heirs.lock();
        if !heirs.iter().any(|other| Arc::ptr_eq(other, heir)) {
            heirs.push(Arc::clone(heir));
        }
    }

    /// This thread was an heir and goes: if the core became free meanwhile, the others look.
    fn pass_on(&self) {
        let heirs = std::mem::take(&mut *self.heirs.lock());
        for heir in heirs {
            heir.unpark();
        }
    }

    /// A worker of `thread_per_core`: runs tasks until the shutdown is requested, then ends them.
    pub fn run_worker(self: &Arc<Self>) {
        self.claim_local_thread();
        if let Some(core) = self.take_core() {
            self.wake_root();
            self.run(core, || self.is_shutdown().then_some(()));
        }
    }

    fn run<R>(self: &Arc<Self>, mut core: Box<Core>, root: impl FnMut() -> Option<R>) -> R {
        if let Some(park) = &mut core.park {
            park.bind();
        }
        *self.pulse.lock() = Some(PulseRef::here());
        self.config.alarm.check();
        let context = Context::new(Arc::clone(self), core);
        let running = Running(&context);
        let _entered = context.enter();
        let _out = waiting::step_out();
        let answer = running.0.run(root);
        drop(_out);
        drop(_entered);
        drop(running);
        answer
    }

    /// Ends every task and the driver: nothing runs here any more. On the local thread, if there is one.
    pub fn shutdown(self: &Arc<Self>) {
        let Some(mut core) = self.take_core() else {
            return;
        };
        if let Some(park) = &mut core.park {
            park.bind();
        }
        let context = Context::new(Arc::clone(self), core);
        let entered = context.enter();
        self.owned.close_and_shutdown_all(0);
        drop(entered);
        // ORDERING: Relaxed: a figure for a report.
        self.ended.store(true, Relaxed);
        // What a dropped future woke last. No task is alive, so these are references only.
        drop(self.inbox.close());
        drop(self.others.close());
        let Some(mut core) = context.take_core() else {
            return;
        };
        drop(core.queue.take_all());
        if let Some(mut park) = core.park.take() {
            park.shutdown();
            park.unbind();
        }
    }
}

impl Core {
    /// After a turn: learns the time. Those that come next have waited over the turn, or were woken in it.
    #[inline]
    fn see(&mut self, shared: &Shared) {
        self.now = shared.stats.now_ns();
        // No more of those that are there now are polled before the next turn: a first batch of so many is followed by one, and what
        // later batches poll was told to run later. Each is a line or two of the processor's cache, one behind the other.
        let count = shared.config.event_interval as usize;
        self.queue.touch_next(count, self.now);
    }

    /// Before a turn, or the end of the run: tells what is not told at once.
    #[inline]
    fn publish(&mut self, shared: &Shared) {
        shared.stats.ran(self.polls - self.told);
        self.told = self.polls;
        self.tell_lens(&shared.queue_lens);
        shared.stats.take_yields();
    }

    #[inline]
    fn tell_lens(&mut self, figures: &[AtomicUsize; Lane::COUNT]) {
        if self.queue.is_normal() && !self.others_were_told {
            // ORDERING: Relaxed: a figure.
            figures[Lane::Normal.number()].store(self.queue.normal_len(), Relaxed);
            return;
        }
        self.others_were_told = !self.queue.is_normal();
        for (figure, len) in figures.iter().zip(self.queue.lens()) {
            // ORDERING: Relaxed: a figure.
            figure.store(len, Relaxed);
        }
    }

    /// A wait begins, and all polls are told: counts it if there was none since the last.
    #[inline]
    fn count_wait(&mut self, stats: &WorkerStats) {
        let ran = stats.polls();
        if std::mem::replace(&mut self.ran_at_wait, ran) == ran {
            stats.noop();
        }
    }

    /// Tasks that are not normal wait, here or in their inbox. No task if it is the root's turn: `before_root` says whether the
    /// batch still has normal ones that come before it.
    #[cold]
    fn next_by_class(&mut self, shared: &Shared, before_root: bool) -> Option<Notified> {
        let (others, normal) = (shared.others.take(), shared.inbox.take());
        shared
            .stats
            .took_remote((others.len() + normal.len()) as u64);
        self.queue.sort_in(others);
        self.queue.append_seen(normal, self.now);
        // ORDERING: Relaxed: it decides an order.
        let root_waits = shared.root_woken.load(Relaxed);
        match self.queue.next(root_waits, before_root || !root_waits) {
            Next::Run(task) => Some(task),
            Next::Normal | Next::Nothing => None,
        }
    }
}

/// What a batch has come to.
struct Batch {
    ran: u32,
    root_has_turn: bool,
}

/// Puts the core back when the thread stops running, by a panic too.
struct Running<'a>(&'a Context);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.with_core(|core| core.publish(&self.0.shared));
        self.0.switch();
        *self.0.shared.pulse.lock() = None;
        if let Some(mut core) = self.0.take_core() {
            if let Some(park) = &mut core.park {
                park.unbind();
            }
            self.0.shared.put_core(core);
        }
    }
}

impl Context {
    fn run<R>(&self, mut root: impl FnMut() -> Option<R>) -> R {
        let shared = &*self.shared;
        shared.config.switch(&shared.stats);
        self.obey(shared.stats.switches());
        self.with_core(|core| core.see(shared));
        let interval = shared.config.event_interval;
        let waits_plainly = !shared.config.hooks.around_waits();
        let mut root_has_turn = true;
        loop {
            // Before the root: it may be ready for no other reason than that panic.
            self.check_panicked();
            // ORDERING: Relaxed below: a root that is woken from elsewhere leaves a token with the driver as well.
            if root_has_turn && shared.take_root_wake() {
                if let Some(answer) = root() {
                    return answer;
                }
                self.count_root();
            }
            let batch = self.run_batch(interval);
            root_has_turn = batch.root_has_turn;
            let polls = self.count(batch.ran);
            if polls >= interval.into() {
                self.turn(false);
            } else if batch.ran == 0 && shared.inbox_is_empty() && !shared.root_woken.load(Relaxed)
            {
                if waits_plainly {
                    self.wait();
                } else {
                    self.wait_hooked();
                }
            }
        }
    }

    /// Runs the normal tasks that are queued now, and others as their priorities have it, `limit` at most. Normal ones that are
    /// woken meanwhile come behind the root, if it waits: it is normal too.
    #[inline(always)]
    fn run_batch(&self, limit: u32) -> Batch {
        let shared = &*self.shared;
        let inbox = shared.inbox.take();
        if !inbox.is_empty() {
            shared.stats.took_remote(inbox.len() as u64);
            self.with_core(|core| core.queue.append_seen(inbox, core.now));
        }
        let queued = self.with_core(|core| core.queue.normal_len());
        let normal_left = u32::try_from(queued.unwrap_or(0)).unwrap_or(u32::MAX);
        let batch = normal_left.min(limit);
        let mut ran = 0;
        // While all is normal. Each of these was touched at the turn, or told to run after it.
        while ran < batch && shared.others.is_empty() {
            let task = self.with_core(|core| core.queue.pop_if_plain());
            let Some(Some(task)) = task else { break };
            ran += 1;
            self.finish(budget::with_budget(|| task.run()));
        }
        let plain = shared.others.is_empty()
            && self.with_core(|core| core.queue.is_plain()).unwrap_or(true);
        if plain {
            return Batch {
                ran,
                root_has_turn: true,
            };
        }
        self.run_otherwise(limit, ran, normal_left)
    }

    /// The rest of a batch in which something is to be done around each poll, or not all tasks are normal: `ran` have had their polls.
    #[cold]
    fn run_otherwise(&self, limit: u32, mut ran: u32, normal_left: u32) -> Batch {
        let others = &self.shared.others;
        let batch = normal_left.min(limit);
        while ran < batch && others.is_empty() {
            let task = self.with_core(|core| core.queue.pop_if_normal());
            let Some(Some(task)) = task else { break };
            ran += 1;
            self.run_task(task);
        }
        let normal = others.is_empty()
            && self
                .with_core(|core| core.queue.is_normal())
                .unwrap_or(true);
        if normal {
            return Batch {
                ran,
                root_has_turn: true,
            };
        }
        self.run_by_class(limit, ran, normal_left - ran)
    }

    /// The rest of a batch in which not all tasks are normal: `ran` have had their polls, and `normal_left` normal ones have theirs
    /// before the root.
    #[cold]
    fn run_by_class(&self, limit: u32, mut ran: u32, mut normal_left: u32) -> Batch {
        let shared = &*self.shared;
        let mut normal_ran = ran > 0;
        while ran < limit {
            let task = self.with_core(|core| core.next_by_class(shared, normal_left > 0));
            let Some(Some(task)) = task else { break };
            if task.is_normal() {
                normal_left = normal_left.saturating_sub(1);
                normal_ran = true;
            }
            ran += 1;
            self.run_task(task);
        }
        Batch {
            ran,
            // Else what is more urgent than the root goes on after the driver's turn.
            root_has_turn: ran < limit || normal_ran,
        }
    }

    fn run_task(&self, task: Notified) {
        let shared = &*self.shared;
        let (now, is_observed) = self
            .with_core(|core| (core.now, core.queue.is_observed()))
            .unwrap_or_default();
        let again = if is_observed {
            run_observed(task, &shared.config, &shared.stats)
        } else {
            task.header().place().touch(now);
            budget::with_budget(|| task.run())
        };
        self.finish(again);
    }

    /// After a poll: queues a task that is to be polled again.
    #[inline]
    fn finish(&self, again: Option<Notified>) {
        if let Some(task) = again {
            self.with_core(|core| core.queue.push(task));
        }
    }

    #[inline]
    fn count(&self, polls: u32) -> u64 {
        self.with_core(|core| {
            core.polls += u64::from(polls);
            core.polls
        })
        .unwrap_or(0)
    }

    #[inline]
    fn count_root(&self) {
        self.with_core(|core| {
            core.polls += 1;
            core.told += 1;
        });
    }

    #[inline]
    fn check_panicked(&self) {
        // ORDERING: Relaxed: see `unhandled_panic`.
        if self.shared.panicked.load(Relaxed) {
            self.end_panicked();
        }
    }

    #[cold]
    #[inline(never)]
    fn end_panicked(&self) -> ! {
        // Nobody will run what is left, or what is spawned from now on: their handles say so.
        self.shared.owned.close_and_shutdown_all(0);
        panic!(
            "a spawned task panicked and the runtime is configured to shut down on unhandled panic"
        );
    }

    /// Nothing to run: waits in the driver.
    #[inline]
    fn wait(&self) {
        self.turn(true);
        self.shared.config.alarm.check();
    }

    /// The same between two hooks, of which the first may find work.
    #[cold]
    fn wait_hooked(&self) {
        let hooks = &self.shared.config.hooks;
        call_hook(&hooks.before_park);
        self.wait();
        call_hook(&hooks.after_unpark);
    }

    /// Learns what is to be measured.
    #[inline]
    fn switch(&self) {
        let shared = &*self.shared;
        if let Some(switches) = shared.config.switch(&shared.stats) {
            self.obey(switches);
        }
    }

    #[cold]
    fn obey(&self, switches: Switches) {
        self.stamp_exactly(switches.is_exact());
        self.with_core(|core| core.queue.observe(switches.observes()));
    }

    /// One turn of the driver, which sleeps if it may and there is nothing to run. The core stays in place, so that wakes go to its
    /// queue.
    #[inline(never)]
    fn turn(&self, may_sleep: bool) {
        let shared = &*self.shared;
        let park = self.with_core(|core| {
            core.publish(shared);
            (core.polls, core.told) = (0, 0);
            // ORDERING: Relaxed: a root that is woken from elsewhere leaves a token with the driver as well.
            let sleeps = may_sleep && core.queue.is_empty() && !shared.root_woken.load(Relaxed);
            if sleeps {
                core.count_wait(&shared.stats);
            }
            core.park.take().map(|park| (park, sleeps))
        });
        self.switch();
        let Some(Some((park, sleeps))) = park else {
            return;
        };
        let mut turning = Turning {
            context: self,
            park: Some(park),
        };
        if let Some(park) = &mut turning.park {
            let mut wait = || {
                if sleeps {
                    park.park();
                } else {
                    park.park_timeout(Duration::ZERO);
                }
            };
            if shared.config.unwinds_wakers {
                loudly(wait);
            } else {
                wait();
            }
        }
        turning.end();
    }
}

/// Puts the driver back into its core, by a panic too.
struct Turning<'a> {
    context: &'a Context,
    park: Option<Box<dyn Park>>,
}

impl Turning<'_> {
    /// The turn is over.
    #[inline]
    fn end(mut self) {
        let (context, park) = (self.context, self.park.take());
        // Nothing is left in it.
        std::mem::forget(self);
        context.with_core(|core| {
            core.park = park;
            core.see(&context.shared);
        });
    }
}

impl Drop for Turning<'_> {
    #[cold]
    fn drop(&mut self) {
        let park = self.park.take();
        self.context.with_core(|core| core.park = park);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::park::Unpark;
    use crate::scheduler::config::Config;

    struct NoDriver;

    impl Park for NoDriver {
        fn bind(&mut self) {}
        fn unbind(&mut self) {}
        fn park(&mut self) {}
        fn seize(&mut self) {}
        fn park_timeout(&mut self, _limit: Duration) {}
        fn unparker(&self) -> Arc<dyn Unpark> {
            Arc::new(NoDriver)
        }
        fn shutdown(&mut self) {}
    }

    impl Unpark for NoDriver {
        fn unpark(&self) {}
    }

    /// (The line grew by each wake of the waiting thread's future, for as long as another thread had the core.)
    #[test]
    fn who_waits_for_the_core_stands_in_line_once() {
        let shared = Shared::new(0, Box::new(NoDriver), Arc::new(Config::default()));
        let core = shared
            .take_core()
            .expect("nobody runs: now another thread does");
        let mut wakes = 0;
        shared.block_on(std::future::poll_fn(|cx| {
            assert_eq!(shared.heirs.lock().len(), 1);
            wakes += 1;
            if wakes == 100 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        assert!(shared.heirs.lock().is_empty());
        shared.put_core(core);
        shared.shutdown();
    }
}
