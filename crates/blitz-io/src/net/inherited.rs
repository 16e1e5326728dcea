//! Listeners that whoever started the process has bound for it.

use std::io;

use blitz_sys::socket;

use super::TcpListener;
#[cfg(unix)]
use super::UnixListener;

/// A listener that was passed on by whoever started this process; see [`inherited_listeners`].
#[derive(Debug)]
#[non_exhaustive]
pub enum InheritedListener {
    /// Of TCP.
    Tcp(TcpListener),
    /// Of a Unix socket.
    #[cfg(unix)]
    Unix(UnixListener),
}

/// The listeners that a service manager passed on to this process, with the names that it has for them, in its order: those of
/// `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES`, as `sd_listen_fds(3)` describes them. One without a name is `unknown`.
///
/// None where there are none, on a second call, and on systems other than Linux. What is passed on beside them (datagram sockets, files) is
/// left alone. The variables stay in the environment, and mean nothing to children, whose numbers are others.
///
/// # Errors
/// When the environment says what cannot be true.
///
/// # Panics
/// Outside a runtime, when there are some.
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// use blitz_io::net::{InheritedListener, TcpListener, inherited_listeners};
///
/// let mut passed = inherited_listeners()?.into_iter();
/// let listener = match passed.find(|(name, _)| name == "web") {
///     Some((_, InheritedListener::Tcp(listener))) => listener,
///     _ => TcpListener::bind("127.0.0.1:0").await?,
/// };
/// # let _ = listener;
/// # Ok(())
/// # }
/// ```
pub fn inherited_listeners() -> io::Result<Vec<(String, InheritedListener)>> {
    let taken = socket::take_inherited()?;
    taken
        .into_iter()
        .map(|taken| {
            #[cfg(unix)]
            if taken.is_local {
                let listener = UnixListener::from_std(taken.fd.into())?;
                return Ok((taken.name, InheritedListener::Unix(listener)));
            }
            let listener = TcpListener::from_std(taken.fd.into())?;
            Ok((taken.name, InheritedListener::Tcp(listener)))
        })
        .collect()
}
