//! One server with a route for each ability of `blitz-http`, all limits at their defaults.
//!
//! ```text
//! cargo run --release --example http_tour -- --addr 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/
//! curl -T README.md -X POST http://127.0.0.1:8080/echo
//! curl -N http://127.0.0.1:8080/events
//! ```
//!
//! | route | what it does |
//! |---|---|
//! | `GET /` | a short fixed body |
//! | `POST /echo` | streams the request's body and trailers back as they arrive |
//! | `POST /collect` | echoes the body after all of it has arrived |
//! | `GET`, `POST /both` | reads the body and answers a short text |
//! | `GET /big` | 64 MiB from one shared buffer |
//! | `GET /204`, `GET /304` | those |
//! | `GET /events` | server-sent events with ids, one a second, from where `Last-Event-ID` left off |
//! | `GET /slow?ms=N` | answers after N ms |
//! | `GET /ws` | a WebSocket that sends every message back, with `permessage-deflate` where the client offers it |
//!
//! Prints one line, `listening on …`, once it accepts. On Ctrl-C or SIGTERM it finishes what was begun, for `--grace SECONDS` (10) at
//! most, and prints one line of what it cut.
//!
//! With `--tls CERT KEY` it speaks HTTPS; with `--client-ca FILE` beside it, clients have to show a certificate that leads to FILE. SIGHUP
//! reads the certificates again: connections go on, and a pair that cannot be used leaves the old one in place.

use blitz_http::sse::{Event, Events, last_event_id};
use blitz_http::ws::{self, WebSocket};
use blitz_http::{Body, Listener, Reply, Request, Response, Router, Server, now};
use blitz_io::runtime::Builder;
use blitz_io::stream::StreamExt;
use blitz_io::stream::wrappers::IntervalStream;
use blitz_io::time::{interval, sleep};
use blitz_tls::{CertificateStore, ClientAuth, Identity, Roots, TlsAcceptor};
use bytes::Bytes;
use http::StatusCode;
use http::header::ETAG;
use std::error::Error;
use std::future::Ready;
use std::io::{self, Write};
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut addr = "127.0.0.1:8080".to_owned();
    let mut workers: Option<usize> = None;
    let mut grace = Duration::from_secs(10);
    let (mut pair, mut client_ca) = (None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut next = || {
            args.next()
                .ok_or_else(|| format!("{arg} wants a value, or is unknown"))
        };
        let value = next()?;
        match arg.as_str() {
            "--addr" => addr = value,
            "--workers" => workers = Some(value.parse()?),
            "--grace" => grace = Duration::try_from_secs_f64(value.parse()?)?,
            "--tls" => pair = Some((value, next()?)),
            "--client-ca" => client_ca = Some(value),
            other => {
                let known = "--addr, --workers, --grace, --tls CERT KEY, --client-ca";
                return Err(format!("unknown option {other}: use {known}").into());
            }
        }
    }
    let store = match &pair {
        Some((cert, key)) => Some(CertificateStore::new(Identity::from_files(cert, key)?)),
        None if client_ca.is_some() => return Err("--client-ca wants --tls".into()),
        None => None,
    };
    // A server wants as many descriptors as it may have; without them it serves fewer connections.
    let _ = blitz_sys::limit::raise_open_files();
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    let runtime = builder.enable_all().build()?;
    runtime.block_on(async {
        let mut listener = Listener::bind(&addr)
            .await
            .map_err(|error| format!("cannot listen on {addr}: {error}"))?;
        if let Some(store) = &store {
            listener = listener.tls(&acceptor(store, client_ca.as_deref())?);
        }
        let server = Server::new().listen(listener);
        let handle = server.handle();
        // Before the line that says we are there: who reads it may stop us at once.
        let stop = signals(store)?;
        for addr in server.local_addrs() {
            println!("listening on {addr}");
        }
        io::stdout().flush()?;
        let serving = blitz_io::spawn(server.serve(router()));
        stop.await;
        handle.shut_down(grace);
        let report = serving.await?;
        let cut: Vec<String> = report
            .cut
            .iter()
            .map(|cut| match cut.peer.addr {
                Some(addr) => format!("{addr} in {:?}", cut.phase),
                None => format!("{:?}", cut.phase),
            })
            .collect();
        match cut.as_slice() {
            [] => println!("ended; nothing was cut"),
            cut => println!("ended; cut {}: {}", cut.len(), cut.join(", ")),
        }
        Ok(())
    })
}

