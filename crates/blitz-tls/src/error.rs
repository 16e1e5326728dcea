//! What can go wrong between two TLS peers, told so that somebody can act on it.
//!
//! rustls says precisely what happened; [`TlsError`] sorts that by what its reader can do about it, and keeps the
//! original as its source.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

use crate::verify::SelfSigned;

/// Why a handshake failed or a session ended.
///
/// Errors of reading and writing are [`io::Error`]s with one of these inside: [`TlsError::of`] finds it.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The stream below failed.
    Io(io::Error),
    /// The peer closed the stream in the middle of the handshake, or before it.
    Closed {
        /// How many bytes had come; none, if the peer only connected.
        received: usize,
    },
    /// The handshake was not done when the caller's deadline passed.
    TimedOut,
    /// The peer speaks HTTP without TLS. Nothing was sent, so a server can answer in clear on
    /// [`HandshakeError::into_stream`](crate::HandshakeError::into_stream).
    PlainHttp,
    /// What came is no TLS at all.
    NotTls,
    /// The peer sent more than a handshake can need.
    TooLong {
        /// How many bytes were taken.
        limit: usize,
    },
    /// The peer offers no version of TLS that is allowed here.
    NoCommonVersion,
    /// No cipher suite, key exchange or kind of signature is known to both sides.
    NoCommonSuite(rustls::Error),
    /// Both sides name protocols by ALPN, and have none in common.
    NoCommonProtocol,
    /// The peer's certificate was not accepted.
    Certificate {
        /// What is wrong with it.
        problem: CertificateProblem,
        /// What the verifier said.
        error: rustls::Error,
    },
    /// The peer had to show a certificate and showed none.
    NoCertificate,
    /// The peer ended the session with this alert.
    Refused(AlertDescription),
    /// The name to connect to is neither a DNS name nor an IP address.
    InvalidName(String),
    /// The stream ended without a `close_notify`: what was read may not be all that was sent (RFC 8446 §6.1).
    Truncated,
    /// The peer broke the protocol, or the session failed otherwise.
    Protocol(rustls::Error),
}

/// What is wrong with a peer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// It was valid until a time that has passed.
    Expired,
    /// It will be valid; the clock of one side may be wrong.
    NotYetValid,
    /// It is for other names than the one that was asked for.
    WrongHost,
    /// It leads to no root that is trusted here.
    UnknownIssuer,
    /// It has signed itself, and is not trusted here.
    SelfSigned,
    /// Its issuer has revoked it.
    Revoked,
    /// It is not for this use: a client's certificate on a server, or the reverse.
    WrongPurpose,
    /// A signature on it or by it is wrong.
    BadSignature,
    /// It is malformed, or the verifier refuses it for another reason.
    Other,
}

impl TlsError {
    /// Finds the TLS error in an I/O error that came from a [`TlsStream`](crate::TlsStream).
    ///
    /// # Examples
    /// ```
    /// use blitz_tls::TlsError;
    /// let error = std::io::Error::from(TlsError::Truncated);
    /// assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    /// assert!(matches!(TlsError::of(&error), Some(TlsError::Truncated)));
    /// ```
    pub fn of(error: &io::Error) -> Option<&TlsError> {
        error.get_ref()?.downcast_ref()
    }

    /// What is wrong with the peer's certificate, if that is what failed.
    pub fn certificate_problem(&self) -> Option<CertificateProblem> {
        match self {
            TlsError::Certificate { problem, .. } => Some(*problem),
            _ => None,
        }
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        use PeerIncompatible as P;
        match error {
            rustls::Error::AlertReceived(alert) => TlsError::Refused(alert),
            rustls::Error::NoCertificatesPresented => TlsError::NoCertificate,
            rustls::Error::NoApplicationProtocol => TlsError::NoCommonProtocol,
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => TlsError::NotTls,
            rustls::Error::InvalidCertificate(ref why) => TlsError::Certificate {
                problem: problem_of(why),
                error,
            },
            rustls::Error::PeerIncompatible(
                P::Tls12NotOffered
                | P::Tls12NotOfferedOrEnabled
                | P::ServerDoesNotSupportTls12Or13
                | P::ServerTlsVersionIsDisabledByOurConfig
                | P::SupportedVersionsExtensionRequired
                // Clients of TLS 1.1 and older do not know it, and it is looked for first.
                | P::SignatureAlgorithmsExtensionRequired,
            ) => TlsError::NoCommonVersion,
            rustls::Error::PeerIncompatible(
                P::NoCipherSuitesInCommon
                | P::NoKxGroupsInCommon
                | P::NoSignatureSchemesInCommon
                | P::NoEcPointFormatsInCommon
                | P::EcPointsExtensionRequired
                | P::NamedGroupsExtensionRequired,
            ) => TlsError::NoCommonSuite(error),
            error => TlsError::Protocol(error),
        }
    }
}

