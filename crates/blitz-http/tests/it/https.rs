//! HTTPS on sockets, on each back end and scheduler.

use crate::harness::without_date;
use crate::made::{Authority, authority, connector, localhost};
use crate::sockets::everywhere;
use blitz_http::{Handle, Listener, Report, Request, Router, Server, TlsPeer, now};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::task::JoinHandle;
use blitz_tls::{
    CertificateStore, ClientAuth, Identity, TlsAcceptor, TlsConnector, TlsError, TlsStream,
};
use std::net::SocketAddr;
use std::time::Duration;

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HELLO: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\n\r\nhello";

fn router() -> Router {
    Router::new()
        .get("/", now(|_| "hello"))
        .get("/who", |request: Request| async move {
            let tls = request.extensions().get::<TlsPeer>().cloned();
            let Some(tls) = tls else {
                return "in clear".to_owned();
            };
            let name = tls.server_name().unwrap_or("nobody");
            format!("{name} {}", tls.certificates().len())
        })
        .post("/echo", |request: Request| async move {
            blitz_http::Response::new(request.into_body())
        })
}

/// A server on a port of TLS, and how it ends.
struct Running {
    addr: SocketAddr,
    handle: Handle,
    serving: JoinHandle<Report>,
}

async fn running(acceptor: &TlsAcceptor) -> Running {
    let listener = Listener::bind("127.0.0.1:0").await.expect("a port");
    let server = Server::new()
        .listen(listener.tls(acceptor))
        .config(without_date());
    let (addr, handle) = (server.local_addrs()[0], server.handle());
    let serving = blitz_io::spawn(server.serve(router()));
    Running {
        addr,
        handle,
        serving,
    }
}

impl Running {
    async fn session(&self, connector: &TlsConnector) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.addr).await.expect("connected");
        connector
            .connect("localhost", stream)
            .await
            .expect("a session")
    }

    async fn end(self) {
        self.handle.shut_down(Duration::from_secs(30));
        assert_eq!(self.serving.await.expect("no panic").cut, []);
    }
}

async fn exchange(stream: &mut TlsStream<TcpStream>, bytes: &[u8], answer: &str) {
    stream.write_all(bytes).await.expect("sent");
    stream.flush().await.expect("sent");
    let mut came = vec![0; answer.len()];
    stream.read_exact(&mut came).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&came), answer);
}

fn plain() -> TlsAcceptor {
    TlsAcceptor::builder(localhost().identity())
        .build()
        .expect("an acceptor")
}

fn speaking(protocol: &[u8]) -> TlsConnector {
    let connector = TlsConnector::builder().only_roots(authority().roots());
    connector.alpn([protocol]).build().expect("a connector")
}

#[test]
fn requests_are_answered_and_the_end_is_told() {
    everywhere(|| async {
        let running = running(&plain()).await;
        let mut client = running.session(&speaking(b"http/1.1")).await;
        assert_eq!(client.alpn_protocol(), Some(&b"http/1.1"[..]));
        exchange(&mut client, ASK, HELLO).await;
        // Together, and the last one says that it is.
        let both = [
            ASK,
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        ]
        .concat();
        client.write_all(&both).await.expect("sent");
        client.flush().await.expect("sent");
        let mut rest = String::new();
        client
            .read_to_string(&mut rest)
            .await
            .expect("an end that is one: close_notify");
        assert_eq!(rest.matches("hello").count(), 2);
        client.shutdown().await.expect("shut down");
        assert_eq!(running.handle.counters().requests(), 3);
        running.end().await;
    });
}

#[test]
fn another_protocol_is_refused() {
    everywhere(|| async {
        let running = running(&plain()).await;
        let stream = TcpStream::connect(running.addr).await.expect("connected");
        let failed = speaking(b"h2")
            .connect("localhost", stream)
            .await
            .expect_err("refused");
        assert!(matches!(failed.error(), TlsError::Refused(_)), "{failed:?}");
        drop(failed);
        running.end().await;
    });
}

#[test]
fn a_client_is_known_by_its_certificate() {
    everywhere(|| async {
        let clients = Authority::new("of the clients");
        let acceptor = TlsAcceptor::builder(localhost().identity())
            .client_auth(ClientAuth::Optional(clients.roots()))
            .build()
            .expect("an acceptor");
        let running = running(&acceptor).await;
        let ask = b"GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let is = |text: &str| {
            let length = text.len();
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{text}"
            )
        };
        let mut client = running.session(&connector()).await;
        for _ in 0..2 {
            exchange(&mut client, ask, &is("localhost 0")).await;
        }
        drop(client);
        let own = clients.issue(&["client"]);
        let builder = TlsConnector::builder().only_roots(authority().roots());
        let known = builder
            .identity(own.identity())
            .build()
            .expect("a connector");
        let mut client = running.session(&known).await;
        exchange(&mut client, ask, &is("localhost 1")).await;
        drop(client);
        running.end().await;
    });
}

