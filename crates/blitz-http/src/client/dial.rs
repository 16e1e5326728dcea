//! The way to a server: its addresses, a connection to the first that answers, proxies, TLS.

use super::error::Kind;
use super::pool::Key;
use super::proxy::{Proxy, ProxyKind};
use super::public::is_public;
use super::resolve::{Resolver, by_turns};
use super::timing::{Phase, Watch};
use super::wire::{BoxStream, Wire};
use super::{race, tunnel};
use blitz_io::net::{TcpSocket, TcpStream};
use blitz_tls::{ConfigError, ConnectorBuilder, TlsConnector};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Where a request goes.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// As an address writes it, with brackets where it has some.
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    pub(super) tls: bool,
    /// Another protocol follows, of which a proxy understands nothing.
    pub(super) upgrades: bool,
    pub(super) proxy: Option<Proxy>,
    pub(super) socket: Option<PathBuf>,
}

impl Route {
    /// The proxy reads the request itself, and hands it on.
    pub(super) fn is_forwarded(&self) -> bool {
        let proxy = self.proxy.as_ref().map(Proxy::kind);
        !self.tls && !self.upgrades && matches!(proxy, Some(ProxyKind::Http { .. }))
    }

    /// What a connection for it is kept under.
    pub(super) fn key(&self) -> Key {
        let forwarded = self.is_forwarded();
        Key {
            tls: self.tls,
            // A proxy that hands requests on takes those for anybody.
            host: if forwarded {
                Arc::default()
            } else {
                Arc::clone(&self.host)
            },
            port: if forwarded { 0 } else { self.port },
            proxy: self.proxy.as_ref().map(Proxy::key),
            socket: self.socket.clone(),
        }
    }
}

/// A stream to somewhere, when it is there.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<BoxStream>> + Send>>;

/// What opens streams instead of the sockets: for tests, tunnels, and whatever else carries bytes. TLS is spoken over it where the
/// address says `https`.
pub trait Connect: Send + Sync {
    /// A stream to `host:port`.
    fn connect(&self, host: &str, port: u16) -> Connecting;
}

impl<F> Connect for F
where
    F: Fn(&str, u16) -> Connecting + Send + Sync,
{
    fn connect(&self, host: &str, port: u16) -> Connecting {
        self(host, port)
    }
}

/// How sockets are made.
#[derive(Clone, Debug)]
pub(super) struct SocketOptions {
    pub(super) nodelay: bool,
    pub(super) keepalive: bool,
    pub(super) local: Option<IpAddr>,
    pub(super) interface: Option<String>,
    pub(super) user_timeout: Option<Duration>,
    /// How long an address may say nothing before the next is tried too.
    pub(super) stagger: Duration,
}

pub(super) struct Dialer {
    pub(super) resolver: Resolver,
    pub(super) tls: Arc<Tls>,
    pub(super) options: SocketOptions,
    pub(super) public_only: bool,
    pub(super) connector: Option<Arc<dyn Connect>>,
}

impl Dialer {
    /// Opens a connection for `route`, each phase within its time.
    pub(super) async fn dial(&self, route: &Route, watch: &mut Watch) -> Result<Wire, Kind> {
        let (host, port) = match &route.proxy {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (&*route.host, route.port),
        };
        if self.public_only
            && route.socket.is_none()
            && let Ok(address) = bare(&route.host).parse()
            && !is_public(address)
        {
            watch.phase = Phase::Dns;
            return Err(Kind::NotPublic(address));
        }
        let (mut io, peer) = if let Some(connector) = &self.connector {
            let connecting = connector.connect(bare(host), port);
            let io = watch.run(Phase::Connect, async {
                connecting.await.map_err(Kind::Connect)
            });
            (io.await?, None)
        } else if let Some(path) = &route.socket {
            (self.unix(path, watch).await?, None)
        } else {
            let guarded = self.public_only && route.proxy.is_none();
            let (io, peer) = self.tcp(host, port, guarded, watch).await?;
            (Box::new(io) as BoxStream, Some(peer))
        };
        if let Some(proxy) = &route.proxy {
            io = self.through(io, proxy, route, watch).await?;
        }
        if route.tls {
            io = self.tls(io, &route.host, watch).await?;
        }
        Ok(Wire::new(io, peer))
    }

    #[cfg(unix)]
    async fn unix(&self, path: &PathBuf, watch: &mut Watch) -> Result<BoxStream, Kind> {
        let connecting = blitz_io::net::UnixStream::connect(path);
        let io = watch.run(Phase::Connect, async {
            connecting.await.map_err(Kind::Connect)
        });
        Ok(Box::new(io.await?))
    }

    #[cfg(not(unix))]
    async fn unix(&self, _: &PathBuf, _: &mut Watch) -> Result<BoxStream, Kind> {
        Err(Kind::Connect(io::ErrorKind::Unsupported.into()))
    }

    async fn tcp(
        &self,
        host: &str,
        port: u16,
        guarded: bool,
        watch: &mut Watch,
    ) -> Result<(TcpStream, SocketAddr), Kind> {
        let addresses = self.addresses(host, port, guarded, watch).await?;
        let options = &self.options;
        let connected = race::first(by_turns(addresses), options.stagger, |address| {
            open(address, options)
        });
        watch
            .run(Phase::Connect, async {
                connected.await.map_err(Kind::Connect)
            })
            .await
    }

