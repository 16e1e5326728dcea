//! The client on sockets, on each back end.

use super::tls::{authority, localhost, roots};
use crate::backends::{FLAVORS, GUARD, each_case, patient};
use blitz_http::client::{Phase, PoolConfig, Timeouts};
use blitz_http::ws::{CloseCode, Message};
use blitz_http::{Body, Client, Config, Connection, Handle, Peer, Request, Router, Server, now};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::time::timeout;
use blitz_tls::TlsAcceptor;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

/// Runs a test on each flavour and back end.
fn everywhere<F: Future<Output = ()>>(test: impl Fn() -> F) {
    each_case(&FLAVORS, |case| {
        case.runtime()
            .block_on(async { timeout(patient(GUARD), test()).await.expect("in time") });
    });
}

fn client() -> Client {
    Client::builder().no_proxy().build().expect("a client")
}

fn router() -> Router {
    crate::ws::router()
        .get("/", now(|_| "hello"))
        .post("/echo", |request: Request| async move {
            blitz_http::Response::new(request.into_body())
        })
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    (listener, addr)
}

/// Reads a request's head.
async fn head(io: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.expect("a head"));
    }
}

#[test]
fn one_after_the_other_and_many_at_once() {
    everywhere(|| async {
        let server = Server::bind("127.0.0.1:0").await.expect("a port");
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        let client = client();
        let url = format!("http://{addr}/");
        for n in 0..20 {
            let mut response = client.get(&url).send().await.expect("an answer");
            assert_eq!(response.text().await.expect("text"), "hello");
            assert_eq!(
                (response.timings().reused, response.peer_addr()),
                (n > 0, Some(addr))
            );
        }
        let asked: Vec<_> = (0..64)
            .map(|_| {
                let (client, url) = (client.clone(), url.clone());
                blitz_io::spawn(async move {
                    let mut response = client.get(url).send().await.expect("an answer");
                    response.text().await.expect("text")
                })
            })
            .collect();
        for asked in asked {
            assert_eq!(asked.await.expect("no panic"), "hello");
        }
        let state = client.pool_state();
        assert!(
            state.idle >= 1 && state.leased == 0 && state.waiting == 0,
            "{state:?}"
        );
        client.drop_idle();
        handle.shut_down(Duration::from_secs(10));
        assert_eq!(serving.await.expect("no panic").cut, []);
    });
}

#[test]
fn large_bodies_stream_both_ways() {
    everywhere(|| async {
        let server = Server::bind("127.0.0.1:0").await.expect("a port");
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        let client = client();
        let body: Vec<u8> = (0..1_500_000u32).map(|n| (n % 253) as u8).collect();
        for streamed in [false, true] {
            let sent = Body::full(body.clone());
            let sent = if streamed {
                let mut pieces = body
                    .chunks(7000)
                    .map(bytes::Bytes::copy_from_slice)
                    .collect::<std::collections::VecDeque<_>>();
                drop(sent);
                Body::from_fn(move |_| {
                    std::task::Poll::Ready(
                        pieces
                            .pop_front()
                            .map(|piece| Ok(http_body::Frame::data(piece))),
                    )
                })
            } else {
                sent
            };
            let mut response = client
                .post(format!("http://{addr}/echo"))
                .body(sent)
                .send()
                .await
                .expect("an answer");
            let back = response.bytes().await.expect("all of it");
            assert!(back == body, "{} bytes came back", back.len());
        }
        assert_eq!(client.pool_state().idle, 1);
        client.drop_idle();
        handle.shut_down(Duration::from_secs(10));
        drop(serving.await);
    });
}

#[test]
fn tls_on_sockets() {
    let authority = authority();
    let acceptor = TlsAcceptor::builder(localhost(&authority))
        .build()
        .expect("an acceptor");
    let roots = roots(&authority);
    everywhere(|| async {
        let (listener, addr) = listen().await;
        let acceptor = acceptor.clone();
        let serving = blitz_io::spawn(async move {
            loop {
                let (io, _) = listener.accept().await.expect("a client");
                let acceptor = acceptor.clone();
                drop(blitz_io::spawn(async move {
                    let session = acceptor.accept(io).await.expect("a session");
                    let handle = Handle::new(Config::default());
                    // The client goes when it has what it wants.
                    let _ = Connection::new(session, router(), &handle, Peer::default()).await;
                }));
            }
        });
        let builder = Client::builder().no_proxy().only_roots(roots.clone());
        let client = builder
            .resolve("localhost", &[addr])
            .build()
            .expect("a client");
        let body = vec![7; 300_000];
        let sent = client
            .post("https://localhost/echo")
            .body(body.clone())
            .send()
            .await;
        let mut response = sent.expect("an answer");
        assert!(response.bytes().await.expect("all of it") == body);
        assert!(response.timings().tls.is_some());
        let again = client
            .get("https://localhost/")
            .send()
            .await
            .expect("an answer");
        assert!(again.timings().reused);
        let socket = client.websocket("wss://localhost/ws").connect().await;
        let mut socket = socket.expect("a socket");
        let secret = Message::binary(body);
        socket.send(secret.clone()).await.expect("sent");
        assert!(socket.recv().await.expect("no error") == Some(secret));
        socket.close(CloseCode::NORMAL, "").await.expect("closed");
        serving.abort();
    });
}

