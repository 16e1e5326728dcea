//! Datagrams within the machine.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use blitz_core::budget;
use blitz_core::waiting::{Resource, Site};
use blitz_driver::{Direction, ReadyEvent, Registration};
use blitz_sys::descriptor::{AsFd, AsRawFd, OwnedFd};
use blitz_sys::socket::{self, SockAddr, local};

use super::SocketAddr;
use crate::context::call;
use crate::io::{Interest, Ready};
use crate::net::adopt::{driver_beside, into_fd, open_driver, refuse_blocking};
use crate::net::datagrams::datagrams;
use crate::net::error;
use crate::net::waits::waits;

/// A Unix socket for datagrams: none gets lost on the way or overtakes another, and one that finds no room waits.
///
/// As with [`UdpSocket`](crate::net::UdpSocket), one that does not fit into the receiver's buffer loses its end.
///
/// # Examples
/// ```
/// use blitz_io::net::UnixDatagram;
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("blitz-datagram-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let (server_path, client_path) = (folder.join("server"), folder.join("client"));
/// let server = UnixDatagram::bind(&server_path)?;
/// let client = UnixDatagram::bind(&client_path)?;
/// client.send_to(b"ping", &server_path).await?;
///
/// let mut buf = [0; 64];
/// let (len, from) = server.recv_from(&mut buf).await?;
/// assert_eq!((&buf[..len], from.as_pathname()), (&b"ping"[..], Some(client_path.as_path())));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
pub struct UnixDatagram {
    io: Registration,
    /// What [`poll_send_to`](UnixDatagram::poll_send_to) waits for since it found a queue full.
    full: Mutex<Option<Arc<Registration>>>,
}

impl UnixDatagram {
    /// A socket that is bound to `path`, which becomes a file; one that begins with a zero byte is an abstract name.
    ///
    /// # Errors
    /// Those of `bind(2)`, with the path in the text; the kind is the kernel's, the source its own error.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        let driver = open_driver("UnixDatagram::bind")?;
        let path = path.as_ref();
        let bound = || {
            let addr = local::address(path)?;
            let fd = local::datagram()?;
            local::bind(fd.as_fd(), &addr)?;
            Ok(fd)
        };
        bound()
            .map(|fd| UnixDatagram::new(fd, driver))
            .map_err(|error| error::at_path("bind", path, error))
    }

    /// Two sockets, each the other's peer, without a name.
    ///
    /// # Errors
    /// Those of `socketpair(2)`.
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let (one, other) = blitz_io::net::UnixDatagram::pair()?;
    /// one.send(b"ping").await?;
    /// one.send(b"pong").await?;
    /// let mut buf = [0; 16];
    /// assert_eq!(other.recv(&mut buf).await?, 4);
    /// assert_eq!(&buf[..4], b"ping");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let driver = open_driver("UnixDatagram::pair")?;
        let (one, other) = local::datagram_pair()?;
        let ends = (
            UnixDatagram::new(one, driver.clone()),
            UnixDatagram::new(other, driver),
        );
        // Nothing was sent yet: there is room.
        ends.0.io.assume(Ready::WRITABLE);
        ends.1.io.assume(Ready::WRITABLE);
        Ok(ends)
    }

    /// A socket without a name: it can send, and be sent to by its peer alone.
    ///
    /// # Errors
    /// Those of `socket(2)`.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        let driver = open_driver("UnixDatagram::unbound")?;
        local::datagram().map(|fd| UnixDatagram::new(fd, driver))
    }

    /// Takes a non-blocking descriptor.
    fn new(fd: OwnedFd, driver: blitz_driver::Handle) -> UnixDatagram {
        UnixDatagram {
            // Of a direction that is shut the kernel says both that it is closed and that it would block.
            io: Registration::new(Arc::new(fd), driver).reopening(),
            full: Mutex::new(None),
        }
    }

    /// Takes a socket of [`UnixSocket`](super::UnixSocket)'s.
    #[track_caller]
    pub(super) fn of(fd: OwnedFd) -> io::Result<UnixDatagram> {
        let driver = open_driver("UnixSocket::datagram")?;
        Ok(UnixDatagram::new(fd, driver))
    }

    /// Takes over a socket of the standard library, which must be in non-blocking mode.
    ///
    /// # Errors
    /// When the mode cannot be asked for.
    ///
    /// # Panics
    /// Outside a runtime; in debug builds also when the socket is in blocking mode.
    #[track_caller]
    pub fn from_std(datagram: std::os::unix::net::UnixDatagram) -> io::Result<UnixDatagram> {
        refuse_blocking(&datagram)?;
        Ok(UnixDatagram::new(
            datagram.into(),
            open_driver("UnixDatagram::from_std")?,
        ))
    }

    /// Gives the socket back to the standard library, still in non-blocking mode.
    ///
    /// # Errors
    /// When a second descriptor is needed, since another thread's driver holds the first for a moment, and cannot be made.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixDatagram> {
        into_fd(self.io).map(Into::into)
    }

    /// Gives the socket a peer: `send` goes there, and datagrams of others are not received any more.
    ///
    /// # Errors
    /// Those of `connect(2)`, with the path in the text; the kind is the kernel's, the source its own error.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let path = path.as_ref();
        local::address(path)
            .and_then(|addr| local::connect(self.as_fd(), &addr))
            .map(drop)
            .map_err(|error| error::at_path("connect to", path, error))
    }

    /// Sends a datagram to the socket at `target`; returns how many bytes went, which is all of them.
    ///
    /// # Cancel safety
    /// Safe: a dropped `send_to` has sent nothing.
    ///
    /// # Errors
    /// Those of `sendto(2)`: `NotFound` and `ConnectionRefused` if nobody is there, `EMSGSIZE` if it is longer than the socket
    /// takes. `InvalidInput` if the path is too long. When the runtime is shutting down.
    #[track_caller]
    pub fn send_to<P: AsRef<Path>>(
        &self,
        buf: &[u8],
        target: P,
    ) -> impl Future<Output = io::Result<usize>> {
        static CALL: Site = Site::new("UnixDatagram::send_to", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let target = local::address(target.as_ref())?;
            loop {
                match self.try_send_at(buf, &target)? {
                    Sent::All(len) => return Ok(len),
                    Sent::Nothing(Full::Target) => {
                        if let Some(watch) = self.watch(&target)? {
                            watch.ready(Interest::WRITABLE).await?;
                        }
                    }
                    Sent::Nothing(Full::Own(event)) => {
                        self.io.clear(event);
                        self.io.ready(Interest::WRITABLE).await?;
                    }
                }
                // A queue that others fill again and again keeps no worker.
                poll_fn(budget::poll_proceed).await.made_progress();
            }
        })
    }

    /// Tries to send, whatever is known of the socket's readiness.
    fn try_send_at(&self, buf: &[u8], target: &SockAddr) -> io::Result<Sent> {
        let event = self.io.look(Interest::WRITABLE)?;
        match socket::send_to(self.as_fd(), buf, target) {
            Ok(len) => Ok(Sent::All(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let own = !local::has_room(self.as_fd())?;
                Ok(Sent::Nothing(if own {
                    Full::Own(event)
                } else {
                    Full::Target
                }))
            }
            Err(error) => Err(error),
        }
    }

    /// A second socket, connected to the target, if the target's queue is full: it becomes writable when there is room again.
    fn watch(&self, target: &SockAddr) -> io::Result<Option<Registration>> {
        let fd = local::datagram()?;
        local::connect(fd.as_fd(), target)?;
        if local::has_room(fd.as_fd())? {
            return Ok(None);
        }
        let driver = driver_beside(&self.io, "UnixDatagram::send_to");
        Ok(Some(Registration::new(Arc::new(fd), driver)))
    }

    /// Polls to [`send_to`](UnixDatagram::send_to). One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// As there.
    pub fn poll_send_to<P: AsRef<Path>>(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: P,
    ) -> Poll<io::Result<usize>> {
        let target = local::address(target.as_ref())?;
        loop {
            let coop = ready!(budget::poll_proceed(cx));
            let sent = self.try_send_at(buf, &target)?;
            coop.made_progress();
            match sent {
                Sent::All(len) => {
                    let watch = self.lock().take();
                    drop(watch);
                    return Poll::Ready(Ok(len));
                }
                Sent::Nothing(Full::Target) => {
                    if let Some(watch) = self.watch(&target)?.map(Arc::new) {
                        // It has to outlive this poll: its driver calls the waker.
                        let before = self.lock().replace(Arc::clone(&watch));
                        drop(before);
                        ready!(watch.poll_ready(cx, Direction::Write))?;
                    }
                }
                Sent::Nothing(Full::Own(event)) => {
                    self.io.clear(event);
                    ready!(self.io.poll_ready(cx, Direction::Write))?;
                }
            }
        }
    }

    /// As [`send_to`](UnixDatagram::send_to), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when the socket, or the target's queue, takes nothing now; else as there. Of a target's queue
    /// [`writable`](UnixDatagram::writable) knows nothing, unless the target is the socket's peer.
    pub fn try_send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        let target = local::address(target.as_ref())?;
        match self.try_send_at(buf, &target)? {
            Sent::All(len) => return Ok(len),
            // The socket's own readiness stays: no event would bring it back.
            Sent::Nothing(Full::Target) => {}
            Sent::Nothing(Full::Own(event)) => self.io.clear(event),
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Registration>>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local::local_addr(self.as_fd()).map(SocketAddr::from)
    }

    /// The address of the peer that the socket is connected to.
    ///
    /// # Errors
    /// `NotConnected` if it is to none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        local::peer_addr(self.as_fd()).map(SocketAddr::from)
    }

    /// Ends one direction, or both: sends, also those to this socket, fail with `BrokenPipe`.
    ///
    /// A receive that finds no datagram still waits: the kernel tells those that do not block that there is none yet.
    ///
    /// # Errors
    /// Those of `shutdown(2)`: `NotConnected` if the socket has no peer.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        socket::shutdown(self.as_fd(), how)
    }
}

