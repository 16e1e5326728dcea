//! How sockets end, and how long that may take: in virtual time.

use super::{Raw, by_hand};
use crate::harness::connect;
use blitz_http::ws::{Agreed, CloseCode, Config, Message, Role, WebSocket, accept};
use blitz_http::{Request, Router, now};
use blitz_http_proto::ws::Event;
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, duplex};
use blitz_io::sync::oneshot;
use blitz_io::time::{Instant, sleep};
use std::time::Duration;

fn seconds(since: Instant) -> u64 {
    since.elapsed().as_secs_f64().round() as u64
}

#[blitz_io::test(start_paused = true)]
async fn who_says_nothing_after_a_ping_is_dead() {
    let (mut socket, mut raw) = by_hand(Config::default(), 1 << 16);
    let begun = Instant::now();
    let error = socket.recv().await.expect_err("nobody is there");
    assert!(error.is_timeout(), "{error}");
    assert_eq!(seconds(begun), 40);
    assert!(matches!(raw.event().await, Some(Event::Ping(_))));
    assert_eq!(socket.recv().await.expect("it was said"), None);
    assert!(
        socket
            .send(Message::text("x"))
            .await
            .unwrap_err()
            .is_closed()
    );
}

#[blitz_io::test(start_paused = true)]
async fn whoever_answers_lives_and_is_timed() {
    let (socket, mut raw) = by_hand(Config::default(), 1 << 16);
    let (sender, mut receiver) = socket.split();
    assert_eq!(sender.rtt(), None);
    let receiving = blitz_io::spawn(async move { receiver.recv().await.map(|_| receiver) });
    let begun = Instant::now();
    for n in 1..=20 {
        let Some(Event::Ping(payload)) = raw.event().await else {
            panic!("no ping");
        };
        assert_eq!(seconds(begun), 30 * n);
        sleep(Duration::from_secs(3)).await;
        raw.send(|encoder, out| encoder.pong(&payload, out)).await;
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(sender.rtt().map(|rtt| rtt.as_millis() / 10), Some(300));
    // Something else than a pong is life as well, and says nothing about the time.
    let Some(Event::Ping(_)) = raw.event().await else {
        panic!("no ping");
    };
    raw.send(|encoder, out| encoder.pong(b"lie", out)).await;
    assert!(matches!(raw.event().await, Some(Event::Ping(_))));
    assert_eq!(sender.rtt().map(|rtt| rtt.as_millis() / 10), Some(300));
    raw.send(|encoder, out| encoder.message(&Message::text("end"), out))
        .await;
    receiving.await.expect("no panic").expect("received");
}

#[blitz_io::test(start_paused = true)]
async fn without_pings_nobody_is_dead() {
    let mut config = Config::default();
    config.ping_interval = Duration::ZERO;
    let (mut socket, mut raw) = by_hand(config, 1 << 16);
    let receiving = blitz_io::spawn(async move { socket.recv().await });
    sleep(Duration::from_secs(100_000)).await;
    raw.send(|encoder, out| encoder.message(&Message::text("here"), out))
        .await;
    raw.says_nothing().await;
    let message = receiving.await.expect("no panic").expect("no error");
    assert_eq!(message, Some(Message::text("here")));
}

impl Raw {
    /// Nothing has come.
    async fn says_nothing(&mut self) {
        let nothing = blitz_io::time::timeout(Duration::from_millis(1), self.event()).await;
        assert!(!matches!(nothing, Ok(Some(_))), "{nothing:?}");
    }
}

#[blitz_io::test(start_paused = true)]
async fn who_takes_nothing_of_a_message_is_dead_too() {
    let (mut socket, _raw) = by_hand(Config::default(), 64);
    let begun = Instant::now();
    let sent = socket.send(Message::binary(vec![0; 100_000])).await;
    assert!(sent.expect_err("nobody takes it").is_timeout());
    assert_eq!(seconds(begun), 40);
    assert!(socket.recv().await.expect_err("it is dead").is_timeout());
}

/// Its ping stands behind what it is still taking.
#[blitz_io::test(start_paused = true)]
async fn who_takes_a_long_message_slowly_lives() {
    let (socket, mut raw) = by_hand(Config::default(), 1000);
    let (mut sender, mut receiver) = socket.split();
    let receiving = blitz_io::spawn(async move { receiver.recv().await });
    let sending = blitz_io::spawn(async move {
        sender
            .send(Message::binary(vec![1; 100_000]))
            .await
            .map(|()| sender)
    });
    for _ in 0..99 {
        let mut some = vec![0; 1000];
        raw.io.read_exact(&mut some).await.expect("read");
        raw.input.extend_from_slice(&some);
        sleep(Duration::from_secs(2)).await;
    }
    assert!(matches!(raw.event().await, Some(Event::Message(_))));
    let _sender = sending.await.expect("no panic").expect("sent");
    raw.send(|encoder, out| encoder.message(&Message::text("I live"), out))
        .await;
    let message = receiving.await.expect("no panic").expect("no error");
    assert_eq!(message, Some(Message::text("I live")));
}

#[blitz_io::test(start_paused = true)]
async fn a_close_is_answered_and_ends_the_connection() {
    let (mut socket, mut raw) = by_hand(Config::default(), 1 << 16);
    raw.send(|encoder, out| {
        encoder.message(&Message::text("last"), out);
        encoder.close(Some((CloseCode::new(4001).unwrap(), "enough")), out);
    })
    .await;
    assert_eq!(
        socket.recv().await.expect("no error"),
        Some(Message::text("last"))
    );
    assert_eq!(socket.recv().await.expect("no error"), None);
    let (code, reason) = socket.close_reason().expect("a reason");
    assert_eq!((code.number(), reason.as_str()), (4001, "enough"));
    assert!(
        socket
            .send(Message::text("late"))
            .await
            .unwrap_err()
            .is_closed()
    );
    let answer = Event::Close(Some((code, String::new())));
    assert_eq!(raw.event().await, Some(answer));
    assert_eq!(raw.event().await, None, "the server ends the connection");
    // It is closed already, in good order.
    socket.close(CloseCode::NORMAL, "").await.expect("closed");
}

#[blitz_io::test(start_paused = true)]
async fn a_client_leaves_the_connections_end_to_the_server_but_not_for_ever() {
    let (ours, theirs) = duplex(1 << 16);
    let mut socket = WebSocket::over(ours, Role::Client, Agreed::default(), Config::default());
    let mut raw = Raw::new(theirs, Role::Server);
    let begun = Instant::now();
    let closing = blitz_io::spawn(async move {
        let closed = socket.close(CloseCode::NORMAL, "bye").await;
        (closed, socket.close_reason())
    });
    let said = Event::Close(Some((CloseCode::NORMAL, "bye".to_owned())));
    assert_eq!(raw.event().await, Some(said));
    raw.send(|encoder, out| encoder.close(None, out)).await;
    let (closed, reason) = closing.await.expect("no panic");
    closed.expect("both have closed");
    assert_eq!((reason, seconds(begun)), (None, 10));
}

#[blitz_io::test(start_paused = true)]
async fn who_does_not_close_in_time_is_left() {
    for talks in [false, true] {
        let (mut socket, mut raw) = by_hand(Config::default(), 1 << 16);
        let talking = blitz_io::spawn(async move {
            let word = Message::text("and another thing");
            let mut out = bytes::BytesMut::new();
            raw.encoder.message(&word, &mut out);
            while talks && raw.io.write_all(&out).await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
            // It stays, and says nothing.
            std::future::pending::<()>().await;
        });
        let begun = Instant::now();
        let error = socket
            .close(CloseCode::NORMAL, "")
            .await
            .expect_err("no close");
        assert!(error.is_timeout(), "{error}");
        assert_eq!(seconds(begun), 10);
        talking.abort();
    }
}

#[blitz_io::test(start_paused = true)]
async fn what_comes_before_the_answer_to_a_close_is_received() {
    let (socket, mut raw) = by_hand(Config::default(), 1 << 16);
    let (mut sender, mut receiver) = socket.split();
    let receiving = blitz_io::spawn(async move {
        let mut all = Vec::new();
        while let Some(message) = receiver.recv().await.expect("no error") {
            all.push(message);
        }
        all
    });
    sleep(Duration::from_millis(1)).await;
    sender.close(CloseCode::NORMAL, "").await.expect("said");
    assert!(matches!(raw.event().await, Some(Event::Close(_))));
    raw.send(|encoder, out| {
        encoder.message(&Message::text("a"), out);
        encoder.message(&Message::text("b"), out);
        encoder.close(None, out);
    })
    .await;
    let all = receiving.await.expect("no panic");
    assert_eq!(all, [Message::text("a"), Message::text("b")]);
}

/// The half that receives waited already, and learns that it has to watch the time.
#[blitz_io::test(start_paused = true)]
async fn a_half_that_says_close_has_the_other_half_watch_the_time() {
    let (socket, _raw) = by_hand(Config::default(), 1 << 16);
    let (mut sender, mut receiver) = socket.split();
    let receiving = blitz_io::spawn(async move { receiver.recv().await });
    sleep(Duration::from_secs(5)).await;
    let begun = Instant::now();
    sender.close(CloseCode::NORMAL, "").await.expect("said");
    let error = receiving.await.expect("no panic").expect_err("no answer");
    assert!(error.is_timeout());
    assert_eq!(seconds(begun), 10);
}

#[blitz_io::test(start_paused = true)]
async fn a_sender_that_is_alone_waits_for_the_end_itself() {
    let (socket, mut raw) = by_hand(Config::default(), 1 << 16);
    let (mut sender, receiver) = socket.split();
    drop(receiver);
    let closing = blitz_io::spawn(async move { sender.close(CloseCode::NORMAL, "").await });
    assert!(matches!(raw.event().await, Some(Event::Close(_))));
    raw.send(|encoder, out| {
        encoder.message(&Message::text("dropped"), out);
        encoder.close(None, out);
    })
    .await;
    closing.await.expect("no panic").expect("closed");
    assert_eq!(raw.event().await, None);
}

#[blitz_io::test(start_paused = true)]
async fn an_end_without_a_word_is_an_error_once() {
    for begun in [&[][..], &[0x81], &[0x81, 0x85, 1, 2, 3, 4, 9]] {
        let (mut socket, mut raw) = by_hand(Config::default(), 1 << 16);
        raw.bytes(begun).await;
        drop(raw);
        assert!(socket.recv().await.expect_err("it is cut").is_cut());
        assert_eq!(socket.recv().await.expect("it was said"), None);
    }
}

const ASK: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const YES: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                   sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[blitz_io::test(start_paused = true)]
async fn a_server_that_ends_says_so_and_waits_for_the_answer() {
    let (told, end) = oneshot::channel();
    let told = std::sync::Mutex::new(Some(told));
    let router = Router::new().get(
        "/",
        now(move |mut request: Request| {
            let told = told.lock().expect("no panic").take().expect("one request");
            accept(&mut request).run(async move |mut socket: WebSocket| {
                let end = socket.recv().await;
                drop(told.send((end, socket.close_reason())));
            })
        }),
    );
    let mut client = connect(router);
    client.send(ASK).await;
    client.expect(YES).await;
    sleep(Duration::from_millis(1)).await;
    let handle = client.handle.clone();
    assert_eq!(handle.open(), 1);
    handle.shut_down(Duration::from_secs(5));
    let mut raw = Raw::new(client.io, Role::Client);
    let said = Event::Close(Some((CloseCode::GOING_AWAY, String::new())));
    assert_eq!(raw.event().await, Some(said));
    raw.send(|encoder, out| encoder.close(Some((CloseCode::GOING_AWAY, "")), out))
        .await;
    let (end, reason) = end.await.expect("it ends");
    assert_eq!(end.expect("in good order"), None);
    assert_eq!(reason.expect("a reason").0, CloseCode::GOING_AWAY);
    assert_eq!(raw.event().await, None);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(handle.open(), 0);
}
