//! What ends a body or an upgrade before its time.

use http::StatusCode;
use std::error::Error as StdError;
use std::fmt;

/// An error of any kind, as services and bodies of others have them.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a request's body did not come whole, or an upgrade did not come about.
#[derive(Debug)]
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    /// The client sent what is no body, or too much.
    Message(blitz_http_proto::Error),
    /// The connection is gone, or was needed for something else.
    Gone,
    /// There was nothing to upgrade.
    NoUpgrade,
    /// A body that somebody else made.
    Other(BoxError),
}

impl Error {
    pub(crate) fn message(error: blitz_http_proto::Error) -> Error {
        Error(Kind::Message(error))
    }

    pub(crate) fn gone() -> Error {
        Error(Kind::Gone)
    }

    pub(crate) fn no_upgrade() -> Error {
        Error(Kind::NoUpgrade)
    }

    pub(crate) fn other(error: BoxError) -> Error {
        Error(Kind::Other(error))
    }

    /// The status that says it to the client.
    pub fn status(&self) -> StatusCode {
        match &self.0 {
            Kind::Message(error) => error.status(),
            Kind::Gone | Kind::NoUpgrade => StatusCode::BAD_REQUEST,
            Kind::Other(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the body was larger than its limit.
    pub fn is_too_large(&self) -> bool {
        matches!(&self.0, Kind::Message(error) if error.is_too_large())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Message(_) => f.write_str("request body is malformed or too large"),
            Kind::Gone => f.write_str("connection ended before the message did"),
            Kind::NoUpgrade => {
                f.write_str("request asked for no other protocol, or was not given one")
            }
            Kind::Other(_) => f.write_str("body failed"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Kind::Message(error) => Some(error),
            Kind::Other(error) => Some(&**error),
            Kind::Gone | Kind::NoUpgrade => None,
        }
    }
}
