//! What stands before HTTP, over a pipe and in virtual time.

use super::door::{Door, IN_CLEAR};
use crate::peer::{Ends, TlsPeer};
use crate::{Body, Config, Handle, Peer, Phase, Request, Trusted, service_fn};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use blitz_io::task::JoinHandle;
use blitz_io::time::{Instant, sleep};
use blitz_tls::{Identity, Roots, TlsAcceptor, TlsConnector};
use std::io;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

/// A certificate for localhost with its key, as text.
fn made() -> &'static (String, String) {
    static MADE: OnceLock<(String, String)> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        (made.cert.pem(), made.signing_key.serialize_pem())
    })
}

fn by_tls() -> Door {
    let (cert, key) = made();
    let identity = Identity::from_pem(cert.as_bytes(), key.as_bytes()).expect("a pair");
    let acceptor = TlsAcceptor::builder(identity).alpn([&b"h2"[..]]);
    let mut door = Door::default();
    door.speak_tls(&acceptor.build().expect("an acceptor"));
    door
}

fn behind_a_proxy(mut door: Door) -> Door {
    door.expect_header(Trusted::nobody().and("10.0.0.0/8".parse().expect("a range")));
    door
}

fn connector() -> TlsConnector {
    let mut roots = Roots::new();
    roots.add_pem(made().0.as_bytes()).expect("a root");
    let connector = TlsConnector::builder().only_roots(roots);
    connector
        .alpn([blitz_tls::HTTP_1_1])
        .build()
        .expect("a connector")
}

struct Visit {
    io: DuplexStream,
    handle: Handle,
    served: JoinHandle<io::Result<()>>,
    begun: Instant,
}

impl Visit {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).await.expect("it is sent");
    }

    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // What came before a reset counts, too.
        let _ = self.io.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The connection has ended, after so many seconds.
    async fn ended(&mut self, seconds: u64) -> io::Result<()> {
        let end = (&mut self.served).await.expect("no panic");
        assert_eq!(self.begun.elapsed().as_secs(), seconds);
        assert_eq!(self.handle.open(), 0);
        end
    }
}

/// Comes to a door from an address; the service tells who it thinks is there.
fn visit(door: Door, from: [u8; 4]) -> Visit {
    let handle = Handle::new(Config {
        date: false,
        ..Config::default()
    });
    let (io, end) = duplex(1 << 16);
    let peer = Peer::new((from, 1000).into(), ([127, 0, 0, 1], 80).into());
    let seat = handle.seat(peer);
    let service = service_fn(|request: Request| async move {
        let addr = request
            .extensions()
            .get::<Peer>()
            .and_then(|peer| peer.addr);
        let tls = request.extensions().get::<TlsPeer>();
        let name = tls.and_then(TlsPeer::server_name).unwrap_or("nobody");
        let told = format!("{} asks {name}", addr.expect("an address"));
        http::Response::new(Body::from(told))
    });
    let ends = Ends::new(peer);
    let served = match door.speaks_tls() {
        true => blitz_io::spawn(door.enter_by_tls(end, ends, service, handle.clone(), seat)),
        false => {
            let watch = |_: &mut _, _: &mut Context<'_>| Poll::Pending;
            blitz_io::spawn(door.enter(end, watch, ends, service, handle.clone(), seat))
        }
    };
    Visit {
        io,
        handle,
        served,
        begun: Instant::now(),
    }
}

const ASK: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const LINE: &str = "PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n";

#[blitz_io::test(start_paused = true)]
async fn a_client_that_says_nothing_has_the_time_of_a_handshake() {
    let mut visit = visit(by_tls(), [9, 9, 9, 9]);
    assert_eq!(visit.rest().await, "");
    visit.ended(10).await.expect("in good order");
    assert_eq!(visit.handle.counters().timeouts(Phase::Handshake), 1);
    assert_eq!(visit.handle.counters().handshakes_failed(), 0);
}

