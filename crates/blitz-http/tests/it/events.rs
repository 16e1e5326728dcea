//! Server-sent events: what goes out, when, and who notices that nobody listens.

use crate::backends::{FLAVORS, GUARD, each_case, patient};
use crate::harness::{connect, connect_with, without_date};
use blitz_http::sse::{Event, Events, last_event_id};
use blitz_http::{Reply, Request, Router, Server, now, service_fn};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::TcpStream;
use blitz_io::stream::Stream;
use blitz_io::stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use blitz_io::sync::{mpsc, oneshot};
use blitz_io::time::{Instant, timeout};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

const ASK: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
                    x-accel-buffering: no\r\ntransfer-encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

#[blitz_io::test]
async fn each_event_goes_out_when_it_comes() {
    let (send, receive) = mpsc::channel(4);
    let receive = Mutex::new(Some(receive));
    let router = Router::new().get(
        "/",
        now(move |_| {
            let receive = receive.lock().unwrap().take().expect("one request");
            Events::new(ReceiverStream::new(receive)).retry(Duration::from_secs(3))
        }),
    );
    let mut client = connect(router);
    client.send(ASK).await;
    client.expect(HEAD).await;
    client.expect(&chunk("retry: 3000\n\n")).await;
    for n in ["1", "2"] {
        let event = Event::new()
            .id(n)
            .unwrap()
            .data(format!("number {n}\nof two"));
        send.send(event).await.expect("it is listened to");
        client
            .expect(&chunk(&format!(
                "id: {n}\ndata: number {n}\ndata: of two\n\n"
            )))
            .await;
    }
    // A stream that ends, ends the answer and not the connection.
    drop(send);
    client.expect("0\r\n\r\n").await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.expect("HTTP/1.1 404 Not Found\r\n").await;
}

#[blitz_io::test(start_paused = true)]
async fn silence_is_broken_by_comments_at_half_the_interval() {
    let (send, receive) = mpsc::channel::<Event>(4);
    let receive = Mutex::new(Some(receive));
    let router = Router::new().get(
        "/",
        now(move |_| {
            let receive = receive.lock().unwrap().take().expect("one request");
            Events::new(ReceiverStream::new(receive)).keep_alive(Duration::from_secs(20))
        }),
    );
    let mut client = connect(router);
    let begun = Instant::now();
    client.send(ASK).await;
    client.expect(HEAD).await;
    for round in 1..=3 {
        client.expect(&chunk(":\n\n")).await;
        assert_eq!(begun.elapsed().as_secs(), 10 * round);
    }
    // An event begins the wait anew.
    blitz_io::time::advance(Duration::from_secs(6)).await;
    send.send(Event::new().data("x")).await.expect("sent");
    client.expect(&chunk("data: x\n\n")).await;
    let since = Instant::now();
    client.expect(&chunk(":\n\n")).await;
    assert_eq!(since.elapsed().as_secs(), 10);
}

#[blitz_io::test]
async fn who_comes_back_says_what_it_has_seen() {
    let service = service_fn(|request: Request| async move {
        last_event_id(&request)
            .unwrap_or("nothing")
            .to_owned()
            .into_response()
    });
    let answer = connect(service)
        .ask("GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 41\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let said = ["\r\n\r\n41HTTP/1.1", "\r\n\r\nnothing"];
    assert!(said.iter().all(|said| answer.contains(said)), "{answer}");
}

#[blitz_io::test(start_paused = true)]
async fn an_end_of_the_server_ends_events_in_good_order() {
    let (_send, receive) = mpsc::unbounded_channel();
    let receive = Mutex::new(Some(receive));
    let handle: Arc<Mutex<Option<blitz_http::Handle>>> = Arc::default();
    let server = Arc::clone(&handle);
    let service = service_fn(move |_: Request| {
        let receive = receive.lock().unwrap().take().expect("one request");
        let server = server.lock().unwrap().clone().expect("it is set");
        let events = Events::new(UnboundedReceiverStream::new(receive)).end_with(&server);
        std::future::ready(events.into_response())
    });
    let mut client = connect_with(service, without_date(), 1 << 16);
    *handle.lock().unwrap() = Some(client.handle.clone());
    client.send(ASK).await;
    client.expect(HEAD).await;
    client.handle.shut_down(Duration::from_secs(100));
    client.expect("0\r\n\r\n").await;
    assert_eq!(client.rest().await, "");
    client.served.await.unwrap().expect("it ended well");
}

/// A stream that gives nothing, and tells when it is dropped.
struct Silent(Option<oneshot::Sender<()>>);

impl Stream for Silent {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
        Poll::Pending
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            // Who has stopped waiting need not be told.
            let _ = told.send(());
        }
    }
}

/// Runs a test on each flavour and back end.
pub(crate) fn everywhere<F: Future<Output = ()>>(test: impl Fn() -> F) {
    each_case(&FLAVORS, |case| {
        case.runtime()
            .block_on(async { timeout(patient(GUARD), test()).await.expect("in time") });
    });
}

#[test]
fn a_client_that_has_gone_is_noticed() {
    everywhere(|| async {
        let (told, gone) = oneshot::channel();
        let told = Mutex::new(Some(told));
        let router = Router::new().get(
            "/",
            now(move |_| {
                let stream = Silent(told.lock().unwrap().take());
                Events::new(stream).keep_alive(Duration::from_millis(50))
            }),
        );
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router));
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(ASK.as_bytes()).await.unwrap();
        // Into the first comment.
        let (mut some, mut read) = ([0; 400], 0);
        while !some[..read].windows(3).any(|three| three == b":\n\n") {
            read += client.read(&mut some[read..]).await.unwrap();
        }
        drop(client);
        gone.await.expect("the stream is dropped");
        // Nobody is left who could be cut: it was noticed before the end, not by it.
        while handle.open() > 0 {
            blitz_io::task::yield_now().await;
        }
        handle.shut_down(Duration::ZERO);
        assert!(serving.await.unwrap().cut.is_empty());
    });
}
