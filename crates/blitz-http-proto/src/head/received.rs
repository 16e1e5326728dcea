//! Requests' heads, as they are handed on.

use super::framing::Framing;
use http::{HeaderMap, Method, Request, Uri, Version};

/// What follows from a request's head, beside what it says.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReceivedHead {
    /// How long the body is.
    pub framing: Framing,
    /// Whether the connection may serve another request after this one, as far as the client goes.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether the client asks for another protocol, by Upgrade or CONNECT. What follows must wait for the answer.
    pub upgrade: bool,
    /// What of the request lies in memory of its own, and not in that of the input.
    pub kept: Kept,
}

/// What a request consists of whose head, or part of it, its client had sent before: views of what was kept of that. Who has the request
/// back may keep it for the next one, as it is; the rest of it would hold the memory that was read into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    #[default]
    Nothing,
    /// Its fields.
    Fields,
    /// Its fields and its target.
    All,
}

impl ReceivedHead {
    pub(crate) fn with(self, request: Request<()>) -> ReceivedRequest {
        let (parts, ()) = request.into_parts();
        ReceivedRequest {
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            headers: parts.headers,
            framing: self.framing,
            keep_alive: self.keep_alive,
            expects_continue: self.expects_continue,
            upgrade: self.upgrade,
        }
    }
}

/// A request's head as it came, and what follows from it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// What to do.
    pub method: Method,
    /// To what: a path, a whole address, `*` (of OPTIONS), or a host and port (of CONNECT).
    pub uri: Uri,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The fields, in their order.
    pub headers: HeaderMap,
    /// How long the body is.
    pub framing: Framing,
    /// Whether the connection may serve another request after this one, as far as the client goes.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether the client asks for another protocol, by Upgrade or CONNECT. What follows must wait for the answer.
    pub upgrade: bool,
}