#[test]
fn new_certificates_are_for_new_connections() {
    everywhere(|| async {
        let folder = tempfile::tempdir().expect("a folder");
        let (cert, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        let write = |made: &crate::made::Made| {
            std::fs::write(&cert, &made.cert).expect("written");
            std::fs::write(&key, &made.key).expect("written");
        };
        write(localhost());
        let store = CertificateStore::new(Identity::from_files(&cert, &key).expect("a pair"));
        let running = running(
            &TlsAcceptor::builder(store.clone())
                .build()
                .expect("an acceptor"),
        )
        .await;
        let mut old = running.session(&connector()).await;
        exchange(&mut old, ASK, HELLO).await;
        // One that is of no use changes nothing.
        std::fs::write(&key, "nothing").expect("written");
        assert!(store.reload().is_err());
        drop(running.session(&connector()).await);
        let other = Authority::new("another one");
        write(&other.issue(&["localhost"]));
        store.reload().expect("new ones");
        let stream = TcpStream::connect(running.addr).await.expect("connected");
        let refused = connector().connect("localhost", stream).await;
        assert!(refused.is_err(), "it is not the old certificate");
        let trusting = TlsConnector::builder()
            .only_roots(other.roots())
            .build()
            .expect("a connector");
        let mut new = running.session(&trusting).await;
        exchange(&mut new, ASK, HELLO).await;
        exchange(&mut old, ASK, HELLO).await;
        drop((old, new));
        running.end().await;
    });
}

#[test]
fn a_session_that_is_cut_is_no_end() {
    everywhere(|| async {
        let running = running(&plain()).await;
        // Half a body, and the connection ends without a word: nobody may take that for the whole.
        let mut client = running.session(&connector()).await;
        client
            .write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
            .await
            .expect("sent");
        client.flush().await.expect("sent");
        client.get_mut().shutdown().await.expect("shut down");
        let mut rest = String::new();
        let end = client.read_to_string(&mut rest).await;
        assert!(!rest.contains("\r\n\r\nhalf") || end.is_err(), "{rest}");
        // Whole requests, and the same end: they were asked, and are answered.
        let mut client = running.session(&connector()).await;
        client.write_all(&[ASK, ASK].concat()).await.expect("sent");
        client.flush().await.expect("sent");
        client.get_mut().shutdown().await.expect("shut down");
        let mut rest = Vec::new();
        let end = client.read_to_end(&mut rest).await;
        let rest = String::from_utf8_lossy(&rest);
        assert_eq!(rest.matches("hello").count(), 2, "{rest} {end:?}");
        drop(client);
        running.end().await;
    });
}

#[test]
fn each_speaks_to_the_wrong_port_and_is_told() {
    everywhere(|| async {
        let clear = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let tls = Listener::bind("127.0.0.1:0")
            .await
            .expect("a port")
            .tls(&plain());
        let server = Server::new()
            .listen(clear)
            .listen(tls)
            .config(without_date());
        let (addrs, handle) = (server.local_addrs(), server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        let mut client = TcpStream::connect(addrs[1]).await.expect("connected");
        client.write_all(ASK).await.expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"),
            "{answer}"
        );
        drop(client);
        let client = TcpStream::connect(addrs[0]).await.expect("connected");
        let failed = connector()
            .connect("localhost", client)
            .await
            .expect_err("no session");
        assert!(matches!(failed.error(), TlsError::PlainHttp), "{failed:?}");
        drop(failed);
        // And each to the right one.
        let client = TcpStream::connect(addrs[1]).await.expect("connected");
        let mut client = connector()
            .connect("localhost", client)
            .await
            .expect("a session");
        exchange(&mut client, ASK, HELLO).await;
        let mut clear = TcpStream::connect(addrs[0]).await.expect("connected");
        clear
            .write_all(b"GET /who HTTP/1.0\r\n\r\n")
            .await
            .expect("sent");
        let mut answer = String::new();
        clear.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.ends_with("in clear"), "{answer}");
        drop((client, clear));
        assert_eq!(handle.counters().handshakes_failed(), 1);
        handle.shut_down(Duration::from_secs(30));
        assert_eq!(serving.await.expect("no panic").cut, []);
    });
}

#[test]
fn a_large_body_goes_both_ways_through_a_session() {
    everywhere(|| async {
        let running = running(&plain()).await;
        let body: Vec<u8> = (0..1_500_000u32).map(|n| (n % 253) as u8).collect();
        let (mut reads, mut writes) = blitz_io::io::split(running.session(&connector()).await);
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let sent = body.clone();
        let sender = blitz_io::spawn(async move {
            writes.write_all(head.as_bytes()).await.expect("sent");
            writes.write_all(&sent).await.expect("sent");
            writes.flush().await.expect("sent");
            writes
        });
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut answer = vec![0; head.len() + body.len()];
        reads.read_exact(&mut answer).await.expect("an answer");
        assert!(answer[head.len()..] == body[..]);
        drop((reads, sender.await));
        running.end().await;
    });
}
