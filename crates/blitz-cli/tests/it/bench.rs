//! `blitz bench`: what it counts, of servers that answer and of servers that lie; what it writes, and how it ends.

use blitz_http::ws::{self, WebSocket};
use blitz_http::{Listener, Request, Router, Server, now, reply};
use blitz_io::net::TcpSocket;
use blitz_io::runtime::{Builder, Runtime};
use blitz_tls::{Identity, TlsAcceptor};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take that should take no time.
const GUARD: Duration = Duration::from_secs(60);

/// A server of ours in this process, which ends with the test.
struct Hello {
    addr: SocketAddr,
    asked: Arc<AtomicU64>,
    _runtime: Runtime,
}

impl Hello {
    fn start() -> Hello {
        Hello::with(|listener| listener)
    }

    fn with(dress: impl FnOnce(Listener) -> Listener) -> Hello {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let asked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&asked);
        let router = Router::new().get(
            "/",
            now(move |request| {
                counted.fetch_add(1, Ordering::Relaxed);
                reply(request, "Hello, World!")
            }),
        );
        let router = router.get(
            "/ws",
            now(|mut request: Request| ws::accept(&mut request).run(echo)),
        );
        let addr = runtime.block_on(async {
            let listener = Listener::bind("127.0.0.1:0").await.expect("a port");
            let server = Server::new().listen(dress(listener));
            let addr = server.local_addrs()[0];
            blitz_io::spawn(server.serve(router));
            addr
        });
        Hello {
            addr,
            asked,
            _runtime: runtime,
        }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn echo(mut socket: WebSocket) -> Result<(), ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

/// A server that does to each connection what it is told; it ends with the tests.
fn liar(lie: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let lie = Arc::new(lie);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, lie) = (stream.expect("a client"), Arc::clone(&lie));
            std::thread::spawn(move || lie(&mut stream));
        }
    });
    addr
}

/// Reads a request without a body; none if the client has gone.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

fn send(stream: &mut TcpStream, bytes: &str) {
    // A client that has gone is seen by the next read.
    let _ = stream.write_all(bytes.as_bytes());
}

/// An address that refuses: it is bound, so that nobody else gets it, and nobody listens there while the socket lives.
pub(crate) fn nobody() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let addr = socket.local_addr().expect("an address");
    (socket, addr)
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn command(url: &str, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blitz"));
    command.arg("bench").arg(url).args(words);
    command.stdin(Stdio::null());
    command
}

fn bench(url: &str, words: &[&str]) -> Output {
    command(url, words).output().expect("it starts")
}

/// Runs it with `--json`; returns whether it ended well, and the report.
fn report(addr: SocketAddr, words: &[&str]) -> (bool, Value) {
    let words = [words, &["--json"]].concat();
    let output = bench(&format!("http://{addr}/"), &words);
    let said = String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_slice(&output.stdout);
    let json = json.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    // It is no terminal, so nothing is drawn.
    assert!(!said.contains('\r'), "{said}");
    assert_eq!(said.is_empty(), output.status.success(), "{said}");
    (output.status.success(), json)
}

