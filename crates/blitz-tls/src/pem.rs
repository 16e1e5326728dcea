//! Certificates, keys and revocation lists out of PEM (RFC 7468), with errors that name the file and the fault.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

/// A certificate, key or list that cannot be used: where it came from and what is wrong with it.
#[derive(Debug)]
pub struct CredentialError {
    origin: Origin,
    problem: CredentialProblem,
}

/// What is wrong with a certificate, a key or a list.
#[derive(Debug)]
#[non_exhaustive]
pub enum CredentialProblem {
    /// The file cannot be read.
    Unreadable(io::Error),
    /// It is not PEM: nothing in it begins with `-----BEGIN`.
    NotPem,
    /// It is PEM that breaks off or is not encoded well.
    BadPem(String),
    /// It holds no certificate.
    NoCertificate,
    /// It holds no private key.
    NoKey,
    /// It holds no revocation list.
    NoRevocationList,
    /// Its key is encrypted with a passphrase, and nobody is there to type it.
    EncryptedKey,
    /// Its certificate is malformed, or of a kind that TLS has no use for.
    BadCertificate(String),
    /// Its key is malformed, or of a kind that is not supported.
    BadKey(String),
    /// The key is not the one of the certificate.
    KeyMismatch,
    /// The certificate was valid until this time, in seconds since 1970.
    Expired(u64),
    /// The certificate will be valid from this time on, in seconds since 1970.
    NotYetValid(u64),
}

/// Where a credential came from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    File(PathBuf),
    /// A phrase, for what was given in memory.
    Memory(&'static str),
}

impl CredentialError {
    pub(crate) fn new(origin: &Origin, problem: CredentialProblem) -> Self {
        CredentialError {
            origin: origin.clone(),
            problem,
        }
    }

    /// What is wrong.
    pub fn problem(&self) -> &CredentialProblem {
        &self.problem
    }

    /// The file with the fault, if it came from one.
    pub fn file(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File(path) => Some(path),
            Origin::Memory(_) => None,
        }
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File(path) => write!(f, "{}: ", path.display())?,
            Origin::Memory(what) => write!(f, "{what}: ")?,
        }
        match &self.problem {
            CredentialProblem::Unreadable(error) => write!(f, "cannot be read: {error}"),
            CredentialProblem::NotPem => f.write_str(
                "is not PEM: no line says `-----BEGIN …` (DER files are converted by `openssl x509` or `openssl pkey` with `-inform DER`)",
            ),
            CredentialProblem::BadPem(why) => write!(f, "is damaged PEM: {why}"),
            CredentialProblem::NoCertificate => f.write_str("holds no certificate (`-----BEGIN CERTIFICATE-----`)"),
            CredentialProblem::NoKey => f.write_str(
                "holds no private key (`-----BEGIN PRIVATE KEY-----`, or the same with RSA or EC)",
            ),
            CredentialProblem::NoRevocationList => f.write_str("holds no revocation list (`-----BEGIN X509 CRL-----`)"),
            CredentialProblem::EncryptedKey => {
                f.write_str("its key is encrypted: take the passphrase off, with `openssl pkey -in FILE -out NEW`")
            }
            CredentialProblem::BadCertificate(why) => write!(f, "its certificate cannot be used: {why}"),
            CredentialProblem::BadKey(why) => write!(f, "its key cannot be used: {why}"),
            CredentialProblem::KeyMismatch => f.write_str("its key is not the key of the certificate"),
            CredentialProblem::Expired(at) => write!(f, "its certificate expired on {}", Date(*at)),
            CredentialProblem::NotYetValid(at) => {
                write!(f, "its certificate is not valid before {} (is the clock right?)", Date(*at))
            }
        }
    }
}

impl Error for CredentialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            CredentialProblem::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

/// A time in seconds since 1970, written as a day and a minute in UTC.
struct Date(u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0 / 60 % (24 * 60);
        // Years are counted from a first of March, so that a leap day is the last of its year.
        let day = self.0 / 86_400 + 719_468;
        let (era, of_era) = (day / 146_097, day % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let of_month = of_year - (153 * month + 2) / 5 + 1;
        let (month, carry) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        let year = era * 400 + year + carry;
        write!(
            f,
            "{year:04}-{month:02}-{of_month:02} {:02}:{:02} UTC",
            minutes / 60,
            minutes % 60
        )
    }
}

