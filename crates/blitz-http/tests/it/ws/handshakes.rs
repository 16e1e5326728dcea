//! Who gets a socket, and what is agreed on.

use crate::harness::connect;
use blitz_http::ws::{Config, Deflate, Message, WebSocket, accept};
use blitz_http::{Client, Request, Router, now};
use blitz_io::io::AsyncReadExt;
use blitz_io::sync::mpsc;

const ASK: &str = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn router() -> Router {
    let answer = |mut request: Request| {
        accept(&mut request)
            .protocols(&["chat.2", "chat.1"])
            .allow_origin("https://friend.example")
            .run(echo)
    };
    Router::new().get("/", now(answer)).post("/", now(answer))
}

async fn echo(mut socket: WebSocket) {
    while let Ok(Some(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

#[blitz_io::test(start_paused = true)]
async fn requests_that_ask_for_none_are_told_how() {
    for (request, answer) in [
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "HTTP/1.1 426 Upgrade Required\r\n",
        ),
        (
            ASK.replace("Version: 13", "Version: 8") + "\r\n",
            "HTTP/1.1 426 Upgrade Required\r\n",
        ),
        (
            ASK.replace("GET", "POST") + "Content-Length: 0\r\n\r\n",
            "HTTP/1.1 405 Method Not Allowed\r\n",
        ),
        (
            ASK.replace("dGhl", "") + "\r\n",
            "HTTP/1.1 400 Bad Request\r\n",
        ),
        (
            format!("{ASK}Origin: http://b.example\r\n\r\n"),
            "HTTP/1.1 403 Forbidden\r\n",
        ),
        (
            format!("{ASK}Origin: null\r\n\r\n"),
            "HTTP/1.1 403 Forbidden\r\n",
        ),
        (
            format!("{ASK}Origin: http://a.example:81\r\n\r\n"),
            "HTTP/1.1 403 Forbidden\r\n",
        ),
        (
            format!("{ASK}Origin: http://a.example\r\nOrigin: http://b.example\r\n\r\n"),
            "HTTP/1.1 403 Forbidden\r\n",
        ),
    ] {
        let mut client = connect(router());
        client.send(&request).await;
        client.expect(answer).await;
        let rest = client.ask("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        if answer.contains("426") {
            let fields =
                "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n";
            assert!(rest.contains(fields), "{rest}");
        }
        assert!(
            rest.contains("HTTP/1.1 404 "),
            "it goes on with HTTP: {request}\n{rest}"
        );
    }
}

#[blitz_io::test(start_paused = true)]
async fn pages_of_this_host_and_its_friends_get_one() {
    for origin in [
        "",
        "Origin: http://a.example\r\n",
        "Origin: https://A.example\r\n",
        "Origin: https://friend.example\r\n",
    ] {
        let mut client = connect(router());
        client.send(format!("{ASK}{origin}\r\n")).await;
        client.expect("HTTP/1.1 101 Switching Protocols\r\n").await;
    }
}

/// A client may speak before it has the answer (RFC 6455 has it wait; what came ahead must not be lost all the same).
#[blitz_io::test(start_paused = true)]
async fn what_came_ahead_is_received() {
    let mut client = connect(router());
    let mut ask =
        format!("{ASK}Sec-WebSocket-Protocol: chat.9, chat.1, chat.2\r\n\r\n").into_bytes();
    ask.extend_from_slice(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
    client.send(ask).await;
    client
        .expect(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: chat.1\r\n\r\n",
        )
        .await;
    let mut back = [0; 4];
    client
        .io
        .read_exact(&mut back)
        .await
        .expect("it comes back");
    assert_eq!(back, [0x81, 2, b'h', b'i']);
}

#[blitz_io::test(start_paused = true)]
async fn both_ends_know_what_was_agreed_on() {
    for (server_wants, client_wants) in [(true, true), (true, false), (false, true)] {
        let (told, mut tells) = mpsc::channel(1);
        let config = move |wants: bool| {
            let mut config = Config::default();
            config.deflate = wants.then(Deflate::default);
            config
        };
        let router = Router::new().get(
            "/chat",
            now(move |mut request: Request| {
                let told = told.clone();
                let accept = accept(&mut request).protocols(&["chat"]);
                assert_eq!(accept.offered(), ["never", "chat"]);
                accept
                    .config(config(server_wants))
                    .run(async move |socket: WebSocket| {
                        let protocol = socket.protocol().map(str::to_owned);
                        told.send((protocol, socket.deflate().copied()))
                            .await
                            .expect("told");
                        echo(socket).await;
                    })
            }),
        );
        let client = Client::builder().service(router).build().expect("a client");
        let socket = client
            .websocket("ws://any/chat")
            .protocols(&["never", "chat"])
            .config(config(client_wants));
        let mut socket = socket.connect().await.expect("a socket");
        let (protocol, deflate) = tells.recv().await.expect("told");
        assert_eq!(protocol.as_deref(), Some("chat"));
        assert_eq!(
            (socket.protocol(), socket.deflate()),
            (Some("chat"), deflate.as_ref())
        );
        assert_eq!(deflate.is_some(), server_wants && client_wants);
        let text = Message::text("well, well, well, ".repeat(100));
        socket.send(text.clone()).await.expect("sent");
        assert_eq!(socket.recv().await.expect("no error"), Some(text));
    }
}
