//! Sums up a CSV file of any size in bounded memory: read from disk, parsed on the CPU's threads, summed up, written.
//!
//! ```text
//! cargo run --release --example csv_pipeline -- --generate 4GB orders.csv
//! cargo run --release --example csv_pipeline -- orders.csv sums.csv
//! ```
//!
//! `--piece SIZE` sets how much is parsed at a time (1 MB), `--threads N` the number of threads that parse (the
//! processors). Whatever the file's size, no more than two pieces a thread are in memory. At the end it says how fast
//! that was, and how much memory it took.

mod orders;

use blitz_io::cpu::Window;
use blitz_io::fs::{self, File};
use blitz_io::io::AsyncWriteExt;
use blitz_io::runtime::Builder;
use orders::{HEADER, ROWS_IN_BLOCK, Totals, block, peak_rss_kib, whole_rows};
use std::error::Error;
use std::io;
use std::time::Instant;

/// What the command line asks for.
struct Options {
    generate: Option<u64>,
    piece: usize,
    threads: usize,
    paths: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = parse(std::env::args().skip(1))?;
    let runtime = Builder::new_multi_thread()
        .cpu_threads(options.threads)
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let task = match (options.generate, &options.paths[..]) {
            (Some(size), [to]) => blitz_io::spawn(generate(size, to.clone(), options.threads)),
            (None, [from, to]) => blitz_io::spawn(pipeline(
                from.clone(),
                to.clone(),
                options.piece,
                options.threads,
            )),
            _ => {
                return Err(
                    "usage: csv_pipeline --generate SIZE FILE, or csv_pipeline FROM TO".into(),
                );
            }
        };
        Ok(task.await??)
    })
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options {
        generate: None,
        piece: 1 << 20,
        threads: processors,
        paths: Vec::new(),
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
        match arg.as_str() {
            "--generate" => options.generate = Some(size(&value()?)?),
            "--piece" => options.piece = usize::try_from(size(&value()?)?)?.max(1),
            "--threads" => options.threads = value()?.parse::<usize>()?.max(1),
            path => options.paths.push(path.to_owned()),
        }
    }
    Ok(options)
}

/// `4GB`, `64MB`, `10kB` or plain bytes.
fn size(text: &str) -> Result<u64, Box<dyn Error>> {
    let units = [("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)];
    let unit = units
        .iter()
        .find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
    let (number, bytes) = unit.unwrap_or((text, 1));
    let number: u64 = number
        .trim()
        .parse()
        .map_err(|_| format!("{text} is no size: 4GB, 64MB, 10kB or bytes"))?;
    number
        .checked_mul(bytes)
        .ok_or_else(|| "so large is no disk".into())
}

/// Reads `from` piece by piece, has each summed up on the CPU's threads while the next are read, and writes the sums to `to`.
async fn pipeline(from: String, to: String, piece: usize, threads: usize) -> io::Result<()> {
    let begun = Instant::now();
    let file = File::open(&from)
        .await
        .map_err(|error| named(&from, error))?;
    // Each result brings its buffer back, for a piece that is yet to be read.
    let mut window = Window::new(2 * threads, |rows: Vec<u8>| (Totals::of_rows(&rows), rows));
    let mut totals = Totals::default();
    let mut spare = Vec::new();
    // What stood behind the last whole row.
    let mut rest = Vec::new();
    let mut offset = 0;
    loop {
        let mut rows: Vec<u8> = spare.pop().unwrap_or_default();
        rows.clear();
        rows.append(&mut rest);
        let (mut rows, more) = fill(&file, rows, piece, &mut offset).await?;
        if rows.starts_with(HEADER) && totals.rows == 0 && window.is_empty() {
            rows.drain(..HEADER.len());
        }
        let end = if more { whole_rows(&rows) } else { rows.len() };
        rest.extend_from_slice(&rows[end..]);
        if end == 0 && more {
            // A row longer than a piece.
            spare.push(rows);
            continue;
        }
        rows.truncate(end);
        if let Some((part, rows)) = window.push(rows).await {
            totals.merge(part);
            spare.push(rows);
        }
        if !more {
            break;
        }
    }
    while let Some((part, _)) = window.next().await {
        totals.merge(part);
    }
    fs::write(&to, totals.to_csv())
        .await
        .map_err(|error| named(&to, error))?;

    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{} rows ({} bad) worth {} cents in {offset} bytes",
        totals.rows,
        totals.bad_rows,
        totals.cents()
    );
    println!(
        "{seconds:.2} s, {:.0} MB/s{}",
        offset as f64 / 1e6 / seconds,
        memory()
    );
    Ok(())
}

/// Reads at `offset` until `rows` has `piece` bytes more, or the file ends. Returns whether there may be more.
async fn fill(
    file: &File,
    mut rows: Vec<u8>,
    piece: usize,
    offset: &mut u64,
) -> io::Result<(Vec<u8>, bool)> {
    use blitz_io::io::IoBuf;

    let full = rows.len() + piece;
    rows.reserve(piece);
    while rows.len() < full {
        let from = rows.len();
        let (count, room) = file.read_at(rows.slice(from..full), *offset).await;
        rows = room.into_inner();
        match count? {
            0 => return Ok((rows, false)),
            count => *offset += count as u64,
        }
    }
    Ok((rows, true))
}

/// Makes a file of `size` bytes or a little more. Its blocks are made side by side and written in order.
async fn generate(size: u64, to: String, threads: usize) -> io::Result<()> {
    let begun = Instant::now();
    let mut file = File::create(&to).await.map_err(|error| named(&to, error))?;
    file.write_all(HEADER).await?;
    let mut window = Window::new(2 * threads, block);
    let (mut started, mut written, mut blocks) = (0, HEADER.len() as u64, 0);
    while written < size {
        let made = window.push(started).await;
        started += 1;
        if let Some(rows) = made {
            file.write_all(&rows).await?;
            written += rows.len() as u64;
            blocks += 1;
        }
    }
    file.flush().await?;
    println!("{} rows in {written} bytes", blocks * ROWS_IN_BLOCK);
    println!("{:.2} s{}", begun.elapsed().as_secs_f64(), memory());
    Ok(())
}

fn named(path: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path}: {error}"))
}

fn memory() -> String {
    match peak_rss_kib() {
        Some(kib) => format!(", at most {:.1} MB of memory", kib as f64 / 1024.0),
        None => String::new(),
    }
}
