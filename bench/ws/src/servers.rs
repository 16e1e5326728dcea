//! The same echo, and the same room, by each of them, on one thread.

use blitz_http::ws::{self, Room, Slow, WebSocket};
use blitz_http::{Request, Router, Server, now};
use blitz_io::runtime::Builder;
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Serves until it is killed.
pub fn serve(name: &str, addr: SocketAddr, to_all: bool) {
    if name == "blitz_io_uring_per_core" {
        let mut builder = Builder::new_thread_per_core();
        let runtime = builder.worker_threads(1).enable_all().build();
        let served = async { blitz_io::spawn(blitz(addr, to_all)).await };
        runtime
            .expect("a runtime")
            .block_on(served)
            .expect("no panic");
        return;
    }
    if name.starts_with("blitz_") {
        let mut builder = Builder::new_current_thread();
        if name == "blitz_io_uring_direct" {
            builder.batched_writes(false);
        }
        let runtime = builder.enable_all().build().expect("a runtime");
        runtime.block_on(blitz(addr, to_all));
        return;
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    match name {
        "tungstenite" => runtime.block_on(tungstenite(addr, to_all)),
        "fastwebsockets" => runtime.block_on(fastwebsockets(addr)),
        other => panic!("no server is called {other}"),
    }
}

async fn blitz(addr: SocketAddr, to_all: bool) {
    let room = Room::new();
    let route = now(move |mut request: Request| {
        let mut config = ws::Config::default();
        config.deflate = Some(ws::Deflate::default());
        config.slow = Slow::Block(64);
        let accept = ws::accept(&mut request).config(config);
        let room = room.clone();
        accept.run(async move |socket: WebSocket| {
            if to_all {
                let (sender, mut receiver) = socket.split();
                let _member = room.join(&sender);
                while let Some(message) = receiver.recv().await? {
                    room.send(message).await;
                }
            } else {
                let mut socket = socket;
                while let Some(message) = socket.recv().await? {
                    socket.send(message).await?;
                }
            }
            Ok::<_, ws::Error>(())
        })
    });
    let server = Server::bind(addr).await.expect("a port");
    server.serve(Router::new().get("/", route)).await;
}

/// A message goes through tokio's own broadcast, and each socket frames it for itself: there is no other way to this server's bytes.
async fn tungstenite(addr: SocketAddr, to_all: bool) {
    let listener = tokio::net::TcpSocket::new_v4().expect("a socket");
    listener.set_reuseaddr(true).expect("set");
    listener.bind(addr).expect("a port");
    let listener = listener.listen(4096).expect("it listens");
    let (send, _) = tokio::sync::broadcast::channel(64);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let send = send.clone();
        tokio::spawn(async move {
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
                return;
            };
            let mut heard = send.subscribe();
            loop {
                tokio::select! {
                    message = socket.next() => match message {
                        Some(Ok(message)) if message.is_text() || message.is_binary() => {
                            if to_all {
                                let _ = send.send(message);
                            } else if socket.send(message).await.is_err() {
                                return;
                            }
                        }
                        Some(Ok(_)) => {}
                        _ => return,
                    },
                    Ok(message) = heard.recv(), if to_all => {
                        if socket.send(message).await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
    }
}

async fn fastwebsockets(addr: SocketAddr) {
    use fastwebsockets::{OpCode, Role, WebSocket};
    let listener = tokio::net::TcpSocket::new_v4().expect("a socket");
    listener.set_reuseaddr(true).expect("set");
    listener.bind(addr).expect("a port");
    let listener = listener.listen(4096).expect("it listens");
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            if shake(&mut stream).await.is_none() {
                return;
            }
            let mut socket = WebSocket::after_handshake(stream, Role::Server);
            socket.set_auto_close(true);
            socket.set_auto_pong(true);
            let mut socket = fastwebsockets::FragmentCollector::new(socket);
            while let Ok(frame) = socket.read_frame().await {
                match frame.opcode {
                    OpCode::Close => return,
                    OpCode::Text | OpCode::Binary => {
                        if socket.write_frame(frame).await.is_err() {
                            return;
                        }
                    }
                    _ => {}
                }
            }
        });
    }
}

/// Answers a handshake.
async fn shake(stream: &mut tokio::net::TcpStream) -> Option<()> {
    use base64::Engine;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then(|| value.trim())
    })?;
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = base64::engine::general_purpose::STANDARD.encode(hash.digest().bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.ok()
}