    async fn addresses(
        &self,
        host: &str,
        port: u16,
        guarded: bool,
        watch: &mut Watch,
    ) -> Result<Vec<SocketAddr>, Kind> {
        let mut addresses = match self.resolver.known(host, port) {
            Some(known) => known,
            None => {
                let resolving = self.resolver.resolve(host, port);
                watch.run(Phase::Dns, resolving).await?
            }
        };
        if guarded {
            watch.phase = Phase::Dns;
            let first = addresses.first().map(SocketAddr::ip);
            addresses.retain(|address| is_public(address.ip()));
            if let (true, Some(private)) = (addresses.is_empty(), first) {
                return Err(Kind::NotPublic(private));
            }
        }
        if addresses.is_empty() {
            watch.phase = Phase::Dns;
            return Err(Kind::NoAddress);
        }
        Ok(addresses)
    }

    /// Has a proxy open the way, where it is one that does.
    async fn through(
        &self,
        mut io: BoxStream,
        proxy: &Proxy,
        route: &Route,
        watch: &mut Watch,
    ) -> Result<BoxStream, Kind> {
        match proxy.kind() {
            ProxyKind::Http { tls } => {
                if tls {
                    io = self.tls(io, proxy.host(), watch).await?;
                }
                if !route.is_forwarded() {
                    let opened = tunnel::connect(&mut io, proxy, &route.host, route.port);
                    watch.run(Phase::Proxy, opened).await?;
                }
            }
            ProxyKind::Socks4 { resolves } => {
                let target = self.target(route, resolves, IpAddr::is_ipv4, watch).await?;
                let opened = tunnel::socks4(&mut io, proxy, target, route.port);
                watch.run(Phase::Proxy, opened).await?;
            }
            ProxyKind::Socks5 { resolves } => {
                let target = self.target(route, resolves, |_| true, watch).await?;
                let opened = tunnel::socks5(&mut io, proxy, target, route.port);
                watch.run(Phase::Proxy, opened).await?;
            }
        }
        Ok(io)
    }

    /// Where a proxy of SOCKS is to connect to: an address, the first that it can use, or else a name that it resolves.
    async fn target<'a>(
        &self,
        route: &'a Route,
        resolves: bool,
        can_use: fn(&IpAddr) -> bool,
        watch: &mut Watch,
    ) -> Result<Result<IpAddr, &'a str>, Kind> {
        let name = bare(&route.host);
        if let Ok(address) = name.parse() {
            return Ok(Ok(address));
        }
        if resolves {
            return Ok(Err(name));
        }
        let (host, port, guarded) = (&route.host, route.port, self.public_only);
        let found = self.addresses(host, port, guarded, watch).await?;
        let mut found = found.iter().map(SocketAddr::ip);
        let found = found.find(can_use);
        found.map(Ok).ok_or_else(|| {
            watch.phase = Phase::Dns;
            Kind::NoAddress
        })
    }

    async fn tls(&self, io: BoxStream, host: &str, watch: &mut Watch) -> Result<BoxStream, Kind> {
        let tls = Arc::clone(&self.tls);
        let name = bare(host).trim_end_matches('.');
        let shaken = watch.run(Phase::Tls, async {
            let connector = Tls::connector(tls).await?;
            let shaken = connector.connect(name, io).await;
            shaken.map_err(|failed| Kind::Tls(failed.into_error()))
        });
        Ok(Box::new(shaken.await?))
    }
}

/// A host without the brackets of an address of IPv6.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

async fn open(address: SocketAddr, options: &SocketOptions) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(local) = options.local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    if let Some(interface) = &options.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if options.keepalive {
        socket.set_keepalive(true)?;
    }
    if let Some(timeout) = options.user_timeout {
        socket.set_user_timeout(Some(timeout))?;
    }
    let stream = socket.connect(address).await?;
    if options.nodelay {
        stream.set_nodelay(true)?;
    }
    Ok(stream)
}

/// A TLS configuration that is made when it is needed for the first time: the system's roots are files.
pub(super) struct Tls {
    builder: Mutex<Option<ConnectorBuilder>>,
    made: OnceLock<Result<TlsConnector, Arc<ConfigError>>>,
}

impl Tls {
    pub(super) fn of_builder(builder: ConnectorBuilder) -> Tls {
        Tls {
            builder: Mutex::new(Some(builder)),
            made: OnceLock::new(),
        }
    }

    pub(super) fn of_connector(connector: TlsConnector) -> Tls {
        Tls {
            builder: Mutex::default(),
            made: OnceLock::from(Ok(connector)),
        }
    }

    fn make(&self) -> Result<TlsConnector, Arc<ConfigError>> {
        let made = self.made.get_or_init(|| {
            let mut builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
            let builder = builder.take().unwrap_or_else(TlsConnector::builder);
            builder.build().map_err(Arc::new)
        });
        made.clone()
    }

    async fn connector(tls: Arc<Tls>) -> Result<TlsConnector, Kind> {
        let made = match tls.made.get() {
            Some(made) => made.clone(),
            None => match blitz_io::task::spawn_blocking(move || tls.make()).await {
                Ok(made) => made,
                Err(error) => return Err(Kind::Io(io::Error::other(error))),
            },
        };
        made.map_err(Kind::TlsConfig)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
