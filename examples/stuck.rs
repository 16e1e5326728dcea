//! Tasks that spin for ever, one on each worker: everything else goes on, and the runtime says who is stuck.
//!
//! ```text
//! cargo run --release --example stuck
//! ```
//!
//! Other tasks sleep 1 ms at a time, and bytes go to and fro over a socket, for two seconds; the spinning begins after half a
//! second. The worst delay of both is printed, the reports as they come, with the stack of who is stuck, and how long the
//! shutdown with a deadline takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::Builder;
use blitz_io::task::JoinSet;
use blitz_io::time::sleep;

const RUN: Duration = Duration::from_secs(2);

fn main() -> std::io::Result<()> {
    let begun = Instant::now();
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .on_stuck(move |report| eprintln!("{:>6.0?}  {report:#}", begun.elapsed()))
        .build()?;
    let workers = runtime.metrics().num_workers();
    println!(
        "{workers} workers, {}",
        runtime.handle().capabilities().backend()
    );

    // The sleepers and the socket have their homes on all workers before the spinning begins.
    let sleepers: Vec<_> = (0..8 * workers)
        .map(|_| runtime.spawn(worst_sleep(begun)))
        .collect();
    let echo = runtime.spawn(worst_echo(begun));
    let stop = Arc::new(AtomicBool::new(false));
    let spinners = runtime.block_on(async {
        sleep(RUN / 4).await;
        let mut spinners = JoinSet::new();
        for number in 0..workers {
            let stop = Arc::clone(&stop);
            let spins = async move { never_awaits(&stop) };
            let name = format!("spins {number}");
            spinners
                .build_task()
                .name(&name)
                .spawn_on(spins, runtime.handle())?;
        }
        std::io::Result::Ok(spinners)
    })?;

    let (late, slow) = runtime.block_on(async {
        let mut worst = Duration::ZERO;
        for sleeper in sleepers {
            worst = worst.max(sleeper.await.unwrap_or(Duration::MAX));
        }
        (worst, echo.await)
    });
    println!("a sleep of 1 ms was at most {late:.1?} late");
    match slow {
        Ok(Ok(slow)) => println!("an echo over TCP took at most {slow:.1?}"),
        failed => println!("the echo failed: {failed:?}"),
    }
    println!(
        "{} workers were taken over; {} tasks spin on",
        runtime.metrics().rescue_count(),
        spinners.len(),
    );
    let ending = Instant::now();
    runtime.shutdown_timeout(Duration::from_millis(500));
    println!(
        "the shutdown, which may take 500 ms, took {:.0?}",
        ending.elapsed()
    );
    // The process may end under them; a program that goes on would let them go.
    stop.store(true, Relaxed);
    Ok(())
}

/// What no task should do. The reports name it.
#[inline(never)]
fn never_awaits(stop: &AtomicBool) {
    while !stop.load(Relaxed) {
        std::hint::spin_loop();
    }
}

/// Sleeps for a millisecond, again and again; how late the worst one was.
async fn worst_sleep(begun: Instant) -> Duration {
    let mut worst = Duration::ZERO;
    while begun.elapsed() < RUN {
        let due = Instant::now() + Duration::from_millis(1);
        sleep(Duration::from_millis(1)).await;
        worst = worst.max(Instant::now().saturating_duration_since(due));
    }
    worst
}

/// Sends a byte and waits for it to come back, again and again; how long the worst took.
async fn worst_echo(begun: Instant) -> std::io::Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut near = TcpStream::connect(listener.local_addr()?).await?;
    near.set_nodelay(true)?;
    let (mut far, _) = listener.accept().await?;
    far.set_nodelay(true)?;
    blitz_io::spawn(async move {
        while let Ok(byte) = far.read_u8().await {
            if far.write_u8(byte).await.is_err() {
                break;
            }
        }
    });
    let mut worst = Duration::ZERO;
    while begun.elapsed() < RUN {
        let sent = Instant::now();
        near.write_u8(1).await?;
        near.read_u8().await?;
        worst = worst.max(sent.elapsed());
        sleep(Duration::from_millis(1)).await;
    }
    Ok(worst)
}
