//! Where connections come from: sockets, and what stands between a connection of theirs and HTTP.

use super::door::Door;
use crate::{Peer, Trusted};
use blitz_io::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(unix)]
use blitz_io::net::UnixListener;
use blitz_io::net::{
    InheritedListener, TcpListener, TcpSocket, TcpStream, ToSocketAddrs, inherited_listeners,
    lookup_host,
};
use blitz_io::runtime::{Handle as Runtime, RuntimeFlavor};
use blitz_tls::TlsAcceptor;
use http::Extensions;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Connections that may wait to be accepted, where nothing is said.
const BACKLOG: u32 = 4096;

/// Where connections come from, and what they speak: a TCP or Unix socket, in clear or by TLS, behind proxies that say for whom they
/// connect or not.
///
/// ```
/// use blitz_http::{Listener, Server, Trusted};
/// use blitz_io::net::TcpListener;
///
/// # #[blitz_io::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let direct = TcpListener::bind("127.0.0.1:0").await?;
/// let balanced = Listener::bind("127.0.0.1:0").await?.proxy_protocol(Trusted::nobody().and("10.0.0.0/8".parse()?));
/// let server = Server::new().listen(direct).listen(balanced);
/// assert_eq!(server.local_addrs().len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    /// One, or one for each worker, all at the same address.
    pub(super) sockets: Vec<Socket>,
    pub(super) door: Door,
}

/// How the workers of a runtime share a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortSharing {
    /// [`EachWorker`](PortSharing::EachWorker) on `thread_per_core`, where a connection stays with who accepted it; else
    /// [`One`](PortSharing::One).
    #[default]
    Auto,
    /// One socket for all: none waits while another has nothing to do. Another process that wants the port is refused.
    One,
    /// One socket for each worker (`SO_REUSEPORT`, `socket(7)`): the kernel deals connections out by their addresses, and nothing is shared,
    /// but another process of the same user can join in. Where the system has no such thing it is [`One`](PortSharing::One).
    EachWorker,
}

/// How a port is bound.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenOptions {
    /// How workers share it.
    pub sharing: PortSharing,
    /// Connections that may wait to be accepted, for each socket. 4,096; the kernel may allow less (`net.core.somaxconn`).
    pub backlog: u32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions {
            sharing: PortSharing::Auto,
            backlog: BACKLOG,
        }
    }
}

impl Listener {
    /// Listens at the first address that `addr` gives and that can be bound.
    ///
    /// # Cancel safety
    /// Safe: nothing is bound then.
    ///
    /// # Errors
    /// When no address can be bound.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Listener> {
        Listener::bind_with(addr, &ListenOptions::default()).await
    }

    /// As [`bind`](Listener::bind), otherwise than by default.
    ///
    /// # Cancel safety
    /// As there.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub async fn bind_with<A: ToSocketAddrs>(
        addr: A,
        options: &ListenOptions,
    ) -> io::Result<Listener> {
        let mut last = None;
        for addr in lookup_host(addr).await? {
            match listen(addr, options) {
                Ok(sockets) => return Ok(Listener::of(sockets)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    /// The listeners that were bound by whoever started the process, and their names: see
    /// [`inherited_listeners`](blitz_io::net::inherited_listeners).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub fn from_env() -> io::Result<Vec<(String, Listener)>> {
        let named = inherited_listeners()?.into_iter();
        let named = named.filter_map(|(name, listener)| match listener {
            InheritedListener::Tcp(listener) => Some((name, listener.into())),
            #[cfg(unix)]
            InheritedListener::Unix(listener) => Some((name, listener.into())),
            // Kinds that are not there yet.
            _ => None,
        });
        Ok(named.collect())
    }

    fn of(sockets: Vec<Socket>) -> Listener {
        Listener {
            sockets,
            door: Door::default(),
        }
    }

    /// Speaks HTTP by TLS (`https`), and in no other way. Of what the acceptor says of ALPN nothing is left but `http/1.1`, which is what is
    /// spoken.
    ///
    /// Requests have a [`TlsPeer`](crate::TlsPeer) among their extensions: the name the client asked for, and its certificate. New
    /// certificates come by the acceptor's [`CertificateStore`](blitz_tls::CertificateStore), without a connection's notice.
    #[must_use]
    pub fn tls(mut self, acceptor: &TlsAcceptor) -> Listener {
        self.door.speak_tls(acceptor);
        self
    }

    /// Expects those peers to begin each connection with a header of the PROXY protocol, version 1 or 2, that says for whom they connect:
    /// [`Peer`] is that client then. Whoever of them begins otherwise is not served. From other peers a connection is taken as it
    /// is, and such a header is a malformed request.
    #[must_use]
    pub fn proxy_protocol(mut self, from: Trusted) -> Listener {
        self.door.expect_header(from);
        self
    }

    /// The address, if it is TCP's.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.sockets.first().and_then(Socket::local_addr)
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Listener {
        Listener::of(vec![Socket::Tcp(listener)])
    }
}

#[cfg(unix)]
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Listener {
        Listener::of(vec![Socket::Unix(listener)])
    }
}

fn listen(addr: SocketAddr, options: &ListenOptions) -> io::Result<Vec<Socket>> {
    let runtime = Runtime::current();
    let each = match options.sharing {
        PortSharing::One => false,
        PortSharing::EachWorker => true,
        PortSharing::Auto => runtime.runtime_flavor() == RuntimeFlavor::ThreadPerCore,
    };
    let count = match each && cfg!(unix) {
        true => runtime.metrics().num_workers(),
        false => 1,
    };
    let first = bound(addr, options.backlog, count > 1)?;
    // What port 0 has become.
    let addr = first.local_addr()?;
    let mut sockets = vec![Socket::Tcp(first)];
    for _ in 1..count {
        sockets.push(Socket::Tcp(bound(addr, options.backlog, true)?));
    }
    Ok(sockets)
}

fn bound(addr: SocketAddr, backlog: u32, share: bool) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    #[cfg(unix)]
    if share {
        socket.set_reuseport(true)?;
    }
    #[cfg(not(unix))]
    let _ = share;
    socket.bind(addr)?;
    socket.listen(backlog)
}

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Socket {
    fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            // One that has none is not listening.
            Socket::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Socket::Unix(_) => None,
        }
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        match self {
            Socket::Tcp(listener) => {
                let (stream, addr) = ready!(listener.poll_accept(cx))?;
                // Answers are written whole, and a client should not wait for what would be joined to them. A stream that
                // takes no options is broken, as its first read will say.
                let _ = stream.set_nodelay(true);
                let local = stream.local_addr().unwrap_or(addr);
                Poll::Ready(Ok((Stream::Tcp(stream), Peer::new(addr, local))))
            }
            #[cfg(unix)]
            Socket::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok((Stream::Unix(stream), Peer::default())))
            }
        }
    }
}

/// A connection of either kind.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(blitz_io::net::UnixStream),
}

impl Stream {
    /// What is known of it beside its addresses: on a Unix socket, who the peer is.
    pub(super) fn extensions(&self) -> Extensions {
        match self {
            Stream::Tcp(_) => Extensions::new(),
            #[cfg(unix)]
            Stream::Unix(stream) => {
                let mut extensions = Extensions::new();
                // Where the system does not tell, nobody is told.
                if let Ok(credentials) = stream.peer_cred() {
                    extensions.insert(credentials);
                }
                extensions
            }
        }
    }
}

/// Calls the same on whichever it is.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp($stream) => $call,
            #[cfg(unix)]
            Stream::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
