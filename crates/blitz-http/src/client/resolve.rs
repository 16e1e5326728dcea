//! From names to addresses: what was said beforehand, what was found a moment ago, what the system finds now.

use super::error::Kind;
use blitz_io::time::Instant;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The addresses of a name, when they are found.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// What finds the addresses of names. Must not block: see [`ClientBuilder::resolver`](super::ClientBuilder::resolver).
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, the preferred first.
    fn resolve(&self, host: &str) -> Resolving;
}

impl<F> Resolve for F
where
    F: Fn(&str) -> Resolving + Send + Sync,
{
    fn resolve(&self, host: &str) -> Resolving {
        self(host)
    }
}

/// The system's resolver, on threads of its own: it blocks, and no worker waits for it.
struct System;

impl Resolve for System {
    fn resolve(&self, host: &str) -> Resolving {
        Box::pin(blitz_io::net::resolve(host))
    }
}

/// Names that are remembered; then those go first that would be forgotten first.
const KEPT_MAX: usize = 4096;

pub(super) struct Resolver {
    inner: Arc<dyn Resolve>,
    /// For a host, or a host with a port.
    given: HashMap<(String, Option<u16>), Vec<SocketAddr>>,
    found: Mutex<HashMap<String, Found>>,
    found_for: Duration,
    missing_for: Duration,
}

struct Found {
    /// Or what was said instead.
    answer: Result<Vec<IpAddr>, (io::ErrorKind, String)>,
    until: Instant,
}

impl Resolver {
    pub(super) fn new(
        inner: Option<Arc<dyn Resolve>>,
        given: HashMap<(String, Option<u16>), Vec<SocketAddr>>,
        found_for: Duration,
        missing_for: Duration,
    ) -> Resolver {
        Resolver {
            inner: inner.unwrap_or_else(|| Arc::new(System)),
            given,
            found: Mutex::default(),
            found_for,
            missing_for,
        }
    }

    fn found(&self) -> MutexGuard<'_, HashMap<String, Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses that need no asking: of what is an address, and of what was given.
    pub(super) fn known(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        for key in [Some(port), None] {
            if let Some(given) = self.given.get(&(host.to_owned(), key)) {
                let with_port = given.iter().map(|address| {
                    let port = if address.port() == 0 {
                        port
                    } else {
                        address.port()
                    };
                    SocketAddr::new(address.ip(), port)
                });
                return Some(with_port.collect());
            }
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address: IpAddr = bare.parse().ok()?;
        Some(vec![SocketAddr::new(address, port)])
    }

    pub(super) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Kind> {
        let with_port = |addresses: &[IpAddr]| {
            let addresses = addresses.iter();
            addresses.map(|ip| SocketAddr::new(*ip, port)).collect()
        };
        let now = Instant::now();
        if let Some(found) = self.found().get(host).filter(|found| found.until > now) {
            return match &found.answer {
                Ok(addresses) if addresses.is_empty() => Err(Kind::NoAddress),
                Ok(addresses) => Ok(with_port(addresses)),
                Err((kind, said)) => Err(Kind::Dns(io::Error::new(*kind, said.clone()))),
            };
        }
        let answer = self.inner.resolve(host).await;
        let (for_, kept) = match &answer {
            Ok(addresses) if addresses.is_empty() => (self.missing_for, Ok(Vec::new())),
            Ok(addresses) => (self.found_for, Ok(addresses.clone())),
            Err(error) => (self.missing_for, Err((error.kind(), error.to_string()))),
        };
        if let Some(until) = Instant::now().checked_add(for_) {
            let answer = kept;
            self.keep(host, Found { answer, until });
        }
        match answer {
            Ok(addresses) if addresses.is_empty() => Err(Kind::NoAddress),
            Ok(addresses) => Ok(with_port(&addresses)),
            Err(error) => Err(Kind::Dns(error)),
        }
    }

    fn keep(&self, host: &str, entry: Found) {
        let now = Instant::now();
        if entry.until <= now {
            return;
        }
        let mut found = self.found();
        if found.len() >= KEPT_MAX {
            found.retain(|_, found| found.until > now);
        }
        if found.len() >= KEPT_MAX
            && let Some(first) = found
                .iter()
                .min_by_key(|(_, found)| found.until)
                .map(|(host, _)| host.clone())
        {
            found.remove(&first);
        }
        found.insert(host.to_owned(), entry);
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("given", &self.given)
            .field("found", &self.found().len())
            .finish_non_exhaustive()
    }
}

/// In the order in which they are tried: one family, then the other, by turns, beginning with that of the first (RFC 8305 §4).
pub(super) fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return addresses;
    };
    let six = first.is_ipv6();
    let (preferred, others): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == six);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut ordered = Vec::new();
    loop {
        let (one, other) = (preferred.next(), others.next());
        if one.is_none() && other.is_none() {
            return ordered;
        }
        ordered.extend(one);
        ordered.extend(other);
    }
}

#[cfg(test)]
mod tests {
    use super::by_turns;

    #[test]
    fn families_take_turns() {
        let parse = |list: &[&str]| -> Vec<std::net::SocketAddr> {
            list.iter().map(|text| text.parse().expect(text)).collect()
        };
        let given = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(by_turns(given), expected);
        assert_eq!(by_turns(Vec::new()), []);
    }
}
