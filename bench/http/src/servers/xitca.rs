//! xitca-web.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use std::net::SocketAddr;
use xitca_web::App;
use xitca_web::handler::handler_service;
use xitca_web::route::{get, post};

pub fn serve(workers: usize, addr: SocketAddr) {
    App::new()
        .at(
            "/",
            get(handler_service(async || {
                typed(Bytes::from_static(super::HELLO.as_bytes()), "text/plain")
            })),
        )
        .at(
            "/json",
            get(handler_service(async || {
                typed(super::json().into(), "application/json")
            })),
        )
        .at(
            "/echo",
            post(handler_service(async |body: Bytes| {
                typed(body, "application/octet-stream")
            })),
        )
        .serve()
        .worker_threads(workers)
        .backlog(4096)
        .bind(addr)
        .expect("the address is free")
        .run()
        .wait()
        .expect("served");
}

fn typed(body: Bytes, kind: &'static str) -> ((HeaderName, HeaderValue), Bytes) {
    ((CONTENT_TYPE, HeaderValue::from_static(kind)), body)
}