/// Reads a file that holds PEM.
pub(crate) fn read(path: &Path) -> Result<(Vec<u8>, Origin), CredentialError> {
    let origin = Origin::File(path.to_owned());
    match std::fs::read(path) {
        Ok(text) => Ok((text, origin)),
        Err(error) => Err(CredentialError::new(
            &origin,
            CredentialProblem::Unreadable(error),
        )),
    }
}

/// Every certificate of `text`, in its order; at least one.
pub(crate) fn certificates(
    text: &[u8],
    origin: &Origin,
) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    all(text, origin, CredentialProblem::NoCertificate)
}

/// Every revocation list of `text`; at least one.
pub(crate) fn revocation_lists(
    text: &[u8],
    origin: &Origin,
) -> Result<Vec<CertificateRevocationListDer<'static>>, CredentialError> {
    all(text, origin, CredentialProblem::NoRevocationList)
}

/// The first private key of `text`: PKCS#8, PKCS#1 or SEC1.
pub(crate) fn private_key(
    text: &[u8],
    origin: &Origin,
) -> Result<PrivateKeyDer<'static>, CredentialError> {
    let fail = |problem| Err(CredentialError::new(origin, problem));
    // RFC 5958 §3, and the older way of OpenSSL, which has a header within the section.
    let says = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        Err(_) if says(b"BEGIN ENCRYPTED PRIVATE KEY") || says(b"Proc-Type: 4,ENCRYPTED") => {
            fail(CredentialProblem::EncryptedKey)
        }
        Err(PemError::NoItemsFound) if says(b"-----BEGIN") => fail(CredentialProblem::NoKey),
        Err(PemError::NoItemsFound) => fail(CredentialProblem::NotPem),
        Err(error) => fail(CredentialProblem::BadPem(in_words(&error))),
    }
}

fn all<T: PemObject>(
    text: &[u8],
    origin: &Origin,
    none: CredentialProblem,
) -> Result<Vec<T>, CredentialError> {
    let mut items = Vec::new();
    for item in T::pem_slice_iter(text) {
        match item {
            Ok(item) => items.push(item),
            Err(error) => {
                let problem = CredentialProblem::BadPem(in_words(&error));
                return Err(CredentialError::new(origin, problem));
            }
        }
    }
    if !items.is_empty() {
        return Ok(items);
    }
    let is_pem = text.windows(10).any(|part| part == b"-----BEGIN");
    let problem = if is_pem {
        none
    } else {
        CredentialProblem::NotPem
    };
    Err(CredentialError::new(origin, problem))
}

/// The parser shows bytes where it means a line.
fn in_words(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { end_marker } => {
            format!(
                "the line `{}` is missing",
                String::from_utf8_lossy(end_marker).trim()
            )
        }
        PemError::IllegalSectionStart { line } => {
            format!(
                "`{}` begins no section",
                String::from_utf8_lossy(line).trim()
            )
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_767_225_599, "2025-12-31 23:59 UTC"),
            (1_767_225_600, "2026-01-01 00:00 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (253_402_300_799, "9999-12-31 23:59 UTC"),
        ] {
            assert_eq!(Date(seconds).to_string(), date);
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let origin = Origin::Memory("the test");
        let problem = |result: Result<_, CredentialError>| match result {
            Err(error) => format!("{:?}", error.problem()),
            Ok(()) => "none".to_owned(),
        };
        let cert = |text: &[u8]| problem(certificates(text, &origin).map(drop));
        let key = |text: &[u8]| problem(private_key(text, &origin).map(drop));
        let list = |text: &[u8]| problem(revocation_lists(text, &origin).map(drop));
        let public = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
        assert_eq!(cert(b""), "NotPem");
        assert_eq!(key(&[0x30, 0x82, 1, 2]), "NotPem");
        assert_eq!(cert(public), "NoCertificate");
        assert_eq!(key(public), "NoKey");
        assert_eq!(list(public), "NoRevocationList");
        let locked =
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(key(locked), "EncryptedKey");
        let old = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(key(old), "EncryptedKey");
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(cert(cut).starts_with("BadPem"), "{}", cert(cut));
        let broken = b"-----BEGIN CERTIFICATE-----\nA!!!\n-----END CERTIFICATE-----\n";
        assert!(cert(broken).starts_with("BadPem"), "{}", cert(broken));
    }
}
