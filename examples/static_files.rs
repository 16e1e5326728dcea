//! A folder served over HTTP, in as few lines as it takes.
//!
//! ```text
//! cargo run --release --example static_files -- --dir . --addr 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/README.md
//! curl -i -r 0-99 http://127.0.0.1:8080/README.md
//! curl -i --compressed http://127.0.0.1:8080/README.md
//! ```
//!
//! Ranges, conditional requests, `.br`, `.zst` and `.gz` files beside the plain ones, compression, `index.html` and listings are
//! `Files`' own; `blitz serve` has all of that with a log and a start page. Prints one line, `listening on …`; Ctrl-C ends it.

use blitz_http::Server;
use blitz_http::files::Files;
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

#[blitz_io::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut dir, mut addr) = (".".to_owned(), "127.0.0.1:8080".to_owned());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} wants a value, or is unknown"))?;
        match arg.as_str() {
            "--dir" => dir = value,
            "--addr" => addr = value,
            other => return Err(format!("unknown option {other}: use --dir, --addr").into()),
        }
    }
    let files = Files::new(&dir).map_err(|error| format!("cannot serve {dir}: {error}"))?;
    let server = Server::bind(&addr)
        .await
        .map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    let handle = server.handle();
    for addr in server.local_addrs() {
        println!("listening on {addr}");
    }
    io::stdout().flush()?;
    let serving = blitz_io::spawn(server.serve(files.listing(true)));
    blitz_io::signal::ctrl_c().await?;
    handle.shut_down(Duration::from_secs(10));
    println!("ended; cut {} connections", serving.await?.cut.len());
    Ok(())
}
