//! HTTPS, and a port in clear that sends everybody there.
//!
//! ```text
//! cargo run --release --example https -- --addr 127.0.0.1:8443 --clear 127.0.0.1:8080
//! curl -k https://127.0.0.1:8443/
//! curl -kL http://127.0.0.1:8080/
//! ```
//!
//! `--tls CERT KEY` names the files of a certificate and its key; without it one is made for localhost that nobody trusts yet. Both ports are
//! served by one server: a listener says what is spoken on it. Behind a load balancer that speaks the PROXY protocol, `--proxy NETWORK`
//! (`10.0.0.0/8`) says where it connects from.
//!
//! Prints a line `listening on …` for each port once it accepts; ends on Ctrl-C or SIGTERM.

use blitz_http::{ClientAddr, Listener, Request, Response, Router, Server, TlsPeer, Trusted, now};
use blitz_tls::{Identity, TlsAcceptor};
use http::header::{HOST, LOCATION};
use http::{HeaderValue, StatusCode};
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut addr = "127.0.0.1:8443".to_owned();
    let (mut clear, mut pair) = (None, None);
    let mut proxies = Trusted::nobody();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut next = || {
            args.next()
                .ok_or_else(|| format!("{arg} wants a value, or is unknown"))
        };
        let value = next()?;
        match arg.as_str() {
            "--addr" => addr = value,
            "--clear" => clear = Some(value),
            "--tls" => pair = Some((value, next()?)),
            "--proxy" => proxies = proxies.and(value.parse()?),
            other => {
                let known = "--addr, --clear, --tls CERT KEY, --proxy";
                return Err(format!("unknown option {other}: use {known}").into());
            }
        }
    }
    let identity = match pair {
        Some((cert, key)) => Identity::from_files(cert, key)?,
        None => for_localhost()?,
    };
    let runtime = blitz_io::runtime::Runtime::new()?;
    runtime.block_on(async {
        let acceptor = TlsAcceptor::builder(identity).build()?;
        let bind = async |addr: String| {
            let bound = Listener::bind(&addr).await;
            let bound = bound.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
            Ok::<_, Failure>(bound.proxy_protocol(proxies.clone()))
        };
        let mut server = Server::new().listen(bind(addr).await?.tls(&acceptor));
        if let Some(addr) = clear {
            server = server.listen(bind(addr).await?);
        }
        let handle = server.handle();
        // Before the lines that say we are there: who reads them may stop us at once.
        let stop = stop_signal()?;
        let addrs = server.local_addrs();
        let port = addrs[0].port();
        for addr in addrs {
            println!("listening on {addr}");
        }
        io::stdout().flush()?;
        let serving = blitz_io::spawn(server.serve(router(port)));
        stop.await;
        handle.shut_down(Duration::from_secs(10));
        serving.await?;
        Ok(())
    })
}

/// A certificate that nobody has signed but itself.
fn for_localhost() -> Result<Identity, Failure> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    eprintln!("made a certificate for localhost; nobody trusts it, so use `curl -k`");
    let key = made.signing_key.serialize_pem();
    Ok(Identity::from_pem(
        made.cert.pem().as_bytes(),
        key.as_bytes(),
    )?)
}

fn router(port: u16) -> Router {
    Router::new()
        .get("/{*path}", now(move |request| answer(&request, port)))
        .get("/", now(move |request| answer(&request, port)))
}

/// Says who asks, by which session; who came in clear is sent to the other port.
fn answer(request: &Request, port: u16) -> Response {
    let Some(tls) = request.extensions().get::<TlsPeer>() else {
        return elsewhere(request, port);
    };
    let client = ClientAddr::of(request);
    let client = client.map_or("somebody".to_owned(), |client| client.ip.to_string());
    let name = tls.server_name().unwrap_or("no name");
    let version = tls.version();
    let version = version.and_then(|version| version.as_str());
    let text = format!(
        "{client} asked for {name} by {}\n",
        version.unwrap_or("TLS")
    );
    Response::new(text.into())
}

fn elsewhere(request: &Request, port: u16) -> Response {
    let mut response = Response::default();
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok()?.parse::<http::uri::Authority>().ok());
    let path = request.uri().path_and_query();
    let path = path.map_or("/", |path| path.as_str());
    let to = host.and_then(|host| {
        let host = host.host();
        HeaderValue::from_str(&format!("https://{host}:{port}{path}")).ok()
    });
    match to {
        Some(to) => {
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(LOCATION, to);
        }
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
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
