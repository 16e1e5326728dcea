//! One worker: what it runs next, when it searches, when it sleeps, and how its core goes to another thread.

use std::sync::Arc;
use std::time::Duration;

use blitz_core::budget;
use blitz_core::primitive::sync::Mutex;
use blitz_core::quiet::quietly;
use blitz_core::waiting::{self, Leaf};

use super::Shared;
use super::context::{Context, push_here, with_context};
use super::rescue::come_back;
use super::run_queue::RunQueue;
use super::thrift::Thrift;
use crate::park::{Park, ThreadHook, Watching, call_hook};
use crate::scheduler::config::Config;
use crate::scheduler::run_observed;
use crate::stats::WorkerStats;
use crate::task::{Header, Lane, Notified, Schedule};

/// Whether somebody else should come for a task that was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Help {
    /// This worker does it next.
    Needless,
    /// If there is a sleeper to be seen: there is more than this worker does next.
    WithSurplus,
    /// Whoever sleeps: this worker may be in a poll for long.
    AtOnce,
}

/// A place for a thread to work.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    stats: Arc<WorkerStats>,
    /// The core, while no thread holds it.
    core: Mutex<Option<Box<Core>>>,
    /// The thread that has it, or had it last: where a rescuer looks.
    pub(super) holder: Mutex<Option<Arc<Context>>>,
}

/// What the working thread holds.
pub(super) struct Core {
    index: usize,
    run: RunQueue,
    /// Out of its place only while the driver turns.
    pub(super) park: Option<Box<dyn Park>>,
    searching: bool,
    /// Polls until the driver turns.
    polls_to_turn: u32,
    stats: Arc<WorkerStats>,
    /// Polls since the last turn, and tasks that were queued here so far.
    ran: u32,
    pushed: u64,
    /// How many polls there were at the last wait; none at first.
    ran_at_wait: u64,
    thrift: Thrift,
}

impl Core {
    pub(super) fn new(
        index: usize,
        run: RunQueue,
        park: Box<dyn Park>,
        config: &Config,
    ) -> Box<Self> {
        let stats = park.stats();
        config.switch(&stats);
        Box::new(Self {
            index,
            run,
            stats,
            ran: 0,
            pushed: 0,
            ran_at_wait: 0,
            thrift: Thrift::default(),
            park: Some(park),
            searching: false,
            polls_to_turn: config.event_interval,
        })
    }

    /// Queues a task that was woken here. Answers whether there is more now than this worker does next.
    #[inline]
    pub(super) fn push(&mut self, shared: &Shared, task: Notified) -> bool {
        self.pushed += 1;
        // While the driver delivers, one look at its end is enough.
        self.run.push_woken(shared, task) && self.park.is_some() && self.run.has_surplus(shared)
    }

    /// The same for one that is not normal. Answers whether somebody else should come for it.
    #[cold]
    pub(super) fn push_by_class(&mut self, shared: &Shared, task: Notified) -> Help {
        self.pushed += 1;
        let lane = task.lane();
        self.run.push_back(shared, task);
        match self.park {
            Some(_) if lane <= Lane::Critical => Help::AtOnce,
            Some(_) if self.run.has_surplus(shared) => Help::WithSurplus,
            // As above; or it is all that there is to do.
            _ => Help::Needless,
        }
    }

    /// Looks in the others' queues, from a random one on.
    fn steal(&mut self, shared: &Shared) -> Option<Notified> {
        if !self.searching {
            if !shared.idle.start_search() {
                return None;
            }
            self.searching = true;
        }
        let task = self.run.steal(shared)?;
        self.thrift.stole();
        Some(task)
    }

    /// The scheduler has ended: no task is alive.
    pub(super) fn end(mut self) {
        self.run.clear();
        if let Some(mut park) = self.park.take() {
            park.bind();
            park.shutdown();
            park.unbind();
        }
    }
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, index: usize, core: Box<Core>) -> Arc<Self> {
        Arc::new(Self {
            stats: Arc::clone(&core.stats),
            shared,
            index,
            core: Mutex::new(Some(core)),
            holder: Mutex::new(None),
        })
    }
}

