//! A client that goes away while its answer is being made: the handler is dropped, and does not work on for nobody.

use crate::harness::without_date;
use crate::made::{connector, localhost};
use crate::sockets::everywhere;
use blitz_http::{Body, Config, Handle, Listener, Report, Request, Router, Server};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::TcpStream;
use blitz_io::sync::mpsc;
use blitz_io::task::JoinHandle;
use blitz_tls::TlsAcceptor;
use std::net::SocketAddr;
use std::time::Duration;

/// Says that a handler has begun, and when it is dropped that it has ended.
struct Told(mpsc::UnboundedSender<&'static str>);

impl Drop for Told {
    fn drop(&mut self) {
        // Nobody need be there.
        let _ = self.0.send("dropped");
    }
}

struct Running {
    addr: SocketAddr,
    handle: Handle,
    serving: JoinHandle<Report>,
    told: mpsc::UnboundedReceiver<&'static str>,
    go: mpsc::UnboundedSender<()>,
}

async fn running(config: Config, tls: Option<&TlsAcceptor>) -> Running {
    let mut listener = Listener::bind("127.0.0.1:0").await.expect("a port");
    if let Some(acceptor) = tls {
        listener = listener.tls(acceptor);
    }
    let addr = listener.local_addr().expect("an address");
    running_at(listener, addr, config)
}

fn running_at(listener: Listener, addr: SocketAddr, config: Config) -> Running {
    let (tell, told) = mpsc::unbounded_channel();
    let (go, gate) = mpsc::unbounded_channel();
    let gate = std::sync::Arc::new(blitz_io::sync::Mutex::new(gate));
    let never = tell.clone();
    let router = Router::new()
        .get("/", move |_: Request| {
            let (tell, gate) = (tell.clone(), gate.clone());
            async move {
                let told = Told(tell);
                told.0.send("begun").expect("the test is there");
                let _ = gate.lock().await.recv().await;
                drop(told);
                "answered"
            }
        })
        // A stream that has nothing to say, as one of events often has.
        .get("/events", move |_: Request| {
            let told = Told(never.clone());
            told.0.send("begun").expect("the test is there");
            std::future::ready(Body::from_fn(move |_| {
                let _told = &told;
                std::task::Poll::Pending
            }))
        });
    let server = Server::new().listen(listener).config(config);
    let handle = server.handle();
    let serving = blitz_io::spawn(server.serve(router));
    Running {
        addr,
        handle,
        serving,
        told,
        go,
    }
}

impl Running {
    async fn hears(&mut self, what: &str) {
        assert_eq!(self.told.recv().await, Some(what));
    }

    async fn end(self) {
        self.handle.shut_down(Duration::from_secs(30));
        assert_eq!(self.serving.await.expect("no panic").cut, []);
    }
}

#[test]
fn a_reset_ends_the_handler_and_a_body_that_waits() {
    everywhere(|| async {
        let mut running = running(without_date(), None).await;
        for path in ["/", "/events"] {
            let mut client = TcpStream::connect(running.addr).await.expect("connected");
            let ask = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            client.write_all(ask.as_bytes()).await.expect("sent");
            running.hears("begun").await;
            if path == "/events" {
                // Its head is there: nothing is left to write, and a write would hear of it, too.
                let mut head = [0; 12];
                client.read_exact(&mut head).await.expect("a head");
                for _ in 0..200 {
                    blitz_io::task::yield_now().await;
                }
            }
            client.set_zero_linger().expect("set");
            drop(client);
            running.hears("dropped").await;
        }
        assert!(
            running.handle.counters().gone() >= 1,
            "the handler's, for certain"
        );
        running.end().await;
    });
}

#[test]
fn a_reset_ends_a_handler_behind_tls() {
    everywhere(|| async {
        let acceptor = TlsAcceptor::builder(localhost().identity())
            .build()
            .expect("an acceptor");
        let mut running = running(without_date(), Some(&acceptor)).await;
        let stream = TcpStream::connect(running.addr).await.expect("connected");
        let mut client = connector()
            .connect("localhost", stream)
            .await
            .expect("a session");
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        client.flush().await.expect("sent");
        running.hears("begun").await;
        client.get_ref().set_zero_linger().expect("set");
        drop(client);
        running.hears("dropped").await;
        assert_eq!(running.handle.counters().gone(), 1);
        running.end().await;
    });
}

#[test]
fn who_only_sends_no_more_is_answered() {
    everywhere(|| async {
        let mut running = running(without_date(), None).await;
        let mut client = TcpStream::connect(running.addr).await.expect("connected");
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        running.hears("begun").await;
        client.shutdown().await.expect("shut down");
        // The server has had every chance to see that.
        for _ in 0..200 {
            blitz_io::task::yield_now().await;
        }
        running.go.send(()).expect("it waits");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.ends_with("answered"), "{answer}");
        assert_eq!(running.handle.counters().gone(), 0);
        running.end().await;
    });
}

#[cfg(unix)]
#[test]
fn on_a_unix_socket_who_closes_is_gone_and_who_only_sends_no_more_is_answered() {
    use blitz_io::net::{UnixListener, UnixStream};

    everywhere(|| async {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).expect("bound");
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut running = running_at(listener.into(), nowhere, without_date());
        let ask = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

        let mut client = UnixStream::connect(&path).await.expect("connected");
        client.write_all(ask).await.expect("sent");
        running.hears("begun").await;
        drop(client);
        running.hears("dropped").await;
        assert_eq!(running.handle.counters().gone(), 1);

        let mut client = UnixStream::connect(&path).await.expect("connected");
        client.write_all(ask).await.expect("sent");
        running.hears("begun").await;
        client.shutdown().await.expect("shut down");
        for _ in 0..200 {
            blitz_io::task::yield_now().await;
        }
        running.go.send(()).expect("it waits");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.ends_with("answered"), "{answer}");
        running.hears("dropped").await;
        assert_eq!(running.handle.counters().gone(), 1);
        running.end().await;
    });
}

#[test]
fn who_only_sends_no_more_is_gone_where_that_is_wanted() {
    everywhere(|| async {
        let mut config = without_date();
        config.half_close = false;
        let mut running = running(config, None).await;
        let mut client = TcpStream::connect(running.addr).await.expect("connected");
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        running.hears("begun").await;
        client.shutdown().await.expect("shut down");
        running.hears("dropped").await;
        let mut answer = String::new();
        // A reset, or the end.
        let _ = client.read_to_string(&mut answer).await;
        assert_eq!(answer, "");
        assert_eq!(running.handle.counters().gone(), 1);
        running.end().await;
    });
}

#[test]
fn who_asks_more_meanwhile_is_answered_in_order() {
    everywhere(|| async {
        let mut running = running(without_date(), None).await;
        let mut client = TcpStream::connect(running.addr).await.expect("connected");
        for _ in 0..3 {
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .expect("sent");
            running.go.send(()).expect("it is there");
        }
        client.shutdown().await.expect("shut down");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert_eq!(answer.matches("answered").count(), 3, "{answer}");
        for _ in 0..3 {
            running.hears("begun").await;
            running.hears("dropped").await;
        }
        running.end().await;
    });
}
