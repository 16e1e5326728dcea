//! What a peer may not do.

use std::fmt;

use super::CloseCode;

/// A peer broke the protocol, or a limit. The connection is of no use after it: its [`close_code`](Self::close_code) is sent, and then
/// it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    code: CloseCode,
    why: &'static str,
}

impl Error {
    pub(super) const fn protocol(why: &'static str) -> Self {
        Self {
            code: CloseCode::PROTOCOL,
            why,
        }
    }

    pub(super) const fn invalid(why: &'static str) -> Self {
        Self {
            code: CloseCode::INVALID,
            why,
        }
    }

    pub(super) const fn too_big(why: &'static str) -> Self {
        Self {
            code: CloseCode::TOO_BIG,
            why,
        }
    }

    /// What to tell the peer.
    pub fn close_code(&self) -> CloseCode {
        self.code
    }

    /// What it did.
    pub fn reason(&self) -> &'static str {
        self.why
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer sent {} ({})", self.why, self.code.number())
    }
}

impl std::error::Error for Error {}
