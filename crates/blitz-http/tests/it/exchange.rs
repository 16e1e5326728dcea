//! Requests and answers on one connection.

use crate::harness::{connect, connect_with, without_date};
use blitz_http::{Body, Peer, Request, Router, early_hints, now, reply, service_fn};
use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HELLO: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\n\r\nhello";

fn hello() -> Router {
    Router::new()
        .get("/", now(|_| "hello"))
        .post("/", now(|_| "hello"))
}

#[blitz_io::test(start_paused = true)]
async fn a_connection_serves_one_request_after_the_other() {
    let mut client = connect(hello());
    for _ in 0..3 {
        client.send(GET).await;
        client.expect(HELLO).await;
    }
    assert_eq!(client.handle.counters().requests(), 3);
}

#[blitz_io::test(start_paused = true)]
async fn requests_that_came_together_are_answered_in_their_order() {
    let service = service_fn(|request: Request| async move {
        // The first takes longest.
        let n: u64 = request.uri().path()[1..].parse().expect("a number");
        blitz_io::time::sleep(std::time::Duration::from_millis(10 * (5 - n))).await;
        http::Response::new(Body::from(n.to_string()))
    });
    let wire: String = (0..5)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    let answers = connect(service).ask(wire).await;
    let bodies: Vec<_> = answers
        .split("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n")
        .skip(1)
        .collect();
    assert_eq!(bodies, ["0", "1", "2", "3", "4"]);
}

/// A stream that counts the calls that write to it.
struct Counting<T>(T, Arc<AtomicUsize>);

impl<T: blitz_io::io::AsyncRead + Unpin> blitz_io::io::AsyncRead for Counting<T> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut blitz_io::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<T: blitz_io::io::AsyncWrite + Unpin> blitz_io::io::AsyncWrite for Counting<T> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.1.fetch_add(1, SeqCst);
        std::pin::Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[blitz_io::test(start_paused = true)]
async fn a_batch_is_answered_in_one_write() {
    use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
    let handle = blitz_http::Handle::new(without_date());
    let (mut io, end) = blitz_io::io::duplex(1 << 20);
    let writes = Arc::new(AtomicUsize::new(0));
    let end = Counting(end, Arc::clone(&writes));
    io.write_all(GET.repeat(16).as_bytes()).await.expect("sent");
    let served = blitz_io::spawn(blitz_http::Connection::new(
        end,
        hello(),
        &handle,
        Peer::default(),
    ));
    let mut answers = vec![0; HELLO.len() * 16];
    io.read_exact(&mut answers).await.expect("16 answers");
    assert_eq!(String::from_utf8_lossy(&answers), HELLO.repeat(16));
    assert_eq!(writes.load(SeqCst), 1);
    drop(io);
    served.await.expect("no panic").expect("no error");
}