fn acceptor(
    store: &CertificateStore,
    client_ca: Option<&str>,
) -> Result<TlsAcceptor, Box<dyn Error>> {
    let mut builder = TlsAcceptor::builder(store.clone());
    if let Some(file) = client_ca {
        let mut roots = Roots::new();
        roots.add_pem_file(file)?;
        builder = builder.client_auth(ClientAuth::Required(roots));
    }
    Ok(builder.build()?)
}

fn router() -> Router {
    let big = Bytes::from(vec![b'.'; 64 * 1024 * 1024]);
    Router::new()
        .get("/", now(|_| "Hello from blitz-http\n"))
        .post("/echo", echo)
        .post("/collect", |request: Request| request.into_body().collect())
        .post("/both", both)
        .get("/both", both)
        .get("/big", now(move |_| Body::from(big.clone())))
        .get("/204", now(|_| StatusCode::NO_CONTENT))
        .get("/304", now(not_modified))
        .get("/events", now(events))
        .get("/slow", slow)
        .get("/ws", now(socket))
}

/// The body becomes the answer's: its frames go back as they come, and no faster than the client takes them.
fn echo(request: Request) -> Ready<Response> {
    std::future::ready(Response::new(request.into_body()))
}

async fn both(request: Request) -> Result<String, blitz_http::Error> {
    let body = request.into_body().collect().await?;
    Ok(format!("{} bytes came\n", body.len()))
}

fn not_modified(_: Request) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let tag = http::HeaderValue::from_static("\"tour\"");
    response.headers_mut().insert(ETAG, tag);
    response
}

fn events(request: Request) -> impl Reply {
    let seen = last_event_id(&request).and_then(|id| id.parse::<u64>().ok());
    let mut next = seen.map_or(0, |seen| seen.wrapping_add(1));
    let ticks = IntervalStream::new(interval(Duration::from_secs(1)));
    Events::new(ticks.map(move |_| {
        let event = Event::new().id(next.to_string()).expect("digits");
        let event = event.data(format!("event {next}"));
        next = next.wrapping_add(1);
        event
    }))
}

fn socket(mut request: Request) -> Response {
    let mut config = ws::Config::default();
    config.deflate = Some(ws::Deflate::default());
    ws::accept(&mut request).config(config).run(send_back)
}

async fn send_back(mut socket: WebSocket) -> Result<(), ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn slow(request: Request) -> Result<String, StatusCode> {
    let query = request.uri().query().unwrap_or_default();
    let ms = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("ms="))
        .and_then(|ms| ms.parse().ok())
        .ok_or(StatusCode::BAD_REQUEST)?;
    sleep(Duration::from_millis(ms)).await;
    Ok(format!("after {ms} ms\n"))
}

/// Reads the certificates again at each SIGHUP; ends at Ctrl-C or SIGTERM. It listens from now on.
#[cfg(unix)]
fn signals(store: Option<CertificateStore>) -> io::Result<impl Future<Output = ()>> {
    use blitz_io::signal::unix::{SignalKind, signal};

    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        loop {
            blitz_io::select! {
                _ = interrupt.recv() => return,
                _ = terminate.recv() => return,
                _ = hangup.recv() => reload(store.clone()).await,
            }
        }
    })
}

#[cfg(unix)]
async fn reload(store: Option<CertificateStore>) {
    let Some(store) = store else { return };
    // Files are read on a thread that may wait.
    match blitz_io::task::spawn_blocking(move || store.reload()).await {
        Ok(Ok(())) => println!("certificates reloaded"),
        Ok(Err(error)) => println!("the old certificates stay: {error}"),
        Err(error) => println!("the old certificates stay: {error}"),
    }
}

#[cfg(not(unix))]
fn signals(_store: Option<CertificateStore>) -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if let Err(error) = blitz_io::signal::ctrl_c().await {
            eprintln!("cannot listen for Ctrl-C: {error}");
        }
    })
}
