//! TLS for both ends of a stream, by rustls, for any executor.
//!
//! [`TlsAcceptor`] takes clients, [`TlsConnector`] reaches servers; both make a [`TlsStream`] of whatever implements
//! [`AsyncRead`](blitz_io_traits::AsyncRead) and [`AsyncWrite`](blitz_io_traits::AsyncWrite), and it implements them again. What happens
//! within a session is rustls's; this crate moves the bytes, keeps what waits bounded, loads and replaces certificates, and says
//! what went wrong in words that help. It knows no clock: a handshake takes its deadline from the caller, by [`Handshake::until`].
//!
//! What cannot be had: versions before TLS 1.2, suites without forward secrecy or authenticated encryption, renegotiation,
//! compression, data before the handshake's end (0-RTT).
//!
//! ```text
//! acceptor ──┐                                       ┌── certificates ── identity ──┐
//!            ├── handshake ── stream ── session      ├── roots ─────────────────────┴── pem
//! connector ─┘                                       └── verify, provider, error
//! ```
//!
//! | folder | what |
//! |---|---|
//! | `acceptor`, `connector` | the two ends and their configurations |
//! | `handshake` | the future that ends in a session or in the reason why not |
//! | `stream`, `session` | what users see, and the bytes that wait in between |
//! | `certificates`, `identity`, `roots`, `pem` | certificates, keys, whom to trust; out of files, with errors that name them |
//! | `verify`, `provider`, `error` | the verdict on a server, the cryptography, what can go wrong |

#![forbid(unsafe_code)]

mod acceptor;
mod certificates;
mod connector;
mod error;
mod handshake;
mod identity;
mod pem;
mod provider;
mod roots;
mod session;
mod stream;
mod verify;

pub use acceptor::{AcceptorBuilder, ClientAuth, TlsAcceptor};
pub use certificates::CertificateStore;
pub use connector::{ConnectorBuilder, DangerousConnectorBuilder, TlsConnector};
pub use error::{CertificateProblem, ConfigError, TlsError};
pub use handshake::{HANDSHAKE_TIMEOUT, Handshake, HandshakeError, HandshakeUntil};
pub use identity::Identity;
pub use pem::{CredentialError, CredentialProblem};
pub use provider::TlsVersion;
pub use roots::Roots;
pub use stream::TlsStream;

/// What a configuration is made of, for who wants more than the builders say.
pub use rustls;

/// HTTP/1.1, as ALPN names it.
pub const HTTP_1_1: &[u8] = b"http/1.1";
