//! Handlers that look at requests, which stand from one to the next: what they say is what handlers say that take them.

use crate::harness::{Client, connect_with};
use blitz_http::{
    Answer, Body, Config, Connection, Handle, Peer, Request, Response, Router, limited, look, now,
    param,
};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, duplex};
use http::header::{CONNECTION, ETAG};
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain");

/// Says what is in a request.
fn told(request: &Request) -> String {
    let fields: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}={}", value.to_str().expect("text")))
        .collect();
    let peer = request.extensions().get::<Peer>();
    format!(
        "{} {} {:?} {} {} [{}]",
        request.method(),
        request.uri(),
        request.version(),
        peer.and_then(|peer| peer.addr)
            .map_or(0, |addr| addr.port()),
        request.extensions().len(),
        fields.join(","),
    )
}

/// An answer of each kind.
fn answer(request: &Request) -> Answer {
    let field = |name, value| {
        let mut response = Response::new(Body::from("a"));
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
        Answer::from(response)
    };
    match request.uri().path() {
        "/text" => Answer::typed(StatusCode::OK, PLAIN, "text"),
        "/missing" => Answer::typed(StatusCode::NOT_FOUND, PLAIN, "missing"),
        "/empty" => Answer::typed(StatusCode::OK, PLAIN, ""),
        "/none" => Answer::typed(StatusCode::NO_CONTENT, PLAIN, ""),
        "/unchanged" => Answer::typed(StatusCode::NOT_MODIFIED, PLAIN, ""),
        "/early" => Answer::typed(StatusCode::EARLY_HINTS, PLAIN, "early"),
        "/large" => Answer::typed(StatusCode::OK, PLAIN, vec![b'l'; 100_000]),
        "/etag" => field(ETAG, "e"),
        "/close" => field(CONNECTION, "close"),
        "/stream" => {
            let mut left = 3;
            let body = Body::from_fn(move |_| {
                left -= 1;
                let frame = http_body::Frame::data(bytes::Bytes::from_static(b"piece"));
                std::task::Poll::Ready((left >= 0).then_some(Ok(frame)))
            });
            Answer::typed(StatusCode::OK, PLAIN, body)
        }
        "/panic" => panic!("as it should"),
        _ => Answer::typed(StatusCode::OK, PLAIN, told(request)),
    }
}

const PATHS: [&str; 12] = [
    "/text",
    "/missing",
    "/empty",
    "/none",
    "/unchanged",
    "/early",
    "/large",
    "/etag",
    "/close",
    "/stream",
    "/panic",
    "/told",
];

fn looking() -> Router {
    let mut router = Router::new().get(
        "/names/{name}",
        look(|request| param(request, "name").unwrap_or_default().to_owned()),
    );
    for path in PATHS {
        router = router.any(path, limited(1 << 20, look(answer)));
        router = router.get(path, look(answer)).post(path, look(answer));
    }
    router = router.head("/text", look(answer));
    router.fallback(look(answer))
}

fn taking() -> Router {
    let mut router = Router::new().get(
        "/names/{name}",
        now(|request: Request| param(&request, "name").unwrap_or_default().to_owned()),
    );
    let taken = || now(|request: Request| answer(&request));
    for path in PATHS {
        router = router.any(path, limited(1 << 20, taken()));
        router = router.get(path, taken()).post(path, taken());
    }
    router = router.head("/text", taken());
    router.fallback(taken())
}

/// What comes of it, without the dates, and how many requests there were.
async fn said(router: Router, config: Config, parts: &[String]) -> (String, u64) {
    let mut client: Client = connect_with(router, config, 1 << 22);
    for part in parts {
        client.send(part).await;
        // They come one by one, and what is answered is.
        blitz_io::time::sleep(Duration::from_millis(1)).await;
    }
    client.io.shutdown().await.expect("it is shut down");
    let handle = client.handle.clone();
    let all = client.rest().await;
    let lines = all.split_inclusive("\r\n");
    let undated = lines.filter(|line| !line.starts_with("date: ")).collect();
    (undated, handle.counters().requests())
}

#[blitz_io::test(start_paused = true)]
async fn what_is_looked_at_is_answered_as_what_is_taken() {
    let wires = |method: &str, path: &str, more: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
        let other = format!("GET /told?{path} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
        let body = "POST /told HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
        let old = "GET /told HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
        let eight = vec![head.clone(); 8];
        // One by one; together; with others between and behind them; cut in two; with lines between.
        vec![
            eight.clone(),
            vec![head.repeat(8); 3],
            vec![head.repeat(8), other.repeat(3), head.repeat(8)],
            vec![
                head.repeat(8),
                body.repeat(2),
                head.clone(),
                old.to_owned(),
                head.clone(),
            ],
            [
                eight.clone(),
                vec![head[..9].to_owned(), head[9..].to_owned(), head.repeat(3)],
            ]
            .concat(),
            [
                eight.clone(),
                vec![format!("\r\n{head}{head}"), head.clone()],
            ]
            .concat(),
            [eight, vec![format!("{head}\0"), head.clone()]].concat(),
        ]
    };
    let narrow = |config: &mut Config| config.requests_max = 7;
    let undated = |config: &mut Config| config.date = false;
    let changes: [&dyn Fn(&mut Config); 3] = [&|_| {}, &narrow, &undated];
    for path in PATHS.iter().chain(&["/names/x", "/nothing", "*"]) {
        for (method, more) in [
            ("GET", ""),
            ("GET", "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\n"),
            ("GET", "Connection: close\r\n"),
            ("GET", "Connection: upgrade\r\nUpgrade: x\r\n"),
            ("GET", "Expect: 100-continue\r\n"),
            ("HEAD", ""),
            ("OPTIONS", ""),
            ("PUT", ""),
            ("POST", "Content-Length: 0\r\n"),
        ] {
            for parts in wires(method, path, more) {
                for change in changes {
                    let mut config = Config::default();
                    change(&mut config);
                    let looked = said(looking(), config.clone(), &parts).await;
                    let taken = said(taking(), config, &parts).await;
                    assert_eq!(looked, taken, "{method} {path} {more} {parts:?}");
                }
            }
        }
    }
}

