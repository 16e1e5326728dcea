//! A TCP echo server: sends back whatever comes.
//!
//! ```text
//! cargo run --release --example echo_server -- --addr 127.0.0.1:7000
//! ```
//!
//! Prints one line, `listening on …`, once it accepts; ends on Ctrl-C or SIGTERM.
//! With `BLITZ_IO_INSPECT=echo.sock` in the environment it can be looked into while it runs: `blitz top echo.sock`.
//! `--workers N` sets the number of threads, `--flavor multi|current|per-core` the scheduler.

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::Builder;
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut addr = "127.0.0.1:7000".to_owned();
    let mut workers: Option<usize> = None;
    let mut flavor = "multi".to_owned();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} wants a value, or is unknown"))?;
        match arg.as_str() {
            "--addr" => addr = value,
            "--workers" => workers = Some(value.parse()?),
            "--flavor" => flavor = value,
            other => {
                return Err(
                    format!("unknown option {other}: use --addr, --workers, --flavor").into(),
                );
            }
        }
    }
    // A server wants as many descriptors as it may have; without them it serves fewer connections.
    let _ = blitz_sys::limit::raise_open_files();

    let mut builder = match flavor.as_str() {
        "multi" => Builder::new_multi_thread(),
        "current" => Builder::new_current_thread(),
        "per-core" => Builder::new_thread_per_core(),
        other => return Err(format!("--flavor is multi, current or per-core, not {other}").into()),
    };
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    let runtime = builder.enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(&addr)
            .await
            .map_err(|error| format!("cannot listen on {addr}: {error}"))?;
        // Before the line that says we are there: who reads it may stop us at once.
        let stop = stop_signal()?;
        println!("listening on {}", listener.local_addr()?);
        io::stdout().flush()?;
        let server = blitz_io::spawn(serve(listener));
        stop.await;
        server.abort();
        Ok(())
    })
}

async fn serve(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                blitz_io::spawn(echo(stream));
            }
            Err(error) => {
                // Out of descriptors, most likely: closing connections will give some back.
                eprintln!("cannot accept: {error}");
                blitz_io::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 4096];
    loop {
        let count = match stream.read(&mut buffer).await {
            // The peer has closed its side, or reset the connection.
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Listens for Ctrl-C, and on Unix for SIGTERM as well, from now on; the future ends when one comes.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use blitz_io::signal::unix::{SignalKind, signal};
    use std::future::poll_fn;
    use std::task::Poll;

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(poll_fn(move |cx| {
        if interrupt.poll_recv(cx).is_ready() || terminate.poll_recv(cx).is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }))
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if let Err(error) = blitz_io::signal::ctrl_c().await {
            eprintln!("cannot listen for Ctrl-C: {error}");
        }
    })
}
