//! The smallest HTTP server: `GET /` and `GET /json`.
//!
//! ```text
//! cargo run --release --example hello_http -- --addr 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/
//! ```
//!
//! Prints one line, `listening on …`, once it accepts; ends on Ctrl-C or SIGTERM. `--workers N` sets the number of threads,
//! `--flavor multi|current|per-core` the scheduler. Its handlers only look at the request, so nothing is allocated for it.

use blitz_http::{Router, Server, look};
use blitz_io::runtime::Builder;
use http::HeaderValue;
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut addr = "127.0.0.1:8080".to_owned();
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
                let known = "--addr, --workers, --flavor";
                return Err(format!("unknown option {other}: use {known}").into());
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
        let server = Server::bind(&addr)
            .await
            .map_err(|error| format!("cannot listen on {addr}: {error}"))?;
        let handle = server.handle();
        // Before the line that says we are there: who reads it may stop us at once.
        let stop = stop_signal()?;
        for addr in server.local_addrs() {
            println!("listening on {addr}");
        }
        io::stdout().flush()?;
        let serving = blitz_io::spawn(server.serve(router()));
        stop.await;
        handle.shut_down(Duration::from_secs(10));
        serving.await?;
        Ok(())
    })
}

fn router() -> Router {
    Router::new()
        .get("/", look(|_| (PLAIN, "Hello, World!")))
        .get("/json", look(|_| (JSON, r#"{"message":"Hello, World!"}"#)))
}

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

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
