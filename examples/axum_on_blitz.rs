//! An axum `Router`, unmodified, served by `blitz-http`: no tokio, no hyper.
//!
//! ```text
//! cargo run --release --example axum_on_blitz -- --addr 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/
//! curl -i http://127.0.0.1:8080/people/ann
//! curl -i -H 'content-type: application/json' -d '{"name":"bob"}' http://127.0.0.1:8080/people
//! cargo run --release --example websocket_client -- --say hello ws://127.0.0.1:8080/ws
//! ```
//!
//! A server here serves any `tower_service::Service` of `http::Request`, and axum's router is one: extractors, state, middleware and streamed
//! bodies are axum's. What waits in a handler is blitz-io's, as `/later` shows; a WebSocket is
//! `blitz_http::ws`'s, by its feature `axum`. axum is built without its default features: they are its own
//! server.
//!
//! Prints one line, `listening on …`, once it accepts; ends on Ctrl-C or SIGTERM.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Json, Path, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use blitz_http::ws::{self, WebSocket};
use blitz_http::{Peer, Server};
use blitz_io::time::sleep;
use futures::StreamExt;
use serde_json::{Value, json};
use std::error::Error;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the handlers share.
#[derive(Clone, Default)]
struct People(Arc<Mutex<Vec<String>>>);

fn main() -> Result<(), Box<dyn Error>> {
    let mut addr = "127.0.0.1:8080".to_owned();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} wants a value, or is unknown"))?;
        match arg.as_str() {
            "--addr" => addr = value,
            other => return Err(format!("unknown option {other}: use --addr").into()),
        }
    }
    let runtime = blitz_io::runtime::Runtime::new()?;
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
        .route("/", get(|| async { "Hello from axum\n" }))
        .route("/you", get(you))
        .route("/people", post(add))
        .route("/people/{name}", get(find))
        .route("/shout", post(shout))
        .route("/later", get(later))
        .route("/ws", get(socket))
        .layer(from_fn(stamp))
        .with_state(People::default())
}

/// A middleware: every answer says by whom it was served.
async fn stamp(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let name = HeaderValue::from_static("blitz-http");
    response.headers_mut().insert("x-served-by", name);
    response
}

/// What the server knows of the connection is among the request's extensions.
async fn you(Extension(peer): Extension<Peer>) -> String {
    match peer.addr {
        Some(addr) => format!("you are {}\n", addr.ip()),
        None => "you are here\n".to_owned(),
    }
}

async fn add(State(people): State<People>, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let Some(name) = body["name"].as_str() else {
        let what = json!({ "error": "a name is missing" });
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(what));
    };
    let mut people = people.0.lock().unwrap_or_else(PoisonError::into_inner);
    people.push(name.to_owned());
    (StatusCode::CREATED, Json(json!({ "number": people.len() })))
}

async fn find(
    State(people): State<People>,
    Path(name): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    let people = people.0.lock().unwrap_or_else(PoisonError::into_inner);
    let at = people.iter().position(|known| *known == name);
    let at = at.ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(json!({ "name": name, "number": at + 1 })))
}

/// A body that is answered while it comes.
async fn shout(body: Body) -> Body {
    let loud = |piece: Result<Bytes, axum::Error>| {
        piece.map(|piece| Bytes::from(piece.to_ascii_uppercase()))
    };
    Body::from_stream(body.into_data_stream().map(loud))
}

/// A WebSocket that sends back what comes. axum's own extractor of this name needs hyper; this one is blitz-http's.
async fn socket(accept: ws::Accept) -> blitz_http::Response {
    accept.run(async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok::<_, ws::Error>(())
    })
}

async fn later() -> Result<&'static str, StatusCode> {
    sleep(Duration::from_millis(10)).await;
    let computed = blitz_io::compute(|| (1..=20u64).product::<u64>()).await;
    let right = computed == 2_432_902_008_176_640_000;
    right
        .then_some("later\n")
        .ok_or(StatusCode::INTERNAL_SERVER_ERROR)
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
