//! `--html`: a page with plots. It is one file, and loads nothing.

use super::report::{PERCENTILES, Run};
use super::tally::Moment;
use crate::demo::{grouped, short};
use std::fmt::Write;
use std::time::Duration;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#667;--line:#d5d9de;--a:#0b6bcb;--b:#c2410c;--c:#7c3aed;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--dim:#9aa3ad;--line:#3a4048;--a:#5cadff;--b:#ff9d5c;--c:#b79bff;--paper:#16191d}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:56rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.3rem;overflow-wrap:anywhere}h2{font-size:1rem;margin:2rem 0 .3rem}p{color:var(--dim)}
table{border-collapse:collapse}td,th{padding:.15rem 1rem .15rem 0;text-align:left;vertical-align:top}td{font-variant-numeric:tabular-nums}
th{font-weight:400;color:var(--dim)}svg{width:100%;height:auto}text{fill:var(--dim);font:11px system-ui,sans-serif}
.missed{color:var(--b);font-weight:600}.grid{stroke:var(--line)}.a{stroke:var(--a)}.b{stroke:var(--b)}.c{stroke:var(--c)}
polyline{fill:none;stroke-width:1.6}rect{fill:var(--a)}.ka{fill:var(--a)}.kb{fill:var(--b)}.kc{fill:var(--c)}
";

/// The plots' size, and where their axes are.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 28.0;
const TOP: f64 = 22.0;
const RIGHT: f64 = 12.0;

/// A line: its name, the class of its colour, its points.
type Series<'a> = (&'a str, &'a str, Vec<(f64, f64)>);

/// The page of a run.
pub(super) fn page(run: &Run<'_>) -> String {
    let sum = &run.summary;
    let title = format!("{} {}", run.asks(), run.options.url);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\"><title>blitz bench: {0}</title>\n<style>\n{STYLE}</style></head>\n\
         <body><h1>{0}</h1>\n<p>{1}{2}</p>\n",
        escaped(&title),
        escaped(&run.plan()),
        if run.interrupted { ", ended early" } else { "" },
    );
    let mut rows = vec![
        (
            "answers".to_owned(),
            format!(
                "{} in {:.2} s",
                grouped(sum.answers),
                sum.elapsed.as_secs_f64()
            ),
        ),
        ("rate".to_owned(), format!("{:.1}/s", sum.rate())),
        (
            "errors".to_owned(),
            format!(
                "{} ({:.3} %)",
                grouped(sum.errors()),
                sum.error_share() * 100.0
            ),
        ),
    ];
    for (status, count) in &sum.statuses {
        rows.push((format!("status {status}"), grouped(*count)));
    }
    for (failure, failed) in &sum.failures {
        let said = format!("{}: {}", grouped(failed.count), failed.first);
        rows.push((failure.names().1.to_owned(), said));
    }
    if sum.unfinished > 0 {
        rows.push(("unfinished".to_owned(), grouped(sum.unfinished)));
    }
    if sum.latency.len() > 0 {
        rows.push(("mean".to_owned(), short(sum.latency.mean())));
        for percent in PERCENTILES {
            let time = sum.latency.percentile(percent / 100.0);
            rows.push((format!("p{percent}"), short(time)));
        }
        rows.push(("max".to_owned(), short(sum.latency.max())));
    }
    page.push_str("<table>\n");
    for (name, value) in &rows {
        let (name, value) = (escaped(name), escaped(value));
        let _infallible = writeln!(page, "<tr><th>{name}</th><td>{value}</td></tr>");
    }
    for verdict in &run.verdicts {
        let (class, said) = if verdict.met {
            ("met", "met")
        } else {
            ("missed", "missed")
        };
        let _infallible = writeln!(
            page,
            "<tr><th>{}</th><td class=\"{class}\">{said}: {}</td></tr>",
            escaped(&verdict.objective),
            escaped(&verdict.measured)
        );
    }
    page.push_str("</table>\n");
    if sum.latency.len() > 0 {
        page.push_str(&over_time(&sum.moments));
        page.push_str(&distribution(run));
        page.push_str(&percentiles(run));
    }
    page.push_str("</body></html>\n");
    page
}

