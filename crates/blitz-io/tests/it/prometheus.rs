//! The page for Prometheus, read as a scraper reads it.

use std::collections::{HashMap, HashSet};

use crate::harness::{FLAVORS, each_case, run};

/// One sample: its name, its labels in order, its value.
type Sample = (String, Vec<(String, String)>, f64);

/// Reads a page by the text format's rules, and fails where one is broken.
#[track_caller]
fn parse(page: &str) -> Vec<Sample> {
    assert!(page.ends_with('\n'), "the last line has an end");
    let (mut helps, mut types) = (HashSet::new(), HashMap::new());
    let mut samples: Vec<Sample> = Vec::new();
    let mut seen = HashSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, _) = rest.split_once(' ').expect("a help has a text");
            assert!(helps.insert(name.to_owned()), "a second help: {line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type has a kind");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(helps.contains(name), "the help comes first: {line}");
            assert!(
                types.insert(name.to_owned(), kind.to_owned()).is_none(),
                "a second type: {line}"
            );
        } else {
            let sample = sample(line);
            assert!(
                seen.insert((sample.0.clone(), sample.1.clone())),
                "twice: {line}"
            );
            samples.push(sample);
        }
    }
    for (name, _, value) in &samples {
        let family = [name.as_str(), stem(name)]
            .into_iter()
            .find(|name| types.contains_key(*name));
        let family = family.unwrap_or_else(|| panic!("{name} has no type"));
        if types[family] == "counter" {
            assert!(name.ends_with("_total") && *value >= 0.0, "{name}");
        }
    }
    samples
}

/// A histogram's family, of the name of one of its samples.
fn stem(name: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name)
}

#[track_caller]
fn sample(line: &str) -> Sample {
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .expect("a name ends");
    let (name, mut rest) = line.split_at(end);
    assert!(
        !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()),
        "{line}"
    );
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").expect("a label has a value");
            let (mut value, mut chars) = (String::new(), after.char_indices());
            rest = loop {
                match chars.next().expect("a value ends") {
                    (at, '"') => break &after[at + 1..],
                    (_, '\\') => value.push(match chars.next().expect("something is escaped").1 {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        c => panic!("\\{c} in {line}"),
                    }),
                    (_, c) => value.push(c),
                }
            };
            labels.push((label.to_owned(), value));
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').expect("one space before the value");
    (
        name.to_owned(),
        labels,
        value.parse().expect("a value is a number"),
    )
}

fn label<'a>(sample: &'a Sample, name: &str) -> Option<&'a str> {
    sample
        .1
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

#[test]
fn the_page_is_what_the_format_allows_and_agrees_with_the_figures() {
    each_case(&FLAVORS, |case| {
        let runtime = case
            .builder()
            .name("a \"name\"\\with\nall")
            .build()
            .unwrap();
        let task = runtime.spawn(std::future::pending::<()>());
        let metrics = runtime.metrics();
        // A sleep may be over before anybody looks, and then nobody turns.
        let turned = || {
            (0..metrics.num_workers()).any(|worker| metrics.worker_ring_metrics(worker).turns > 0)
        };
        run(&runtime, async {
            while !turned() {
                blitz_io::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        });
        let samples = parse(&metrics.prometheus());
        let of = |name: &str| {
            samples
                .iter()
                .filter(|sample| sample.0 == name)
                .collect::<Vec<_>>()
        };
        assert_eq!(of("blitz_io_workers")[0].2, metrics.num_workers() as f64);
        assert_eq!(of("blitz_io_alive_tasks")[0].2, 1.0);
        assert_eq!(
            label(of("blitz_io_workers")[0], "name"),
            Some("a \"name\"\\with\nall")
        );
        let id = runtime.handle().id().to_string();
        assert!(
            samples
                .iter()
                .all(|sample| label(sample, "runtime") == Some(&id))
        );
        let info = of("blitz_io_ring_info");
        assert_eq!(info.len(), metrics.num_workers());
        assert_eq!(
            label(info[0], "backend"),
            Some(case.backend.to_string().as_str())
        );
        let turns: f64 = of("blitz_io_ring_turns_total")
            .iter()
            .map(|sample| sample.2)
            .sum();
        assert!(turns > 0.0);
        task.abort();
    });
}

#[test]
fn histograms_are_cumulative_and_end_with_their_count() {
    each_case(&FLAVORS, |case| {
        let mut builder = case.builder();
        builder
            .enable_metrics_poll_time_histogram()
            .enable_metrics_schedule_latency_histogram();
        let runtime = builder.build().unwrap();
        for _ in 0..10 {
            run(&runtime, async {
                blitz_io::spawn(blitz_io::task::yield_now()).await.unwrap();
                blitz_io::time::sleep(std::time::Duration::from_millis(1)).await;
            });
        }
        let samples = parse(&runtime.metrics().prometheus());
        for family in [
            "blitz_io_worker_poll_seconds",
            "blitz_io_worker_latency_seconds",
        ] {
            let mut polls = 0.0;
            for worker in 0..runtime.metrics().num_workers() {
                let number = worker.to_string();
                let of = |end: &str| {
                    let name = format!("{family}{end}");
                    let of = samples
                        .iter()
                        .filter(move |sample| sample.0 == name)
                        .filter(|sample| label(sample, "worker") == Some(&number));
                    of.collect::<Vec<_>>()
                };
                let buckets = of("_bucket");
                assert!(buckets.is_sorted_by(|a, b| a.2 <= b.2), "{buckets:?}");
                let last = buckets.last().expect("there is one bucket at least");
                assert_eq!(label(last, "le"), Some("+Inf"));
                assert_eq!(last.2, of("_count")[0].2);
                assert!(of("_sum")[0].2 >= 0.0);
                polls += last.2;
            }
            assert!(polls > 0.0, "{family}");
        }
    });
}
