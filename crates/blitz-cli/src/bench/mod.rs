//! `blitz bench URL`: asks an HTTP server, or one of WebSocket, and tells how many answers came and how long they took.
//!
//! ```text
//! options ── target ──┐            ┌── answers                       ┌── slo
//!                     ├── worker ──┼── connection ── tally ── run ───┼── report
//!         schedule ───┘            └── (one thread each)             └── page
//! ```
//!
//! [`options`] reads the command line and [`target`] finds the server. Each [`worker`] is a thread with a runtime of its own, whose
//! connections ([`connection`]) share nothing with those of others: they take requests from their part of the [`schedule`], read what
//! comes by [`answers`], and count in a [`tally`]. When all have ended the tallies are added up, judged by [`slo`], and told by
//! [`report`] and [`page`].

mod answers;
mod connection;
mod options;
mod page;
mod report;
mod schedule;
mod slo;
mod tally;
mod target;
mod worker;

use crate::demo::{grouped, make_room};
use crate::output;
use crate::stop::Signals;
use blitz_io::sync::{Barrier, mpsc, watch};
use blitz_io::time::{Instant, interval};
use options::Options;
use report::Run;
use schedule::Schedule;
use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tally::Summary;
use target::Target;
use worker::{Live, Part};

const HELP: &str = "\
Asks an HTTP server, and tells how many answers came and how long they took.
With ws:// or wss:// it sends messages over WebSockets, each of which is to be answered by one.

usage: blitz bench URL [OPTIONS]

  -c, --connections N     connections; 50
      --workers N         threads; half as many as there are processors
      --duration TIME     how long, such as 500ms, 10s, 2m; 10s, or as long as --requests takes
  -n, --requests N        how many requests in all
      --rate N            so many requests a second, whatever the server does: latencies count from when a request was due.
                          Without it each connection asks again when it has its answer
      --pipeline N        requests that may be under way on a connection; 1
      --no-keepalive      a connection for each request; its opening is part of the latency
      --timeout TIME      how long an answer, or a connection, may take; 10s
  -X, --method METHOD     GET, or POST with --data
  -H, --header FIELD      `Name: value`; as often as wanted
  -d, --data DATA|@FILE   what is sent; the message of a WebSocket
  -k, --insecure          take any certificate
      --cacert FILE       take the certificates that these sign (PEM), and no others
      --slo LIST          end with 1 where one is missed: p99<5ms,errors<0.1%,rate>1000,mean<1ms,max<1s
      --json              the report as one object
      --html FILE         a page with plots, besides

What is answered with another status than 2xx is an error, as is what is not answered. Ctrl-C ends it with the report.
";

/// How often the line that says how it goes is drawn.
const DRAWN_EACH: Duration = Duration::from_millis(250);

/// Runs the command.
///
/// # Errors
/// When an option is wrong, there is no server, nothing was answered, or an objective was missed.
pub(crate) fn main(words: &[&str]) -> Result<(), String> {
    if words.iter().any(|word| ["--help", "-h"].contains(word)) {
        return output::text(HELP);
    }
    let options = Options::parse(words)?;
    make_room(options.connections)?;
    // Before the work, which would be lost.
    let html = options.html.as_deref().map(|path| {
        let made = std::fs::File::create(path);
        made.map_err(|error| format!("--html {path}: {error}"))
    });
    let html = html.transpose()?;
    let mut builder = blitz_io::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let run = runtime.block_on(run(&options))?;
    if options.json {
        output::line(&run.json().to_string())?;
    } else {
        output::text(&run.text())?;
    }
    if let Some(mut file) = html {
        let written = file.write_all(page::page(&run).as_bytes());
        written.map_err(|error| format!("cannot write the page: {error}"))?;
    }
    judged(&run)
}

/// Whether it was good enough.
fn judged(run: &Run<'_>) -> Result<(), String> {
    let missed: Vec<String> = run
        .verdicts
        .iter()
        .filter(|verdict| !verdict.met)
        .map(|verdict| format!("{} (it is {})", verdict.objective, verdict.measured))
        .collect();
    if !missed.is_empty() {
        return Err(format!("missed: {}", missed.join(", ")));
    }
    if run.summary.answers == 0 && !run.interrupted {
        return Err("nothing was answered".to_owned());
    }
    Ok(())
}

