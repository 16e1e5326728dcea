//! The other direction: what is malformed or ambiguous among responses, from a server that is scripted here to three clients: ours, hyper's,
//! and nginx as a proxy, whose answer is then read.

use blitz_http_proto::{Limits, ResponseDecoder, ResponseEvent};
use bytes::{Bytes, BytesMut};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use std::future::Future;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::talk::Outcome;

/// Longer than any client here takes.
const GUARD: Duration = Duration::from_secs(20);

/// A server that answers `GET /N` with the bytes of case N, and closes.
pub fn scripted(cases: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let cases = Arc::new(cases);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let cases = Arc::clone(&cases);
            std::thread::spawn(move || {
                let (mut head, mut memory) = (Vec::new(), [0; 4096]);
                while memchr::memmem::find(&head, b"\r\n\r\n").is_none() {
                    match stream.read(&mut memory) {
                        Ok(n @ 1..) => head.extend_from_slice(&memory[..n]),
                        _ => return,
                    }
                }
                let text = String::from_utf8_lossy(&head);
                let number = text.strip_prefix("GET /").and_then(|rest| {
                    let (number, _) = rest.split_once(' ')?;
                    number.parse::<usize>().ok()
                });
                let Some(bytes) = number.and_then(|number| cases.get(number)) else {
                    return;
                };
                // A client that has seen enough closes; what it made of it is looked at over there.
                let _ = stream.write_all(bytes);
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    addr
}

/// A response that was taken whole.
fn taken(status: u16, body: usize) -> Outcome {
    Outcome {
        statuses: vec![status],
        noise: false,
        closed: false,
        body: Some(body),
    }
}

/// One that was refused, at its head or in its body.
fn refused() -> Outcome {
    Outcome {
        statuses: Vec::new(),
        noise: true,
        closed: false,
        body: Some(0),
    }
}

pub fn ours(addr: SocketAddr, number: usize) -> Outcome {
    let runtime = blitz_io::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let client = blitz_http::Client::builder()
            .no_proxy()
            .timeout(GUARD)
            .build()
            .expect("a client");
        let got = async {
            let mut response = client.get(format!("http://{addr}/{number}")).send().await?;
            let body = response.bytes().await?.len();
            Ok::<_, blitz_http::client::Error>(taken(response.status().as_u16(), body))
        };
        got.await.unwrap_or_else(|_| refused())
    })
}

pub fn hyper(addr: SocketAddr, number: usize) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let got = async {
        let stream = tokio::net::TcpStream::connect(addr).await.ok()?;
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.ok()?;
        // Its failure is the request's, too.
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::get(format!("/{number}"))
            .header("host", addr.to_string())
            .body(Empty::<Bytes>::new())
            .expect("a request");
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes().len();
        Some(taken(status, body))
    };
    runtime.block_on(within(got)).unwrap_or_else(refused)
}

async fn within(got: impl Future<Output = Option<Outcome>>) -> Option<Outcome> {
    tokio::time::timeout(GUARD, got).await.ok().flatten()
}

/// What nginx at `addr`, which stands before the scripted server, makes of it.
pub fn nginx(addr: SocketAddr, number: usize) -> Outcome {
    through(addr, number).unwrap_or_else(refused)
}

fn through(addr: SocketAddr, number: usize) -> Option<Outcome> {
    let mut stream = TcpStream::connect(addr).expect("nginx listens");
    stream.set_read_timeout(Some(GUARD)).ok()?;
    let ask = format!("GET /{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    // A reset is an end, too; whether what came is whole is seen below.
    let _ = stream.read_to_end(&mut bytes);
    let mut decoder = ResponseDecoder::new(Limits::default());
    decoder.asked(&Method::GET);
    let mut input = BytesMut::from(&bytes[..]);
    let (mut status, mut body, mut ended) = (None, 0, false);
    loop {
        match decoder.decode(&mut input).ok()? {
            Some(ResponseEvent::Head(head)) => status = Some(head.status.as_u16()),
            Some(ResponseEvent::Data(data)) => body += data.len(),
            Some(ResponseEvent::End) => break,
            Some(_) => {}
            None if ended => return None,
            None => ended = decoder.finish(&input).ok()?,
        }
    }
    // Its word for what it refuses.
    status
        .filter(|status| ![502, 504].contains(status))
        .map(|status| taken(status, body))
}