fn over_time(moments: &[Moment]) -> String {
    let points = |value: fn(&Moment) -> f64| -> Vec<(f64, f64)> {
        moments.iter().map(|at| (at.seconds, value(at))).collect()
    };
    let last = moments.last().map_or(1.0, |at| at.seconds);
    let seconds = Axis::linear(0.0, last.max(0.001), |value| format!("{value:.3} s"));
    let rates = [
        ("answers", "a", points(|at| at.answers_per_second)),
        ("errors", "b", points(|at| at.errors_per_second)),
    ];
    let times = [
        ("p50", "a", points(|at| at.p50.as_secs_f64())),
        ("p99", "c", points(|at| at.p99.as_secs_f64())),
        ("max", "b", points(|at| at.max.as_secs_f64())),
    ];
    let most = |series: &[Series<'_>]| {
        let all = series.iter().flat_map(|(_, _, points)| points);
        all.map(|(_, y)| *y).fold(1e-9, f64::max)
    };
    let rate = Axis::linear(0.0, most(&rates), |value| format!("{value:.0}"));
    let time = Axis::linear(0.0, most(&times), |value| short(seconds_of(value)));
    plot(
        "Answers and errors a second",
        &seconds,
        &rate,
        &lines(&rates, &seconds, &rate),
    ) + &plot(
        "Latency over time",
        &seconds,
        &time,
        &lines(&times, &seconds, &time),
    )
}

fn distribution(run: &Run<'_>) -> String {
    let ranges = run.distribution(48);
    let min = run.summary.latency.min().as_secs_f64().max(1e-9);
    let max = ranges.last().map_or(min, |(end, _)| end.as_secs_f64());
    let x = Axis::logarithmic(min, max.max(min * 1.02), |value| short(seconds_of(value)));
    let most = ranges.iter().map(|(_, count)| *count).max().unwrap_or(1);
    let y = Axis::linear(0.0, most as f64, |value| grouped(value as u64));
    let mut bars = String::new();
    let mut begin = min;
    for (end, count) in ranges {
        let end = end.as_secs_f64().max(min);
        let (left, right) = (x.across(begin), x.across(end));
        let top = y.up(count as f64);
        let _infallible = writeln!(
            bars,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>up to {}: {}</title></rect>",
            (right - left - 0.5).max(0.5),
            (HEIGHT - BOTTOM - top).max(0.0),
            short(seconds_of(end)),
            grouped(count)
        );
        begin = end;
    }
    plot("How many took how long", &x, &y, &bars)
}

fn percentiles(run: &Run<'_>) -> String {
    let latency = &run.summary.latency;
    // One less than what is left above: 1, 0.1, 0.01 …
    let rarest = 1.0 / (latency.len() as f64).max(10.0);
    let x = Axis::logarithmic(1.0, 1.0 / rarest, |value| {
        format!("{}", (1e6 - 1e6 / value).round() / 1e4)
    });
    let steps = 200;
    let points: Vec<(f64, f64)> = (0..=steps)
        .map(|step| {
            let above = rarest.powf(f64::from(step) / f64::from(steps));
            let time = latency.percentile(1.0 - above);
            (1.0 / above, time.as_secs_f64())
        })
        .collect();
    let max = latency.max().as_secs_f64().max(1e-9);
    let y = Axis::linear(0.0, max, |value| short(seconds_of(value)));
    let series = [("latency", "a", points)];
    plot("Latency by percentile", &x, &y, &lines(&series, &x, &y))
}

fn seconds_of(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}

/// One direction of a plot.
struct Axis {
    from: f64,
    to: f64,
    logarithmic: bool,
    says: fn(f64) -> String,
}

impl Axis {
    fn linear(from: f64, to: f64, says: fn(f64) -> String) -> Axis {
        Axis {
            from,
            to,
            logarithmic: false,
            says,
        }
    }

    fn logarithmic(from: f64, to: f64, says: fn(f64) -> String) -> Axis {
        Axis {
            from,
            to,
            logarithmic: true,
            says,
        }
    }

