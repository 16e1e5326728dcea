//! Two readings as lines of a given width: the tables, how they are cut to the window, and what tasks are sorted by.

use std::cmp::Ordering;

use serde_json::Value;

use super::sample::{Sample, rate};
use crate::client::plain;

/// How a line is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Plain,
    /// The first line.
    Head,
    /// The titles of a table.
    Titles,
    /// Something that should not be.
    Alarm,
}

/// One line, no wider than was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) look: Look,
}

/// What tasks are sorted by, the largest first but for the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Tasks,
    Polls,
    Running,
    Scheduled,
    Idle,
    Place,
}

const SORTS: [(Sort, &str); 6] = [
    (Sort::Tasks, "tasks"),
    (Sort::Polls, "polls"),
    (Sort::Running, "running"),
    (Sort::Scheduled, "scheduled"),
    (Sort::Idle, "idle"),
    (Sort::Place, "place"),
];

/// What is shown, and how far it is scrolled.
#[derive(Debug)]
pub(crate) struct View {
    before: Sample,
    now: Sample,
    sort: usize,
    /// So many sites are scrolled away.
    top: usize,
    holds: bool,
}

impl View {
    /// A view of a first reading: rates are known from the second on.
    pub(crate) fn new(first: Sample) -> Self {
        Self {
            before: first.clone(),
            now: first,
            sort: 0,
            top: 0,
            holds: false,
        }
    }

    /// The next reading.
    pub(crate) fn show(&mut self, now: Sample) {
        self.before = std::mem::replace(&mut self.now, now);
    }

    /// Whether readings are held back, which is said.
    pub(crate) fn hold(&mut self, holds: bool) {
        self.holds = holds;
    }

    /// Sorts by the next figure, or the one before.
    pub(crate) fn sort(&mut self, back: bool) {
        let step = if back { SORTS.len() - 1 } else { 1 };
        self.sort = (self.sort + step) % SORTS.len();
        self.top = 0;
    }

    /// Scrolls the tasks, in a window of `height` lines.
    pub(crate) fn move_by(&mut self, lines: isize, height: usize) {
        let room = height.saturating_sub(self.above().len() + 1);
        let last = self.now.sites.len().saturating_sub(room.max(1));
        self.top = self.top.saturating_add_signed(lines).min(last);
    }

    /// Everything, for a window of this size.
    pub(crate) fn lines(&self, width: usize, height: usize) -> Vec<Line> {
        let mut lines = self.above();
        let room = height.saturating_sub(lines.len());
        let mut sites = self.sites().into_iter();
        lines.extend(sites.next());
        lines.extend(sites.skip(self.top).take(room.saturating_sub(1)));
        lines.truncate(height);
        for line in &mut lines {
            line.text = cut(&line.text, width);
        }
        lines
    }

    /// What stands above the tasks.
    fn above(&self) -> Vec<Line> {
        let mut lines = vec![self.head()];
        let count = self.now.warnings.len();
        for warning in self.now.warnings.iter().rev().take(3).rev() {
            // A task's name is in it, which may be anything.
            let says = plain(warning["says"].as_str().unwrap_or_default());
            lines.push(line(format!("! {says}"), Look::Alarm));
        }
        if count > 3 {
            lines.push(line(
                format!("! and {} more: `blitz dump --json` has them", count - 3),
                Look::Alarm,
            ));
        }
        lines.push(line("", Look::Plain));
        lines.extend(self.workers());
        lines.push(line("", Look::Plain));
        lines.extend(self.rings());
        lines.push(line("", Look::Plain));
        lines
    }

    fn head(&self) -> Line {
        let runtime = &self.now.runtime;
        let text = |key: &str| runtime[key].as_str().unwrap_or("?").to_owned();
        let name = runtime["name"]
            .as_str()
            .map_or(String::new(), |name| format!(" ({name})"));
        let hold = if self.holds {
            "   HELD: space goes on"
        } else {
            ""
        };
        line(
            format!(
                "{}  process {}  runtime {}{name} {} on {}  tasks {}  blocking threads {}{hold}",
                text("program"),
                runtime["process"],
                text("id"),
                text("flavor"),
                text("backend"),
                whole(&runtime["tasks_alive"]),
                whole(&runtime["blocking_threads"]),
            ),
            Look::Head,
        )
    }

    /// A figure of one line, per second.
    fn rate(&self, before: &[Value], now: &Value, index: usize, key: &str) -> Option<f64> {
        let seconds = self.now.since(&self.before);
        rate(before.get(index).unwrap_or(&Value::Null), now, key, seconds)
    }

