//! Certificates and keys out of files: every form that is in use, and what is said of the others.

use std::path::PathBuf;

use blitz_tls::{CredentialProblem, Identity, Roots};
use rcgen::{KeyPair, PKCS_RSA_SHA256, date_time_ymd};

use crate::made::{Made, authority, localhost, params};

/// Bytes as PEM.
fn pem(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bits = group
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - group.len()));
            for digit in 0..4 {
                let value = bits >> (18 - 6 * digit) & 63;
                text.push(if digit <= group.len() {
                    DIGITS[value as usize] as char
                } else {
                    '='
                });
            }
        }
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// What stands in `key` (PKCS#8) behind `mark`.
fn inner<'a>(key: &'a [u8], mark: &[u8], skip: usize) -> &'a [u8] {
    let at = key
        .windows(mark.len())
        .position(|part| part == mark)
        .unwrap();
    &key[at + skip..]
}

#[test]
fn keys_of_every_form_are_loaded() {
    let ec = KeyPair::generate().unwrap();
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let (ec_der, rsa_der) = (ec.serialize_der(), rsa.serialize_der());
    // ECPrivateKey (RFC 5915): a sequence that begins with version 1 and 32 bytes.
    let sec1 = inner(&ec_der, &[2, 1, 1, 4, 32], 0);
    let at = ec_der.len() - sec1.len();
    let sec1 = &ec_der[at - 2..at + usize::from(ec_der[at - 1])];
    // RSAPrivateKey (RFC 8017): what the octet string behind the parameters, a NULL, holds.
    let pkcs1 = inner(&rsa_der, &[5, 0, 4, 0x82], 6);
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    for (pair, texts) in [
        (
            ec,
            vec![
                pem("PRIVATE KEY", &ec_der),
                pem("EC PRIVATE KEY", sec1),
                // As `openssl ecparam -genkey` writes it.
                parameters.to_owned() + &pem("EC PRIVATE KEY", sec1),
            ],
        ),
        (
            rsa,
            vec![
                pem("PRIVATE KEY", &rsa_der),
                pem("RSA PRIVATE KEY", pkcs1),
                // With carriage returns, and words around it.
                format!(
                    "my key\r\n{}\r\n",
                    pem("RSA PRIVATE KEY", pkcs1).replace('\n', "\r\n")
                ),
            ],
        ),
    ] {
        let made = authority().issue_by(params(&["a.test", "*.B.test", "10.0.0.1"]), pair);
        for text in texts {
            let identity = Identity::from_pem(made.cert.as_bytes(), text.as_bytes()).unwrap();
            assert_eq!(identity.names(), ["a.test", "*.b.test"]);
            let expires = identity.expires().duration_since(std::time::UNIX_EPOCH);
            assert_eq!(expires.unwrap().as_secs(), 4_733_510_400);
            // Both in one file.
            let both = made.cert.clone() + &text;
            Identity::from_pem(both.as_bytes(), both.as_bytes()).unwrap();
        }
    }
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

#[test]
fn what_is_wrong_is_said_with_the_name_of_the_file() {
    let files = Files {
        folder: tempfile::tempdir().unwrap(),
    };
    let good = localhost();
    let other = authority().issue(&["localhost"]);
    let dated = |change: &dyn Fn(&mut rcgen::CertificateParams)| -> Made {
        let mut params = params(&["localhost"]);
        change(&mut params);
        authority().issue_by(params, KeyPair::generate().unwrap())
    };
    let expired = dated(&|params| params.not_after = date_time_ymd(2021, 2, 3));
    let early = dated(&|params| params.not_before = date_time_ymd(2119, 1, 1));
    let missing = files.folder.path().join("missing");
    let cert = files.write("cert", &good.cert);
    let key = files.write("key", &good.key);
    let locked = pem("ENCRYPTED PRIVATE KEY", &[0x30, 0]);
    // (certificate, key, the file at fault, what is said of it)
    let cases = [
        (missing.clone(), key.clone(), "missing", "cannot be read"),
        (cert.clone(), missing, "missing", "cannot be read"),
        (key.clone(), key.clone(), "key", "holds no certificate"),
        (cert.clone(), cert.clone(), "cert", "holds no private key"),
        (files.write("empty", ""), key.clone(), "empty", "is not PEM"),
        (
            cert.clone(),
            files.write("der", [0x30, 0x82]),
            "der",
            "is not PEM",
        ),
        (
            cert.clone(),
            files.write("locked", locked),
            "locked",
            "is encrypted",
        ),
        (
            cert.clone(),
            files.write("other", &other.key),
            "other",
            "not the key of the certificate",
        ),
        (
            files.write("cut", &good.cert[..300]),
            key.clone(),
            "cut",
            "damaged PEM",
        ),
        (
            files.write("bent", pem("CERTIFICATE", b"no cert")),
            key.clone(),
            "bent",
            "certificate cannot be used",
        ),
        (
            cert.clone(),
            files.write("odd", pem("PRIVATE KEY", b"no key")),
            "odd",
            "key cannot be used",
        ),
        (
            files.write("expired", &expired.cert),
            files.write("expired.key", &expired.key),
            "expired",
            "expired on 2021-02-03 00:00 UTC",
        ),
        (
            files.write("early", &early.cert),
            files.write("early.key", &early.key),
            "early",
            "not valid before 2119-01-01 00:00 UTC",
        ),
    ];
    for (cert, key, file, words) in cases {
        let error = Identity::from_files(&cert, &key).unwrap_err();
        assert_eq!(error.file(), Some(&*files.folder.path().join(file)));
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains(file), "{error}");
    }
    let error = Roots::new().add_pem_file(&key).unwrap_err();
    assert!(matches!(error.problem(), CredentialProblem::NoCertificate));
    let error = Roots::new().add_crl_file(&cert).unwrap_err();
    assert!(matches!(
        error.problem(),
        CredentialProblem::NoRevocationList
    ));
    let identity = Identity::from_files(&cert, &key).unwrap();
    assert_eq!(identity.files(), Some((&*cert, &*key)));
    let shown = format!("{identity:?}");
    assert!(
        shown.contains("localhost") && !shown.contains("PRIVATE"),
        "{shown}"
    );
}
