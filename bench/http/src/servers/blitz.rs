//! blitz-http, all limits and timeouts at their defaults.

use blitz_http::{Body, Request, Response, Router, Server, now, reply};
use blitz_io::runtime::Builder;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use std::net::SocketAddr;

#[derive(Clone, Copy)]
pub enum Flavor {
    Multi,
    Current,
    PerCore,
}

pub fn serve(flavor: Flavor, workers: usize, addr: SocketAddr) {
    let mut builder = match flavor {
        Flavor::Multi => Builder::new_multi_thread(),
        Flavor::Current => Builder::new_current_thread(),
        Flavor::PerCore => Builder::new_thread_per_core(),
    };
    if !matches!(flavor, Flavor::Current) {
        builder.worker_threads(workers);
    }
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = Server::bind(addr).await.expect("the address is free");
        let router = Router::new()
            .get(
                "/",
                now(|request| typed(request, super::HELLO, "text/plain")),
            )
            .get(
                "/json",
                now(|request| typed(request, super::json(), "application/json")),
            )
            .post("/echo", |mut request: Request| async move {
                let body = std::mem::take(request.body_mut());
                let kind = "application/octet-stream";
                body.collect()
                    .await
                    .map(|bytes| typed(request, bytes, kind))
            });
        blitz_io::spawn(server.serve(router))
            .await
            .expect("no panic");
    });
}

fn typed(request: Request, body: impl Into<Body>, kind: &'static str) -> Response {
    let mut response = reply(request, body);
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
