//! blitz-http, all limits and timeouts at their defaults.

use blitz_http::{
    Config, Connection, Error, Handle, Peer, Request, Router, Server, look, reply_as,
};
use blitz_io::io::{AsyncRead, AsyncWrite, ReadBuf};
use blitz_io::net::{BufferView, TcpListener, TcpStream};
use blitz_io::runtime::Builder;
use http::HeaderValue;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

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
        blitz_io::spawn(server.serve(router()))
            .await
            .expect("no panic");
    });
}

fn router() -> Router {
    Router::new()
        .get("/", look(|_| (PLAIN, super::HELLO)))
        .get("/json", look(|_| (JSON, super::json())))
        .post("/echo", |mut request: Request| async move {
            let body = std::mem::take(request.body_mut());
            let bytes = body.collect().await?;
            Ok::<_, Error>(reply_as(request, OCTETS, bytes))
        })
}

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What the server would be that takes what comes from buffers on loan: [why it is not](../../../../docs/decisions/2026-11-29-http-by-readiness.md).
pub fn serve_leased(workers: usize, addr: SocketAddr) {
    let mut builder = Builder::new_thread_per_core();
    builder.worker_threads(workers);
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let accepting = blitz_io::spawn(async move {
            let listener = TcpListener::bind(addr).await.expect("the address is free");
            let handle = Handle::new(Config::default());
            loop {
                let (stream, from) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("a socket of TCP");
                let (stream, peer) = (Leased { stream, rest: None }, Peer::new(from, addr));
                let connection = Connection::new(stream, router(), &handle, peer);
                blitz_io::spawn(async move {
                    // Whoever goes away is no business of a benchmark.
                    let _ = connection.await;
                });
            }
        });
        accepting.await.expect("no panic");
    });
}

/// A stream whose reads are copies from buffers on loan.
struct Leased {
    stream: TcpStream,
    rest: Option<BufferView>,
}

impl AsyncRead for Leased {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut view = match self.rest.take() {
            Some(view) => view,
            None => ready!(self.stream.poll_recv_lease(cx))?,
        };
        let n = view.len().min(buf.remaining());
        buf.put_slice(&view[..n]);
        if n < view.len() {
            self.rest = Some(view.split_off(n));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Leased {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
