//! Peers that break the rules: they are told why, and the connection ends.

use super::by_hand;
use blitz_http::client::{BoxStream, Connecting};
use blitz_http::ws::{Agreed, Config, Deflate, DeflateParams, Message, Role, WebSocket, accept};
use blitz_http::{Client, Request, Router, now};
use blitz_http_proto::ws::{Encoder, Event};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use blitz_io::time::{Instant, sleep};
use bytes::BytesMut;
use std::future::ready;
use std::time::Duration;

#[blitz_io::test(start_paused = true)]
async fn a_fault_is_told_to_who_made_it() {
    let masked = |head: &[u8], payload: &[u8]| [head, &[0; 4], payload].concat();
    for (bytes, code) in [
        // Without a mask; of no known kind; a reserved bit; a control frame in pieces; one too long; half a code; a code for nobody.
        (vec![0x81, 1, b'x'], 1002),
        (masked(&[0x83, 0x81], b"x"), 1002),
        (masked(&[0xc1, 0x81], b"x"), 1002),
        (masked(&[0x09, 0x80], b""), 1002),
        (masked(&[0x89, 0xfe, 0, 126], &[0; 126]), 1002),
        (masked(&[0x88, 0x81], b"x"), 1002),
        (masked(&[0x88, 0x82], &[0x03, 0xed]), 1002),
        // A continuation of nothing, and a length in more bytes than it needs.
        (masked(&[0x80, 0x81], b"x"), 1002),
        (masked(&[0x82, 0xfe, 0, 1], b"x"), 1002),
        // No text.
        (masked(&[0x81, 0x82], &[0xc0, 0xaf]), 1007),
        // More than there is memory for, announced.
        (
            masked(&[0x82, 0xff, 0x7f, 0xff, 0, 0, 0, 0, 0, 0], b""),
            1009,
        ),
    ] {
        let (mut socket, mut raw) = by_hand(Config::default(), 1 << 16);
        raw.bytes(&bytes).await;
        let receiving = blitz_io::spawn(async move {
            let error = socket.recv().await.expect_err("a fault");
            assert_eq!(socket.recv().await.expect("it was said"), None);
            error
        });
        let Some(Event::Close(Some((told, _)))) = raw.event().await else {
            panic!("{bytes:?}: it was not told");
        };
        assert_eq!(told.number(), code, "{bytes:?}");
        assert_eq!(raw.event().await, None, "{bytes:?}");
        drop(raw);
        let error = receiving.await.expect("no panic");
        assert_eq!(error.close_code(), Some(told), "{bytes:?}");
    }
}

/// Who goes on after it was told is read for a while, so that what it was told is not lost to a reset, and then left.
#[blitz_io::test(start_paused = true)]
async fn who_goes_on_after_a_fault_is_left_in_the_end() {
    let (mut socket, mut raw) = by_hand(Config::default(), 1 << 16);
    raw.bytes(&[0x81, 1, b'x']).await;
    let talking = blitz_io::spawn(async move {
        while raw.io.write_all(&[0x81, 1, b'x']).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    let begun = Instant::now();
    let error = socket.recv().await.expect_err("a fault");
    assert_eq!(error.close_code().map(|code| code.number()), Some(1002));
    assert_eq!(begun.elapsed().as_secs(), 10);
    drop(socket);
    talking.await.expect("no panic");
}

#[blitz_io::test(start_paused = true)]
async fn limits_hold_for_what_comes_out_of_a_message() {
    let params = DeflateParams {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let mut agreed = Agreed::default();
    agreed.deflate = Some(params);
    let (ours, mut theirs) = duplex(1 << 16);
    let mut config = Config::default();
    config.limits.message = 1 << 20;
    let mut socket = WebSocket::over(ours, Role::Server, agreed, config);
    let mut out = BytesMut::new();
    let bomb = Message::binary(vec![0; (1 << 20) + 1]);
    let mut encoder = Encoder::client(|| [9; 4]).with_deflate(Some(&params), &Deflate::default());
    encoder.message(&bomb, &mut out);
    assert!(out.len() < 20_000, "{} bytes", out.len());
    let sending = blitz_io::spawn(async move {
        theirs.write_all(&out).await.expect("sent");
        theirs.shutdown().await.expect("shut down");
        theirs.read_to_end(&mut Vec::new()).await.expect("read");
    });
    let error = socket.recv().await.expect_err("too much");
    assert_eq!(error.close_code().map(|code| code.number()), Some(1009));
    sending.await.expect("no panic");
}

/// A client whose server answers with what `answer` makes of the key's answer.
fn answered(answer: &'static str) -> Client {
    let connect = move |_: &str, _: u16| -> Connecting {
        let (ours, mut theirs) = duplex(1 << 16);
        drop(blitz_io::spawn(async move {
            let key = key(&mut theirs).await;
            let yes = blitz_http_proto::ws::accept_key(&key);
            let answer = answer.replace("{yes}", &yes);
            theirs.write_all(answer.as_bytes()).await.expect("sent");
            std::future::pending::<()>().await;
        }));
        Box::pin(ready(Ok(Box::new(ours) as BoxStream)))
    };
    Client::builder()
        .connector(connect)
        .build()
        .expect("a client")
}

async fn key(io: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(head).expect("text");
    let mut lines = head.lines();
    let key = lines.find_map(|line| line.strip_prefix("sec-websocket-key: "));
    key.expect("a key").to_owned()
}

#[blitz_io::test(start_paused = true)]
async fn a_client_does_not_believe_a_server_that_says_yes_to_something_else() {
    let yes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {yes}\r\n\r\n";
    let socket = answered(yes).websocket("ws://a/").connect().await;
    assert!(socket.is_ok(), "{socket:?}");
    let status = 101;
    for (answer, status) in [
        // Another key's answer; nobody's; another protocol; an extension and a subprotocol that were not asked for.
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            status,
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            status,
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: loud\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {yes}\r\n\r\n",
            status,
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {yes}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            status,
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {yes}\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
            status,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403),
        // Whoever is sent elsewhere does not go there.
        (
            "HTTP/1.1 302 Found\r\nLocation: ws://b/\r\nContent-Length: 0\r\n\r\n",
            302,
        ),
    ] {
        let error = answered(answer).websocket("ws://a/").connect().await;
        let error = error.expect_err(answer);
        assert_eq!(
            error.status().map(|status| status.as_u16()),
            Some(status),
            "{answer}"
        );
    }
    let error = answered("nonsense\r\n\r\n")
        .websocket("ws://a/")
        .connect()
        .await;
    assert_eq!(
        error
            .expect_err("no answer")
            .as_client()
            .map(|error| error.name()),
        Some("malformed")
    );
    for url in ["ftp://a/", "nonsense"] {
        let error = answered("").websocket(url).connect().await;
        assert!(error.expect_err(url).as_client().is_some(), "{url}");
    }
}

/// A server in the same process, that ends with its service.
#[blitz_io::test(start_paused = true)]
async fn a_handler_that_leaves_without_a_word_cuts_its_client() {
    let router = Router::new().get(
        "/",
        now(|mut request: Request| {
            accept(&mut request).run(async move |socket: WebSocket| drop(socket))
        }),
    );
    let client = Client::builder().service(router).build().expect("a client");
    let mut socket = client
        .websocket("ws://any/")
        .connect()
        .await
        .expect("a socket");
    assert!(socket.recv().await.expect_err("it is cut").is_cut());
}
