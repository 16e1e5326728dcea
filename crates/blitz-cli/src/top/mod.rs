//! `blitz top`: a running program's workers, rings and tasks, drawn again each second.
//!
//! [`sample`] reads them, [`view`] turns two readings into lines and knows no terminal, [`screen`] owns the terminal and gives
//! it back however the command ends.

mod sample;
mod screen;
mod view;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::args::Args;
use crate::client::Client;
use sample::Sample;
use screen::{Key, Screen};
use view::View;

const HELP: &str = "\
Shows a running program's workers, rings and tasks, and draws them again each second.

usage: blitz top SOCKET [OPTIONS]

  --interval S   seconds between two readings (default 1)
  --once         print one view and end; rates are those of one interval
  --json         with --once: the figures as one JSON object, whose shape docs/insight.md describes

SOCKET is the path that the program was given by BLITZ_IO_INSPECT or by Builder::inspect.

keys: q ends; s and S choose by what tasks are sorted; arrows and Page Up and Page Down move through them; space holds still
";

pub(crate) fn main(words: &[&str]) -> Result<(), String> {
    let mut args = Args::new("blitz top", words);
    if args.flag("--help") || args.flag("-h") {
        print!("{HELP}");
        return Ok(());
    }
    let once = args.flag("--once");
    let json = args.flag("--json");
    let seconds: f64 = args.value("--interval", "a number of seconds", 1.0)?;
    let path = args.name("a socket's path, such as /tmp/my-program.sock")?;
    args.end()?;
    if !(0.05..=3600.0).contains(&seconds) {
        return Err("--interval wants a number of seconds from 0.05 to 3600".to_owned());
    }
    if json && !once {
        return Err("--json goes with --once".to_owned());
    }
    let interval = Duration::from_secs_f64(seconds);
    let client = Client::connect(&path)?;
    if once {
        print_once(client, interval, json)
    } else {
        live(client, interval)
    }
}

fn print_once(mut client: Client, interval: Duration, json: bool) -> Result<(), String> {
    let before = Sample::take(&mut client)?;
    std::thread::sleep(interval);
    let now = Sample::take(&mut client)?;
    if json {
        return crate::output::line(&figures(&before, &now).to_string());
    }
    let mut view = View::new(before);
    view.show(now);
    let lines = view.lines(usize::MAX, usize::MAX);
    let text: String = lines
        .iter()
        .map(|line| format!("{}\n", line.text))
        .collect();
    crate::output::text(&text)
}

/// The later reading, and what happened per second between the two.
fn figures(before: &Sample, now: &Sample) -> Value {
    let seconds = now.since(before);
    json!({
        "seconds": seconds,
        "runtime": now.runtime,
        "workers": with_rates(&before.workers, &now.workers, seconds),
        "rings": with_rates(&before.rings, &now.rings, seconds),
        "sites": now.sites,
        "warnings": now.warnings,
    })
}

/// Each line of `now` with the rates of all its numbers, under `per_second`.
fn with_rates(before: &[Value], now: &[Value], seconds: f64) -> Vec<Value> {
    let with = |(index, line): (usize, &Value)| {
        let mut line = line.clone();
        let old = before.get(index).unwrap_or(&Value::Null);
        let keys: Vec<String> = line
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect();
        let rates = keys.into_iter().filter_map(|key| {
            let rate = sample::rate(old, &line, &key, seconds)?;
            (rate != 0.0).then_some((key, rate.into()))
        });
        let rates: serde_json::Map<String, Value> = rates.collect();
        line["per_second"] = rates.into();
        line
    };
    now.iter().enumerate().map(with).collect()
}

fn live(mut client: Client, interval: Duration) -> Result<(), String> {
    let mut view = View::new(Sample::take(&mut client)?);
    let mut screen = Screen::open()?;
    let mut due = Instant::now() + interval;
    let mut holds = false;
    loop {
        let (width, height) = screen.size();
        screen.draw(&view.lines(width, height))?;
        // Keys are looked at until the next reading is due.
        let key = screen.key(due.saturating_duration_since(Instant::now()))?;
        match key {
            Some(Key::Quit) => return Ok(()),
            Some(Key::Hold) => {
                holds = !holds;
                view.hold(holds);
            }
            Some(Key::Sort { back }) => view.sort(back),
            Some(Key::Move(lines)) => view.move_by(lines, height),
            Some(Key::Resize) => {}
            None => {
                due = Instant::now() + interval;
                if !holds {
                    view.show(Sample::take(&mut client)?);
                }
            }
        }
    }
}
