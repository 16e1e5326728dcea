//! The clients, each written as its users would write it, with its defaults: a task asks again when it has its answer, and as many tasks
//! run as requests go on at a time. What is not 200, or shorter or longer than it should be, ends the process with a failure.

mod blitz;
mod hyper;
mod reqwest;

use crate::rows::{HELLO, LARGE};
use crate::tally::{self, Tally};
use std::time::Duration;

/// What a client is told.
pub struct Task {
    pub url: String,
    pub root: Vec<u8>,
    pub at_once: usize,
    pub is_large: bool,
    pub threads: usize,
    pub tally: &'static Tally,
}

impl Task {
    /// What the server is bound to have sent.
    pub fn expected(&self) -> u64 {
        if self.is_large {
            LARGE
        } else {
            HELLO.len() as u64
        }
    }

    /// A body has come to its end.
    fn answered(&self, length: u64) {
        if length != self.expected() {
            fail(&format!("a body of {length} bytes"));
        }
        self.tally.answered();
    }
}

/// A client that cannot do what it should has no figures.
pub fn fail(why: &dyn std::fmt::Display) -> ! {
    eprintln!("{why}");
    std::process::exit(1)
}

/// `NAME URL ROOT AT_ONCE THREADS WARM SECONDS`.
pub fn main(args: &[String]) -> Result<(), String> {
    let [name, url, root, at_once, threads, warm, seconds] = args else {
        return Err("a client wants seven words".to_owned());
    };
    let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
    let time = |text: &str| {
        let seconds = text.parse().map_err(|_| format!("{text} is no number"))?;
        Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
    };
    let tally: &'static Tally = Box::leak(Box::default());
    let task: &'static Task = Box::leak(Box::new(Task {
        is_large: url.ends_with("/large"),
        url: url.clone(),
        root: std::fs::read(root).map_err(|error| format!("{root}: {error}"))?,
        at_once: number(at_once)?,
        threads: number(threads)?,
        tally,
    }));
    tally::watch(tally, task.at_once, time(warm)?, time(seconds)?);
    match name.as_str() {
        "reqwest" => reqwest::run(task),
        "hyper-util" => hyper::run(task),
        "blitz io_uring" | "blitz epoll" => blitz::run(task),
        other => Err(format!("no client {other}")),
    }
}

/// tokio as its users run it.
fn tokio(threads: usize) -> Result<::tokio::runtime::Runtime, String> {
    let mut builder = if threads == 1 {
        ::tokio::runtime::Builder::new_current_thread()
    } else {
        let mut builder = ::tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads);
        builder
    };
    builder
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
}