    fn workers(&self) -> Vec<Line> {
        let titles = [
            "worker",
            "busy",
            "polls/s",
            "mean poll",
            "queue",
            "steals/s",
            "overflow/s",
            "parks/s",
            "longest poll",
        ];
        let row = |(index, worker): (usize, &Value)| {
            let per_second = |key: &str| self.rate(&self.before.workers, worker, index, key);
            vec![
                whole(&worker["worker"]),
                self.busy(worker, per_second("busy_ns"), per_second("park_unparks")),
                short(per_second("polls")),
                time(&worker["mean_poll_ns"]),
                whole(&worker["queue_depth"]),
                short(per_second("steals")),
                short(per_second("overflows")),
                short(per_second("parks")),
                time(&worker["longest_poll_ns"]),
            ]
        };
        table(
            &titles,
            self.now.workers.iter().enumerate().map(row).collect(),
        )
    }

    /// The share of the time between the readings in which a worker did not wait.
    ///
    /// It counts that up at each wait: one that has not waited since the last reading works or waits all the time, and whether its
    /// number of waits and ends of waits is odd says which.
    fn busy(&self, worker: &Value, busy_ns: Option<f64>, park_unparks: Option<f64>) -> String {
        let share = match (busy_ns, park_unparks) {
            (Some(_), Some(0.0)) if worker["has_thread"] == false => 0.0,
            (Some(_), Some(0.0))
                if worker["park_unparks"]
                    .as_u64()
                    .is_some_and(|count| count % 2 == 0) =>
            {
                100.0
            }
            (Some(_), Some(0.0)) => 0.0,
            (Some(ns), _) => ns / 1e7,
            (None, _) => return nothing(),
        };
        format!("{:.0} %", share.clamp(0.0, 100.0))
    }

    fn rings(&self) -> Vec<Line> {
        let titles = [
            "ring",
            "back end",
            "turns/s",
            "enters/s",
            "waits/s",
            "sqe/enter",
            "cqe/turn",
            "ready/s",
            "in flight",
            "sources",
            "timers",
            "overflows",
            "full",
            "cancels",
            "late",
        ];
        let row = |(index, ring): (usize, &Value)| {
            let per_second = |key: &str| self.rate(&self.before.rings, ring, index, key);
            let per = |part: &str, whole: &str| match (per_second(part), per_second(whole)) {
                (Some(part), Some(whole)) if whole > 0.0 => format!("{:.2}", part / whole),
                _ => nothing(),
            };
            let in_flight = ring["in_flight"].as_object();
            let in_flight =
                in_flight.map(|kinds| kinds.values().filter_map(Value::as_u64).sum::<u64>());
            vec![
                whole(&ring["worker"]),
                ring["backend"].as_str().unwrap_or("?").to_owned(),
                short(per_second("turns")),
                short(per_second("enters")),
                short(per_second("selector_waits")),
                per("submitted", "enters"),
                per("completions", "turns"),
                short(per_second("ready_events")),
                in_flight.map_or_else(nothing, grouped),
                whole(&ring["sources"]),
                whole(&ring["timers"]),
                whole(&ring["overflows"]),
                whole(&ring["queue_full"]),
                whole(&ring["cancels"]),
                whole(&ring["cancels_late"]),
            ]
        };
        table(
            &titles,
            self.now.rings.iter().enumerate().map(row).collect(),
        )
    }

    fn sites(&self) -> Vec<Line> {
        let mut sites: Vec<&Value> = self.now.sites.iter().collect();
        let (by, name) = SORTS[self.sort];
        let number = |site: &Value, key: &str| site[key].as_u64().unwrap_or(0);
        let largest = |a: &Value, b: &Value, key: &str| number(b, key).cmp(&number(a, key));
        sites.sort_by(|a, b| {
            let order = match by {
                Sort::Tasks => largest(a, b, "tasks"),
                Sort::Polls => largest(a, b, "polls"),
                Sort::Running => largest(a, b, "running"),
                Sort::Scheduled => largest(a, b, "scheduled"),
                Sort::Idle => largest(a, b, "idle"),
                Sort::Place => Ordering::Equal,
            };
            order.then_with(|| place(a).cmp(&place(b)))
        });
        let titles = [
            "tasks",
            "running",
            "scheduled",
            "idle",
            "polls",
            "polls/s",
            "spawned at",
            "most wait for",
        ];
        let rows = sites.into_iter().map(|site| {
            let seconds = self.now.since(&self.before);
            let old = self
                .before
                .sites
                .iter()
                .find(|old| place(old) == place(site));
            let polls = old.and_then(|old| rate(old, site, "polls", seconds));
            vec![
                whole(&site["tasks"]),
                whole(&site["running"]),
                whole(&site["scheduled"]),
                whole(&site["idle"]),
                whole(&site["polls"]),
                // Tasks that ended have taken their polls with them.
                short(polls.map(|polls| polls.max(0.0))),
                place(site),
                site["awaits"].as_str().unwrap_or("-").to_owned(),
            ]
        });
        let mut lines = table(&titles, rows.collect());
        if let Some(titles) = lines.first_mut() {
            titles.text.push_str(&format!("   (by {name})"));
        }
        lines
    }
}

