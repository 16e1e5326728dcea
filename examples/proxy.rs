//! A TCP proxy: joins every connection that comes to one of its own to another server.
//!
//! ```text
//! cargo run --release --example proxy -- --listen 127.0.0.1:7001 --to 127.0.0.1:7000
//! ```
//!
//! Prints `listening on …`, then one line for each connection that ends; ends itself on Ctrl-C.
//! With `BLITZ_IO_INSPECT=/tmp/proxy.sock` in the environment it can be looked into while it runs: `blitz top /tmp/proxy.sock`.

use blitz_io::io::AsyncWriteExt;
use blitz_io::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use blitz_io::net::{TcpListener, TcpStream, splice};
use blitz_io::task::JoinSet;
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

#[blitz_io::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut listen = "127.0.0.1:7001".to_owned();
    let mut to = "127.0.0.1:7000".to_owned();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} wants an address, or is unknown"))?;
        match arg.as_str() {
            "--listen" => listen = value,
            "--to" => to = value,
            other => return Err(format!("unknown option {other}: use --listen and --to").into()),
        }
    }
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    let server = blitz_io::spawn(serve(listener, to));
    blitz_io::signal::ctrl_c().await?;
    server.abort();
    Ok(())
}

async fn serve(listener: TcpListener, to: String) {
    loop {
        match listener.accept().await {
            Ok((client, peer)) => {
                let to = to.clone();
                blitz_io::spawn(async move {
                    match join(client, &to).await {
                        Ok((up, down)) => println!("{peer}: {up} bytes up, {down} bytes down"),
                        Err(error) => eprintln!("{peer}: {error}"),
                    }
                });
            }
            Err(error) => {
                eprintln!("cannot accept: {error}");
                blitz_io::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Moves bytes both ways until both sides have closed. On Linux they stay within the kernel (`splice`).
async fn join(client: TcpStream, to: &str) -> io::Result<(u64, u64)> {
    let server = TcpStream::connect(to).await?;
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let mut ways = JoinSet::new();
    ways.spawn(async move { Way::Up(forward(client_read, server_write).await) });
    ways.spawn(async move { Way::Down(forward(server_read, client_write).await) });
    let (mut up, mut down) = (0, 0);
    while let Some(way) = ways.join_next().await {
        // When one way fails, the set is dropped, and the other way with it.
        match way? {
            Way::Up(count) => up = count?,
            Way::Down(count) => down = count?,
        }
    }
    Ok((up, down))
}

enum Way {
    Up(io::Result<u64>),
    Down(io::Result<u64>),
}

/// One way: everything that comes, then the end of the stream.
async fn forward(from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<u64> {
    let count = splice(&from, &to, u64::MAX).await?;
    to.shutdown().await?;
    Ok(count)
}
