//! A proxy before one server: bodies stream both ways, upgrades become tunnels, connections to the server are used again.
//!
//! ```text
//! cargo run --release --example http_tour -- --addr 127.0.0.1:8081
//! cargo run --release --example reverse_proxy -- --addr 127.0.0.1:8080 --upstream 127.0.0.1:8081
//! curl -i http://127.0.0.1:8080/
//! ```
//!
//! What belongs to one connection stays on it (RFC 9110 §7.6.1); the server learns who asked by `Forwarded` (RFC 7239) and the
//! `X-Forwarded-` fields. A server that cannot be reached, or answers nonsense, is 502 to the client; one that makes no progress for
//! `--timeout SECONDS` (30) is 504, or a cut answer if that had begun. CONNECT is not for a proxy of this kind.
//!
//! Prints one line, `listening on …`, once it accepts. On Ctrl-C or SIGTERM it finishes what was begun, for ten seconds at most.

mod fields;
mod upstream;

use blitz_http::{Body, Reply, Request, Response, Server, service_fn, upgrade};
use blitz_io::io::{AsyncWriteExt, copy_bidirectional};
use blitz_io::runtime::Builder;
use http::{Method, StatusCode};
use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use upstream::{Asked, Content, Failure, Upstream};

/// Bytes of a request's body: they only pass through here.
const BODY_MAX: u64 = 1 << 40;

fn main() -> Result<(), Box<dyn Error>> {
    let mut addr = "127.0.0.1:8080".to_owned();
    let mut upstream = None;
    let mut timeout = Duration::from_secs(30);
    let mut workers: Option<usize> = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} wants a value, or is unknown"))?;
        match arg.as_str() {
            "--addr" => addr = value,
            "--upstream" => upstream = Some(value),
            "--timeout" => timeout = Duration::try_from_secs_f64(value.parse()?)?,
            "--workers" => workers = Some(value.parse()?),
            other => {
                let known = "--addr, --upstream, --timeout, --workers";
                return Err(format!("unknown option {other}: use {known}").into());
            }
        }
    }
    let upstream = upstream.ok_or("--upstream HOST:PORT is wanted")?;
    // A proxy wants two descriptors a client; without them it serves fewer.
    let _ = blitz_sys::limit::raise_open_files();
    let mut builder = Builder::new_multi_thread();
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
        let upstream = Arc::new(Upstream::new(upstream, timeout));
        let service = service_fn(move |request| pass(Arc::clone(&upstream), request));
        let serving = blitz_io::spawn(server.serve(service));
        stop.await;
        handle.shut_down(Duration::from_secs(10));
        serving.await?;
        Ok(())
    })
}

/// Answers one request by what the server says.
async fn pass(upstream: Arc<Upstream>, mut request: Request) -> Response {
    if *request.method() == Method::CONNECT {
        return (StatusCode::NOT_IMPLEMENTED, "this proxy makes no tunnels\n").into_response();
    }
    let switch = fields::asks_for_upgrade(request.headers());
    let client = switch.then(|| upgrade(&mut request));
    fields::to_server(&mut request, upstream.name(), switch);
    let (parts, mut body) = request.into_parts();
    body.set_limit(BODY_MAX);
    let asked = Asked {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
    };
    let answer = match upstream.ask(asked, body).await {
        Ok(answer) => answer,
        Err(failure) => return explain(&failure),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    match answer.content {
        Content::Nothing => {}
        Content::Frames(mut frames) => {
            *response.body_mut() = Body::from_fn(move |cx| frames.poll_recv(cx));
        }
        Content::Tunnel(mut tunnel) => {
            let Some(client) = client else {
                return explain(&Failure::Nonsense);
            };
            blitz_io::spawn(async move {
                // Whoever ends the tunnel ends it for both.
                if let Ok(mut client) = client.await
                    && client.write_all(&tunnel.ahead).await.is_ok()
                {
                    let _ = copy_bidirectional(&mut client, &mut tunnel.stream).await;
                }
            });
        }
    }
    fields::to_client(response.headers_mut(), answer.status);
    response
}

fn explain(failure: &Failure) -> Response {
    match failure {
        Failure::Unreachable | Failure::Gone { .. } | Failure::Nonsense => (
            StatusCode::BAD_GATEWAY,
            "the server behind this proxy gives no answer\n",
        ),
        Failure::Late => (
            StatusCode::GATEWAY_TIMEOUT,
            "the server behind this proxy takes too long\n",
        ),
        Failure::Client(status) => (*status, "the request's body did not come\n"),
    }
    .into_response()
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