impl Worker {
    #[cold]
    #[inline(never)]
    fn now_exactly(&self) -> u64 {
        self.shared.config.insight.now_ns()
    }
}

impl Schedule for Worker {
    #[inline]
    fn schedule(&self, task: Notified) {
        let now = self.stats.stamp(|| self.now_exactly());
        task.header().place().notify(now);
        if let Err(task) = push_here(&self.shared, task) {
            self.shared.push_outside(task);
        }
    }

    fn traced(&self, task: &Header, leaves: Vec<Leaf>) {
        self.shared.config.insight.traced(task.meta().id(), leaves);
    }

    fn release(&self, task: &Header) -> bool {
        let removed = self.shared.owned.remove(task);
        self.shared.drain.task_gone();
        self.shared.config.hooks.task_ended(task);
        removed
    }
}

impl Core {
    /// A task is to be run.
    #[inline]
    fn take_up(&mut self, task: Notified) -> Next {
        self.ran += 1;
        if std::mem::take(&mut self.searching) {
            Next::Found(task)
        } else {
            Next::Run(task)
        }
    }

    /// How many polls there were, those since the last turn among them.
    fn polls(&self) -> u64 {
        self.stats.polls() + u64::from(self.ran)
    }

    /// Tells what was counted since the last turn.
    fn publish(&mut self, config: &Config) {
        self.stats.ran(std::mem::take(&mut self.ran).into());
        self.stats.queued(self.pushed);
        self.stats.take_yields();
        config.switch(&self.stats);
    }
}

/// Works at this place until the scheduler ends or the core goes to another thread. At once if another thread has it.
pub(super) fn run(worker: Arc<Worker>) {
    let core = worker.core.lock().take();
    if let Some(core) = core {
        hold(worker, core);
    }
}

/// Works with this core until the scheduler ends or the core goes to another thread.
pub(super) fn hold(worker: Arc<Worker>, mut core: Box<Core>) {
    let Some(_inside) = budget::enter_runtime(true) else {
        unreachable!("a worker starts on a thread of the pool, which runs nothing else");
    };
    if let Some(park) = &mut core.park {
        park.bind();
    }
    let context = Arc::new(Context::new(worker, core));
    let worker = &context.worker;
    drop(worker.holder.lock().replace(Arc::clone(&context)));
    let _entered = context.enter();
    let shared = &worker.shared;
    shared.config.alarm.check();
    let _out = waiting::step_out();
    context.come_in();
    if !quietly(|| context.run()) {
        // No task's panic, no hook's and no waker's gets here: the driver cannot be turned any more, or a worker broke. The
        // others cannot take over what waits in this driver, so the runtime ends, in good order.
        shared.shut_down();
    }
    // The poll that was left without a core is over.
    let still = context.still.lock().take();
    drop(still);
    context.come_in();
    if context.own_core(|_| ()).is_some() {
        // Each worker begins with its own tasks.
        context.outside(|| shared.owned.close_and_shutdown_all(worker.index));
    }
    let core = context.lend();
    let mut holder = worker.holder.lock();
    let mine = holder.take_if(|holder| Arc::ptr_eq(holder, &context));
    drop(holder);
    drop(mine);
    if let Some(mut core) = core {
        if let Some(park) = &mut core.park {
            park.unbind();
        }
        shared.end(*core);
    } else if context.is_seized() {
        come_back(&context);
    }
}

/// What to do after a look at the queues.
enum Next {
    Run(Notified),
    /// A task, and the worker was searching.
    Found(Notified),
    Search,
    Turn,
    /// The core is with another thread.
    Leave,
}

/// What a worker without a task does.
enum Rest {
    /// There is a task after all.
    None,
    Sleep,
    Nap(Duration),
}

impl Context {
    fn shared(&self) -> &Shared {
        &self.worker.shared
    }

