//! What an error of the kernel means here: the address it happened at, and what can be done.
//!
//! The kind of the error stays, and the kernel's own error, with its number, is its
//! [`source`](std::error::Error::source). Reads and writes are not dressed up: theirs is the kernel's error itself. So is that of
//! everything in a runtime that is [not to explain](crate::runtime::Builder::explain_errors).

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Text before the error, the error, and a remedy where one is known.
#[derive(Debug)]
struct Explained {
    what: String,
    source: io::Error,
    remedy: Option<&'static str>,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)?;
        self.remedy.map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

impl Error for Explained {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

fn explained(what: String, source: io::Error, remedy: Option<&'static str>) -> io::Error {
    if !crate::context::explains_errors() {
        return source;
    }
    io::Error::new(
        source.kind(),
        Explained {
            what,
            source,
            remedy,
        },
    )
}

/// `error` came while doing `verb` (as in "bind") with `addr`.
#[cold]
pub(crate) fn at(verb: &str, addr: SocketAddr, error: io::Error) -> io::Error {
    let remedy = remedy(&error);
    about(verb, &addr, error, remedy)
}

/// As [`at`], with a Unix socket's path.
#[cfg(unix)]
#[cold]
pub(crate) fn at_path(verb: &str, path: impl fmt::Debug, error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        _ if is_out_of_descriptors(&error) => remedy(&error),
        io::ErrorKind::AddrInUse => Some(
            "a file of that name is there: remove it if no process listens on it any more, or choose another name",
        ),
        io::ErrorKind::ConnectionRefused => {
            Some("nothing listens there: is the server running, and on that path?")
        }
        io::ErrorKind::WouldBlock => Some(
            "the listener's line of connections is full, and the kernel tells nobody when it is not: try again later",
        ),
        _ => None,
    };
    about(verb, &format_args!("{path:?}"), error, remedy)
}

fn about(
    verb: &str,
    what: &dyn fmt::Display,
    error: io::Error,
    remedy: Option<&'static str>,
) -> io::Error {
    if blitz_driver::is_shutting_down(&error) {
        // The runtime's error, not the address's, and known by its type.
        return error;
    }
    explained(format!("cannot {verb} {what}"), error, remedy)
}

/// `error` came while `host` was looked up.
#[cold]
pub(crate) fn on_host(host: &str, error: io::Error) -> io::Error {
    explained(format!("cannot look up host {host:?}"), error, None)
}

/// As [`at`] when descriptors ran out, and the error as it is otherwise.
#[cold]
pub(crate) fn on_accept<A: fmt::Debug>(
    addr: impl FnOnce() -> io::Result<A>,
    error: io::Error,
) -> io::Error {
    if !is_out_of_descriptors(&error) {
        return error;
    }
    let what = match addr() {
        Ok(addr) => format!("cannot accept a connection on {addr:?}"),
        Err(_) => "cannot accept a connection".to_owned(),
    };
    let remedy = remedy(&error);
    explained(what, error, remedy)
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    blitz_sys::socket::is_out_of_descriptors(error)
}

fn remedy(error: &io::Error) -> Option<&'static str> {
    if is_out_of_descriptors(error) {
        return Some(
            "close descriptors that are no longer needed, or raise the limit (`ulimit -n`, LimitNOFILE)",
        );
    }
    match error.kind() {
        io::ErrorKind::AddrInUse => Some(
            "another socket is bound there: stop it, choose another port, or port 0 for any free one",
        ),
        io::ErrorKind::AddrNotAvailable => {
            Some("no interface of this machine has that address, or no port is left")
        }
        io::ErrorKind::PermissionDenied => {
            Some("ports below 1024 may need a privilege (CAP_NET_BIND_SERVICE)")
        }
        io::ErrorKind::ConnectionRefused => {
            Some("nothing listens there: is the server running, and on that port?")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_source_stay_and_the_text_names_the_address() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 80));
        let error = at("bind", addr, io::Error::from(io::ErrorKind::AddrInUse));
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(
            error.to_string().starts_with("cannot bind 127.0.0.1:80: "),
            "{error}"
        );
        assert!(error.to_string().contains("port 0"), "{error}");
        let source = error
            .get_ref()
            .and_then(Error::source)
            .and_then(|source| source.downcast_ref());
        assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::AddrInUse));
    }
}
