//! The client: against a server in memory that says what the test wants, in virtual time; and on sockets, on each back end.

mod behaviour;
mod exchange;
mod liars;
mod live;
mod pool;
mod sockets;
mod stalls;
mod tls;
mod ways;

use blitz_http::Client;
use blitz_http::client::{BoxStream, ClientBuilder, Connecting};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use std::future::{Future, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Runs a test in virtual time.
fn paused<T>(test: impl Future<Output = T>) -> T {
    let runtime = blitz_io::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(test)
}

/// A client whose connections lead to `serve`, which gets their number and their other end; and how many there were.
fn served<F, S>(serve: S) -> (ClientBuilder, Arc<AtomicUsize>)
where
    S: Fn(usize, DuplexStream) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let connect = move |_: &str, _: u16| -> Connecting {
        let (ours, theirs) = duplex(64 * 1024);
        drop(blitz_io::spawn(serve(count.fetch_add(1, Relaxed), theirs)));
        Box::pin(ready(Ok(Box::new(ours) as BoxStream)))
    };
    (Client::builder().connector(connect), opened)
}

/// A client all of whose requests are answered with these bytes; then the connection ends, or says nothing more.
fn answered(bytes: impl Into<Vec<u8>>, then: Then) -> Client {
    let bytes = bytes.into();
    let (builder, _) = served(move |_, mut io| {
        let bytes = bytes.clone();
        async move {
            head(&mut io).await;
            // Who has heard enough does not listen to the end.
            let _ = io.write_all(&bytes).await;
            if then == Then::Stall {
                std::future::pending::<()>().await;
            }
        }
    });
    builder.build().expect("a client")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Close,
    Stall,
}

/// Reads a request's head, to its empty line. Empty where the client has closed.
async fn head(io: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match io.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(head).expect("a head is text")
}

/// Reads so many bytes.
async fn exactly(io: &mut DuplexStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    io.read_exact(&mut bytes).await.expect("that many bytes");
    bytes
}

#[test]
fn what_goes_to_other_threads_may() {
    use blitz_http::client::{
        CookieJar, EventSource, Mock, Multipart, Request, RequestBuilder, Response,
    };
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<(
        Client,
        ClientBuilder,
        Request,
        RequestBuilder,
        Response,
        Multipart,
        EventSource,
    )>();
    send::<(CookieJar, Mock, blitz_http::client::Error)>();
    sync::<(Client, CookieJar, Mock, blitz_http::client::Error)>();
}