    fn run(&self) {
        let shared = self.shared();
        shared.config.switch(&self.worker.stats);
        while !shared.is_shutdown() {
            let next = self.own_core(|core| {
                if core.polls_to_turn == 0 {
                    return Next::Turn;
                }
                core.polls_to_turn -= 1;
                let task = core.run.next(shared);
                task.map_or(Next::Search, |task| core.take_up(task))
            });
            match next.unwrap_or(Next::Leave) {
                Next::Run(task) => self.run_task(task),
                Next::Found(task) => self.run_found(task),
                Next::Search => self.search_or_sleep(),
                Next::Turn => self.turn_between_polls(),
                Next::Leave => return,
            }
        }
        // No turn comes that would tell of the last polls.
        self.own_core(|core| core.publish(&shared.config));
    }

    #[cold]
    fn run_found(&self, task: Notified) {
        let shared = self.shared();
        // A wake that finds nothing costs this worker a system call before the task, and the machine a trip to sleep and back.
        if shared.idle.stop_search() && shared.has_work() {
            shared.wake_one();
        }
        self.run_task(task);
    }

    #[inline]
    fn run_task(&self, task: Notified) {
        let shared = self.shared();
        let stats = &self.worker.stats;
        let now = stats.moment();
        let again = self.outside(|| {
            if now.observes() {
                run_observed(task, &shared.config, stats)
            } else {
                task.header().place().touch(now.ns());
                budget::with_budget(|| task.run())
            }
        });
        if let Some(task) = again {
            let mut task = Some(task);
            self.own_core(|core| {
                if let Some(task) = task.take() {
                    core.pushed += 1;
                    core.run.push_back(shared, task);
                }
            });
            if let Some(task) = task {
                // The core is with another thread.
                shared.push_outside(task);
            }
        }
    }

    #[cold]
    fn search_or_sleep(&self) {
        let shared = self.shared();
        let now = self.worker.now_exactly();
        let found = self.own_core(|core| {
            if !core.thrift.dry(now, core.polls()) {
                return None;
            }
            let task = core.steal(shared);
            task.map(|task| core.take_up(task))
        });
        match found {
            Some(Some(Next::Found(task))) => self.run_found(task),
            Some(Some(Next::Run(task))) => self.run_task(task),
            _ => self.sleep(),
        }
    }

    /// Nothing to run anywhere: waits in the driver, unless something turns up while it gets ready to.
    fn sleep(&self) {
        let shared = self.shared();
        let hooks = &shared.config.hooks;
        self.call_hook(&hooks.before_park);
        let index = self.worker.index;
        let rest = self.own_core(|core| {
            if !core.run.is_empty() {
                return Rest::None;
            }
            core.publish(&shared.config);
            let ran = core.stats.polls();
            let has_run = std::mem::replace(&mut core.ran_at_wait, ran) != ran;
            if !has_run {
                core.stats.noop();
            }
            let nap = core.thrift.sleep(has_run);
            if nap.is_some() {
                shared.idle.begin_nap();
            }
            shared
                .idle
                .sleep(index, std::mem::take(&mut core.searching));
            nap.map_or(Rest::Sleep, Rest::Nap)
        });
        match rest {
            // The hook made work. The driver has its turn all the same.
            Some(Rest::None) => self.turn(Some(Duration::ZERO)),
            Some(rest) => {
                let stay_up = match rest {
                    Rest::Nap(_) => shared.has_urgent_work(),
                    _ => shared.has_work(),
                };
                self.turn(match rest {
                    _ if stay_up || shared.is_shutdown() => Some(Duration::ZERO),
                    Rest::Nap(limit) => Some(limit),
                    _ => None,
                });
                if let Rest::Nap(_) = rest {
                    shared.idle.end_nap();
                }
                if shared.idle.awake(index) {
                    self.own_core(|core| {
                        core.searching = true;
                        core.thrift.called();
                    });
                }
                // Tasks run from here on: who watches them must be awake.
                shared.config.alarm.check();
            }
            // The hook handed the core on: who sleeps in this place now is another thread.
            None => {}
        }
        self.share();
        self.call_hook(&hooks.after_unpark);
    }

    /// After a turn: if it woke more than one task, somebody may help.
    fn share(&self) {
        let surplus = self.own_core(|core| core.run.has_surplus(self.shared()));
        if surplus == Some(true) && self.shared().idle.is_worth_waking() {
            self.shared().wake_one();
        }
    }

