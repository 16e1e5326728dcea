//! A certificate with its chain and its private key: what one side shows, and proves to own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use webpki::{EndEntityCert, KeyUsage};

use crate::pem::{self, CredentialError, CredentialProblem, Origin};
use crate::provider::default_provider;

/// A certificate chain and the private key of its first certificate, checked to belong together.
///
/// It clones cheaply. Its debug output shows no key.
///
/// # Examples
/// ```
/// use blitz_tls::Identity;
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (cert_pem, key_pem) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let identity = Identity::from_pem(cert_pem.as_bytes(), key_pem.as_bytes())?;
/// assert_eq!(identity.names(), ["localhost"]);
/// # Ok::<(), blitz_tls::CredentialError>(())
/// ```
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    names: Arc<[String]>,
    not_after: u64,
    files: Option<Arc<(PathBuf, PathBuf)>>,
}

impl Identity {
    /// Reads a chain and a key from two PEM files; both may be one file.
    ///
    /// The chain begins with the certificate of the key and goes on with what leads to the root. The key is PKCS#8, PKCS#1 (RSA) or
    /// SEC1 (EC), not encrypted. The files are read in place, on this thread.
    ///
    /// # Errors
    /// A [`CredentialError`] names the file and says what is wrong with it: among others that it holds no key, that the key is
    /// encrypted or of another certificate, that the certificate has expired.
    pub fn from_files(
        cert: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Identity, CredentialError> {
        let (cert, key) = (cert.as_ref(), key.as_ref());
        let (cert_pem, cert_origin) = pem::read(cert)?;
        let (key_pem, key_origin) = pem::read(key)?;
        let mut identity = Self::build(
            pem::certificates(&cert_pem, &cert_origin)?,
            pem::private_key(&key_pem, &key_origin)?,
            &cert_origin,
            &key_origin,
        )?;
        identity.files = Some(Arc::new((cert.to_owned(), key.to_owned())));
        Ok(identity)
    }

    /// Takes a chain and a key in PEM; both may be one text.
    ///
    /// # Errors
    /// As for [`from_files`](Identity::from_files).
    pub fn from_pem(cert: &[u8], key: &[u8]) -> Result<Identity, CredentialError> {
        let (of_cert, of_key) = (CERT_GIVEN, KEY_GIVEN);
        Self::build(
            pem::certificates(cert, &of_cert)?,
            pem::private_key(key, &of_key)?,
            &of_cert,
            &of_key,
        )
    }

    /// Takes a chain and a key in DER.
    ///
    /// # Errors
    /// As for [`from_files`](Identity::from_files).
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Identity, CredentialError> {
        if chain.is_empty() {
            return Err(CredentialError::new(
                &CERT_GIVEN,
                CredentialProblem::NoCertificate,
            ));
        }
        Self::build(chain, key, &CERT_GIVEN, &KEY_GIVEN)
    }

    fn build(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        of_cert: &Origin,
        of_key: &Origin,
    ) -> Result<Identity, CredentialError> {
        let leaf = Leaf::parse(&chain[0], of_cert)?;
        let (names, not_after) = (leaf.names(), leaf.validity(UnixTime::now())?);
        let signing = default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| {
                CredentialError::new(of_key, CredentialProblem::BadKey(error.to_string()))
            })?;
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            // A key that cannot tell its public half is believed.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(CredentialError::new(of_key, CredentialProblem::KeyMismatch));
            }
            Err(error) => {
                let problem = CredentialProblem::BadCertificate(error.to_string());
                return Err(CredentialError::new(of_cert, problem));
            }
        }
        Ok(Identity {
            certified: Arc::new(certified),
            names: names.into(),
            not_after,
            files: None,
        })
    }

    /// The DNS names that the certificate is for, with their wildcards; addresses are not listed.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// When the certificate ceases to be valid.
    pub fn expires(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.not_after)
    }

    /// The chain, the own certificate first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// The files of chain and key, if it was read from files.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        let (cert, key) = &**self.files.as_ref()?;
        Some((cert, key))
    }

    /// Reads its files once more; one that has none is returned as it is.
    pub(crate) fn read_again(&self) -> Result<Identity, CredentialError> {
        match self.files() {
            Some((cert, key)) => Identity::from_files(cert, key),
            None => Ok(self.clone()),
        }
    }

    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }
}

const CERT_GIVEN: Origin = Origin::Memory("the certificate that was given");
const KEY_GIVEN: Origin = Origin::Memory("the key that was given");

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("names", &self.names)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// The own certificate of a chain, looked into.
struct Leaf<'a> {
    cert: EndEntityCert<'a>,
    origin: &'a Origin,
}

impl<'a> Leaf<'a> {
    fn parse(cert: &'a CertificateDer<'_>, origin: &'a Origin) -> Result<Self, CredentialError> {
        match EndEntityCert::try_from(cert) {
            Ok(cert) => Ok(Leaf { cert, origin }),
            Err(error) => Err(CredentialError::new(
                origin,
                CredentialProblem::BadCertificate(error.to_string()),
            )),
        }
    }

    fn names(&self) -> Vec<String> {
        self.cert
            .valid_dns_names()
            .map(str::to_ascii_lowercase)
            .collect()
    }

    /// Until when it is valid, if it is so now.
    ///
    /// webpki tells the dates only in the errors of a verification at a time outside of them. That check comes first, before any root
    /// is looked for, so none is needed.
    fn validity(&self, now: UnixTime) -> Result<u64, CredentialError> {
        match self.verdict_at(now) {
            webpki::Error::CertExpired { not_after, .. } => Err(CredentialError::new(
                self.origin,
                CredentialProblem::Expired(not_after.as_secs()),
            )),
            webpki::Error::CertNotValidYet { not_before, .. } => Err(CredentialError::new(
                self.origin,
                CredentialProblem::NotYetValid(not_before.as_secs()),
            )),
            webpki::Error::InvalidCertValidity | webpki::Error::BadDerTime => {
                let why = "its dates of validity are malformed".to_owned();
                Err(CredentialError::new(
                    self.origin,
                    CredentialProblem::BadCertificate(why),
                ))
            }
            _ => match self.verdict_at(LATER_THAN_ALL) {
                webpki::Error::CertExpired { not_after, .. } => Ok(not_after.as_secs()),
                error => Err(CredentialError::new(
                    self.origin,
                    CredentialProblem::BadCertificate(error.to_string()),
                )),
            },
        }
    }

    fn verdict_at(&self, time: UnixTime) -> webpki::Error {
        let verdict = self.cert.verify_for_usage(
            default_provider().signature_verification_algorithms.all,
            &[],
            &[],
            time,
            KeyUsage::server_auth(),
            None,
            None,
        );
        match verdict {
            Err(error) => error,
            Ok(_) => unreachable!("a path to a root was found among no roots"),
        }
    }
}

/// After the last moment of the year 9999, the last that a certificate can name.
const LATER_THAN_ALL: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_800));
