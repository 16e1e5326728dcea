//! Both ends on sockets, on each back end.

use super::{compressed, patient, router};
use crate::sockets::everywhere;
use blitz_http::ws::{CloseCode, Config, Message};
use blitz_http::{Client, Server};
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