#[blitz_io::test(start_paused = true)]
async fn a_handshake_that_drips_has_the_time_of_one() {
    let mut visit = visit(by_tls(), [9, 9, 9, 9]);
    // The beginning of a ClientHello of 512 bytes.
    for byte in [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0, 0, 0, 0] {
        if visit.io.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    (&mut visit.served)
        .await
        .expect("no panic")
        .expect("in good order");
    assert_eq!(visit.handle.counters().timeouts(Phase::Handshake), 1);
}

#[blitz_io::test(start_paused = true)]
async fn a_handshake_gives_way_to_the_end() {
    let mut visit = visit(by_tls(), [9, 9, 9, 9]);
    visit.send([22, 3, 1, 2, 0]).await;
    sleep(Duration::from_secs(1)).await;
    visit.handle.shut_down(Duration::from_secs(30));
    visit.ended(1).await.expect("in good order");
}

#[blitz_io::test(start_paused = true)]
async fn who_speaks_in_clear_is_told() {
    let mut visit = visit(by_tls(), [9, 9, 9, 9]);
    visit.send(ASK).await;
    visit.io.shutdown().await.expect("shut down");
    let answer = visit.rest().await;
    assert_eq!(answer.as_bytes(), IN_CLEAR);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    assert!(visit.ended(0).await.is_err());
    assert_eq!(visit.handle.counters().handshakes_failed(), 1);
}

#[blitz_io::test(start_paused = true)]
async fn who_is_refused_does_not_stay() {
    let mut visit = visit(by_tls(), [9, 9, 9, 9]);
    visit.send("SSH-2.0-OpenSSH_9.9\r\n").await;
    let mut alert = [0; 7];
    visit.io.read_exact(&mut alert).await.expect("an alert");
    assert_eq!((alert[0], alert[5]), (21, 2), "a fatal one");
    assert!(visit.ended(2).await.is_err());
    assert_eq!(visit.handle.counters().handshakes_failed(), 1);
}

#[blitz_io::test(start_paused = true)]
async fn a_session_knows_who_was_asked_for() {
    let visit = visit(by_tls(), [9, 9, 9, 9]);
    let mut client = connector()
        .connect("localhost", visit.io)
        .await
        .expect("a session");
    assert_eq!(
        client.alpn_protocol(),
        Some(blitz_tls::HTTP_1_1),
        "whatever the acceptor says"
    );
    client.write_all(ASK.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    client
        .read_to_string(&mut answer)
        .await
        .expect("an end that is one");
    assert!(
        answer.ends_with("\r\n\r\n9.9.9.9:1000 asks localhost"),
        "{answer}"
    );
    client.shutdown().await.expect("shut down");
    visit
        .served
        .await
        .expect("no panic")
        .expect("in good order");
}

#[blitz_io::test(start_paused = true)]
async fn a_proxy_that_says_nothing_is_not_waited_for() {
    let mut visit = visit(behind_a_proxy(Door::default()), [10, 0, 0, 1]);
    for byte in LINE.bytes() {
        if visit.io.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(500)).await;
    }
    (&mut visit.served)
        .await
        .expect("no panic")
        .expect("in good order");
    assert_eq!(visit.handle.counters().timeouts(Phase::ProxyHeader), 1);
    assert_eq!(visit.handle.counters().proxy_headers_refused(), 0);
}

#[blitz_io::test(start_paused = true)]
async fn a_proxy_says_who_it_is() {
    let ends = "\r\n\r\n192.0.2.1:56324 asks nobody";
    let mut one = visit(behind_a_proxy(Door::default()), [10, 0, 0, 1]);
    one.send(format!("{LINE}{ASK}")).await;
    assert!(one.rest().await.ends_with(ends), "in one piece");
    let mut pieces = visit(behind_a_proxy(Door::default()), [10, 0, 0, 1]);
    for piece in format!("{LINE}{ASK}").as_bytes().chunks(3) {
        pieces.send(piece).await;
        sleep(Duration::from_millis(10)).await;
    }
    assert!(pieces.rest().await.ends_with(ends), "in pieces");
    let mut own = visit(behind_a_proxy(Door::default()), [10, 0, 0, 1]);
    own.send(format!("PROXY UNKNOWN\r\n{ASK}")).await;
    assert!(
        own.rest()
            .await
            .ends_with("\r\n\r\n10.0.0.1:1000 asks nobody")
    );
}

#[blitz_io::test(start_paused = true)]
async fn a_proxy_that_does_not_say_is_not_served() {
    for bytes in [
        ASK,
        "PROXY TCP4 192.0.2.1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.9",
    ] {
        let mut visit = visit(behind_a_proxy(Door::default()), [10, 0, 0, 1]);
        visit.send(bytes).await;
        visit.io.shutdown().await.expect("shut down");
        assert_eq!(visit.rest().await, "", "{bytes}");
        assert!(visit.ended(0).await.is_err());
        let counters = visit.handle.counters();
        assert_eq!(counters.proxy_headers_refused(), 1, "{bytes}");
        assert_eq!(counters.timeouts(Phase::ProxyHeader), 0);
        assert_eq!(counters.requests(), 0);
    }
}

#[blitz_io::test(start_paused = true)]
async fn who_is_no_proxy_cannot_say_that_it_is() {
    let mut visit = visit(behind_a_proxy(Door::default()), [9, 9, 9, 9]);
    visit.send(format!("{LINE}{ASK}")).await;
    visit.io.shutdown().await.expect("shut down");
    assert!(visit.rest().await.starts_with("HTTP/1.1 400 "));
}

#[blitz_io::test(start_paused = true)]
async fn a_session_begins_behind_a_header() {
    let mut visit = visit(behind_a_proxy(by_tls()), [10, 0, 0, 1]);
    visit.send(LINE).await;
    // The server has not been polled yet: the client's first flight comes with the header.
    let mut client = connector()
        .connect("localhost", visit.io)
        .await
        .expect("a session");
    client.write_all(ASK.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    client
        .read_to_string(&mut answer)
        .await
        .expect("an end that is one");
    assert!(
        answer.ends_with("\r\n\r\n192.0.2.1:56324 asks localhost"),
        "{answer}"
    );
}

/// What waits is a connection, and little else: not what it came through.
#[test]
fn what_was_passed_is_not_carried_along() {
    use crate::{Connection, Router};

    let handle = Handle::new(Config::default());
    let seat = || handle.seat(Peer::default());
    let watch = |_: &mut _, _: &mut Context<'_>| Poll::Pending;
    let (door, router, io) = (Door::default(), Router::new(), || duplex(1).0);
    let in_clear = door.clone().enter(
        io(),
        watch,
        Ends::default(),
        router.clone(),
        handle.clone(),
        seat(),
    );
    let by_tls = door.enter_by_tls(io(), Ends::default(), router, handle.clone(), seat());
    type Over<I> = Connection<I, Router, Body>;
    for (whole, connection) in [
        (size_of_val(&in_clear), size_of::<Over<DuplexStream>>()),
        (
            size_of_val(&by_tls),
            size_of::<Over<blitz_tls::TlsStream<DuplexStream>>>(),
        ),
    ] {
        assert!(
            whole <= connection + 640,
            "{whole} bytes, {connection} of them a connection"
        );
    }
}