    /// Which share of the axis lies before `value`.
    fn share(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        share.clamp(0.0, 1.0)
    }

    /// The value at that share.
    fn value(&self, share: f64) -> f64 {
        if self.logarithmic {
            self.from * (self.to / self.from).powf(share)
        } else {
            self.from + (self.to - self.from) * share
        }
    }

    fn across(&self, value: f64) -> f64 {
        LEFT + self.share(value) * (WIDTH - LEFT - RIGHT)
    }

    fn up(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.share(value) * (HEIGHT - BOTTOM - TOP)
    }
}

/// A plot with its axes around what is drawn in it.
fn plot(title: &str, x: &Axis, y: &Axis, drawn: &str) -> String {
    let mut svg = format!(
        "<h2>{title}</h2>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n"
    );
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let value = y.value(share);
        let at = y.up(value);
        let _infallible = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            (y.says)(value)
        );
        let value = x.value(share);
        let anchor = match step {
            0 => "start",
            4 => "end",
            _ => "middle",
        };
        let _infallible = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            x.across(value),
            HEIGHT - 8.0,
            (x.says)(value)
        );
    }
    svg + drawn + "</svg>\n"
}

/// Lines, and a key to them where there are several.
fn lines(series: &[Series<'_>], x: &Axis, y: &Axis) -> String {
    let mut svg = String::new();
    for (index, (name, class, points)) in series.iter().enumerate() {
        let points: Vec<String> = points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x.across(point.0), y.up(point.1)))
            .collect();
        let _infallible = writeln!(
            svg,
            "<polyline class=\"{class}\" points=\"{}\"/>",
            points.join(" ")
        );
        if series.len() > 1 {
            let at = LEFT + 70.0 * index as f64;
            let _infallible = writeln!(
                svg,
                "<text class=\"k{class}\" x=\"{at}\" y=\"12\">{name}</text>"
            );
        }
    }
    svg
}

/// Text that means nothing to a browser.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::options::Options;
    use super::super::slo::Slo;
    use super::super::tally::{Failure, Summary, Tally};
    use super::*;

    fn run(tally: Tally, check: impl Fn(&str)) {
        let words = ["http://a.test/?x=%3Cscript%3E&y='", "-c", "1"];
        let options = Options::parse(&words).expect("it is right");
        let summary = Summary::of(vec![tally], 10_000_000_000);
        let verdicts = Slo::parse("p99<5ms").expect("one").judge(&summary);
        check(&page(&Run {
            options: &options,
            addr: ([127, 0, 0, 1], 80).into(),
            summary,
            verdicts,
            interrupted: false,
        }));
    }

    #[test]
    fn the_page_has_its_plots_and_loads_nothing() {
        let mut tally = Tally::new(1_000_000_000);
        for ms in 1..=1000 {
            tally.answered(ms * 10_000_000, ms * 1_000_000, 200, 10);
        }
        tally.failed(1, Failure::Garbled, "<b>\"no\" & 'answer'</b>");
        run(tally, |page| {
            assert_eq!(page.matches("<svg ").count(), 4);
            assert_eq!(page.matches("</svg>").count(), 4);
            assert_eq!(page.matches("<polyline ").count(), 6);
            assert_eq!(page.matches("<rect ").count(), 48);
            assert!(!page.contains("NaN") && !page.contains("inf\""), "{page}");
            for what in ["<script", "<b>", "src=", "href=", "url(", "@import"] {
                assert!(!page.contains(what), "{what}");
            }
            assert!(page.contains("&lt;b&gt;&quot;no&quot; &amp; &#39;answer&#39;&lt;/b&gt;"));
            assert!(page.contains("class=\"missed\""));
        });
    }

    #[test]
    fn one_answer_or_none_is_drawn_without_fault() {
        let mut tally = Tally::new(1_000_000_000);
        run(Tally::new(1), |page| assert!(!page.contains("<svg")));
        tally.answered(0, 0, 200, 10);
        run(tally, |page| {
            assert_eq!(page.matches("<svg ").count(), 4);
            assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        });
    }
}
