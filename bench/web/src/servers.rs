//! The two servers, each written as its users would: `GET /` the 13 bytes `Hello, World!`, `GET /json` an object that is made
//! for each request. Nothing here knows which crate is called tokio.
//!
//! hyper has its timer, so that a head that does not come ends a connection: a server that strangers reach wants it. axum's
//! own `serve` has none.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket};

const HELLO: &str = "Hello, World!";

#[derive(serde::Serialize)]
struct Message {
    message: &'static str,
}

const MESSAGE: Message = Message { message: HELLO };

/// Serves for ever.
pub fn serve(name: &str, workers: usize, addr: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        // The accept loop is a task: the thread that waits here is not one of the workers.
        let serving = match name {
            "hyper" => tokio::spawn(hyper_serves(addr)),
            "axum" => tokio::spawn(axum_serves(addr)),
            other => panic!("no server {other}"),
        };
        serving.await.expect("no panic");
    });
}

/// With a long queue, for thousands of connections at once.
fn listen(addr: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("reuseaddr");
    socket.bind(addr).expect("the address is free");
    socket.listen(4096).expect("it listens")
}

async fn hyper_serves(addr: SocketAddr) {
    let listener = listen(addr);
    loop {
        // One that is gone before it is taken is no news.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        stream.set_nodelay(true).expect("nodelay");
        tokio::spawn(async move {
            // Nor is a client that goes away.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => typed(Bytes::from_static(HELLO.as_bytes()), "text/plain"),
        (&Method::GET, "/json") => {
            let body = serde_json::to_vec(&MESSAGE).expect("plain text");
            typed(body.into(), "application/json")
        }
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

fn typed(body: Bytes, kind: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

async fn axum_serves(addr: SocketAddr) {
    let listener = listen(addr).tap_io(|stream| {
        stream.set_nodelay(true).expect("nodelay");
    });
    let plain = || async { ([(CONTENT_TYPE, "text/plain")], HELLO) };
    let router = Router::new()
        .route("/", get(plain))
        .route("/json", get(|| async { axum::Json(MESSAGE) }));
    axum::serve(listener, router).await.expect("served");
}
