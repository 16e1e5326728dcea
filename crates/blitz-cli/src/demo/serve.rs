//! The echo server that runs in the child process.
//!
//! It talks with its parent by lines: on standard output it says where it listens and by which back
//! end; `stats` on standard input asks for its counts; the end of standard input ends it, so no
//! server outlives the program that started it.

use crate::args::Args;
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::Handle;
use std::io::{BufRead, Write};
use std::net::SocketAddr;

/// A connection's buffer is no larger than this, whatever size the load asks for.
const BUFFER_MAX: usize = 16 * 1024;

pub(crate) fn main(words: &[&str]) -> Result<(), String> {
    let mut args = Args::new("blitz __serve-echo", words);
    let address: SocketAddr = args.value(
        "--addr",
        "an address",
        SocketAddr::from(([127, 0, 0, 1], 0)),
    )?;
    let workers = args.optional("--workers", "a number")?;
    let size = args
        .value("--size", "a number of bytes", 64usize)?
        .clamp(64, BUFFER_MAX);
    args.end()?;
    // The parent has checked that the connections fit; the limit was inherited with its soft value.
    super::make_room(0)?;
    let runtime = super::runtime(workers)?;
    let listener = runtime
        .block_on(TcpListener::bind(address))
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let bound = listener
        .local_addr()
        .map_err(|error| format!("cannot tell the address: {error}"))?;
    let capabilities = runtime.handle().capabilities();
    say(&format!(
        "listening on {bound} by {}",
        capabilities.backend()
    ));
    runtime.spawn(accept(listener, size));
    answer(runtime.handle());
    runtime.shutdown_background();
    Ok(())
}

/// Accepts for ever. Out of descriptors it waits for one to come back instead of ending.
async fn accept(listener: TcpListener, size: usize) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                blitz_io::spawn(echo(stream, size));
            }
            Err(error) => {
                eprintln!("echo server: cannot accept: {error}");
                blitz_io::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

/// Sends back what comes, until the peer has closed its side. A reset ends it as well.
async fn echo(mut stream: TcpStream, size: usize) {
    let mut buffer = vec![0; size];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if stream.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Answers the parent until it hangs up.
fn answer(handle: &Handle) {
    for line in std::io::stdin().lock().lines() {
        match line.as_deref() {
            Ok("stats") => say(&format!(
                "stats tasks={}",
                handle.metrics().num_alive_tasks()
            )),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The parent is gone if this fails, and then the end of standard input ends us.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
