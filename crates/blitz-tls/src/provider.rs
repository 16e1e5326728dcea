//! Which cryptography is used, and which versions of TLS: one place for both ends.
//!
//! The choice of the provider is argued in `docs/decisions/2026-11-28-crypto-provider.md`.

use std::sync::{Arc, OnceLock};

use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

use crate::error::ConfigError;

/// A version of TLS, for setting the oldest and the newest one that are allowed.
///
/// There is none below 1.2: they are broken (RFC 8996), and rustls has no code for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// RFC 5246, with forward secrecy and authenticated encryption only.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// Which versions are allowed: these two and what is between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Versions {
    pub(crate) min: TlsVersion,
    pub(crate) max: TlsVersion,
}

impl Versions {
    pub(crate) const ALL: Self = Self {
        min: TlsVersion::Tls12,
        max: TlsVersion::Tls13,
    };

    /// The newest first.
    pub(crate) fn list(self) -> Result<&'static [&'static SupportedProtocolVersion], ConfigError> {
        static ALL: [&SupportedProtocolVersion; 2] =
            [&rustls::version::TLS13, &rustls::version::TLS12];
        match (self.min, self.max) {
            (TlsVersion::Tls12, TlsVersion::Tls13) => Ok(&ALL),
            (TlsVersion::Tls13, TlsVersion::Tls13) => Ok(&ALL[..1]),
            (TlsVersion::Tls12, TlsVersion::Tls12) => Ok(&ALL[1..]),
            (TlsVersion::Tls13, TlsVersion::Tls12) => Err(ConfigError::NoVersion),
        }
    }
}

/// The provider that is used where the caller gives none: the same one everywhere, whatever the process's default is.
pub(crate) fn default_provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

/// Keys that encrypt session tickets: made now, replaced every six hours, the last ones kept for six more.
pub(crate) fn ticketer() -> Result<Arc<dyn rustls::server::ProducesTickets>, rustls::Error> {
    aws_lc_rs::Ticketer::new()
}