/// How a try to send ended that did not fail.
enum Sent {
    /// So many bytes went.
    All(usize),
    /// It would have blocked.
    Nothing(Full),
}

/// What had no room. Of the target's queue the kernel tells only sockets that are connected to it: this one is writable all the
/// while.
enum Full {
    /// The socket's buffer; what was known of its readiness before.
    Own(ReadyEvent),
    /// The target's queue.
    Target,
}

waits! {
    UnixDatagram, poll_recv_ready, poll_send_ready;
}

/// The kernel's address as ours.
fn address_of(addr: &SockAddr) -> io::Result<SocketAddr> {
    local::to_std(addr).map(SocketAddr::from)
}

datagrams! {
    UnixDatagram, SocketAddr, address_of;
}

impl TryFrom<std::os::unix::net::UnixDatagram> for UnixDatagram {
    type Error = io::Error;

    /// As [`UnixDatagram::from_std`].
    fn try_from(datagram: std::os::unix::net::UnixDatagram) -> io::Result<UnixDatagram> {
        UnixDatagram::from_std(datagram)
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut socket = f.debug_struct("UnixDatagram");
        if let Ok(addr) = self.local_addr() {
            socket.field("addr", &addr);
        }
        if let Ok(peer) = self.peer_addr() {
            socket.field("peer", &peer);
        }
        socket.field("fd", &self.as_raw_fd()).finish()
    }
}