#[blitz_io::test(start_paused = true)]
async fn a_client_that_has_shut_its_sending_side_gets_its_answers() {
    let service = service_fn(|_: Request| async {
        blitz_io::time::sleep(std::time::Duration::from_secs(20)).await;
        http::Response::new(Body::from("late"))
    });
    let answers = connect(service).ask(GET.repeat(2)).await;
    assert_eq!(
        answers,
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate".repeat(2)
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_panic_is_500_and_the_connection_goes_on() {
    let service = service_fn(|request: Request| async move {
        assert!(request.uri().path() != "/panic", "as it should");
        http::Response::new(Body::from("fine"))
    });
    let mut client = connect(service);
    client.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client
        .expect("HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 22\r\n\r\nInternal Server Error\n")
        .await;
    client.send(GET).await;
    client
        .expect("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine")
        .await;
    assert_eq!(client.handle.counters().panics(), 1);
}

#[blitz_io::test(start_paused = true)]
async fn a_panic_at_the_call_or_in_a_body_harms_nobody_else() {
    let service = service_fn(|request: Request| {
        assert!(request.uri().path() != "/call", "as it should");
        std::future::ready(http::Response::new(Body::from_fn(|_| {
            panic!("as it should")
        })))
    });
    let mut client = connect(service);
    client.send("GET /call HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.send("GET /body HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answers = client.rest().await;
    assert!(answers.starts_with("HTTP/1.1 500 "), "{answers}");
    // The body has no end, and neither has what the client sees.
    assert!(!answers.ends_with("0\r\n\r\n"), "{answers}");
    assert_eq!(client.handle.counters().panics(), 2);
}

#[blitz_io::test(start_paused = true)]
async fn a_body_that_panics_when_it_is_asked_its_length_is_500() {
    struct Unknown;
    impl http_body::Body for Unknown {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
            std::task::Poll::Ready(None)
        }
        fn size_hint(&self) -> http_body::SizeHint {
            panic!("as it should")
        }
    }
    let service = service_fn(|request: Request| async move {
        http::Response::new(match request.uri().path() {
            "/panic" => Body::new(Unknown),
            _ => Body::from("fine"),
        })
    });
    let mut client = connect(service);
    client.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.expect("HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 22\r\n\r\nInternal Server Error\n").await;
    client.send(GET).await;
    client
        .expect("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine")
        .await;
    assert_eq!(client.handle.counters().panics(), 1);
}

#[blitz_io::test(start_paused = true)]
async fn a_service_that_fails_is_500() {
    #[derive(Clone)]
    struct Failing;
    impl tower_service::Service<Request> for Failing {
        type Response = blitz_http::Response;
        type Error = std::io::Error;
        type Future = std::future::Ready<Result<blitz_http::Response, std::io::Error>>;
        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), std::io::Error>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Request) -> Self::Future {
            std::future::ready(Err(std::io::ErrorKind::Other.into()))
        }
    }
    let mut client = connect(Failing);
    client.send(GET.repeat(2)).await;
    client.expect("HTTP/1.1 500 ").await;
}

#[blitz_io::test(start_paused = true)]
async fn a_connection_closes_when_either_side_says_so() {
    let close = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut client = connect(hello());
    client.send(close).await;
    assert!(client.rest().await.contains("connection: close\r\n"));
    let mut client = connect(hello());
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(client.rest().await.ends_with("\r\n\r\nhello"));
    let service = service_fn(|_: Request| async {
        http::Response::builder()
            .header("connection", "close")
            .body(Body::empty())
            .expect("a response")
    });
    let mut client = connect(service);
    client.send(GET).await;
    assert!(client.rest().await.contains("connection: close\r\n"));
}

#[blitz_io::test(start_paused = true)]
async fn every_answer_has_a_date_unless_it_is_not_wanted() {
    let mut client = connect_with(hello(), blitz_http::Config::default(), 1 << 16);
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = client.rest().await;
    let date = answer
        .lines()
        .find_map(|line| line.strip_prefix("date: "))
        .expect("a date");
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
}

#[blitz_io::test(start_paused = true)]
async fn head_has_the_length_and_no_body() {
    let mut client = connect(hello());
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.expect(&HELLO[..HELLO.len() - 5]).await;
    client.send(GET).await;
    client.expect(HELLO).await;
}

#[blitz_io::test(start_paused = true)]
async fn a_handler_finds_the_peer() {
    let service = service_fn(|request: Request| async move {
        assert_eq!(request.extensions().get::<Peer>(), Some(&Peer::default()));
        reply(request, "x")
    });
    let mut client = connect(service);
    for _ in 0..2 {
        client.send(GET).await;
        client
            .expect("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")
            .await;
    }
}

/// What one handler leaves in the extensions no other request sees.
#[blitz_io::test(start_paused = true)]
async fn extensions_do_not_leak_from_request_to_request() {
    let service = service_fn(|mut request: Request| async move {
        assert!(request.extensions().get::<u32>().is_none());
        request.extensions_mut().insert(7u32);
        reply(request, "x")
    });
    let mut client = connect(service);
    for _ in 0..2 {
        client.send(GET).await;
        client
            .expect("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")
            .await;
    }
}

#[blitz_io::test(start_paused = true)]
async fn a_status_that_ends_nothing_is_a_fault() {
    for status in [StatusCode::CONTINUE, StatusCode::SWITCHING_PROTOCOLS] {
        let service = service_fn(move |_: Request| async move {
            http::Response::builder()
                .status(status)
                .body(Body::empty())
                .expect("a response")
        });
        let mut client = connect(service);
        client.send(GET).await;
        client.expect("HTTP/1.1 500 ").await;
    }
}

