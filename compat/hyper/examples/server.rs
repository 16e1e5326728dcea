//! A web server: hyper over blitz-io, without tokio's runtime.
//!
//! `cargo run --release -p blitz-hyper --example server -- 127.0.0.1:8080`, then `curl http://127.0.0.1:8080/you`.

use std::convert::Infallible;
use std::error::Error;

use blitz_hyper::{BlitzIo, BlitzTimer};
use blitz_io::net::TcpListener;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

async fn greet(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("hello, {}\n", request.uri().path().trim_start_matches('/'));
    Ok(Response::new(Full::from(text)))
}

#[blitz_io::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        blitz_io::spawn(async move {
            // With a timer hyper bounds the time for a head: 30 seconds.
            let served = http1::Builder::new()
                .timer(BlitzTimer::new())
                .serve_connection(BlitzIo::new(stream), service_fn(greet))
                .await;
            if let Err(error) = served {
                eprintln!("{peer}: {error}");
            }
        });
    }
}