/// Where tasks were spawned, with their name if they have one.
fn place(site: &Value) -> String {
    let at = plain(site["spawned_at"].as_str().unwrap_or("?"));
    match site["name"].as_str() {
        Some(name) => format!("{name} {at}"),
        None => at,
    }
}

fn line(text: impl Into<String>, look: Look) -> Line {
    Line {
        text: text.into(),
        look,
    }
}

fn nothing() -> String {
    "-".to_owned()
}

/// Titles and rows in columns: words to the left, numbers to the right.
fn table(titles: &[&str], rows: Vec<Vec<String>>) -> Vec<Line> {
    let is_number = |cell: &str| cell == "-" || cell.starts_with(|c: char| c.is_ascii_digit());
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([titles[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    // A column is one of words if any of its cells is.
    let of_words: Vec<bool> = (0..titles.len())
        .map(|column| rows.iter().any(|row| !is_number(&row[column])))
        .collect();
    let join = |cells: Vec<&str>| {
        let mut text = String::new();
        for (column, cell) in cells.into_iter().enumerate() {
            if column > 0 {
                text.push_str("  ");
            }
            let width = widths[column];
            if of_words[column] {
                text.push_str(&format!("{cell:<width$}"));
            } else {
                text.push_str(&format!("{cell:>width$}"));
            }
        }
        text.trim_end().to_owned()
    };
    let mut lines = vec![line(join(titles.to_vec()), Look::Titles)];
    for row in &rows {
        lines.push(line(
            join(row.iter().map(String::as_str).collect()),
            Look::Plain,
        ));
    }
    lines
}

/// A whole number with its thousands apart.
fn whole(value: &Value) -> String {
    match value.as_u64() {
        Some(number) => grouped(number),
        None => nothing(),
    }
}

fn grouped(number: u64) -> String {
    crate::demo::grouped(number)
}

/// A rate in few digits: `0`, `12.3`, `4.57 k`, `1.20 M`.
fn short(rate: Option<f64>) -> String {
    match rate {
        None => nothing(),
        Some(rate) if rate < 0.05 => "0".to_owned(),
        Some(rate) if rate < 1e3 => format!("{rate:.1}"),
        Some(rate) if rate < 1e6 => format!("{:.2} k", rate / 1e3),
        Some(rate) => format!("{:.2} M", rate / 1e6),
    }
}

fn time(ns: &Value) -> String {
    match ns.as_u64() {
        None | Some(0) => nothing(),
        Some(ns) => crate::demo::short(std::time::Duration::from_nanos(ns)),
    }
}

/// So much of `text` as fits, with a mark where it was cut; nothing that moves a cursor is let through.
fn cut(text: &str, width: usize) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    if text.chars().count() <= width {
        return text.chars().map(clean).collect();
    }
    let mut short: String = text
        .chars()
        .take(width.saturating_sub(1))
        .map(clean)
        .collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::{Duration, Instant};

    fn sample(at: Instant, polls: u64, sites: usize) -> Sample {
        let site = |n: usize| {
            json!({"spawned_at": format!("src/main.rs:{n}:5"), "tasks": n, "running": 0, "scheduled": 1, "idle": n,
                   "polls": 1000 - n, "awaits": "time::sleep"})
        };
        Sample {
            at,
            runtime: json!({"program": "server", "process": 42, "id": "1", "flavor": "multi_thread", "backend": "io_uring",
                            "tasks_alive": 1234, "blocking_threads": 2}),
            workers: vec![
                json!({"worker": 0, "busy_ns": polls * 1000, "polls": polls, "parks": 3}),
            ],
            rings: vec![
                json!({"worker": 0, "backend": "io_uring", "turns": polls, "enters": polls / 2,
                               "submitted": polls, "completions": polls * 3, "in_flight": {"RECV": 2, "ACCEPT": 1}}),
            ],
            sites: (0..sites).map(site).collect(),
            warnings: Vec::new(),
        }
    }

    /// A view of two readings, two seconds apart.
    fn view(sites: usize) -> View {
        let begin = Instant::now();
        let mut view = View::new(sample(begin, 1_000, sites));
        view.show(sample(begin + Duration::from_secs(2), 1_001_000, sites));
        view
    }

    fn text(lines: &[Line]) -> String {
        lines
            .iter()
            .map(|line| format!("{}\n", line.text))
            .collect()
    }

    #[test]
    fn rates_are_of_the_time_between_the_readings() {
        let text = text(&view(2).lines(200, 50));
        assert!(
            text.contains("server  process 42  runtime 1 multi_thread on io_uring  tasks 1,234"),
            "{text}"
        );
        assert!(text.contains("50 %"), "busy for one second of two:\n{text}");
        assert!(text.contains("500.00 k"), "polls per second:\n{text}");
        assert!(
            text.contains("2.00") && text.contains("3.00"),
            "entries a call, answers a turn:\n{text}"
        );
    }

    #[test]
    fn a_worker_that_never_waits_is_busy_and_one_that_never_ends_to_is_not() {
        let mut view = view(1);
        let worker = |park_unparks: u64, has_thread: bool| json!({"worker": 0, "has_thread": has_thread, "busy_ns": 5, "polls": 1, "park_unparks": park_unparks});
        for (worker, busy) in [
            (worker(6, true), " 100 %"),
            (worker(7, true), " 0 %"),
            (worker(0, false), " 0 %"),
        ] {
            view.before.workers = vec![worker.clone()];
            view.now.workers = vec![worker];
            let text = text(&view.workers());
            assert!(text.contains(busy), "`{busy}` in {text}");
        }
    }

    #[test]
    fn it_fits_the_window_whatever_its_size() {
        let mut view = view(300);
        for (width, height) in [(20, 5), (80, 24), (213, 60), (1, 1), (0, 0)] {
            view.move_by(isize::MAX, height);
            let lines = view.lines(width, height);
            assert!(lines.len() <= height);
            assert!(
                lines
                    .iter()
                    .all(|line| line.text.chars().count() <= width.max(1)),
                "{width}"
            );
            view.move_by(isize::MIN, height);
        }
    }

    #[test]
    fn tasks_are_sorted_and_scrolled() {
        let mut view = view(300);
        let first = |view: &View| {
            let lines = view.lines(200, 40);
            let titles = lines
                .iter()
                .rposition(|line| line.look == Look::Titles)
                .expect("there are titles");
            lines[titles + 1].text.clone()
        };
        assert!(first(&view).contains("main.rs:299:5"), "{}", first(&view));
        view.move_by(1, 40);
        assert!(first(&view).contains("main.rs:298:5"));
        view.sort(false);
        assert!(
            first(&view).contains("main.rs:0:5"),
            "by polls: {}",
            first(&view)
        );
        view.sort(true);
        assert!(first(&view).contains("main.rs:299:5"));
        view.move_by(isize::MAX, 40);
        assert_eq!(view.lines(200, 40).len(), 40, "the last page is full");
        view.sort(true);
        assert!(first(&view).contains("main.rs:0:5"), "by place");
    }

    #[test]
    fn warnings_stand_on_top_and_control_characters_do_nothing() {
        let mut view = view(1);
        view.now.warnings = (0..5)
            .map(|n| json!({"says": format!("task {n} \u{1b}[2J spins")}))
            .collect();
        let lines = view.lines(100, 40);
        let alarms: Vec<&Line> = lines
            .iter()
            .filter(|line| line.look == Look::Alarm)
            .collect();
        assert_eq!(alarms.len(), 4);
        assert!(alarms[0].text.contains("task 2 ?[2J"), "{alarms:?}");
        assert!(alarms[3].text.contains("2 more"));
    }

    #[test]
    fn an_older_program_shows_gaps_and_no_fault() {
        let at = Instant::now();
        let empty = Sample {
            at,
            runtime: Value::Null,
            workers: vec![json!({})],
            rings: vec![Value::Null],
            sites: vec![json!(7)],
            warnings: vec![json!({})],
        };
        let view = View::new(empty);
        assert!(text(&view.lines(120, 40)).contains('-'));
    }
}
