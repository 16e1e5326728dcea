//! A server that also computes: what heavy work does to its latency in the tasks, and on the CPU bridge.
//!
//! ```text
//! cargo run --release --example cpu_offload -- --seconds 3
//! ```
//!
//! A client sends a request every millisecond and times the answer, first with nothing else to do; then while tasks of the
//! same runtime hash without a pause, 20 ms at a time; then while they have the same done by `blitz_io::compute`, whose
//! threads leave one processor to the workers where there are several.

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::Builder;
use blitz_io::task::{JoinSet, yield_now};
use std::error::Error;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// So long is hashed at a time.
const WORK: Duration = Duration::from_millis(20);

/// What else the runtime does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    Nothing,
    InTasks,
    OnTheBridge,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut seconds = 2.0;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--seconds", Some(value)) => seconds = value.parse()?,
            _ => return Err("usage: cpu_offload [--seconds N]".into()),
        }
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{processors} processors, {seconds} s each");
    println!(
        "{:<24}{:>10}{:>11}{:>11}{:>11}{:>10}",
        "beside the server", "requests", "median", "99 %", "worst", "Mhashes"
    );
    for (name, load) in [
        ("nothing", Load::Nothing),
        ("hashing in tasks", Load::InTasks),
        ("hashing by `compute`", Load::OnTheBridge),
    ] {
        let (latencies, hashed) = measure(load, processors, Duration::from_secs_f64(seconds))?;
        let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
        println!(
            "{name:<24}{:>10}{:>11.1?}{:>11.1?}{:>11.1?}{:>10.2}",
            latencies.len(),
            at(0.5),
            at(0.99),
            at(1.0),
            hashed as f64 / 1e6
        );
    }
    Ok(())
}

/// Runs the server for a while beside a load. Returns the sorted latencies, and how much was hashed.
fn measure(
    load: Load,
    processors: usize,
    time: Duration,
) -> Result<(Vec<Duration>, u64), Box<dyn Error>> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(processors)
        .cpu_threads(processors.saturating_sub(1).max(1))
        .enable_all()
        .build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let hashed = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&hashed);
    let work = runtime.spawn(async move {
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener));
        if load != Load::Nothing {
            // Twice as many as there are processors: there is always one more to do.
            for seed in 0..2 * processors as u64 {
                tasks.spawn(hash_on(load, seed, Arc::clone(&count)));
            }
        }
        tasks.join_all().await;
    });
    let count = Arc::clone(&hashed);
    // A load that has done nothing yet was none.
    let has_load = move || load == Load::Nothing || count.load(Relaxed) > 0;
    let client = std::thread::spawn(move || ask(address, time, has_load));
    let latencies = client.join().map_err(|_| "the client panicked")?;
    work.abort();
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok((latencies?, hashed.load(Relaxed)))
}

/// Hashes for ever.
async fn hash_on(load: Load, mut state: u64, hashed: Arc<AtomicU64>) {
    loop {
        let rounds;
        (state, rounds) = match load {
            Load::OnTheBridge => blitz_io::compute(move || hash(state)).await,
            _ => {
                let done = hash(state);
                yield_now().await;
                done
            }
        };
        hashed.fetch_add(rounds, Relaxed);
    }
}

/// Hashes for a while. Returns the new state, and after how many rounds.
fn hash(mut state: u64) -> (u64, u64) {
    let (begun, mut rounds) = (Instant::now(), 0);
    while begun.elapsed() < WORK {
        for round in 0..10_000 {
            state = (state ^ round)
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(17);
        }
        rounds += 10_000;
    }
    (std::hint::black_box(state), rounds)
}

/// Sends back whatever comes.
async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        blitz_io::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 256];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}

/// Asks once a millisecond, from a thread of its own, and times the answers.
fn ask(
    address: SocketAddr,
    time: Duration,
    has_load: impl Fn() -> bool,
) -> std::io::Result<Vec<Duration>> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (begun, mut buffer) = (Instant::now(), [7; 64]);
    let mut latencies = Vec::new();
    while latencies.is_empty() || begun.elapsed() < time || !has_load() {
        let sent = Instant::now();
        stream.write_all(&buffer)?;
        stream.read_exact(&mut buffer)?;
        latencies.push(sent.elapsed());
        std::thread::sleep(Duration::from_millis(1));
    }
    latencies.sort_unstable();
    Ok(latencies)
}
