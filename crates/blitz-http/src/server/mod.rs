//! The server: its sockets ([`listener`]), what stands before HTTP ([`door`]), how it accepts ([`accept`]), and its end in good order.

mod accept;
mod door;
mod listener;
#[cfg(test)]
mod tests;

use crate::{BoxError, Config, Handle, Report, Request};
use accept::Serving;
use blitz_io::net::ToSocketAddrs;
use blitz_io::runtime::{Handle as Runtime, RuntimeFlavor};
use blitz_io::sync::Semaphore;
use blitz_io::task::JoinHandle;
use door::Greeting;
use http::Extensions;
pub use listener::{ListenOptions, Listener, PortSharing};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tower_service::Service;

/// A server: listeners, limits, and once it [`serve`](Server::serve)s, connections.
///
/// On `current_thread` and `thread_per_core` runtimes with io_uring, answers of up to 1 KiB that connections of TCP without TLS give in the
/// same turn of the driver go to the kernel by one call ([`BatchedStream`](blitz_io::net::BatchedStream)). So a task that computes without an
/// `await` holds back what others on its thread have answered; [`Builder::batched_writes(false)`](blitz_io::runtime::Builder::batched_writes)
/// has each answer written at once.
///
/// See the [crate] for an example.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    handle: Handle,
    greeting: Greeting,
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
            greeting: Greeting::default(),
        }
    }

    /// A server that listens at the first address that `addr` gives and that can be bound: [`Listener::bind`].
    ///
    /// # Cancel safety
    /// Safe: nothing is bound then.
    ///
    /// # Errors
    /// When no address can be bound.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Server> {
        Ok(Server::new().listen(Listener::bind(addr).await?))
    }

    /// Adds a listener, of whatever kind; the same service answers what comes by any of them.
    #[must_use]
    pub fn listen(mut self, listener: impl Into<Listener>) -> Server {
        self.listeners.push(listener.into());
        self
    }

    /// Sets the limits. A [`handle`](Server::handle) that was taken before is another server's then.
    #[must_use]
    pub fn config(mut self, config: Config) -> Server {
        self.handle = Handle::new(config);
        self
    }

    /// Calls `greet` for each connection before its first request, with what every request of it will have among its extensions: [`Peer`](crate::Peer),
    /// and where they are known [`TlsPeer`](crate::TlsPeer) and the credentials of who came by a Unix socket. What it adds they have, too. It is
    /// dropped when the connection ends or becomes another protocol's, so a guard among it tells of that.
    ///
    /// A `greet` that panics ends the connection, and no other.
    ///
    /// ```
    /// use blitz_http::{Request, Router, Server};
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    ///
    /// #[derive(Clone)]
    /// struct Number(u64);
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let count = AtomicU64::new(0);
    /// let server = Server::bind("127.0.0.1:0").await?.on_connect(move |extensions| {
    ///     extensions.insert(Number(count.fetch_add(1, Relaxed)));
    /// });
    /// let router = Router::new().get("/", |request: Request| async move {
    ///     let number = request.extensions().get::<Number>().map(|number| number.0);
    ///     format!("you are number {number:?}")
    /// });
    /// # let _ = (server, router);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn on_connect(mut self, greet: impl Fn(&mut Extensions) + Send + Sync + 'static) -> Server {
        self.greeting = Greeting(Some(Arc::new(greet)));
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
        let serving = Serving {
            service,
            permits: Arc::new(Semaphore::new(
                self.handle
                    .config()
                    .connections_max
                    .min(Semaphore::MAX_PERMITS),
            )),
            handle: self.handle,
            pace: Arc::default(),
            stay: false,
        };
        let handle = serving.handle.clone();
        let mut accepting = Accepting(Vec::new());
        for mut listener in self.listeners {
            listener.door.greet(&self.greeting);
            accepting.begin(listener, &serving);
        }
        drop(serving);
        handle.stopping().await;
        // Each takes what is in its queue already, and no more.
        accepting.end().await;
        handle.drain().await
    }
}

/// The tasks that accept; they end with it.
struct Accepting(Vec<JoinHandle<()>>);

impl Accepting {
    fn begin<S, B>(&mut self, listener: Listener, serving: &Serving<S>)
    where
        S: Service<Request, Response = http::Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Listener { sockets, door } = listener;
        let runtime = Runtime::current();
        let stay = sockets.len() > 1 && runtime.runtime_flavor() == RuntimeFlavor::ThreadPerCore;
        let workers = runtime.metrics().num_workers();
        for (at, socket) in sockets.into_iter().enumerate() {
            let (door, mut serving) = (door.clone(), serving.clone());
            serving.stay = stay;
            self.0.push(if stay {
                runtime.spawn_on(at % workers, move || accept::run(socket, door, serving))
            } else {
                runtime.spawn(accept::run(socket, door, serving))
            });
        }
    }

    async fn end(&mut self) {
        for task in &mut self.0 {
            // One that panicked accepts no more, which is what was wanted.
            let _ = task.await;
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}
