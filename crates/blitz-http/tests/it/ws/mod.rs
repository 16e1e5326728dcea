//! WebSocket: both ends over a pipe in memory, in virtual time, and against peers that speak by hand; and on sockets, on each back end.

mod ends;
mod handshakes;
mod liars;
mod messages;
mod rooms;
mod sockets;

use blitz_http::ws::{Agreed, Config, Deflate, Error, Role, WebSocket, accept};
use blitz_http::{Request, Router, now};
use blitz_http_proto::ws::{Decoder, Encoder, Event, Limits};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use bytes::BytesMut;
use std::time::Duration;

fn compressed() -> Config {
    let mut config = Config::default();
    config.deflate = Some(Deflate::default());
    config
}

/// Without pings: a long message that is compressed by a build without optimisations, on a machine that has much else to do, may take longer
/// than a peer has time to answer.
fn patient(mut config: Config) -> Config {
    config.ping_interval = Duration::ZERO;
    config
}

/// Sends back what comes to `/ws`, compressed where the client wants that.
pub(crate) fn router() -> Router {
    Router::new().get(
        "/ws",
        now(|mut request: Request| {
            accept(&mut request).config(patient(compressed())).run(
                async move |mut socket: WebSocket| {
                    while let Some(message) = socket.recv().await? {
                        socket.send(message).await?;
                    }
                    Ok::<_, Error>(())
                },
            )
        }),
    )
}

/// A socket of a server, and one of a client, over a pipe of so many bytes.
fn pair(room: usize) -> (WebSocket, WebSocket) {
    let (ours, theirs) = duplex(room);
    (
        WebSocket::over(ours, Role::Server, Agreed::default(), Config::default()),
        WebSocket::over(theirs, Role::Client, Agreed::default(), Config::default()),
    )
}

/// A socket of a server, and a client that speaks by hand.
fn by_hand(config: Config, room: usize) -> (WebSocket, Raw) {
    let (ours, theirs) = duplex(room);
    let socket = WebSocket::over(ours, Role::Server, Agreed::default(), config);
    (socket, Raw::new(theirs, Role::Client))
}

/// A peer that says what the test wants.
struct Raw {
    io: DuplexStream,
    encoder: Encoder,
    decoder: Decoder,
    input: BytesMut,
}

impl Raw {
    fn new(io: DuplexStream, role: Role) -> Raw {
        Raw {
            io,
            encoder: match role {
                Role::Server => Encoder::server(),
                Role::Client => Encoder::client(|| [1, 2, 3, 4]),
            },
            decoder: Decoder::new(role, Limits::default()),
            input: BytesMut::new(),
        }
    }

    async fn send(&mut self, write: impl FnOnce(&mut Encoder, &mut BytesMut)) {
        let mut out = BytesMut::new();
        write(&mut self.encoder, &mut out);
        self.bytes(&out).await;
    }

    async fn bytes(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.expect("sent");
    }

    /// What the other end says; nothing at the end of the connection.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.decoder.decode(&mut self.input).expect("no fault") {
                return Some(event);
            }
            if self.io.read_buf(&mut self.input).await.expect("read") == 0 {
                return None;
            }
        }
    }
}

#[test]
fn what_goes_to_other_threads_may() {
    use blitz_http::ws::{Accept, Connect, ConnectError, Member, Receiver, Room, Sender};
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<(
        WebSocket,
        Sender,
        Receiver,
        Accept,
        Connect,
        ConnectError,
        Error,
    )>();
    send::<(Room, Member)>();
    sync::<(Sender, Receiver, ConnectError, Error, Room, Member)>();
}
