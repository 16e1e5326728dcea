//! What a request costs inside of the server: no socket, no kernel, one connection that is polled.
//!
//! `valgrind --tool=callgrind target/release/inside REQUESTS TOGETHER [fields|body|new] [reply|hand]` counts its instructions, which no
//! load of the machine disturbs: the difference between two runs, divided by the difference of their requests. `fields` adds those of a
//! browser, `body` sends 10 KiB that come back, `new` adds one whose value is another in each batch, so that no head is known again. The
//! handler looks at its request; with `reply` it takes it and answers with `reply_as`, with `hand` it inserts its field into the map in
//! place of that.

#[path = "../ask.rs"]
#[allow(dead_code, reason = "the other half is for those who send")]
mod ask;

use ask::{Ask, Load};
use blitz_http::{Config, Connection, Handle, Peer, Request, Router, look, now, reply, reply_as};
use blitz_io::io::{AsyncRead, AsyncWrite, ReadBuf};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// A stream that has one batch when it is told to, and takes all that is written.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    batch: Vec<u8>,
    is_there: bool,
    writes: usize,
    written: usize,
}

impl Stream {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic")
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if !std::mem::take(&mut state.is_there) {
            return Poll::Pending;
        }
        buf.put_slice(&state.batch);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        state.writes += 1;
        state.written += buf.len();
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = parts.iter().map(|part| part.len()).sum();
        let mut state = self.state();
        state.writes += 1;
        state.written += len;
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = || -> usize {
        let word = args.next().and_then(|word| word.parse().ok());
        word.expect("inside REQUESTS TOGETHER [fields|body|new] [reply|hand]")
    };
    let (requests, together) = (number(), number());
    let words: Vec<String> = args.collect();
    let says = |word: &str| words.iter().any(|said| said == word);
    let is_new = says("new");
    let ask = match (says("fields"), says("body")) {
        (true, _) => Ask::Browser,
        (_, true) => Ask::Body,
        _ => Ask::Plain,
    };
    let load = Load {
        ask,
        connections: 1,
        depth: together,
    };
    let runtime = blitz_io::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let stream = Stream::default();
        let addr = "127.0.0.1:8080".parse().expect("an address");
        let mut request = load.request(addr);
        if is_new {
            request.truncate(request.len() - 2);
            request.extend_from_slice(b"X-Request-Id: aaaaaaaa\r\n\r\n");
        }
        // Where the value stands that changes.
        let value = request.len() - b"aaaaaaaa\r\n\r\n".len();
        let len = request.len();
        stream.state().batch = request.repeat(together);
        let router = match (says("reply"), says("hand")) {
            (false, false) => Router::new().get("/", look(|_| (PLAIN, "Hello, World!"))),
            (_, false) => Router::new().get("/", now(hello)),
            (_, true) => Router::new().get("/", now(hello_by_hand)),
        };
        let router = router.post("/echo", echo);
        let handle = Handle::new(Config::default());
        let peer = Peer::default();
        let mut connection = Box::pin(Connection::new(stream.clone(), router, &handle, peer));
        let mut cx = Context::from_waker(Waker::noop());
        for number in 0..requests / together {
            let mut state = stream.state();
            if is_new {
                for request in state.batch.chunks_exact_mut(len) {
                    let letters = request[value..].iter_mut().take(4).enumerate();
                    letters.for_each(|(at, to)| *to = b'a' + (number >> (4 * at) & 15) as u8);
                }
            }
            state.is_there = true;
            drop(state);
            assert!(connection.as_mut().poll(&mut cx).is_pending());
        }
        let state = stream.state();
        assert_eq!(state.writes, requests / together, "one write a batch");
        println!("{requests} requests, {} bytes of answers", state.written);
    });
}

async fn echo(mut request: Request) -> Result<blitz_http::Response, blitz_http::Error> {
    let body = std::mem::take(request.body_mut());
    let bytes = body.collect().await?;
    Ok(reply_as(request, OCTETS, bytes))
}

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain");

fn hello(request: Request) -> blitz_http::Response {
    reply_as(request, PLAIN, "Hello, World!")
}

/// The same with the field put in by hand.
fn hello_by_hand(request: Request) -> blitz_http::Response {
    let mut response = reply(request, "Hello, World!");
    let kind = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
