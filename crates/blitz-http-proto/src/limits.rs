//! How much a peer may send before it is refused.

/// The largest head, body and fields that a decoder takes.
///
/// Nothing that arrives makes a decoder keep more than these allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a head, its first line included. 64 KiB.
    pub head_bytes: usize,
    /// Fields of a head, and of the trailers. 100.
    pub fields: usize,
    /// Bytes of a request's target. 8 KiB.
    pub uri_bytes: usize,
    /// Bytes of a body. No limit here; a server has its own, which a route may raise.
    pub body_bytes: u64,
    /// Bytes of all the chunk extensions of one body, which mean nothing to anybody. 4 KiB.
    pub extension_bytes: usize,
    /// Bytes of the trailers. 16 KiB.
    pub trailer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_bytes: 64 * 1024,
            fields: 100,
            uri_bytes: 8 * 1024,
            body_bytes: u64::MAX,
            extension_bytes: 4 * 1024,
            trailer_bytes: 16 * 1024,
        }
    }
}
