//! What a proxy says of the client that it stands before: [`header`], in front of a connection; [`forwarded`], in each request.

mod forwarded;
mod header;

pub use forwarded::{Forwarded, Node, XForwardedFor};
pub use header::{PROXY_HEADER_MAX, ProxyError, ProxyHeader};
