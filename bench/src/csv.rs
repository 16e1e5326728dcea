//! A CSV file read, parsed on all processors, and summed up: the example `csv_pipeline`, and its twin on `tokio::fs` and rayon.
//!
//! Both use the example's own file `orders.rs`, pieces of the same size, and as many of them at a time. The file stands in the
//! temporary folder and is made once; `BENCH_CSV_MB` sets its size.

#[path = "../../examples/csv_pipeline/orders.rs"]
mod orders;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::measure::{Sample, cpu_time};
use orders::{HEADER, Totals, block, peak_rss_kib, whole_rows};

const PIECE: usize = 1 << 20;
const SIZE_MB: u64 = 256;

/// The file to read, with its size.
fn input() -> (PathBuf, u64) {
    let wanted = std::env::var("BENCH_CSV_MB").ok();
    let megabytes = wanted.map_or(SIZE_MB, |text| {
        text.parse().expect("BENCH_CSV_MB is a number")
    });
    let path = std::env::temp_dir().join(format!("blitz-bench-orders-{megabytes}.csv"));
    if let Ok(metadata) = std::fs::metadata(&path) {
        return (path, metadata.len());
    }
    // Made elsewhere first, so that a run that was stopped leaves no short file.
    let part = path.with_extension("part");
    let mut bytes = HEADER.len() as u64;
    let mut file = std::io::BufWriter::new(std::fs::File::create(&part).expect("room"));
    std::io::Write::write_all(&mut file, HEADER).expect("room");
    for number in 0.. {
        if bytes >= megabytes << 20 {
            break;
        }
        let rows = block(number);
        bytes += rows.len() as u64;
        std::io::Write::write_all(&mut file, &rows).expect("room");
    }
    drop(file);
    std::fs::rename(&part, &path).expect("the folder is ours");
    (path, bytes)
}

fn in_flight() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Cuts what was read: whole rows, and the rest for the next piece.
fn cut(rows: &mut Vec<u8>, rest: &mut Vec<u8>, more: bool, first: &mut bool) {
    if std::mem::take(first) && rows.starts_with(HEADER) {
        rows.drain(..HEADER.len());
    }
    let end = if more { whole_rows(rows) } else { rows.len() };
    rest.extend_from_slice(&rows[end..]);
    rows.truncate(end);
}

async fn blitz(path: PathBuf) -> Totals {
    use blitz_io::io::IoBuf;

    let file = blitz_io::fs::File::open(path).await.expect("open");
    let mut window =
        blitz_io::cpu::Window::new(in_flight(), |rows: Vec<u8>| (Totals::of_rows(&rows), rows));
    let (mut totals, mut spare, mut rest) = (Totals::default(), Vec::new(), Vec::new());
    let (mut offset, mut more, mut first) = (0, true, true);
    while more {
        let mut rows: Vec<u8> = spare.pop().unwrap_or_default();
        rows.clear();
        rows.append(&mut rest);
        let full = rows.len() + PIECE;
        rows.reserve(PIECE);
        while more && rows.len() < full {
            let from = rows.len();
            let (count, room) = file.read_at(rows.slice(from..full), offset).await;
            rows = room.into_inner();
            let count = count.expect("read");
            offset += count as u64;
            more = count > 0;
        }
        cut(&mut rows, &mut rest, more, &mut first);
        if let Some((part, rows)) = window.push(rows).await {
            totals.merge(part);
            spare.push(rows);
        }
    }
    while let Some((part, _)) = window.next().await {
        totals.merge(part);
    }
    totals
}

async fn tokio(path: PathBuf) -> Totals {
    use tokio::io::AsyncReadExt;

    let mut file = tokio::fs::File::open(path).await.expect("open");
    let mut calls = VecDeque::new();
    let (mut totals, mut spare, mut rest) = (Totals::default(), Vec::new(), Vec::new());
    let (mut more, mut first) = (true, true);
    loop {
        if more {
            let mut rows: Vec<u8> = spare.pop().unwrap_or_default();
            rows.clear();
            rows.append(&mut rest);
            let full = rows.len() + PIECE;
            rows.reserve(PIECE);
            while more && rows.len() < full {
                let room = (full - rows.len()) as u64;
                more = (&mut file)
                    .take(room)
                    .read_buf(&mut rows)
                    .await
                    .expect("read")
                    > 0;
            }
            cut(&mut rows, &mut rest, more, &mut first);
            let (sender, receiver) = tokio::sync::oneshot::channel();
            rayon::spawn(move || {
                let _ = sender.send((Totals::of_rows(&rows), rows));
            });
            calls.push_back(receiver);
            if more && calls.len() < in_flight() {
                continue;
            }
        }
        let Some(oldest) = calls.pop_front() else {
            return totals;
        };
        let (part, rows) = oldest.await.expect("no panic");
        totals.merge(part);
        spare.push(rows);
    }
}

fn sample(size: u64, run: impl FnOnce() -> Totals) -> Sample {
    let (cpu, started) = (cpu_time(), Instant::now());
    let totals = run();
    let seconds = started.elapsed().as_secs_f64();
    assert!(totals.rows > 0 && totals.bad_rows == 0 && totals.cents() > 0);
    assert!(totals.to_csv().len() > 8 * 40 * 20);
    Sample {
        value: size as f64 / 1e6 / seconds,
        cpu_us: (cpu_time() - cpu).as_secs_f64() * 1e6 / (size as f64 / 1e6),
        rss_kib: peak_rss_kib().unwrap_or_default() as f64,
        ..Sample::default()
    }
}

/// Reads it once, so that the page cache has what it can.
fn warm(path: &Path) {
    let mut file = std::fs::File::open(path).expect("open");
    std::io::copy(&mut file, &mut std::io::sink()).expect("read");
}

pub fn run(runtime: &str) -> Sample {
    let (path, size) = input();
    warm(&path);
    match runtime {
        "tokio-mt" => sample(size, || crate::rt::tokio_mt::run(tokio(path))),
        "tokio-ct" => sample(size, || crate::rt::tokio_ct::run(tokio(path))),
        "blitz-mt" => sample(size, || crate::rt::blitz_mt::run(blitz(path))),
        "blitz-ct" => sample(size, || crate::rt::blitz_ct::run(blitz(path))),
        other => panic!("no runtime {other}"),
    }
}
