//! What can be given where a socket address is wanted, and how host names become addresses.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{option, vec};

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_exec::task::JoinHandle;

use crate::context::{self, call};

/// What can be turned into socket addresses, without blocking the caller.
///
/// Addresses are taken as they are. A host name (in a string, or beside a port) is looked up by the system's
/// resolver on the blocking pool. The trait is sealed: it is there to be given to functions, not to be called.
///
/// Implemented for `SocketAddr`, `SocketAddrV4`, `SocketAddrV6`, `(IpAddr, u16)`, `(Ipv4Addr, u16)`,
/// `(Ipv6Addr, u16)`, `&[SocketAddr]`, `str`, `String`, `(&str, u16)`, `(String, u16)` and references to them.
pub trait ToSocketAddrs: sealed::Resolve {}

mod sealed {
    /// The one method of [`ToSocketAddrs`](super::ToSocketAddrs), out of the users' reach.
    pub trait Resolve {
        #[doc(hidden)]
        fn resolve(&self) -> super::Resolving;
    }
}
use sealed::Resolve;

/// Looks up a host and its port; returns the addresses one after the other.
///
/// # Cancel safety
/// Safe: a look-up whose future is dropped runs to its end on the blocking pool, and its answer is dropped.
///
/// # Errors
/// When the resolver finds nothing, or the string is not `host:port`.
///
/// # Panics
/// Outside a runtime, when a name has to be looked up.
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let mut addrs = blitz_io::net::lookup_host("localhost:80").await?;
/// assert!(addrs.all(|addr| addr.ip().is_loopback() && addr.port() == 80));
/// assert!(blitz_io::net::lookup_host("no port here").await.is_err());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn lookup_host<T: ToSocketAddrs>(
    host: T,
) -> impl Future<Output = io::Result<impl Iterator<Item = SocketAddr>>> {
    static CALL: Site = Site::new("net::lookup_host", Resource::None);
    call(&CALL, UNKNOWN, async move { host.resolve().await })
}

/// Tries `attempt` with each address in turn and gives the first success, or the last failure.
pub(crate) async fn each_addr<A, F, T>(addr: A, mut attempt: F) -> io::Result<T>
where
    A: ToSocketAddrs,
    F: AsyncFnMut(SocketAddr) -> io::Result<T>,
{
    let mut last = None;
    for addr in addr.resolve().await? {
        match attempt(addr).await {
            Ok(done) => return Ok(done),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(no_address))
}

/// As [`each_addr`], for an attempt that waits for nothing.
pub(crate) async fn each_addr_now<A: ToSocketAddrs, T>(
    addr: A,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for addr in addr.resolve().await? {
        match attempt(addr) {
            Ok(done) => return Ok(done),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(no_address))
}

fn no_address() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "could not resolve to any address",
    )
}

/// The first address that `addr` gives.
pub(crate) async fn first_addr<A: ToSocketAddrs>(addr: A) -> io::Result<SocketAddr> {
    addr.resolve()
        .await?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no addresses to send data to"))
}

/// Addresses on their way.
#[derive(Debug)]
pub enum Resolving {
    /// They are here.
    Known(Addrs),
    /// The text is no address and no name with a port.
    Invalid(String),
    /// A thread of the blocking pool asks the resolver.
    Asking(JoinHandle<io::Result<vec::IntoIter<SocketAddr>>>, String),
}

/// The addresses found.
#[derive(Debug)]
pub enum Addrs {
    /// One, given as it is.
    One(option::IntoIter<SocketAddr>),
    /// A list.
    Many(vec::IntoIter<SocketAddr>),
}

impl Iterator for Addrs {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match self {
            Addrs::One(one) => one.next(),
            Addrs::Many(many) => many.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Addrs::One(one) => one.size_hint(),
            Addrs::Many(many) => many.size_hint(),
        }
    }
}

impl Resolving {
    fn one(addr: impl Into<SocketAddr>) -> Resolving {
        Resolving::Known(Addrs::One(Some(addr.into()).into_iter()))
    }

    /// A name and a port, or an address written as text.
    fn host(host: &str, port: u16) -> Resolving {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Resolving::one((ip, port));
        }
        let host = host.to_owned();
        let name = host.clone();
        let asking = context::spawn_blocking("a host name's look-up", move || {
            std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port))
        });
        Resolving::Asking(asking, name)
    }

    fn text(text: &str) -> Resolving {
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return Resolving::one(addr);
        }
        let parts = text.rsplit_once(':');
        match parts.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) {
            Some((host, port)) => Resolving::host(host, port),
            None => Resolving::Invalid(text.to_owned()),
        }
    }
}

impl Future for Resolving {
    type Output = io::Result<Addrs>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this {
            Resolving::Known(addrs) => {
                let empty = Addrs::One(None.into_iter());
                Poll::Ready(Ok(std::mem::replace(addrs, empty)))
            }
            Resolving::Invalid(text) => {
                let text = format!("invalid socket address {text:?}: expected `host:port`");
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, text)))
            }
            Resolving::Asking(asking, host) => {
                Poll::Ready(match ready!(Pin::new(asking).poll(cx)) {
                    Ok(Ok(addrs)) => Ok(Addrs::Many(addrs)),
                    Ok(Err(error)) => Err(super::error::on_host(host, error)),
                    Err(error) => Err(io::Error::other(error)),
                })
            }
        }
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}
impl<T: ToSocketAddrs + ?Sized> Resolve for &T {
    fn resolve(&self) -> Resolving {
        (**self).resolve()
    }
}

macro_rules! known {
    ($($type:ty),+) => {$(
        impl ToSocketAddrs for $type {}
        impl Resolve for $type {
            fn resolve(&self) -> Resolving {
                Resolving::one(*self)
            }
        }
    )+};
}
known!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl ToSocketAddrs for &[SocketAddr] {}
impl Resolve for &[SocketAddr] {
    fn resolve(&self) -> Resolving {
        Resolving::Known(Addrs::Many(Vec::from(*self).into_iter()))
    }
}

impl ToSocketAddrs for str {}
impl Resolve for str {
    fn resolve(&self) -> Resolving {
        Resolving::text(self)
    }
}

impl ToSocketAddrs for String {}
impl Resolve for String {
    fn resolve(&self) -> Resolving {
        Resolving::text(self)
    }
}

impl ToSocketAddrs for (&str, u16) {}
impl Resolve for (&str, u16) {
    fn resolve(&self) -> Resolving {
        Resolving::host(self.0, self.1)
    }
}

impl ToSocketAddrs for (String, u16) {}
impl Resolve for (String, u16) {
    fn resolve(&self) -> Resolving {
        Resolving::host(&self.0, self.1)
    }
}