/// A client that asks and asks and reads nothing costs what fits into the buffers, and no more.
#[blitz_io::test(start_paused = true)]
async fn no_more_requests_are_taken_than_answers() {
    use blitz_io::io::AsyncWriteExt;
    let client = connect_with(hello(), without_date(), 4096);
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let (reads, mut writes) = blitz_io::io::split(client.io);
    blitz_io::spawn(async move {
        // Until the server gives up.
        while writes.write_all(GET.repeat(10).as_bytes()).await.is_ok() {
            counted.fetch_add(10 * GET.len(), SeqCst);
        }
    });
    blitz_io::time::sleep(std::time::Duration::from_secs(4)).await;
    assert!(
        sent.load(SeqCst) < 100_000,
        "{sent:?} bytes of requests were taken"
    );
    assert!(client.handle.counters().requests() < 2000);
    drop(reads);
}

/// More requests at once than one poll begins are all answered.
#[blitz_io::test(start_paused = true)]
async fn a_thousand_requests_at_once_are_answered() {
    let answers = connect(hello()).ask(GET.repeat(1000)).await;
    assert_eq!(answers, HELLO.repeat(1000));
}

/// What speaks another protocol is known by its first byte: it is told so, and the sending side ends, while it still waits.
#[blitz_io::test(start_paused = true)]
async fn what_is_no_http_is_refused_at_once() {
    for begins in [
        // The hello of TLS, and its first byte alone.
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\x16",
        b"\x16\x03\x01\x00\x0a\n\r\n\r\n",
        // A line's end may come before a request, and changes nothing.
        b"\r\n\x16\x03",
        b"\0",
        b"\x80\x2e\x01",
        b"\xff\xfe",
    ] {
        let begun = blitz_io::time::Instant::now();
        let mut client = connect(hello());
        client.send(begins).await;
        let answer = client.rest().await;
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("close"),
            "{begins:?}: {answer}"
        );
        assert_eq!(begun.elapsed(), std::time::Duration::ZERO, "{begins:?}");
        assert_eq!(client.handle.counters().refused(), 1);
    }
}

#[blitz_io::test(start_paused = true)]
async fn hints_go_out_while_the_answer_is_made() {
    let go = Arc::new(blitz_io::sync::Notify::new());
    let gate = Arc::clone(&go);
    let service = service_fn(move |request: Request| {
        let gate = Arc::clone(&gate);
        async move {
            let hint = |link: &'static str| {
                let link = http::HeaderValue::from_static(link);
                early_hints(http::HeaderMap::from_iter([(http::header::LINK, link)]))
            };
            assert!(hint("</a>") && hint("</b>"));
            if request.uri().path() == "/slow" {
                gate.notified().await;
            }
            assert!(hint("</late>"));
            let elsewhere = blitz_io::spawn(async { early_hints(http::HeaderMap::new()) });
            assert!(!elsewhere.await.expect("no panic"), "it has no connection");
            http::Response::new(Body::from("hello"))
        }
    });
    let mut client = connect(service.clone());
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    for link in ["</a>", "</b>"] {
        let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: {link}\r\n\r\n");
        client.expect(&hint).await;
    }
    go.notify_one();
    client
        .expect("HTTP/1.1 103 Early Hints\r\nlink: </late>\r\n\r\nHTTP/1.1 200 OK\r\n")
        .await;
    assert!(
        !early_hints(http::HeaderMap::new()),
        "nobody is polled here"
    );

    go.notify_one();
    let old = connect(service).ask("GET /slow HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.1 200 OK\r\n"), "{old}");
}

#[blitz_io::test(start_paused = true)]
async fn hints_of_a_handler_that_does_not_wait_are_not_sent() {
    let service = service_fn(|_: Request| async {
        assert!(early_hints(http::HeaderMap::new()));
        http::Response::new(Body::from("hello"))
    });
    let answer = connect(service).ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
