//! A WebSocket client that sends every message back until the connection closes, and then says what it has seen.
//!
//! ```text
//! cargo run --release --example websocket_client -- ws://127.0.0.1:8080/
//! cargo run --release --example websocket_client -- --say hello ws://127.0.0.1:8080/
//! ```
//!
//! Compression is offered. With `--say TEXT` it begins by sending that, and closes when it has come back.

use blitz_http::Client;
use blitz_http::ws::{self, Message};
use std::error::Error;

const HELP: &str = "websocket_client [--say TEXT] URL";

#[blitz_io::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut url, mut say) = (None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--help" => {
                println!("{HELP}");
                return Ok(());
            }
            "--say" => say = Some(args.next().ok_or("--say wants a text behind it")?),
            _ if url.is_none() && !arg.starts_with('-') => url = Some(arg),
            other => return Err(format!("unknown option {other}: {HELP}").into()),
        }
    }
    let url = url.ok_or(HELP)?;
    let mut config = ws::Config::default();
    config.deflate = Some(ws::Deflate::default());
    let client = Client::builder().build()?;
    let mut socket = client.websocket(url).config(config).connect().await?;
    println!(
        "connected{}",
        if socket.deflate().is_some() {
            ", with compression"
        } else {
            ""
        }
    );
    if let Some(text) = say {
        socket.send(Message::text(text)).await?;
        if let Some(back) = socket.recv().await? {
            println!("{}", back.as_text().unwrap_or("it was no text"));
        }
        socket.close(ws::CloseCode::NORMAL, "").await?;
        return Ok(());
    }
    let (mut messages, mut bytes) = (0_u64, 0_u64);
    while let Some(message) = socket.recv().await? {
        messages += 1;
        bytes += message.payload().len() as u64;
        match socket.send(message).await {
            // What was received before the peer's close need not go back.
            Err(error) if error.is_closed() => {}
            sent => sent?,
        }
    }
    let why = match socket.close_reason() {
        Some((code, reason)) => format!("{} {reason}", code.number()),
        None => "without a reason".to_owned(),
    };
    println!(
        "closed {}; {messages} messages, {bytes} bytes",
        why.trim_end()
    );
    Ok(())
}
