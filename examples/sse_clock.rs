//! A clock by server-sent events: the server's time once a second, and to who comes back what was missed.
//!
//! ```text
//! cargo run --release --example sse_clock -- --addr 127.0.0.1:8080
//! curl -N http://127.0.0.1:8080/events
//! curl -N -H "Last-Event-ID: $(($(date +%s) - 5))" http://127.0.0.1:8080/events
//! ```
//!
//! `GET /` is a page that shows it. Each event's id is its second since 1970; a client that comes back says the last one, and gets what
//! came since, up to a minute. Prints one line, `listening on …`; Ctrl-C ends the clock and says what was cut.

use blitz_http::sse::{Event, Events, last_event_id};
use blitz_http::{Handle, Reply, Request, Response, Router, Server, now};
use blitz_http_proto::HttpDate;
use blitz_io::stream::wrappers::ReceiverStream;
use blitz_io::sync::mpsc;
use blitz_io::time::{MissedTickBehavior, interval};
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Who was away for longer than this begins anew.
const MISSED_MAX: u64 = 60;

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The server's clock</title>
<main><h1>The server's clock</h1><p role="timer" id="clock">not connected yet</p></main>
<script src="/clock.js"></script>
</html>
"#;

const SCRIPT: &str = r#"const clock = document.getElementById("clock");
new EventSource("/events").onmessage = (event) => { clock.textContent = event.data; };
"#;

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
    let server = Server::bind(&addr)
        .await
        .map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    let handle = server.handle();
    for addr in server.local_addrs() {
        println!("listening on {addr}");
    }
    io::stdout().flush()?;
    let serving = blitz_io::spawn(server.serve(router(handle.clone())));
    blitz_io::signal::ctrl_c().await?;
    handle.shut_down(Duration::from_secs(5));
    println!("ended; cut {} connections", serving.await?.cut.len());
    Ok(())
}

fn router(server: Handle) -> Router {
    Router::new()
        .get("/", now(|_| typed(PAGE, "text/html; charset=utf-8")))
        .get(
            "/clock.js",
            now(|_| typed(SCRIPT, "text/javascript; charset=utf-8")),
        )
        .get("/events", now(move |request| clock(&request, &server)))
}

fn typed(text: &'static str, kind: &'static str) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; script-src 'self'; connect-src 'self'"),
    );
    response
}

fn clock(request: &Request, server: &Handle) -> Response {
    let now = second();
    let seen = last_event_id(request).and_then(|id| id.parse::<u64>().ok());
    let mut next = match seen {
        Some(seen) if seen < now && now - seen <= MISSED_MAX => seen + 1,
        _ => now,
    };
    // Few events have room: a client that does not read does not make the clock fill memory.
    let (send, receive) = mpsc::channel(4);
    blitz_io::spawn(async move {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            while next <= second() {
                let text = HttpDate::from_unix(next).to_string();
                let event = Event::new().id(next.to_string()).expect("digits");
                // Nobody listens any more.
                if send.send(event.data(text)).await.is_err() {
                    return;
                }
                next += 1;
            }
        }
    });
    Events::new(ReceiverStream::new(receive))
        .retry(Duration::from_secs(1))
        .end_with(server)
        .into_response()
}

/// Seconds since 1970.
fn second() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
