//! Short answers over TCP go to the kernel together where one thread has the ring: their order, what they hold back, and what becomes of
//! those that no room is left for ([`stalled`]).

#[cfg(unix)]
mod stalled;

use crate::backends::{Case, FLAVORS, Flavor, GUARD, each_case};
use crate::harness::without_date;
use blitz_http::{Body, Config, Handle, Phase, Report, Request, Router, Server, early_hints, now};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpSocket, TcpStream};
use blitz_io::runtime::Backend;
use blitz_io::sync::{Notify, mpsc};
use blitz_io::task::{JoinHandle, yield_now};
use blitz_io::time::timeout;
use http::header::LINK;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use std::future::Future;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Runs a test in a task, on each flavour and back end: on `thread_per_core` the thread that blocks has no ring.
fn in_a_task<F>(test: impl Fn(Case) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    each_case(&FLAVORS, |case| {
        let test = test(case);
        case.runtime().block_on(async {
            let test = blitz_io::spawn(test);
            timeout(crate::backends::patient(GUARD), test)
                .await
                .expect("in time")
                .expect("no panic");
        });
    });
}

/// No limit of time is met by chance.
fn patient() -> Config {
    let mut config = without_date();
    config.timeouts.rate_min = 0;
    config.timeouts.response = HOUR;
    config.timeouts.idle = HOUR;
    config
}

struct Running {
    addr: SocketAddr,
    handle: Handle,
    serving: JoinHandle<Report>,
}

/// A server between which and its clients there is little room, if it is to be so.
async fn serve(router: Router, config: Config, is_narrow: bool) -> Running {
    serve_on(listen(is_narrow), router, config)
}

fn listen(is_narrow: bool) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    if is_narrow {
        socket.set_send_buffer_size(4096).expect("set");
    }
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    socket.listen(64).expect("it listens")
}

fn serve_on(listener: TcpListener, router: Router, config: Config) -> Running {
    let addr = listener.local_addr().expect("an address");
    let server = Server::new().listen(listener).config(config);
    let handle = server.handle();
    let serving = blitz_io::spawn(server.serve(router));
    Running {
        addr,
        handle,
        serving,
    }
}

impl Running {
    async fn client(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.expect("connected")
    }

    async fn narrow_client(&self) -> TcpStream {
        let client = TcpSocket::new_v4().expect("a socket");
        client.set_recv_buffer_size(4096).expect("set");
        client.connect(self.addr).await.expect("connected")
    }

