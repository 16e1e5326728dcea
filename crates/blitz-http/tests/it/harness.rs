//! A server at the other end of a pipe, and a client that speaks by hand.

use blitz_http::{BoxError, Config, Connection, Handle, Peer, Request, Response};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use blitz_io::task::JoinHandle;
use std::io;
use tower_service::Service;

/// A client, and the connection that serves it.
pub(crate) struct Client {
    pub(crate) io: DuplexStream,
    pub(crate) handle: Handle,
    pub(crate) served: JoinHandle<io::Result<()>>,
}

/// Serves a pipe of so many bytes.
pub(crate) fn connect_with<S>(service: S, config: Config, room: usize) -> Client
where
    S: Service<Request, Response = Response> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    let handle = Handle::new(config);
    let (io, end) = duplex(room);
    let served = blitz_io::spawn(Connection::new(end, service, &handle, Peer::default()));
    Client { io, handle, served }
}

pub(crate) fn connect<S>(service: S) -> Client
where
    S: Service<Request, Response = Response> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    connect_with(service, without_date(), 1 << 20)
}

pub(crate) fn without_date() -> Config {
    let mut config = Config::default();
    config.date = false;
    config
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).await.expect("it is sent");
    }

    /// Reads up to the end of what is expected, and compares.
    pub(crate) async fn expect(&mut self, text: &str) {
        let mut bytes = vec![0; text.len()];
        let read = self.io.read_exact(&mut bytes).await;
        let so_far = String::from_utf8_lossy(&bytes);
        assert!(read.is_ok(), "the connection ended: {so_far}");
        assert_eq!(so_far, text);
    }

    /// Reads to the connection's end.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // What came before a reset counts, too.
        let _ = self.io.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends all, ends the sending side, and reads all.
    pub(crate) async fn ask(mut self, bytes: impl AsRef<[u8]>) -> String {
        self.send(bytes).await;
        self.io.shutdown().await.expect("it is shut down");
        self.rest().await
    }
}