#[test]
fn the_first_address_that_answers_wins() {
    everywhere(|| async {
        let server = Server::bind("127.0.0.1:0").await.expect("a port");
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        // Bound and not listening: it refuses, and nobody else can get it.
        let dead = blitz_io::net::TcpSocket::new_v4().expect("a socket");
        dead.bind("127.0.0.1:0".parse().expect("an address"))
            .expect("a port");
        let nobody = dead.local_addr().expect("an address");
        let builder = Client::builder().no_proxy();
        let builder = builder.resolve_port("a.example", 80, &[nobody, addr]);
        let client = builder
            .resolve("b.example", &[nobody])
            .build()
            .expect("a client");
        let mut response = client
            .get("http://a.example/")
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.text().await.expect("text"), "hello");
        assert_eq!(response.peer_addr(), Some(addr));
        let error = client
            .get("http://b.example/")
            .send()
            .await
            .expect_err("nobody listens");
        assert_eq!(
            (error.name(), error.phase()),
            ("connect", Some(Phase::Connect))
        );
        let error = client
            .get("http://localhost.invalid/")
            .send()
            .await
            .expect_err("no such name");
        assert_eq!((error.name(), error.phase()), ("dns", Some(Phase::Dns)));
        client.drop_idle();
        handle.shut_down(Duration::from_secs(10));
        drop(serving.await);
    });
}

#[test]
fn resets_and_half_closes_are_told_apart() {
    everywhere(|| async {
        let (listener, addr) = listen().await;
        let serving = blitz_io::spawn(async move {
            for n in 0.. {
                let (mut io, _) = listener.accept().await.expect("a client");
                head(&mut io).await;
                match n {
                    // A reset, with nothing said.
                    0 => io.set_zero_linger().expect("set"),
                    // A reset within the body; read first, so that it is not lost to the reset.
                    1 => {
                        io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
                            .await
                            .expect("sent");
                        io.read_u8().await.expect("the client's mark");
                        io.set_zero_linger().expect("set");
                    }
                    // The server has said all, and hears on.
                    2 => {
                        io.write_all(b"HTTP/1.1 200 OK\r\n\r\nwhole")
                            .await
                            .expect("sent");
                        io.shutdown().await.expect("shut down");
                        let mut rest = Vec::new();
                        // How the client ends is its own affair.
                        let _ = io.read_to_end(&mut rest).await;
                    }
                    // It has said half.
                    _ => {
                        io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
                            .await
                            .expect("sent");
                        io.shutdown().await.expect("shut down");
                    }
                }
            }
        });
        let client = client();
        let url = format!("http://{addr}/");
        let error = client.get(&url).send().await.expect_err("a reset");
        assert_eq!(
            (error.name(), error.phase()),
            ("io", Some(Phase::Head)),
            "{error:?}"
        );
        // The body of the request is a mark that the client sends once it has seen half of the answer.
        let (mark, marked) = blitz_io::sync::oneshot::channel::<()>();
        let mut marked = Box::pin(marked);
        let mut said = false;
        let body = Body::from_fn(move |cx| {
            if said {
                return std::task::Poll::Pending;
            }
            std::task::ready!(marked.as_mut().poll(cx)).expect("it is marked");
            said = true;
            std::task::Poll::Ready(Some(Ok(http_body::Frame::data("x".into()))))
        });
        let mut response = client.post(&url).body(body).send().await.expect("a head");
        assert_eq!(
            response.chunk().await.expect("half").as_deref(),
            Some(&b"half"[..])
        );
        mark.send(()).expect("it is waited for");
        let error = response.chunk().await.expect_err("a reset");
        assert_eq!(
            (error.name(), error.phase()),
            ("io", Some(Phase::Body)),
            "{error:?}"
        );
        let whole = client.get(&url).send().await.expect("a head").text().await;
        assert_eq!(whole.expect("all of it"), "whole");
        let half = client.get(&url).send().await.expect("a head").text().await;
        assert_eq!(half.expect_err("half of it").name(), "truncated");
        let state = client.pool_state();
        assert_eq!((state.idle, state.leased), (0, 0));
        serving.abort();
    });
}

