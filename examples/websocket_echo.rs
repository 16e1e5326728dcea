//! A WebSocket server that sends every message back, compressed where the client wants that; all limits at their defaults.
//!
//! ```text
//! cargo run --release --example websocket_echo -- --addr 127.0.0.1:8080
//! cargo run --release --example websocket_client -- ws://127.0.0.1:8080/
//! ```
//!
//! Every path is a socket, for pages of this host. Prints `listening on …`; on Ctrl-C it closes the sockets with 1001, and says what it cut.

use blitz_http::ws::{self, WebSocket};
use blitz_http::{Request, Router, Server, now};
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

#[blitz_io::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut addr = "127.0.0.1:8080".to_owned();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--addr", Some(value)) => addr = value,
            ("--addr", None) => return Err("--addr wants HOST:PORT behind it".into()),
            (other, _) => return Err(format!("unknown option {other}: there is --addr").into()),
        }
    }
    // A server wants as many descriptors as it may have; without them it serves fewer connections.
    let _ = blitz_sys::limit::raise_open_files();
    let server = Server::bind(&addr)
        .await
        .map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    let handle = server.handle();
    for addr in server.local_addrs() {
        println!("listening on {addr}");
    }
    io::stdout().flush()?;
    let router = Router::new().fallback(now(|mut request: Request| {
        let mut config = ws::Config::default();
        config.deflate = Some(ws::Deflate::default());
        ws::accept(&mut request).config(config).run(echo)
    }));
    let serving = blitz_io::spawn(server.serve(router));
    blitz_io::signal::ctrl_c().await?;
    handle.shut_down(Duration::from_secs(5));
    println!("ended; cut {} connections", serving.await?.cut.len());
    Ok(())
}

/// Sends back what comes. How a socket ended is its own affair here.
async fn echo(mut socket: WebSocket) -> Result<(), ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}