fn problem_of(error: &CertificateError) -> CertificateProblem {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => CertificateProblem::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        E::NotValidForName | E::NotValidForNameContext { .. } => CertificateProblem::WrongHost,
        E::UnknownIssuer => CertificateProblem::UnknownIssuer,
        E::Revoked => CertificateProblem::Revoked,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => CertificateProblem::WrongPurpose,
        E::BadSignature => CertificateProblem::BadSignature,
        E::Other(other) if other.0.is::<SelfSigned>() => CertificateProblem::SelfSigned,
        _ => CertificateProblem::Other,
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Io(error) => error.fmt(f),
            TlsError::Closed { received: 0 } => {
                f.write_str("the peer closed the connection without beginning a TLS handshake")
            }
            TlsError::Closed { received } => write!(
                f,
                "the peer closed the connection {received} bytes into the TLS handshake"
            ),
            TlsError::TimedOut => f.write_str("the TLS handshake was not done in time"),
            TlsError::PlainHttp => {
                f.write_str("the peer speaks plain HTTP where TLS is spoken: http:// for https://?")
            }
            TlsError::NotTls => f.write_str("what the peer sent is no TLS"),
            TlsError::TooLong { limit } => {
                write!(f, "the peer sent more than {limit} bytes in the TLS handshake")
            }
            TlsError::NoCommonVersion => f.write_str(
                "the peer offers no version of TLS that is allowed here (1.3 and 1.2 are, older ones never)",
            ),
            TlsError::NoCommonSuite(error) => write!(f, "no way to encrypt is known to both sides: {error}"),
            TlsError::NoCommonProtocol => {
                f.write_str("the peer and this side have no protocol in common (ALPN)")
            }
            TlsError::Certificate { problem, error } => write!(f, "{problem}: {error}"),
            TlsError::NoCertificate => {
                f.write_str("the peer showed no certificate, and one is required")
            }
            TlsError::Refused(alert) => write!(f, "the peer ended the session: {}", explain(*alert)),
            TlsError::InvalidName(name) => {
                write!(f, "`{name}` is neither a DNS name nor an IP address")
            }
            TlsError::Truncated => f.write_str(
                "the peer closed the connection without close_notify: what was read may be cut off",
            ),
            TlsError::Protocol(error) => error.fmt(f),
        }
    }
}

/// An alert in words, with what is usually behind it.
fn explain(alert: AlertDescription) -> String {
    let hint = match alert {
        AlertDescription::CertificateRequired => "it wants a client certificate",
        AlertDescription::UnknownCA => {
            "it does not trust the issuer of the certificate it was shown"
        }
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it does not accept the certificate it was shown"
        }
        AlertDescription::CertificateExpired => "the certificate it was shown has expired",
        AlertDescription::CertificateRevoked => "the certificate it was shown is revoked",
        AlertDescription::ProtocolVersion => {
            "it allows none of the versions of TLS that were offered"
        }
        AlertDescription::HandshakeFailure => "it knows no way to encrypt that was offered",
        AlertDescription::NoApplicationProtocol => {
            "it speaks none of the protocols that were offered (ALPN)"
        }
        AlertDescription::UnrecognisedName => "it does not serve the name that was asked for",
        AlertDescription::AccessDenied => {
            "it denies access, or does not serve the name that was asked for"
        }
        _ => return format!("alert {alert:?}"),
    };
    format!("{hint} (alert {alert:?})")
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CertificateProblem::Expired => "the peer's certificate has expired",
            CertificateProblem::NotYetValid => {
                "the peer's certificate is not valid yet (are both clocks right?)"
            }
            CertificateProblem::WrongHost => "the peer's certificate is for another name",
            CertificateProblem::UnknownIssuer => {
                "the peer's certificate is of an issuer that is not trusted here"
            }
            CertificateProblem::SelfSigned => {
                "the peer's certificate is self-signed (add it to the roots to trust it)"
            }
            CertificateProblem::Revoked => "the peer's certificate was revoked",
            CertificateProblem::WrongPurpose => "the peer's certificate is not for this use",
            CertificateProblem::BadSignature => "a signature of the peer's certificate is wrong",
            CertificateProblem::Other => "the peer's certificate is not accepted",
        })
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TlsError::Io(error) => Some(error),
            TlsError::NoCommonSuite(error)
            | TlsError::Certificate { error, .. }
            | TlsError::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        TlsError::Io(error)
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match error {
            TlsError::Io(error) => return error,
            TlsError::Closed { .. } | TlsError::Truncated => io::ErrorKind::UnexpectedEof,
            TlsError::TimedOut => io::ErrorKind::TimedOut,
            TlsError::InvalidName(_) => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// A configuration that cannot be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The system has no root certificates, and none were given.
    NoRoots,
    /// The oldest version that is allowed is newer than the newest.
    NoVersion,
    /// The roots or revocation lists given for verifying peers cannot be used.
    Verifier(Box<dyn Error + Send + Sync>),
    /// The crypto provider cannot do what was asked.
    Provider(rustls::Error),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NoRoots => f.write_str(
                "there are no root certificates to trust: install the system's (on Debian the package ca-certificates) or give some",
            ),
            ConfigError::NoVersion => f.write_str(
                "no version of TLS is allowed: min_version is newer than max_version",
            ),
            ConfigError::Verifier(error) => write!(f, "peers cannot be verified: {error}"),
            ConfigError::Provider(error) => write!(f, "the crypto provider cannot serve this configuration: {error}"),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConfigError::NoRoots | ConfigError::NoVersion => None,
            ConfigError::Verifier(error) => Some(&**error),
            ConfigError::Provider(error) => Some(error),
        }
    }
}