#[test]
fn each_request_is_sent_once_and_counted() {
    let server = Hello::start();
    for (words, connections, each) in [
        (&["-n", "500", "-c", "4", "--workers", "2"][..], 4, 1),
        (&["-n", "501", "-c", "2", "--pipeline", "16"], 2, 1),
        (&["-n", "50", "-c", "3", "--no-keepalive"], 50, 1),
        (&["-n", "30", "-c", "3", "--rate", "300"], 3, 1),
    ] {
        let before = server.asked();
        let (well, json) = report(server.addr, words);
        let wanted: u64 = words[1].parse().expect("a number");
        assert!(well, "{json}");
        assert_eq!(json["answers"], wanted, "{json}");
        assert_eq!(
            (&json["errors"], &json["unfinished"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(json["statuses"], json!({ "200": wanted }));
        assert_eq!(json["connections_opened"], connections, "{json}");
        assert_eq!(server.asked() - before, wanted * each);
        let latency = &json["latency_ms"];
        let ms = |name: &str| latency[name].as_f64().expect("a number");
        assert!(ms("min") > 0.0 && ms("min") <= ms("p50"), "{latency}");
        assert!(
            ms("p50") <= ms("p99") && ms("p99") <= ms("max"),
            "{latency}"
        );
    }
}

#[test]
fn a_rate_is_kept_and_a_duration_ends_it() {
    let server = Hello::start();
    let (_, json) = report(server.addr, &["-n", "51", "-c", "2", "--rate", "100"]);
    assert_eq!(json["answers"], 51);
    // The last is due after half a second.
    let seconds = json["seconds"].as_f64().expect("a number");
    assert!((0.5..GUARD.as_secs_f64()).contains(&seconds), "{seconds}");
    let before = server.asked();
    let (_, json) = report(server.addr, &["--duration", "300ms", "-c", "2"]);
    let number = |name: &str| json[name].as_u64().expect("a number");
    let asked = server.asked() - before;
    // What was asked last may not have been answered; how much that is in the time is the machine's affair.
    let counted = number("answers")..=number("answers") + number("unfinished");
    assert!(counted.contains(&asked), "{asked}: {json}");
    let seconds = json["seconds"].as_f64().expect("a number");
    assert!((0.3..GUARD.as_secs_f64()).contains(&seconds), "{seconds}");
}

#[test]
fn method_fields_and_body_are_sent() {
    let addr = liar(|stream| {
        while let Some(head) = request(stream) {
            let mut body = [0; 3];
            let is_right = stream.read_exact(&mut body).is_ok()
                && &body == b"a=b"
                && head.starts_with("PUT /x?y HTTP/1.1\r\n")
                && head.contains("\r\nx-a: b\r\n")
                && head.contains("\r\ncontent-length: 3\r\n");
            let status = if is_right { "200 OK" } else { "400 Bad" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            send(stream, &answer);
        }
    });
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "a=b").expect("it is written");
    let from_file = format!("@{}", file.path().display());
    for data in ["a=b", &from_file] {
        let words = [
            "-X", "PUT", "-H", "X-A: b", "-d", data, "-n", "5", "-c", "1", "--json",
        ];
        let output = bench(&format!("http://{addr}/x?y"), &words);
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(json["statuses"], json!({ "200": 5 }));
    }
}

#[test]
fn tls_is_spoken_and_certificates_are_verified() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it is made");
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let identity = Identity::from_pem(cert.as_bytes(), key.as_bytes()).expect("an identity");
    let acceptor = TlsAcceptor::builder(identity).build().expect("an acceptor");
    let server = Hello::with(|listener| listener.tls(&acceptor));
    let url = format!("https://localhost:{}/", server.addr.port());
    let root = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(root.path(), cert).expect("it is written");
    let root = root.path().to_str().expect("text");
    for trust in [&["--insecure"][..], &["--cacert", root]] {
        for more in [&[][..], &["--no-keepalive"]] {
            let words = [trust, more, &["-n", "20", "-c", "2", "--json"]].concat();
            let output = bench(&url, &words);
            let json: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{error}: {output:?}"));
            assert_eq!((&json["answers"], &json["errors"]), (&json!(20), &json!(0)));
        }
    }
    let output = bench(&url, &["-n", "20"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("no connection to") && said.contains("certificate"),
        "{said}"
    );
}

#[test]
fn messages_of_a_websocket_are_answered_by_messages() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it is made");
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let identity = Identity::from_pem(cert.as_bytes(), key.as_bytes()).expect("an identity");
    let acceptor = TlsAcceptor::builder(identity).build().expect("an acceptor");
    let (plain, tls) = (
        Hello::start(),
        Hello::with(|listener| listener.tls(&acceptor)),
    );
    for (url, trust) in [
        (format!("ws://{}/ws", plain.addr), &[][..]),
        (format!("wss://localhost:{}/ws", tls.addr.port()), &["-k"]),
    ] {
        for more in [
            &["-c", "3"][..],
            &["-c", "2", "--pipeline", "7"],
            &["--rate", "2000"],
        ] {
            let words = [trust, more, &["-n", "301", "-d", "hello", "--json"]].concat();
            let output = bench(&url, &words);
            let json: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{error}: {output:?}"));
            assert!(output.status.success(), "{output:?}");
            assert_eq!(
                (&json["answers"], &json["errors"]),
                (&json!(301), &json!(0))
            );
            assert_eq!(
                (&json["method"], &json["statuses"]),
                (&json!("WebSocket"), &json!({}))
            );
            assert_eq!(json["bytes"], 301 * 7, "{json}");
        }
    }
    // One that has no socket there.
    let output = bench(&format!("ws://{}/", plain.addr), &["-n", "20"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("no connection to"), "{said}");
    let output = bench(&format!("ws://{}/ws", plain.addr), &["--no-keepalive"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--no-keepalive and --method"), "{said}");
}

#[test]
fn every_lie_is_counted_by_its_kind() {
    type Lie = fn(&mut TcpStream);
    let lies: [(&str, Lie); 6] = [
        ("closed", |stream| drop(request(stream))),
        ("closed", |stream| {
            if request(stream).is_some() {
                send(stream, &ANSWER[..ANSWER.len() - 1]);
            }
        }),
        ("reset", |stream| {
            // What was not read makes it a reset.
            let mut byte = [0];
            let _ = stream.read(&mut byte);
        }),
        ("garbled", |stream| {
            if request(stream).is_some() {
                send(stream, "SSH-2.0-OpenSSH_9.9\r\n");
                // Otherwise it might be a reset.
                request(stream);
            }
        }),
        ("garbled", |stream| {
            if request(stream).is_some() {
                let more = ANSWER.replace("Content-Length: 2", "Content-Length: 1");
                send(stream, &more);
                request(stream);
            }
        }),
        ("timed_out", |stream| while request(stream).is_some() {}),
    ];
    for (kind, lie) in lies {
        let addr = liar(lie);
        // A busy machine may be late with every other lie.
        let timeout = if kind == "timed_out" { "200ms" } else { "60s" };
        let (_, json) = report(addr, &["-n", "3", "-c", "1", "--timeout", timeout]);
        assert!(
            json["failures"][kind]["count"].as_u64() >= Some(1),
            "{kind}: {json}"
        );
        assert_eq!(
            json["failures"].as_object().map(|all| all.len()),
            Some(1),
            "{kind}: {json}"
        );
    }
}

#[test]
fn where_nothing_is_answered_it_ends_with_a_failure() {
    let addr = liar(|stream| drop(request(stream)));
    let (well, json) = report(addr, &["-n", "5", "-c", "1"]);
    assert!(!well);
    assert_eq!(json["failures"]["closed"]["count"], 5, "{json}");
    assert_eq!(
        (&json["answers"], &json["error_share"]),
        (&json!(0), &json!(1.0))
    );
}

#[test]
fn a_server_that_closes_is_connected_to_again() {
    let silently = |stream: &mut TcpStream| {
        if request(stream).is_some() {
            send(stream, ANSWER);
        }
    };
    let politely = |stream: &mut TcpStream| {
        if request(stream).is_some() {
            send(
                stream,
                &ANSWER.replace("OK\r\n", "OK\r\nConnection: close\r\n"),
            );
        }
    };
    let to_the_end = |stream: &mut TcpStream| {
        if request(stream).is_some() {
            send(stream, "HTTP/1.1 200 OK\r\n\r\nall of it");
        }
    };
    for addr in [liar(silently), liar(politely), liar(to_the_end)] {
        // Each of two workers has its half of the requests. One with both connections may have the first do all of them in one poll, if the
        // server is always quicker than the next look, and then the second was opened for nothing.
        let (well, json) = report(addr, &["-n", "20", "-c", "2", "--workers", "2"]);
        assert!(well, "{json}");
        assert_eq!((&json["answers"], &json["errors"]), (&json!(20), &json!(0)));
        assert_eq!(
            json["connections_opened"], 20,
            "one for each answer: {json}"
        );
    }
}

#[test]
fn other_statuses_are_errors() {
    let server = Hello::start();
    let output = bench(
        &format!("http://{}/nowhere", server.addr),
        &["-n", "10", "-c", "1"],
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("statuses     404: 10\n"), "{text}");
    assert!(text.contains("errors       10 (100.000 %)\n"), "{text}");
}

#[test]
fn objectives_decide_how_it_ends() {
    let server = Hello::start();
    let url = format!("http://{}/", server.addr);
    let met = bench(
        &url,
        &[
            "-n",
            "50",
            "-c",
            "2",
            "--slo",
            "errors<0.1%, max<60s, rate>0.1",
        ],
    );
    assert!(met.status.success(), "{met:?}");
    assert_eq!(
        String::from_utf8_lossy(&met.stdout)
            .matches("  met ")
            .count(),
        3
    );
    let missed = bench(
        &url,
        &["-n", "50", "-c", "2", "--slo", "errors<1,rate>1e12"],
    );
    assert_eq!(missed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&missed.stderr);
    assert!(said.contains("missed: rate>1e12 (it is "), "{said}");
    let text = String::from_utf8_lossy(&missed.stdout);
    assert!(text.contains("MISSED rate>1e12"), "{text}");
}

#[test]
fn the_page_is_written() {
    let server = Hello::start();
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("report.html");
    let page = page.to_str().expect("text");
    let url = format!("http://{}/", server.addr);
    let output = bench(&url, &["-n", "50", "-c", "2", "--html", page]);
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(page).expect("it is there");
    assert!(text.starts_with("<!doctype html>") && text.ends_with("</body></html>\n"));
    assert_eq!(text.matches("<svg ").count(), 4);
    let nowhere = folder.path().join("no/such/folder.html");
    let before = server.asked();
    let output = bench(&url, &["--html", nowhere.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(server.asked(), before, "it has not begun");
}

#[test]
#[cfg(unix)]
fn a_signal_ends_it_with_the_report() {
    let server = Hello::start();
    let url = format!("http://{}/", server.addr);
    let mut child = command(&url, &["--duration", "10m", "-c", "2", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let begun = Instant::now();
    while server.asked() == 0 {
        assert!(begun.elapsed() < GUARD, "no request came");
        std::thread::yield_now();
    }
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(sent.expect("kill starts").success());
    let mut text = String::new();
    let mut output = child.stdout.take().expect("it is piped");
    output.read_to_string(&mut text).expect("text");
    assert!(child.wait().expect("it ends").success());
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["interrupted"], true);
    assert_eq!(json["errors"], 0);
    assert!(begun.elapsed() < GUARD);
}

#[test]
fn what_cannot_be_done_is_said() {
    let (_bound, nobody) = nobody();
    let nobody = format!("http://{nobody}/");
    for (url, words, said) in [
        (nobody.as_str(), &[][..], "no connection to 127.0.0.1:"),
        ("http://host.invalid/", &[], "host.invalid"),
        ("ftp://a/", &[], "only http, https, ws and wss"),
        ("http://a/", &["--conections", "5"], "`--conections`"),
        ("http://a/", &["--slo", "p99"], "--slo wants"),
        ("https://a/", &["--cacert", "no/such/file"], "no/such/file"),
    ] {
        let output = bench(url, words);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{url}: {error}");
        assert!(error.contains(said), "{url}: {error}");
    }
    let help = bench("--help", &[]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("blitz bench URL"));
}
