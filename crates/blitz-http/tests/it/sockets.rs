//! A server on sockets, on each back end.

use crate::backends::{FLAVORS, GUARD, each_case, patient};
use crate::harness::without_date;
use blitz_http::{Request, Router, Server, now, upgrade};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::TcpStream;
use blitz_io::time::timeout;
use std::future::Future;
use std::time::Duration;

/// Runs a test on each flavour and back end.
pub(crate) fn everywhere<F: Future<Output = ()>>(test: impl Fn() -> F) {
    each_case(&FLAVORS, |case| {
        case.runtime()
            .block_on(async { timeout(patient(GUARD), test()).await.expect("in time") });
    });
}

fn router() -> Router {
    Router::new()
        .get("/", now(|_| "hello"))
        .post("/echo", |request: Request| async move {
            blitz_http::Response::new(request.into_body())
        })
        .get("/never", |_| std::future::pending::<&'static str>())
        .get("/upgrade", |mut request: Request| {
            let upgraded = upgrade(&mut request);
            blitz_io::spawn(async move {
                let mut stream = upgraded.await.expect("an upgrade");
                let read = stream.read(&mut [0; 8]).await;
                assert!(read.is_err(), "it is cut: {read:?}");
            });
            std::future::ready(http::StatusCode::SWITCHING_PROTOCOLS)
        })
}

async fn server() -> Server {
    let server = Server::bind("127.0.0.1:0").await.expect("a port");
    server.config(without_date())
}

async fn ask(addr: std::net::SocketAddr, request: &str) -> String {
    let mut client = TcpStream::connect(addr).await.expect("connected");
    client.write_all(request.as_bytes()).await.expect("sent");
    client.shutdown().await.expect("shut down");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[test]
fn clients_that_shut_their_sending_side_are_answered_each_time() {
    everywhere(|| async {
        let server = server().await;
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        for _ in 0..50 {
            let answer = ask(addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
        }
        assert_eq!(handle.counters().connections(), 50);
        handle.shut_down(Duration::from_secs(10));
        assert_eq!(serving.await.expect("no panic").cut, []);
        assert!(
            TcpStream::connect(addr).await.is_err(),
            "nobody listens any more"
        );
    });
}

#[test]
fn a_large_body_goes_both_ways_through_a_socket() {
    everywhere(|| async {
        let server = server().await;
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        let client = TcpStream::connect(addr).await.expect("connected");
        let (mut reads, mut writes) = client.into_split();
        let body: Vec<u8> = (0..1_500_000u32).map(|n| (n % 253) as u8).collect();
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let sent = body.clone();
        let sender = blitz_io::spawn(async move {
            writes.write_all(head.as_bytes()).await.expect("sent");
            writes.write_all(&sent).await.expect("sent");
            writes
        });
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut answer = vec![0; head.len() + body.len()];
        reads.read_exact(&mut answer).await.expect("an answer");
        assert!(answer[head.len()..] == body[..]);
        drop((reads, sender.await));
        handle.shut_down(Duration::from_secs(10));
        serving.await.expect("no panic");
    });
}

#[test]
fn what_is_not_done_at_the_deadline_is_cut_and_reported() {
    everywhere(|| async {
        let server = server().await;
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        let mut never = TcpStream::connect(addr).await.expect("connected");
        never
            .write_all(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        let mut upgraded = TcpStream::connect(addr).await.expect("connected");
        upgraded
            .write_all(
                b"GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            )
            .await
            .expect("sent");
        let mut head = [0; 36];
        upgraded.read_exact(&mut head).await.expect("an answer");
        while handle.counters().requests() < 2 {
            blitz_io::task::yield_now().await;
        }
        handle.shut_down(Duration::from_millis(50));
        let report = serving.await.expect("no panic");
        let mut phases: Vec<_> = report
            .cut
            .iter()
            .map(|cut| format!("{:?}", cut.phase))
            .collect();
        phases.sort();
        assert_eq!(phases, ["Handler", "Upgraded"]);
        assert!(
            report
                .cut
                .iter()
                .any(|cut| cut.peer.addr == never.local_addr().ok())
        );
        // Both ends see it.
        let mut rest = Vec::new();
        let _ = never.read_to_end(&mut rest).await;
        assert_eq!(rest, b"");
        let _ = upgraded.read_to_end(&mut rest).await;
        assert_eq!(rest, b"");
    });
}

#[test]
fn connections_over_the_cap_wait_for_their_turn() {
    everywhere(|| async {
        let mut config = without_date();
        config.connections_max = 1;
        let server = Server::bind("127.0.0.1:0")
            .await
            .expect("a port")
            .config(config);
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        let mut first = TcpStream::connect(addr).await.expect("connected");
        first
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        first.read_exact(&mut [0; 10]).await.expect("an answer");
        let second = blitz_io::spawn(ask(addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        for _ in 0..100 {
            blitz_io::task::yield_now().await;
        }
        assert_eq!(handle.counters().connections(), 1);
        drop(first);
        assert!(second.await.expect("no panic").ends_with("hello"));
        handle.shut_down(Duration::from_secs(10));
        serving.await.expect("no panic");
    });
}

#[cfg(unix)]
#[test]
fn a_unix_socket_serves_beside_tcp() {
    everywhere(|| async {
        let folder = std::env::temp_dir().join(format!("blitz-http-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("socket");
        // One that an earlier run left.
        let _ = std::fs::remove_file(&path);
        let listener = blitz_io::net::UnixListener::bind(&path).expect("bound");
        let server = server().await.listen(listener);
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        let mut client = blitz_io::net::UnixStream::connect(&path)
            .await
            .expect("connected");
        client
            .write_all(b"GET / HTTP/1.0\r\n\r\n")
            .await
            .expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.ends_with("hello"));
        drop(client);
        assert!(ask(addr, "GET / HTTP/1.0\r\n\r\n").await.ends_with("hello"));
        handle.shut_down(Duration::from_secs(10));
        serving.await.expect("no panic");
        std::fs::remove_dir_all(&folder).expect("removed");
    });
}

#[test]
fn a_client_that_speaks_tls_to_a_plain_server_is_told_at_once() {
    everywhere(|| async {
        // So long that what comes in time comes by none of them.
        let mut config = without_date();
        let hour = Duration::from_secs(3600);
        (config.timeouts.head, config.timeouts.linger) = (hour, hour);
        (config.timeouts.rate_grace, config.timeouts.idle) = (hour, hour);
        let server = Server::bind("127.0.0.1:0").await.expect("a port");
        let server = server.config(config);
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
        hello.resize(517, 0);
        for pieces in [&hello[..], &hello[..1]] {
            let mut client = TcpStream::connect(addr).await.expect("connected");
            client.write_all(pieces).await.expect("sent");
            // Its own side stays open: it waits for a hello in return.
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.expect("an end");
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
        handle.shut_down(Duration::from_secs(10));
        serving.await.expect("no panic");
    });
}
