//! What can be given where a socket address is wanted, and how host names become addresses.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{option, vec};

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::Clock;
use blitz_driver::clock::Inhibit;

use super::resolver::{self, Asking};
use crate::context::{self, call};

/// What can be turned into socket addresses, without blocking the caller.
///
/// Addresses are taken as they are. A host name (in a string, or beside a port) is looked up by the system's
/// resolver on a thread of its own (see [`lookup_host`]). The trait is sealed: it is there to be given to functions, not to be called.
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
/// The system's resolver is asked on a thread of the process's own, of which there are 16 at most. It may take minutes and cannot be
/// interrupted; give up on it by [`time::timeout`](crate::time::timeout). No runtime waits for it when it shuts down, and while 16
/// look-ups hang, further ones stand in line.
///
/// # Cancel safety
/// Safe: a look-up whose future is dropped is not begun any more; one that has begun runs to its end, and its answer is dropped.
///
/// # Errors
/// When the resolver finds nothing, or the string is not `host:port`.
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

/// Looks up a host; returns its addresses of both families, each once, in the order in which the system prefers them.
///
/// As [`lookup_host`], without a port. An address, written as text, is what it says.
///
/// # Cancel safety
/// Safe, as for [`lookup_host`].
///
/// # Errors
/// When the resolver finds nothing, with the host in the text.
///
/// # Examples
/// ```
/// use std::net::{IpAddr, Ipv4Addr};
/// use blitz_io::net::resolve;
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// assert_eq!(resolve("192.0.2.1").await?, [IpAddr::from(Ipv4Addr::new(192, 0, 2, 1))]);
/// assert!(resolve("localhost").await?.iter().all(IpAddr::is_loopback));
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn resolve(host: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + use<> {
    static CALL: Site = Site::new("net::resolve", Resource::None);
    call(&CALL, UNKNOWN, addresses_of(Resolving::host(host, 0)))
}

/// As [`resolve`], for as long as `limit`.
///
/// # Cancel safety
/// Safe, as for [`lookup_host`].
///
/// # Errors
/// As there, and `TimedOut`.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let found = blitz_io::net::resolve_within("localhost", Duration::from_secs(60)).await?;
/// assert!(!found.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// Outside a runtime.
#[track_caller]
pub fn resolve_within(
    host: &str,
    limit: Duration,
) -> impl Future<Output = io::Result<Vec<IpAddr>>> + use<> {
    static CALL: Site = Site::new("net::resolve_within", Resource::None);
    call(
        &CALL,
        UNKNOWN,
        within(host, limit, Resolving::host(host, 0)),
    )
}

#[track_caller]
fn within<F>(
    host: &str,
    limit: Duration,
    resolving: F,
) -> impl Future<Output = io::Result<Vec<IpAddr>>> + use<F>
where
    F: Future<Output = io::Result<Addrs>>,
{
    let asked = host.to_owned();
    // From here on, not from the first poll.
    let found = crate::time::timeout(limit, addresses_of(resolving));
    async move {
        found.await.unwrap_or_else(|_| {
            let late = format!("the resolver has not answered after {limit:?}");
            let error = io::Error::new(io::ErrorKind::TimedOut, late);
            Err(super::error::on_host(&asked, error))
        })
    }
}

async fn addresses_of(
    resolving: impl Future<Output = io::Result<Addrs>>,
) -> io::Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> = Vec::new();
    for addr in resolving.await? {
        if !found.contains(&addr.ip()) {
            found.push(addr.ip());
        }
    }
    Ok(found)
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
pub struct Resolving(Way);

#[derive(Debug)]
enum Way {
    /// They are here.
    Known(Addrs),
    /// The text is no address and no name with a port.
    Invalid(String),
    /// A thread asks the resolver for the host. Paused time stands still meanwhile, as over every call that blocks.
    Asking(Asking, String, Option<Inhibit>),
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
        Resolving(Way::Known(Addrs::One(Some(addr.into()).into_iter())))
    }

    /// A name and a port, or an address written as text.
    fn host(host: &str, port: u16) -> Resolving {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Resolving::one((ip, port));
        }
        let host = host.to_owned();
        let name = host.clone();
        let asking = resolver::ask(move || {
            let found = std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port))?;
            Ok(found.collect())
        });
        let still = context::with_clock(Clock::inhibit);
        Resolving(Way::Asking(asking, name, still))
    }

    fn text(text: &str) -> Resolving {
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return Resolving::one(addr);
        }
        let parts = text.rsplit_once(':');
        match parts.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) {
            Some((host, port)) => Resolving::host(host, port),
            None => Resolving(Way::Invalid(text.to_owned())),
        }
    }
}

impl Future for Resolving {
    type Output = io::Result<Addrs>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Way::Known(addrs) => {
                let empty = Addrs::One(None.into_iter());
                Poll::Ready(Ok(std::mem::replace(addrs, empty)))
            }
            Way::Invalid(text) => {
                let text = format!("invalid socket address {text:?}: expected `host:port`");
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, text)))
            }
            Way::Asking(asking, host, still) => {
                let answer = ready!(Pin::new(asking).poll(cx));
                *still = None;
                Poll::Ready(match answer {
                    Ok(addrs) => Ok(Addrs::Many(addrs.into_iter())),
                    Err(error) => Err(super::error::on_host(host, error)),
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
        Resolving(Way::Known(Addrs::Many(Vec::from(*self).into_iter())))
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::runtime::Builder;

    /// A resolver that hangs for as long as the sender lives; then it has found nothing.
    fn hanging() -> (Resolving, mpsc::Sender<()>) {
        let (end, ends) = mpsc::channel::<()>();
        let asking = resolver::ask(move || {
            let _ = ends.recv();
            Ok(Vec::new())
        });
        let way = Way::Asking(asking, "slow.example".to_owned(), None);
        (Resolving(way), end)
    }

    #[test]
    fn a_resolver_that_hangs_is_given_up_in_time() {
        let limit = Duration::from_millis(20);
        for runtime in [
            Builder::new_current_thread().build().unwrap(),
            Builder::new_multi_thread()
                .worker_threads(1)
                .build()
                .unwrap(),
        ] {
            let (resolving, _end) = hanging();
            let begun = std::time::Instant::now();
            let error = runtime
                .block_on(async { within("slow.example", limit, resolving).await })
                .unwrap_err();
            assert!(begun.elapsed() >= limit);
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let text = error.to_string();
            assert!(
                text.contains("slow.example") && text.contains("20ms"),
                "{text}"
            );
            // Dropped, it was not answered: what comes later is nobody's.
            drop(runtime);
        }
        let runtime = Builder::new_current_thread().build().unwrap();
        let (resolving, end) = hanging();
        let answered = async {
            let found = within("slow.example", Duration::from_secs(60), resolving);
            drop(end);
            found.await
        };
        let answer = runtime.block_on(answered);
        assert!(answer.is_ok_and(|found| found.is_empty()), "it was in time");
    }
}
