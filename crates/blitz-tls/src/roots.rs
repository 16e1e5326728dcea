//! Whom to trust: roots that certificates must lead to, and lists of those that were revoked.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

use crate::pem::{self, CredentialError, CredentialProblem, Origin};

/// Certificates of authorities that are trusted, and revocation lists of theirs.
///
/// # Examples
/// ```
/// use blitz_tls::Roots;
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let pem = made.cert.pem();
/// let mut roots = Roots::new();
/// roots.add_pem(pem.as_bytes())?;
/// assert_eq!(roots.len(), 1);
/// # Ok::<(), blitz_tls::CredentialError>(())
/// ```
#[derive(Clone)]
pub struct Roots {
    /// As they came, for a verifier that is not rustls's own.
    certificates: Vec<CertificateDer<'static>>,
    store: RootCertStore,
    lists: Vec<CertificateRevocationListDer<'static>>,
}

impl Roots {
    /// Trusts nobody yet.
    pub fn new() -> Self {
        Roots {
            certificates: Vec::new(),
            store: RootCertStore::empty(),
            lists: Vec::new(),
        }
    }

    /// Trusts the certificates of a PEM file, which is read in place, on this thread.
    ///
    /// # Errors
    /// If the file cannot be read, holds no certificate, or one that cannot be used. Those before it have been added.
    pub fn add_pem_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, CredentialError> {
        let (text, origin) = pem::read(path.as_ref())?;
        self.add_all(pem::certificates(&text, &origin)?, &origin)
    }

    /// Trusts the certificates of a PEM text.
    ///
    /// # Errors
    /// As for [`add_pem_file`](Roots::add_pem_file).
    pub fn add_pem(&mut self, text: &[u8]) -> Result<&mut Self, CredentialError> {
        self.add_all(pem::certificates(text, &GIVEN)?, &GIVEN)
    }

    /// Trusts a certificate.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn add_der(
        &mut self,
        certificate: CertificateDer<'static>,
    ) -> Result<&mut Self, CredentialError> {
        self.add_all(vec![certificate], &GIVEN)
    }

    fn add_all(
        &mut self,
        certificates: Vec<CertificateDer<'static>>,
        origin: &Origin,
    ) -> Result<&mut Self, CredentialError> {
        for certificate in certificates {
            self.store.add(certificate.clone()).map_err(|error| {
                CredentialError::new(origin, CredentialProblem::BadCertificate(error.to_string()))
            })?;
            self.certificates.push(certificate);
        }
        Ok(self)
    }

    /// Refuses what the revocation lists of a PEM file name (`-----BEGIN X509 CRL-----`, RFC 5280 §5).
    ///
    /// From then on every certificate of a chain needs a list of its issuer that has not expired: one whose state is not known is
    /// refused.
    ///
    /// # Errors
    /// If the file cannot be read or holds no list.
    pub fn add_crl_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, CredentialError> {
        let (text, origin) = pem::read(path.as_ref())?;
        self.lists.extend(pem::revocation_lists(&text, &origin)?);
        Ok(self)
    }

    /// Refuses what the revocation lists of a PEM text name, as [`add_crl_file`](Roots::add_crl_file) does.
    ///
    /// # Errors
    /// If it holds no list.
    pub fn add_crl_pem(&mut self, text: &[u8]) -> Result<&mut Self, CredentialError> {
        self.lists.extend(pem::revocation_lists(text, &GIVEN)?);
        Ok(self)
    }

    /// How many certificates are trusted.
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Takes it apart: for rustls's verifiers.
    pub(crate) fn into_store(
        self,
    ) -> (
        Arc<RootCertStore>,
        Vec<CertificateRevocationListDer<'static>>,
    ) {
        (Arc::new(self.store), self.lists)
    }

    /// For the platform's verifier.
    pub(crate) fn into_certificates(self) -> Vec<CertificateDer<'static>> {
        self.certificates
    }
}

impl Default for Roots {
    fn default() -> Self {
        Roots::new()
    }
}

const GIVEN: Origin = Origin::Memory("what was given");

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots")
            .field("certificates", &self.certificates.len())
            .field("revocation_lists", &self.lists.len())
            .finish()
    }
}
