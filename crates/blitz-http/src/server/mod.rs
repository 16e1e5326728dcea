//! The server: it accepts ([`accept`]), and ends in good order.

mod accept;

use crate::{BoxError, Config, Handle, Report, Request};
use accept::Listener;
use blitz_io::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tower_service::Service;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// A server: listeners, limits, and once it [`serve`](Server::serve)s, connections.
///
/// See the [crate] for an example.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    handle: Handle,
}

impl Default for Server {
    fn default() -> Self {
        Server::new()
    }
}

impl Server {
    /// A server without a listener yet.
    pub fn new() -> Server {
        Server {
            listeners: Vec::new(),
            handle: Handle::new(Config::default()),
        }
    }

    /// A server that listens at the first address that `addr` gives and that can be bound, with a queue of 4,096.
    ///
    /// # Errors
    /// When no address can be bound.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Server> {
        let mut last = None;
        for addr in lookup_host(addr).await? {
            match listen(addr) {
                Ok(listener) => return Ok(Server::new().listen(listener)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    /// Adds a listener; the same service answers what comes by any of them.
    #[must_use]
    pub fn listen(mut self, listener: TcpListener) -> Server {
        self.listeners.push(Listener::Tcp(listener));
        self
    }

    /// Adds a listener on a Unix socket.
    #[cfg(unix)]
    #[must_use]
    pub fn listen_unix(mut self, listener: blitz_io::net::UnixListener) -> Server {
        self.listeners.push(Listener::Unix(listener));
        self
    }

    /// Sets the limits. A [`handle`](Server::handle) that was taken before is another server's then.
    #[must_use]
    pub fn config(mut self, config: Config) -> Server {
        self.handle = Handle::new(config);
        self
    }

    /// The addresses of the TCP listeners.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let addrs = self.listeners.iter();
        addrs.filter_map(Listener::local_addr).collect()
    }

    /// What ends the server and counts for it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Answers requests by `service`, of which each connection has a clone, until the handle's
    /// [`shut_down`](Handle::shut_down); then says what had to be cut.
    ///
    /// # Cancel safety
    /// If the future is dropped the server accepts no more; connections are served to their ends.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn serve<S, B>(self, service: S) -> Report
    where
        S: Service<Request, Response = http::Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let handle = self.handle;
        let permits = Arc::new(blitz_io::sync::Semaphore::new(
            handle
                .config()
                .connections_max
                .min(blitz_io::sync::Semaphore::MAX_PERMITS),
        ));
        let mut accepting = blitz_io::task::JoinSet::new();
        for listener in self.listeners {
            accepting.spawn(accept::run(
                listener,
                service.clone(),
                handle.clone(),
                Arc::clone(&permits),
            ));
        }
        handle.stopping().await;
        // Each takes what is in its queue already, and no more.
        while accepting.join_next().await.is_some() {}
        handle.drain().await
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}
