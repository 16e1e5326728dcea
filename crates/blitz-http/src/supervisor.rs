//! What a server tells the service manager that started it: that it is ready, that it ends, that it is alive (`sd_notify(3)`).
//!
//! Nothing here is done by itself: a process has one manager and may have many servers, so the program says when it is ready. Where no
//! manager asked (`NOTIFY_SOCKET` is not set, or the system is none that has one), nothing is told and nothing fails. The listeners that a
//! manager passes on are [`Listener::from_env`](crate::Listener::from_env)'s.
//!
//! ```
//! # #[blitz_io::main]
//! # async fn main() -> std::io::Result<()> {
//! use blitz_http::{Router, Server, now, supervisor};
//! use std::time::Duration;
//!
//! let server = Server::bind("127.0.0.1:0").await?;
//! let handle = server.handle();
//! let serving = blitz_io::spawn(server.serve(Router::new().get("/", now(|_| "hello"))));
//! supervisor::ready()?;
//! if let Some(alive) = supervisor::watchdog() {
//!     blitz_io::spawn(alive);
//! }
//! // Until a signal comes.
//! supervisor::stopping()?;
//! handle.shut_down(Duration::from_secs(10));
//! serving.await?;
//! # Ok(())
//! # }
//! ```

use blitz_io::time::sleep;
use std::env;
use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::io;
use std::time::Duration;

/// Says that the service is up. `false` if nobody asked.
///
/// # Errors
/// When the manager's socket cannot be written to.
pub fn ready() -> io::Result<bool> {
    tell("READY=1")
}

/// Says that the service ends, and takes its time. `false` if nobody asked.
///
/// # Errors
/// As [`ready`].
pub fn stopping() -> io::Result<bool> {
    tell("STOPPING=1")
}

/// Says in a line what the service is doing, for people to read. `false` if nobody asked.
///
/// # Errors
/// As [`ready`], and for a text of more than one line.
pub fn status(text: &str) -> io::Result<bool> {
    if text.contains('\n') {
        let why = "a status is one line: what stands behind it would be read as another message";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    tell(&format!("STATUS={text}"))
}

/// What says at half of the interval that the manager set (`WATCHDOG_USEC`) that the service is alive, for ever; `None` if it set none, or
/// for another process (`WATCHDOG_PID`).
///
/// Spawn it: what it shows is that the runtime runs tasks and timers. A socket that cannot be written to is no reason to end, and the manager
/// draws its own conclusions; it is logged.
///
/// # Cancel safety
/// Safe: dropped, it says nothing more.
pub fn watchdog() -> Option<impl Future<Output = ()> + Send + 'static> {
    let text = |name| env::var(name).ok();
    let own = std::process::id();
    let interval = interval(
        text("WATCHDOG_USEC").as_deref(),
        text("WATCHDOG_PID").as_deref(),
        own,
    )?;
    asked()?;
    Some(async move {
        loop {
            if let Err(error) = tell("WATCHDOG=1") {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the service manager cannot be told that we are alive"
                );
            }
            sleep(interval / 2).await;
        }
    })
}

/// The interval, if it is for us.
fn interval(microseconds: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let microseconds = microseconds?.parse().ok().filter(|number| *number > 0)?;
    let for_us = pid.is_none_or(|pid| pid.parse() == Ok(own));
    for_us.then(|| Duration::from_micros(microseconds))
}

fn asked() -> Option<OsString> {
    env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())
}

fn tell(message: &str) -> io::Result<bool> {
    match asked() {
        Some(path) => socket::send(&path, message),
        None => Ok(false),
    }
}

#[cfg(unix)]
mod socket {
    use super::*;
    use blitz_sys::descriptor::AsFd;
    use blitz_sys::socket::{local, send_to};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::PathBuf;

    /// One datagram, without waiting: a manager that has stopped reading must not stop its services.
    pub(super) fn send(path: &OsStr, message: &str) -> io::Result<bool> {
        let mut bytes = path.as_bytes().to_vec();
        // A name of no file, as the variable spells it.
        if let [first @ b'@', ..] = &mut bytes[..] {
            *first = 0;
        }
        let addr = local::address(&PathBuf::from(OsString::from_vec(bytes)))?;
        send_to(local::datagram()?.as_fd(), message.as_bytes(), &addr)?;
        Ok(true)
    }
}

#[cfg(not(unix))]
mod socket {
    use super::*;

    pub(super) fn send(_: &OsStr, _: &str) -> io::Result<bool> {
        Ok(false)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn a_message_is_one_datagram() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        assert!(socket::send(path.as_os_str(), "READY=1").unwrap());
        let mut bytes = [0; 64];
        let n = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..n], b"READY=1");
        assert!(socket::send(folder.path().join("none").as_os_str(), "READY=1").is_err());
    }

    #[test]
    fn a_name_without_a_file_is_known() {
        use blitz_sys::descriptor::AsFd;
        use blitz_sys::socket::local;

        let name = format!("blitz-notify-{}", std::process::id());
        let Ok(addr) = local::address(format!("\0{name}").as_ref()) else {
            return eprintln!("skipped: this system has no such names");
        };
        let manager = local::datagram().unwrap();
        local::bind(manager.as_fd(), &addr).unwrap();
        assert!(socket::send(OsStr::new(&format!("@{name}")), "STOPPING=1").unwrap());
        let mut bytes = [0; 64];
        let n = UnixDatagram::from(manager).recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..n], b"STOPPING=1");
    }

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(interval(Some("1000000"), None, 7), second);
        assert_eq!(interval(Some("1000000"), Some("7"), 7), second);
        assert_eq!(interval(Some("1000000"), Some("8"), 7), None);
        assert_eq!(interval(Some("0"), None, 7), None);
        assert_eq!(interval(Some("soon"), None, 7), None);
        assert_eq!(interval(None, None, 7), None);
    }

    #[test]
    fn a_status_is_one_line() {
        assert!(status("a\nREADY=1").is_err());
    }
}
