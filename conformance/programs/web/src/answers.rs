//! A server on hyper alone: it gives back what it is sent, streams, and takes a connection over.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

type Body = BoxBody<Bytes, hyper::Error>;

/// Serves HTTP/1 and HTTP/2 on `listener`, until the task is dropped.
pub async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let service = hyper::service::service_fn(answer);
            // A client that goes away ends its connection, which is nobody's failure.
            let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let answer = match (request.method(), request.uri().path()) {
        (&Method::POST, "/echo") => Response::new(request.into_body().boxed()),
        (&Method::GET, "/numbers") => {
            let frames = stream::iter(0..1000).then(|number| async move {
                tokio::task::yield_now().await;
                Ok(Frame::data(Bytes::from(format!("{number}\n"))))
            });
            Response::new(BodyExt::boxed(StreamBody::new(frames)))
        }
        (&Method::GET, "/raw") => {
            tokio::spawn(raw_echo(request));
            let mut answer = Response::new(text(""));
            *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            answer
                .headers_mut()
                .insert(header::UPGRADE, header::HeaderValue::from_static("raw"));
            answer.headers_mut().insert(
                header::CONNECTION,
                header::HeaderValue::from_static("upgrade"),
            );
            answer
        }
        _ => {
            let mut answer = Response::new(text("not here"));
            *answer.status_mut() = StatusCode::NOT_FOUND;
            answer
        }
    };
    Ok(answer)
}

fn text(words: &'static str) -> Body {
    Full::from(words).map_err(|never| match never {}).boxed()
}

/// What follows an upgrade: every byte comes back.
async fn raw_echo(request: Request<Incoming>) {
    let Ok(upgraded) = hyper::upgrade::on(request).await else {
        return;
    };
    let mut stream = TokioIo::new(upgraded);
    let mut part = [0; 1024];
    while let Ok(len @ 1..) = stream.read(&mut part).await {
        if stream.write_all(&part[..len]).await.is_err() {
            return;
        }
    }
}