    async fn end(self) {
        self.handle.shut_down(HOUR);
        assert_eq!(self.serving.await.expect("no panic").cut, []);
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

async fn expect(client: &mut TcpStream, text: &str) {
    let mut bytes = vec![0; text.len()];
    let read = client.read_exact(&mut bytes).await;
    let so_far = String::from_utf8_lossy(&bytes);
    assert!(read.is_ok(), "{read:?}: {so_far}");
    assert_eq!(so_far, text);
}

/// So many letters, beginning with one that the number gives.
fn letters(number: usize, len: usize) -> String {
    (0..len)
        .map(|at| char::from(b'a' + ((number + at) % 26) as u8))
        .collect()
}

fn answer(body: &str) -> String {
    let kind = "content-type: text/plain; charset=utf-8";
    format!(
        "HTTP/1.1 200 OK\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn short_and_long_answers_come_in_the_order_of_their_requests() {
    const LENGTHS: [usize; 7] = [10, 3000, 900, 20_000, 1, 1024, 4096];
    in_a_task(|_| async {
        let router = Router::new().get("/{number}", |request: Request| async move {
            let number: usize = request.uri().path()[1..].parse().expect("a number");
            if number % 5 == 4 {
                yield_now().await;
            }
            letters(number, LENGTHS[number % LENGTHS.len()])
        });
        let running = serve(router, patient(), true).await;
        let (mut reads, mut writes) = running.narrow_client().await.into_split();
        let sender = blitz_io::spawn(async move {
            for number in 0..300 {
                let request = get(&format!("/{number}"));
                writes.write_all(request.as_bytes()).await.expect("sent");
                // Some come alone, and some with those before.
                for _ in 0..number % 4 * 10 {
                    yield_now().await;
                }
            }
            writes
        });
        for number in 0..300 {
            let wanted = answer(&letters(number, LENGTHS[number % LENGTHS.len()]));
            let mut bytes = vec![0; wanted.len()];
            reads.read_exact(&mut bytes).await.expect("an answer");
            assert!(bytes == wanted.as_bytes(), "answer {number}");
        }
        drop((reads, sender.await));
        running.end().await;
    });
}

#[test]
fn the_last_answer_reaches_its_client_before_the_end() {
    in_a_task(|_| async {
        let router =
            Router::new()
                .get("/", now(|_| "hello"))
                .post("/", |request: Request| async move {
                    let body = request.into_body().collect().await;
                    body.map(|_| "taken")
                });
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n";
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n", letters(0, 70_000));
        let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        for (status, bad) in [
            ("400 ", "so ein Unsinn\r\n\r\n"),
            ("408 ", "GET / HTT"),
            ("413 ", post),
            ("431 ", &long),
            ("200 ", last),
        ] {
            for together in [true, false] {
                let is_late = status == "408 ";
                let mut config = patient();
                config.timeouts.linger = HOUR;
                if is_late {
                    config.timeouts.head = Duration::from_millis(100);
                }
                let listener = listen(false);
                let addr = listener.local_addr().expect("an address");
                let client = TcpStream::connect(addr);
                let mut client = client.await.expect("connected");
                let good = get("/");
                let (first, second) = match together {
                    true => (format!("{good}{bad}"), ""),
                    false => (good, bad),
                };
                client.write_all(first.as_bytes()).await.expect("sent");
                // From here on it is waited for, and it has said already what is to be in time.
                let running = serve_on(listener, router.clone(), config);
                yield_now().await;
                client.write_all(second.as_bytes()).await.expect("sent");
                if !is_late {
                    // What nobody reads makes a reset of a close that comes too early. It may be refused.
                    let _ = client.write_all(&[b'x'; 50_000]).await;
                }
                expect(&mut client, &answer("hello")).await;
                let mut rest = String::new();
                client.read_to_string(&mut rest).await.expect("an end");
                assert!(rest.starts_with(&format!("HTTP/1.1 {status}")), "{rest}");
                assert!(rest.contains("\r\nconnection: close\r\n"), "{rest}");
                drop(client);
                running.end().await;
            }
        }
    });
}

#[test]
fn what_was_answered_is_sent_though_the_connection_is_dropped() {
    in_a_task(|_| async {
        use blitz_http::{Connection, Peer};

        let listener = TcpSocket::new_v4().expect("a socket");
        listener.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let listener = listener.listen(1).expect("it listens");
        let client = TcpStream::connect(listener.local_addr().expect("an address"));
        let (client, accepted) = futures::join!(client, listener.accept());
        let (mut client, stream) = (client.expect("connected"), accepted.expect("accepted").0);
        let (tell, mut told) = mpsc::unbounded_channel();
        let router = Router::new().get(
            "/",
            now(move |_| {
                tell.send(()).expect("the test is there");
                "hello"
            }),
        );
        let handle = Handle::new(without_date());
        let connection = Connection::new(stream.into_batched(), router, &handle, Peer::default());
        let served = blitz_io::spawn(connection);
        client.write_all(get("/").as_bytes()).await.expect("sent");
        // The handler answers in the poll in which it tells that: an abort comes behind it.
        told.recv().await.expect("a request");
        served.abort();
        drop(served.await);
        expect(&mut client, &answer("hello")).await;
        assert_eq!(client.read(&mut [0]).await.expect("an end"), 0);
    });
}

#[test]
fn hints_and_the_wish_for_a_body_go_out_while_the_handler_waits() {
    in_a_task(|_| async {
        let go = Arc::new(Notify::new());
        let gate = Arc::clone(&go);
        let router = Router::new()
            .get("/", move |_: Request| {
                let gate = Arc::clone(&gate);
                async move {
                    let mut hints = HeaderMap::new();
                    hints.insert(LINK, HeaderValue::from_static("</a>"));
                    assert!(early_hints(hints));
                    gate.notified().await;
                    "hello"
                }
            })
            .post("/", |request: Request| async move {
                blitz_http::Response::new(request.into_body())
            });
        let running = serve(router, patient(), false).await;
        let mut client = running.client().await;
        client.write_all(get("/").as_bytes()).await.expect("sent");
        expect(
            &mut client,
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
        )
        .await;
        go.notify_one();
        expect(&mut client, &answer("hello")).await;
        let post =
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
        client.write_all(post.as_bytes()).await.expect("sent");
        expect(&mut client, "HTTP/1.1 100 Continue\r\n\r\n").await;
        client.write_all(b"abc").await.expect("sent");
        expect(
            &mut client,
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
        )
        .await;
        drop(client);
        running.end().await;
    });
}

#[test]
fn a_body_stops_where_its_client_does_and_stays_whole() {
    const FRAME: usize = 300;
    in_a_task(|_| async {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let router = Router::new().get(
            "/",
            now(move |_| {
                let count = Arc::clone(&count);
                let mut waits = false;
                Body::from_fn(move |cx| {
                    // Each is written alone.
                    waits = !waits;
                    if waits {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    // ORDERING: a number for the test.
                    let number = count.fetch_add(1, Relaxed);
                    let frame = format!("{number:0>width$}", width = FRAME);
                    Poll::Ready(Some(Ok(Frame::data(frame.into()))))
                })
            }),
        );
        let running = serve(router, patient(), true).await;
        let mut client = running.narrow_client().await;
        let ask = "GET / HTTP/1.0\r\n\r\n";
        client.write_all(ask.as_bytes()).await.expect("sent");
        let (mut before, mut still) = (0, 0);
        while still < 20 {
            blitz_io::time::sleep(Duration::from_millis(2)).await;
            // ORDERING: as above.
            let now = made.load(Relaxed);
            still = if now > 0 && now == before {
                still + 1
            } else {
                0
            };
            before = now;
        }
        assert!(before * FRAME < 256 * 1024, "{before} frames for nobody");
        let mut head = [0; 64];
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut head[..1]).await.expect("a head");
            line.push(head[0]);
        }
        for number in 0..5000 {
            expect(&mut client, &format!("{number:0>width$}", width = FRAME)).await;
        }
        drop(client);
        running.end().await;
    });
}

#[test]
fn a_client_that_takes_nothing_is_cut_and_reported_as_such() {
    in_a_task(|_| async {
        let running = serve(Router::new().get("/", now(|_| "hello")), patient(), true).await;
        let mut client = running.narrow_client().await;
        let many = get("/").repeat(10);
        // Until none is taken any more.
        let sends = async {
            loop {
                client.write_all(many.as_bytes()).await.expect("sent");
                yield_now().await;
            }
        };
        let mut sends = Box::pin(sends);
        // For a second in all: the server's thread may be held up where the client's is not.
        let (mut before, mut still) = (0, 0);
        while still < 100 {
            let _ = timeout(Duration::from_millis(10), &mut sends).await;
            let now = running.handle.counters().requests();
            still = if now > 0 && now == before {
                still + 1
            } else {
                0
            };
            before = now;
        }
        running.handle.shut_down(Duration::from_millis(500));
        let cut = running.serving.await.expect("no panic").cut;
        let phases: Vec<_> = cut.iter().map(|cut| cut.phase).collect();
        assert_eq!(phases, [Phase::Response]);
    });
}

/// The price of it, as documented: whoever computes on the thread holds back what others have answered, and does so no longer than it computes.
#[test]
fn a_task_that_computes_holds_answers_back_only_where_they_go_together() {
    each_case(&[Flavor::CurrentThread, Flavor::ThreadPerCore], |case| {
        for batched in [true, false] {
            let (came, comes) = std::sync::mpsc::channel();
            let comes = std::sync::Mutex::new(comes);
            let (tell, told) = std::sync::mpsc::channel();
            let holds = batched && case.backend == Backend::IoUring;
            let long = match holds {
                true => Duration::from_millis(100),
                false => GUARD,
            };
            let comes = Arc::new(comes);
            let router = Router::new().get(
                "/",
                now(move |_| {
                    let (comes, tell) = (Arc::clone(&comes), tell.clone());
                    blitz_io::spawn(async move {
                        let came = comes.lock().expect("no panic").recv_timeout(long);
                        tell.send(came.is_ok()).expect("the test is there");
                    });
                    "hello"
                }),
            );
            let mut builder = case.builder();
            builder.worker_threads(1).batched_writes(batched);
            let runtime = builder.build().expect("a runtime");
            runtime.block_on(async {
                let running = blitz_io::spawn(serve(router, without_date(), false));
                let running = running.await.expect("no panic");
                let addr = running.addr;
                let client = std::thread::spawn(move || {
                    let mut client = std::net::TcpStream::connect(addr).expect("connected");
                    client.write_all(get("/").as_bytes()).expect("sent");
                    let mut bytes = vec![0; answer("hello").len()];
                    client.read_exact(&mut bytes).expect("an answer");
                    assert_eq!(bytes, answer("hello").as_bytes());
                    // Nobody need wait for it any more.
                    let _ = came.send(());
                });
                let joined = blitz_io::task::spawn_blocking(move || client.join());
                joined.await.expect("no panic").expect("no panic");
                running.end().await;
            });
            let came = told.recv().expect("it computed");
            assert_eq!(came, !holds, "{case}, {batched}");
        }
    });
}