    /// The driver's turn amid polls, and a look at how long those have taken.
    fn turn_between_polls(&self) {
        let row = self.own_core(|core| (core.ran, core.stats.now_ns()));
        self.turn(Some(Duration::ZERO));
        if let Some((polls, began)) = row {
            self.own_core(|core| {
                let ns = core.stats.now_ns().saturating_sub(began);
                core.run.pace(polls, ns);
            });
        }
        self.share();
    }

    /// One turn of the driver. The core stays in place, so that wakes go to its queue.
    fn turn(&self, limit: Option<Duration>) {
        let interval = self.shared().config.event_interval;
        let park = self.own_core(|core| {
            core.polls_to_turn = interval;
            core.publish(&self.shared().config);
            core.park.take()
        });
        let Some(Some(park)) = park else { return };
        let mut turning = Turning {
            context: self,
            park: Some(park),
        };
        if let Some(park) = &mut turning.park {
            match limit {
                None => park.park(),
                Some(limit) => park.park_timeout(limit),
            }
        }
    }

    fn call_hook(&self, hook: &Option<ThreadHook>) {
        if hook.is_some() {
            self.outside(|| call_hook(hook));
        }
    }
}

/// Puts the driver back into its core, by a panic too.
struct Turning<'a> {
    context: &'a Context,
    park: Option<Box<dyn Park>>,
}

impl Drop for Turning<'_> {
    fn drop(&mut self) {
        let park = self.park.take();
        // The loop is inside all the time, so nobody has taken the core.
        self.context.own_core(|core| core.park = park);
    }
}

/// Which worker this thread is, if it holds a worker's core.
pub(in crate::scheduler) fn current_index() -> Option<usize> {
    with_context(|context| context.with_core(|core| core.index)).flatten()
}

/// Runs `f`, which blocks, while another thread goes on with the core that this one holds.
pub(in crate::scheduler) fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    let handed = with_context(|context| {
        // Not if it was taken from us, and not when called by a waker, or by what a driver drops, in the middle of the driver's
        // turn: that cannot change hands.
        let mut core = context.lend()?;
        if let Some(park) = &mut core.park {
            park.unbind();
        }
        let worker = Arc::clone(&context.worker);
        *worker.core.lock() = Some(core);
        Some(worker)
    });
    let handed = handed.flatten();
    // While `f` runs, it is the caller who says whether time stands still.
    let still = with_context(|context| {
        if context.is_seized() {
            // Whoever took the core may not have come to say it yet.
            drop(context.back.lock());
        }
        context.still.lock().take()
    });
    let still = still.flatten();
    if let Some(worker) = &handed {
        let heir = Arc::clone(worker);
        // If the pool ends, so do the workers; the core is then taken back below.
        let _ = worker
            .shared
            .blocking
            .spawn_worker(Box::new(move || run(heir)));
    }
    let _back = TakeBack {
        worker: handed,
        was_still: still.is_some(),
    };
    drop(still);
    // It may do as much as it likes; what comes after it in this poll has what the budget was before.
    budget::with_unconstrained(|| budget::exit(f))
}

/// Takes the core back after the call, if no other thread has got round to it. If one has, no driver knows that this thread
/// works, so it says to paused time itself that it does, until its poll is over.
struct TakeBack {
    worker: Option<Arc<Worker>>,
    was_still: bool,
}

impl TakeBack {
    fn hold_time(worker: &Worker, context: &Context) {
        let watch = &worker.shared.config.watch;
        *context.still.lock() = Some(Watching::begin(watch));
    }
}

impl Drop for TakeBack {
    fn drop(&mut self) {
        let Some(worker) = self.worker.take() else {
            if self.was_still {
                with_context(|context| Self::hold_time(&context.worker, context));
            }
            return;
        };
        let Some(mut core) = worker.core.lock().take() else {
            with_context(|context| Self::hold_time(&worker, context));
            return;
        };
        if let Some(park) = &mut core.park {
            park.bind();
        }
        with_context(|context| context.put(core));
    }
}
