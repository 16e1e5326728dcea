//! The certificates of a server: which one a client gets, and how they are replaced while it runs.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::identity::Identity;
use crate::pem::CredentialError;

/// The certificates that a server shows: one, or several that are chosen by the name the client asks for (SNI, RFC 6066 §3).
///
/// The first is the default, for clients that ask for no name or for one that no certificate has. A wildcard stands for one label:
/// `*.example.com` is for `a.example.com`, not for `a.b.example.com`. Where several have the name (one with an RSA key, one with an EC
/// key), the first whose key the client can verify is shown.
///
/// A clone is another handle of the same store. New handshakes use what [`reload`](CertificateStore::reload) or
/// [`replace`](CertificateStore::replace) put in; sessions that exist go on undisturbed.
///
/// # Examples
/// ```
/// use blitz_tls::{CertificateStore, Identity};
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let folder = tempfile::tempdir()?;
/// # let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
/// # std::fs::write(&cert, made.cert.pem())?;
/// # std::fs::write(&key, made.signing_key.serialize_pem())?;
/// let store = CertificateStore::new(Identity::from_files(&cert, &key)?);
/// // Half of a renewal, or a slip: the old pair stays in use.
/// std::fs::write(&key, "not a key")?;
/// let error = store.reload().unwrap_err();
/// assert!(error.to_string().contains("key.pem: is not PEM"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct CertificateStore {
    /// Read for the length of a clone, by each handshake.
    current: Arc<RwLock<Arc<Set>>>,
}

impl CertificateStore {
    /// Makes a store with one certificate.
    pub fn new(identity: Identity) -> Self {
        Self::with_default(identity, Vec::new())
    }

    /// Makes a store with several certificates; the first is the default.
    ///
    /// # Examples
    /// ```
    /// use blitz_tls::{CertificateStore, Identity};
    /// # let make = |name: &str| {
    /// #     let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    /// #     Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap()
    /// # };
    /// # let (first, second) = (make("example.com"), make("*.example.org"));
    /// let store = CertificateStore::with_default(first, vec![second]);
    /// assert_eq!(store.identities().len(), 2);
    /// ```
    pub fn with_default(default: Identity, more: Vec<Identity>) -> Self {
        CertificateStore {
            current: Arc::new(RwLock::new(Arc::new(Set::new(default, more)))),
        }
    }

    /// Reads every certificate that came from files from its files again, and uses them all from now on.
    ///
    /// What was given in memory stays as it is. The files are read in place, on this thread.
    ///
    /// # Errors
    /// If one of them cannot be used, for the reasons of [`Identity::from_files`]; then none is replaced.
    pub fn reload(&self) -> Result<(), CredentialError> {
        loop {
            let old = self.current();
            let mut fresh = old.identities.iter().map(Identity::read_again);
            let default = fresh.next().expect("a set has a default")?;
            let more = fresh.collect::<Result<_, _>>()?;
            // If somebody else has replaced the set meanwhile, that set is the one to read again.
            if self.exchange(Some(&old), Set::new(default, more)) {
                return Ok(());
            }
        }
    }

    /// Uses these certificates, and no other, from now on.
    pub fn replace(&self, default: Identity, more: Vec<Identity>) {
        self.exchange(None, Set::new(default, more));
    }

    /// The certificates in use, the default first.
    ///
    /// With [`Identity::expires`] that tells a monitor when to renew.
    pub fn identities(&self) -> Vec<Identity> {
        self.current().identities.clone()
    }

    fn current(&self) -> Arc<Set> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `fresh` in, if `expected` is what is there; what was there is dropped after the lock.
    fn exchange(&self, expected: Option<&Arc<Set>>, fresh: Set) -> bool {
        let mut fresh = Arc::new(fresh);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if expected.is_some_and(|expected| !Arc::ptr_eq(expected, &current)) {
            return false;
        }
        mem::swap(&mut *current, &mut fresh);
        drop(current);
        drop(fresh);
        true
    }
}

impl From<Identity> for CertificateStore {
    fn from(identity: Identity) -> Self {
        CertificateStore::new(identity)
    }
}

impl fmt::Debug for CertificateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateStore")
            .field("identities", &self.current().identities)
            .finish()
    }
}

/// Certificates, and an index of their names. It is never changed.
struct Set {
    identities: Vec<Identity>,
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl Set {
    fn new(default: Identity, more: Vec<Identity>) -> Self {
        let mut identities = vec![default];
        identities.extend(more);
        let mut by_name: HashMap<String, Vec<_>> = HashMap::new();
        for identity in &identities {
            for name in identity.names() {
                let keys = by_name.entry(name.clone()).or_default();
                keys.push(Arc::clone(identity.certified()));
            }
        }
        Set {
            identities,
            by_name,
        }
    }

    /// The keys for `name`: of certificates with exactly that name, else with the wildcard for it.
    fn named(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        let name = name.to_ascii_lowercase();
        if let Some(keys) = self.by_name.get(&name) {
            return Some(keys);
        }
        let (_, rest) = name.split_once('.')?;
        self.by_name.get(&format!("*.{rest}")).map(Vec::as_slice)
    }

    /// The default certificate, which is the first, and others with exactly its names (another kind of key).
    fn defaults(&self) -> impl Iterator<Item = &Arc<CertifiedKey>> {
        let names = self.identities[0].names();
        self.identities
            .iter()
            .filter(move |identity| identity.names() == names)
            .map(Identity::certified)
    }
}

/// Chooses the certificate for a client.
pub(crate) struct Resolver {
    pub(crate) store: CertificateStore,
    /// Whether a name that no certificate has ends the handshake.
    pub(crate) refuse_unknown_names: bool,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.store.current();
        let schemes = hello.signature_schemes();
        let named = hello.server_name().map(|name| set.named(name));
        match named {
            Some(Some(keys)) => best(keys.iter(), schemes),
            Some(None) if self.refuse_unknown_names => None,
            Some(None) | None => best(set.defaults(), schemes),
        }
    }
}

/// The first key that the client can verify; if there is none, rustls says so with the first.
fn best<'a>(
    mut keys: impl Iterator<Item = &'a Arc<CertifiedKey>>,
    schemes: &[rustls::SignatureScheme],
) -> Option<Arc<CertifiedKey>> {
    let first = keys.next()?;
    if first.key.choose_scheme(schemes).is_some() {
        return Some(Arc::clone(first));
    }
    let other = keys.find(|key| key.key.choose_scheme(schemes).is_some());
    Some(Arc::clone(other.unwrap_or(first)))
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}
