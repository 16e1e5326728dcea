//! hyper on tokio, with the one option that pipelining asks for.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;

pub fn serve(workers: usize, addr: SocketAddr) {
    super::tokio(workers).block_on(async {
        let listener = super::tokio_listener(addr);
        let accept = async move {
            loop {
                let (stream, _) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(_) => continue,
                };
                stream.set_nodelay(true).expect("nodelay");
                tokio::spawn(async move {
                    // A client that goes away is no news.
                    let _ = http1::Builder::new()
                        .pipeline_flush(true)
                        .serve_connection(TokioIo::new(stream), service_fn(answer))
                        .await;
                });
            }
        };
        tokio::spawn(accept).await.expect("no panic");
    });
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => typed(Bytes::from_static(super::HELLO.as_bytes()), "text/plain"),
        (&Method::GET, "/json") => typed(super::json().into(), "application/json"),
        (&Method::POST, "/echo") => match request.into_body().collect().await {
            Ok(body) => typed(body.to_bytes(), "application/octet-stream"),
            Err(_) => status(StatusCode::BAD_REQUEST),
        },
        _ => status(StatusCode::NOT_FOUND),
    })
}

fn typed(body: Bytes, kind: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
