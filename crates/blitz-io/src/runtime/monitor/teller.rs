//! Tells reports to those who want to know, on a thread of its own: the user's hook and whoever listens may take their time,
//! and the monitor goes on looking.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::thread;

use blitz_core::primitive::sync::{Condvar, Mutex};
use blitz_core::quiet::quietly;

use super::stacks::Question;
use super::{StuckHook, StuckReport, events};
use crate::context::{Inner, StuckOutcome, StuckStack};

/// A report, and the stack that may still come for it.
pub(super) struct News {
    pub(super) report: StuckReport,
    pub(super) stack: Question,
    /// Whether the thread does, when the stack is there, what it did when it was asked.
    pub(super) is_still: Box<dyn Fn(&Inner) -> bool + Send>,
}

impl News {
    /// Without a stack.
    pub(super) fn of(report: StuckReport) -> Self {
        Self {
            report,
            stack: Question::default(),
            is_still: Box::new(|_| true),
        }
    }
}

/// The thread that tells: it starts with the first report, and ends with the monitor.
pub(super) struct Teller {
    hook: Option<StuckHook>,
    queue: Mutex<Queue>,
    bell: Condvar,
}

#[derive(Default)]
struct Queue {
    news: VecDeque<News>,
    ended: bool,
    is_started: bool,
    thread: Option<thread::JoinHandle<()>>,
}

impl Teller {
    pub(super) fn new(hook: Option<StuckHook>) -> Arc<Self> {
        Arc::new(Self {
            hook,
            queue: Mutex::new(Queue::default()),
            bell: Condvar::new(),
        })
    }

    /// Has it told, in its turn. The figures know it at once.
    pub(super) fn add(self: &Arc<Self>, inner: &Arc<Inner>, news: News) {
        inner.stuck.count(&news.report.outcome);
        let mut queue = self.queue.lock();
        queue.news.push_back(news);
        if !queue.is_started && !queue.ended {
            queue.is_started = true;
            let (teller, inner) = (Arc::clone(self), Arc::clone(inner));
            let started = thread::Builder::new()
                .name("blitz-io-reports".to_owned())
                .spawn(move || teller.run(&inner));
            match started {
                Ok(thread) => queue.thread = Some(thread),
                // Tried again with the next one.
                Err(_) => queue.is_started = false,
            }
        }
        drop(queue);
        self.bell.notify_all();
    }

    fn run(&self, inner: &Inner) {
        loop {
            let mut queue = self.queue.lock();
            let news = loop {
                if let Some(news) = queue.news.pop_front() {
                    break news;
                }
                if queue.ended {
                    return;
                }
                let waited = self.bell.wait(queue);
                queue = waited.unwrap_or_else(PoisonError::into_inner);
            };
            drop(queue);
            let mut report = news.report;
            let stack = news.stack.wait();
            report.stack = stack
                .filter(|_| (news.is_still)(inner))
                .map(StuckStack::new);
            if let Some(stack) = &report.stack
                && (self.hook.is_some() || events::are_heard())
            {
                // Names come from the program's file, which may take seconds. Who prints a report has a lock meanwhile,
                // such as that of standard error: everybody else who prints would wait, and a shutdown for its own reports.
                let _ = stack.frames();
            }
            self.tell(inner, report);
        }
    }

    /// On the calling thread, at once: the runtime ends.
    pub(super) fn tell_now(&self, inner: &Inner, report: StuckReport) {
        inner.stuck.count(&report.outcome);
        debug_assert_eq!(report.outcome, StuckOutcome::Leaked);
        self.tell(inner, report);
    }

    fn tell(&self, inner: &Inner, report: StuckReport) {
        inner.stuck.keep(report.clone());
        quietly(|| events::stuck(&report));
        if let Some(hook) = &self.hook {
            quietly(|| hook(&report));
        }
    }

    /// Ends the thread when it has told all; waits for it if it may.
    pub(super) fn end(&self, wait: bool) {
        let mut queue = self.queue.lock();
        queue.ended = true;
        let thread = queue.thread.take();
        drop(queue);
        self.bell.notify_all();
        let Some(thread) = thread else { return };
        // The user's hook, on that thread, may be what ends the runtime.
        if wait && thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::runtime::Builder;

    /// It prints the report with standard error locked, most likely.
    #[test]
    fn a_hook_gets_a_stack_whose_names_are_read() {
        let named = Arc::new(OnceLock::new());
        let told = Arc::clone(&named);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .stuck_rescue_after(Duration::from_millis(20))
            .on_stuck(move |report| {
                if let Some(stack) = &report.stack {
                    let _ = told.set(stack.is_named());
                }
            })
            .build()
            .unwrap();
        let begun = Instant::now();
        // A thread that gets no processor answers too late: then once more.
        while named.get().is_none() && begun.elapsed() < Duration::from_secs(60) {
            let named = Arc::clone(&named);
            let spins = runtime.spawn(async move {
                let begun = Instant::now();
                while named.get().is_none() && begun.elapsed() < Duration::from_secs(2) {
                    std::hint::spin_loop();
                }
            });
            runtime.block_on(spins).unwrap();
        }
        match named.get() {
            Some(is_named) => assert!(is_named),
            None => eprintln!("skipped: no stack of a stuck thread came"),
        }
    }
}
