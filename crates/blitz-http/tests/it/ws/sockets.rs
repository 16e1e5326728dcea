//! Both ends on sockets, on each back end.

use super::{compressed, patient, router};
use crate::sockets::everywhere;
use blitz_http::ws::{CloseCode, Config, Error, Message, WebSocket, accept};
use blitz_http::{Client, Request, Router, Server, now};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::TcpStream;
use blitz_io::sync::mpsc;
use std::time::Duration;

fn client() -> Client {
    Client::builder().no_proxy().build().expect("a client")
}

#[test]
fn messages_of_all_sizes_come_back() {
    everywhere(|| async {
        let server = Server::bind("127.0.0.1:0").await.expect("a port");
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        for config in [Config::default(), compressed()] {
            let deflates = config.deflate.is_some();
            let connecting = client().websocket(format!("ws://{addr}/ws"));
            let connecting = connecting.config(patient(config));
            let mut socket = connecting.connect().await.expect("a socket");
            assert_eq!(socket.deflate().is_some(), deflates);
            for size in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
                let bytes: Vec<u8> = (0..size).map(|n: u32| (n / 7 % 251) as u8).collect();
                let message = Message::binary(bytes);
                socket.send(message.clone()).await.expect("sent");
                let back = socket.recv().await.expect("no error");
                assert!(back == Some(message), "{size} bytes came back otherwise");
            }
            socket.close(CloseCode::NORMAL, "").await.expect("closed");
        }
        handle.shut_down(Duration::from_secs(10));
        assert_eq!(serving.await.expect("no panic").cut, []);
    });
}

#[test]
fn many_sockets_talk_at_once_and_end_with_their_server() {
    everywhere(|| async {
        let server = Server::bind("127.0.0.1:0").await.expect("a port");
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let serving = blitz_io::spawn(server.serve(router()));
        let client = client();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let connecting = client.websocket(format!("ws://{addr}/ws"));
                blitz_io::spawn(async move {
                    let socket = connecting.connect().await.expect("a socket");
                    let (mut sender, mut receiver) = socket.split();
                    let sending = blitz_io::spawn(async move {
                        for n in 0..100 {
                            sender
                                .send(Message::text(n.to_string()))
                                .await
                                .expect("sent");
                        }
                        sender
                    });
                    for n in 0..100 {
                        let message = receiver.recv().await.expect("no error");
                        assert_eq!(message, Some(Message::text(n.to_string())));
                    }
                    (sending.await.expect("no panic"), receiver)
                })
            })
            .collect();
        let mut sockets = Vec::new();
        for task in tasks {
            sockets.push(task.await.expect("no panic"));
        }
        handle.shut_down(Duration::from_secs(30));
        for (_sender, mut receiver) in sockets {
            assert_eq!(receiver.recv().await.expect("in good order"), None);
            assert_eq!(
                receiver.close_reason().expect("a reason").0,
                CloseCode::GOING_AWAY
            );
        }
        assert_eq!(serving.await.expect("no panic").cut, []);
    });
}

/// Short messages may wait in the driver, and not in the socket alone: that they wait is seen.
#[test]
fn a_peer_that_takes_nothing_is_dead_however_short_the_messages_are() {
    everywhere(|| async {
        let server = Server::bind("127.0.0.1:0").await.expect("a port");
        let (addr, handle) = (server.local_addrs()[0], server.handle());
        let (tell, mut told) = mpsc::unbounded_channel();
        let route = now(move |mut request: Request| {
            let mut config = Config::default();
            config.ping_interval = Duration::from_millis(200);
            config.pong_timeout = Duration::from_millis(200);
            let tell = tell.clone();
            let accept = accept(&mut request).config(config);
            accept.run(async move |mut socket: WebSocket| {
                let error = loop {
                    if let Err(error) = socket.send(Message::text("x".repeat(100))).await {
                        break error;
                    }
                };
                tell.send(error.is_timeout()).expect("the test waits");
                Err::<(), Error>(error)
            })
        });
        let serving = blitz_io::spawn(server.serve(Router::new().get("/ws", route)));
        let mut client = TcpStream::connect(addr).await.expect("connected");
        let ask = format!(
            "GET /ws HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        client.write_all(ask.as_bytes()).await.expect("sent");
        assert_eq!(client.read_u8().await.expect("an answer"), b'H');
        assert_eq!(told.recv().await, Some(true));
        // Nobody waits for bytes that nobody takes.
        handle.shut_down(Duration::from_secs(30));
        assert_eq!(serving.await.expect("no panic").cut, []);
    });
}