#[test]
fn a_kept_connection_that_the_server_closes_costs_nothing() {
    everywhere(|| async {
        let (listener, addr) = listen().await;
        let serving = blitz_io::spawn(async move {
            loop {
                let (mut io, _) = listener.accept().await.expect("a client");
                head(&mut io).await;
                io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .await
                    .expect("sent");
            }
        });
        let client = client();
        for _ in 0..20 {
            // Found closed, or closed under it: it is sent once more then.
            let sent = client.get(format!("http://{addr}/")).send().await;
            assert_eq!(sent.expect("an answer").status(), 200);
        }
        assert_eq!(client.pool_state().leased, 0);
        serving.abort();
    });
}

#[cfg(unix)]
#[test]
fn a_unix_socket_leads_to_its_server() {
    let folder = std::env::temp_dir().join(format!("blitz-http-client-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("server.sock");
    everywhere(|| async {
        // Left by the case before.
        let _ = std::fs::remove_file(&path);
        let listener = blitz_io::net::UnixListener::bind(&path).expect("a socket");
        let server = Server::new().listen(listener);
        let handle = server.handle();
        let serving = blitz_io::spawn(server.serve(router()));
        let client = Client::builder()
            .unix_socket(&path)
            .build()
            .expect("a client");
        let mut response = client
            .get("http://any.name/")
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.text().await.expect("text"), "hello");
        assert_eq!(response.peer_addr(), None);
        client.drop_idle();
        handle.shut_down(Duration::from_secs(10));
        drop(serving.await);
    });
    std::fs::remove_dir_all(&folder).expect("it goes");
}

#[test]
fn places_are_given_in_turn_on_sockets_too() {
    everywhere(|| async {
        let server = Server::bind("127.0.0.1:0").await.expect("a port");
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        let mut pool = PoolConfig::default();
        pool.connections_per_host_max = 2;
        let client = Client::builder()
            .no_proxy()
            .pool(pool)
            .build()
            .expect("a client");
        let asked: Vec<_> = (0..50)
            .map(|_| {
                let client = client.clone();
                blitz_io::spawn(async move {
                    let mut response = client.get(format!("http://{addr}/")).send().await?;
                    response.bytes().await
                })
            })
            .collect();
        for asked in asked {
            assert_eq!(asked.await.expect("no panic").expect("an answer"), "hello");
        }
        assert!(client.pool_state().opened <= 2, "{:?}", client.pool_state());
        client.drop_idle();
        handle.shut_down(Duration::from_secs(10));
        drop(serving.await);
    });
}

/// A connection's timer is of the runtime on which it waited; the client outlives that.
#[test]
fn a_client_is_used_on_one_runtime_after_another() {
    each_case(&FLAVORS, |case| {
        let serving = case.runtime();
        let server = serving
            .block_on(Server::bind("127.0.0.1:0"))
            .expect("a port");
        let addr = server.local_addrs()[0];
        let url = format!("http://{addr}/");
        let (told, stop) = std::sync::mpsc::channel::<()>();
        let server = std::thread::spawn(move || {
            serving.block_on(async {
                drop(blitz_io::spawn(server.serve(router())));
                let ended = blitz_io::task::spawn_blocking(move || stop.recv());
                let _ = ended.await;
            });
        });
        let client = client();
        for _ in 0..3 {
            let runtime = case.runtime();
            runtime.block_on(async {
                for _ in 0..2 {
                    let answer = async { client.get(&url).send().await?.text().await };
                    let answer = timeout(patient(GUARD), answer).await.expect("in time");
                    assert_eq!(answer.expect("an answer"), "hello");
                }
            });
        }
        drop(told);
        server.join().expect("no panic");
    });
}

/// The runtime on which a kept connection waited before stands still: what the next wait may last holds all the same.
#[test]
fn a_connection_that_waited_elsewhere_is_timed_where_it_is_used() {
    each_case(&FLAVORS, |case| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let client = client();
        let server = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut io, _) = listener.accept().expect("a connection");
            let mut buf = [0; 1024];
            assert_ne!(io.read(&mut buf).expect("a request"), 0);
            io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .expect("it is written");
            // The next request is not answered, on this connection or another.
            while io.read(&mut buf).is_ok_and(|n| n > 0) {}
        });
        let before = case.runtime();
        before.block_on(async {
            let answer = client.get(&url).send().await.expect("an answer");
            assert_eq!(answer.status(), 200);
        });
        let runtime = case.runtime();
        runtime.block_on(async {
            // Of this request alone: the answer to the first may be late on a busy machine.
            let mut timeouts = Timeouts::default();
            timeouts.head = Duration::from_millis(50);
            let request = client.get(&url).timeouts(timeouts);
            let error = timeout(patient(GUARD), request.send()).await;
            let error = error.expect("in time").expect_err("nobody answers");
            assert_eq!(error.phase(), Some(Phase::Head), "{error}");
        });
        drop(client);
        server.join().expect("no panic");
        drop(before);
    });
}
