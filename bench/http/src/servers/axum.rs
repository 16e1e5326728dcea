//! axum, by its own `serve`.

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use http::header::CONTENT_TYPE;
use std::net::SocketAddr;

pub fn serve(workers: usize, addr: SocketAddr) {
    super::tokio(workers).block_on(async {
        let listener = super::tokio_listener(addr).tap_io(|stream| {
            stream.set_nodelay(true).expect("nodelay");
        });
        let router = Router::new()
            .route(
                "/",
                get(|| async { ([(CONTENT_TYPE, "text/plain")], super::HELLO) }),
            )
            .route(
                "/json",
                get(|| async { ([(CONTENT_TYPE, "application/json")], super::json()) }),
            )
            .route("/echo", post(|body: Bytes| async move { body }));
        let serving = async move { axum::serve(listener, router).await };
        tokio::spawn(serving)
            .await
            .expect("no panic")
            .expect("served");
    });
}