/// Starts the workers, looks on, and adds up what they have seen.
async fn run(options: &Options) -> Result<Run<'_>, String> {
    let target = Arc::new(Target::find(options).await?);
    // Before the first request: who sees it may stop us at once.
    let mut signals = Signals::new().map_err(|error| format!("cannot take signals: {error}"))?;
    let (stop, stopped) = watch::channel(false);
    let (sender, mut finished) = mpsc::unbounded_channel();
    let ready = Arc::new(Barrier::new(options.workers));
    let start = Arc::new(OnceLock::new());
    let mut looked_at = Vec::new();
    for index in 0..options.workers {
        let live = Arc::new(Live::default());
        looked_at.push(Arc::clone(&live));
        let (place, workers) = (index as u64, options.workers as u64);
        let part = Part {
            target: Arc::clone(&target),
            connections: share(options.connections, index, options.workers),
            schedule: Schedule::new(options.rate, options.requests, place, workers),
            window_ns: window(options.duration),
            duration: options.duration,
            live,
            stop: stopped.clone(),
            ready: Arc::clone(&ready),
            start: Arc::clone(&start),
        };
        let sender = sender.clone();
        let thread = std::thread::Builder::new().name(format!("blitz-bench-{index}"));
        let started = thread.spawn(move || {
            // Nobody takes it where the run was given up.
            let _ = sender.send(worker::run(part));
        });
        started.map_err(|error| format!("cannot start a thread: {error}"))?;
    }
    drop(sender);

    let mut progress = Progress::new();
    let mut tick = interval(DRAWN_EACH);
    let (mut interrupted, mut trouble) = (false, None);
    let (mut tallies, mut elapsed_ns) = (Vec::new(), 0);
    loop {
        blitz_io::select! {
            one = finished.recv() => match one {
                Some(Ok((tally, took_ns))) => {
                    tallies.push(tally);
                    elapsed_ns = elapsed_ns.max(took_ns);
                }
                Some(Err(why)) => {
                    trouble = Some(why);
                    stop.send_replace(true);
                }
                None => break,
            },
            _ = tick.tick() => progress.draw(&looked_at, start.get()),
            () = signals.next() => {
                interrupted = true;
                stop.send_replace(true);
            }
        }
    }
    progress.clear();
    if let Some(why) = trouble {
        return Err(why);
    }
    if tallies.len() < options.workers {
        return Err("a worker has ended by itself, which is a fault of this program".to_owned());
    }
    let summary = Summary::of(tallies, elapsed_ns);
    Ok(Run {
        options,
        addr: target.addr,
        verdicts: options.slo.judge(&summary),
        summary,
        interrupted,
    })
}

/// The part of `all` that the worker `index` of `workers` gets.
fn share(all: usize, index: usize, workers: usize) -> usize {
    all / workers + usize::from(index < all % workers)
}

/// How long a point of the curves stands for: some hundred of them make a curve.
fn window(duration: Option<Duration>) -> u64 {
    let window = duration.map_or(Duration::from_secs(1), |duration| duration / 100);
    let window = window.clamp(Duration::from_millis(100), Duration::from_secs(60));
    u64::try_from(window.as_nanos()).unwrap_or(u64::MAX)
}

/// The line that says how it goes, drawn over itself; on a terminal only.
struct Progress {
    shown: bool,
    /// Answers and the time when it was drawn last.
    last: Option<(u64, Duration)>,
}

impl Progress {
    fn new() -> Progress {
        Progress {
            shown: std::io::stderr().is_terminal(),
            last: None,
        }
    }

    fn draw(&mut self, all: &[Arc<Live>], start: Option<&Instant>) {
        let Some(start) = start.filter(|_| self.shown) else {
            return;
        };
        let elapsed = start.elapsed();
        // ORDERING: Relaxed, as in worker.rs: the line may lag behind.
        let answers: u64 = all.iter().map(|live| live.answers.load(Relaxed)).sum();
        let errors: u64 = all.iter().map(|live| live.errors.load(Relaxed)).sum();
        let (before, since) = self.last.unwrap_or_default();
        let time = elapsed.saturating_sub(since).as_secs_f64().max(1e-3);
        let rate = (answers - before) as f64 / time;
        self.last = Some((answers, elapsed));
        // Who cannot be told does without.
        let _ = write!(
            std::io::stderr(),
            "\r{:6.1} s  {} answers  {}/s  {} errors\x1b[K",
            elapsed.as_secs_f64(),
            grouped(answers),
            grouped(rate as u64),
            grouped(errors)
        );
    }

    fn clear(&self) {
        if self.last.is_some() {
            // As above.
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_shared_out() {
        let shares: Vec<usize> = (0..3).map(|index| share(11, index, 3)).collect();
        assert_eq!(shares, [4, 4, 3]);
        assert_eq!(window(Some(Duration::from_secs(10))), 100_000_000);
        assert_eq!(window(Some(Duration::from_secs(1000))), 10_000_000_000);
        assert_eq!(window(None), 1_000_000_000);
    }
}
