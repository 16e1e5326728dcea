//! `--tls`: the certificate that was given, or one that is made for this run.

use blitz_tls::rustls::SupportedCipherSuite;
use blitz_tls::rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use blitz_tls::{CertificateStore, Identity, TlsAcceptor};
use std::fmt::Write;
use std::path::Path;

/// Names and addresses that a certificate of ours is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What takes connections by TLS, and what is to be said of its certificate.
///
/// # Errors
/// When a file is wrong; the message names it.
pub(super) fn acceptor(files: Option<(&str, &str)>) -> Result<(TlsAcceptor, String), String> {
    let (identity, said) = match files {
        Some((cert, key)) => {
            let identity = Identity::from_files(Path::new(cert), Path::new(key));
            let identity = identity.map_err(|error| error.to_string())?;
            let names = match identity.names() {
                [] => "no name".to_owned(),
                names => names.join(", "),
            };
            (identity, format!("certificate of {cert}, for {names}"))
        }
        None => {
            let identity = made()?;
            let print = fingerprint(identity.chain().first().map_or(&[], |cert| cert.as_ref()));
            let said = format!(
                "self-signed certificate made for this run, for {}: browsers warn of it, and `curl -k` takes it; its SHA-256 is {print}",
                NAMES.join(", ")
            );
            (identity, said)
        }
    };
    let acceptor = TlsAcceptor::builder(CertificateStore::new(identity)).build();
    Ok((acceptor.map_err(|error| error.to_string())?, said))
}

/// A certificate that nobody else vouches for. Its key is in memory alone, and gone with the process.
fn made() -> Result<Identity, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("cannot make a certificate: {error}");
    let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned));
    let made = made.map_err(|error| cannot(&error))?;
    let key = made.signing_key.serialize_pem();
    Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).map_err(|error| cannot(&error))
}

/// What browsers show of a certificate: the SHA-256 of its bytes, as pairs of digits.
fn fingerprint(der: &[u8]) -> String {
    let SupportedCipherSuite::Tls13(suite) = TLS13_AES_128_GCM_SHA256 else {
        unreachable!("it is a suite of TLS 1.3")
    };
    let hash = suite.common.hash_provider.hash(der);
    let mut text = String::with_capacity(3 * 32);
    for (index, byte) in hash.as_ref().iter().enumerate() {
        let colon = if index > 0 { ":" } else { "" };
        let _infallible = write!(text, "{colon}{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_and_its_fingerprint_told() {
        let (_, said) = acceptor(None).expect("it is made");
        assert!(said.contains("for localhost, 127.0.0.1, ::1"), "{said}");
        // FIPS 180-4's example.
        let abc = fingerprint(b"abc");
        assert!(
            abc.starts_with("BA:78:16:BF:8F:01:CF:EA:") && abc.ends_with(":15:AD"),
            "{abc}"
        );
        let error = acceptor(Some(("/nothing/cert.pem", "/nothing/key.pem"))).err();
        assert!(error.is_some_and(|error| error.contains("/nothing/cert.pem")));
    }
}