/// Many clients on one thread say the same, to two servers, by turns.
#[blitz_io::test(start_paused = true)]
async fn a_request_that_stands_says_who_asks_and_whom() {
    let handle = Handle::new(Config::default());
    let mut clients = Vec::new();
    // The same paths, in another order: the place of one is another's in the other.
    let routers = [["/", "/b", "/c"], ["/", "/c", "/b"]].map(|paths| {
        let told = |path: &'static str| {
            look(move |request: &Request| format!("{paths:?} {path} {} .", told(request)))
        };
        paths
            .into_iter()
            .fold(Router::new(), |router, path| router.get(path, told(path)))
    });
    for port in 1..9 {
        let (client, end) = duplex(1 << 16);
        let peer = Peer::new(([127, 0, 0, 1], port).into(), ([127, 0, 0, 1], 80).into());
        // Neighbours are mostly of one server.
        let router = routers[usize::from(port > 4)].clone();
        blitz_io::spawn(Connection::new(end, router, &handle, peer));
        clients.push((port, client));
    }
    for round in 0..30 {
        for (port, client) in &mut clients {
            let path = if round / 10 == 1 { "/b" } else { "/" };
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n",
                round / 15
            );
            client
                .write_all(request.repeat(2).as_bytes())
                .await
                .expect("sent");
            let paths = [["/", "/b", "/c"], ["/", "/c", "/b"]][usize::from(*port > 4)];
            let expected = format!(
                "\r\n\r\n{paths:?} {path} GET {path} HTTP/1.1 {port} 1 [host=h,a={}] .",
                round / 15
            );
            let mut answers = String::new();
            while answers.matches(" .").count() < 2 {
                let mut buf = [0; 1024];
                let n = client.read(&mut buf).await.expect("an answer");
                answers += str::from_utf8(&buf[..n]).expect("text");
            }
            assert_eq!(answers.matches(&expected).count(), 2, "{answers}");
        }
    }
}

/// A thread that has looked holds no server's handlers.
#[blitz_io::test(start_paused = true)]
async fn what_stands_keeps_no_handler() {
    let held = Arc::new(());
    let of = Arc::clone(&held);
    let router = Router::new().get("/", look(move |_| format!("{}", Arc::strong_count(&of))));
    let wire = ["GET / HTTP/1.1\r\nHost: held\r\n\r\n".repeat(9)];
    let (answers, count) = said(router, Config::default(), &wire).await;
    assert!(answers.ends_with("\r\n\r\n2") && count == 9, "{answers}");
    blitz_io::task::yield_now().await;
    assert_eq!(Arc::strong_count(&held), 1);
}

#[blitz_io::test(start_paused = true)]
async fn a_look_that_panics_is_500_each_time_and_counted() {
    let asked = AtomicUsize::new(0);
    let router = Router::new().get(
        "/",
        look(move |_| {
            // ORDERING: Relaxed: one thread.
            let number = asked.fetch_add(1, Relaxed);
            assert!(number % 3 != 2, "as it should");
            (PLAIN, "fine")
        }),
    );
    let mut client = connect_with(router, Config::default(), 1 << 20);
    let handle = client.handle.clone();
    let wire = "GET / HTTP/1.1\r\nHost: panics\r\n\r\n";
    client.send(wire.repeat(30)).await;
    client.io.shutdown().await.expect("it is shut down");
    let answers = client.rest().await;
    let statuses: Vec<_> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(statuses, ["200", "200", "500"].repeat(10));
    assert_eq!(handle.counters().panics(), 10);
    assert_eq!(handle.counters().requests(), 30);
}

/// The last answer says that it is.
#[blitz_io::test(start_paused = true)]
async fn a_server_that_ends_says_so_to_what_stands() {
    let stops = Arc::new(std::sync::OnceLock::<Handle>::new());
    let of = Arc::clone(&stops);
    let asked = AtomicUsize::new(0);
    let router = Router::new().get(
        "/",
        look(move |_| {
            // ORDERING: as above.
            if asked.fetch_add(1, Relaxed) == 9 {
                of.get()
                    .expect("it is set")
                    .shut_down(Duration::from_secs(9));
            }
            (PLAIN, "fine")
        }),
    );
    let mut client = connect_with(router, Config::default(), 1 << 20);
    assert!(stops.set(client.handle.clone()).is_ok());
    let wire = "GET / HTTP/1.1\r\nHost: ends\r\n\r\n";
    client.send(wire.repeat(20)).await;
    let answers = client.rest().await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 10, "{answers}");
    assert_eq!(answers.matches("connection: close").count(), 1);
}
