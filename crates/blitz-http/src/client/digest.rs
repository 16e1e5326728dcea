//! Who asks, shown without showing the password: Digest access authentication (RFC 7616), with SHA-256 and, for old servers, MD5.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use sha2::Digest as _;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};

/// A user, and what the server knows to be theirs.
#[derive(Clone)]
pub(super) struct Credentials {
    user: String,
    password: String,
}

/// What is asked for, of what is understood here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The first hash is bound to the nonces.
    is_session: bool,
    /// The server knows `qop=auth`, not the older way alone.
    has_qop: bool,
    /// The password may be right: the nonce was too old.
    is_stale: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    #[default]
    Md5,
    Sha256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// The hash of the parts with colons between them, in hexadecimal digits.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        let bytes = match self {
            Algorithm::Md5 => md5::Md5::digest(text).to_vec(),
            Algorithm::Sha256 => sha2::Sha256::digest(text).to_vec(),
        };
        let mut digits = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            // A string takes what it is given.
            let _ = write!(digits, "{byte:02x}");
        }
        digits
    }
}

impl Credentials {
    pub(super) fn new(user: &str, password: &str) -> Credentials {
        Credentials {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// What answers a 401 with these fields: the `Authorization` for the same request. None if it asks for nothing that is understood here, or
    /// `again` without saying that only its nonce was too old.
    pub(super) fn answer(
        &self,
        fields: &HeaderMap,
        method: &str,
        target: &str,
        again: bool,
    ) -> Option<HeaderValue> {
        let challenge = strongest(fields)?;
        if again && !challenge.is_stale {
            return None;
        }
        // Nobody foresees it: the keys are the system's secret.
        let random = RandomState::new();
        let cnonce = format!("{:016x}{:016x}", random.hash_one(0), random.hash_one(1));
        self.authorize(&challenge, method, target, &cnonce)
    }

    fn authorize(
        &self,
        challenge: &Challenge,
        method: &str,
        target: &str,
        cnonce: &str,
    ) -> Option<HeaderValue> {
        let (algorithm, nonce) = (challenge.algorithm, &*challenge.nonce);
        let mut secret = algorithm.hash(&[&self.user, &challenge.realm, &self.password]);
        if challenge.is_session {
            secret = algorithm.hash(&[&secret, nonce, cnonce]);
        }
        let asked = algorithm.hash(&[method, target]);
        // Each answer has a nonce of the client's own, and counts as its first.
        let response = match challenge.has_qop {
            true => algorithm.hash(&[&secret, nonce, "00000001", cnonce, "auth", &asked]),
            false => algorithm.hash(&[&secret, nonce, &asked]),
        };
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\", algorithm={}{}",
            quoted(&self.user),
            quoted(&challenge.realm),
            quoted(nonce),
            quoted(target),
            algorithm.name(),
            if challenge.is_session { "-sess" } else { "" },
        );
        if challenge.has_qop || challenge.is_session {
            value.push_str(&format!(", cnonce=\"{cnonce}\""));
        }
        if challenge.has_qop {
            value.push_str(", qop=auth, nc=00000001");
        }
        if let Some(opaque) = &challenge.opaque {
            value.push_str(&format!(", opaque={}", quoted(opaque)));
        }
        let mut value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The strongest challenge that is understood here; of equals the first.
fn strongest(fields: &HeaderMap) -> Option<Challenge> {
    let mut best: Option<Challenge> = None;
    for value in fields.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        for challenge in challenges(text) {
            if best
                .as_ref()
                .is_none_or(|best| best.algorithm < challenge.algorithm)
            {
                best = Some(challenge);
            }
        }
    }
    best
}

/// The challenges for Digest in one field, which may have others between them.
fn challenges(text: &str) -> Vec<Challenge> {
    let mut all: Vec<Option<Challenge>> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            break;
        }
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        if name.is_empty() {
            // What is no list of challenges says nothing from here on.
            break;
        }
        let behind = behind.trim_start_matches([' ', '\t']);
        let Some(value) = behind.strip_prefix('=').filter(|_| !all.is_empty()) else {
            // No `=`: a scheme, whose parameters follow.
            all.push(name.eq_ignore_ascii_case("digest").then(Challenge::default));
            rest = behind;
            continue;
        };
        let (value, behind) = parameter(value.trim_start_matches([' ', '\t']));
        if let Some(last) = all.last_mut()
            && let Some(challenge) = last
            && !challenge.take(&name.to_ascii_lowercase(), value)
        {
            *last = None;
        }
        rest = behind;
    }
    let usable = |challenge: &Challenge| !challenge.nonce.is_empty();
    all.into_iter().flatten().filter(usable).collect()
}

impl Challenge {
    /// Notes a parameter. `false` if it asks for what is not understood here.
    fn take(&mut self, name: &str, value: String) -> bool {
        match name {
            "realm" => self.realm = value,
            "nonce" => self.nonce = value,
            "opaque" => self.opaque = Some(value),
            "stale" => self.is_stale = value.eq_ignore_ascii_case("true"),
            "qop" => {
                self.has_qop = value
                    .split(',')
                    .any(|one| one.trim().eq_ignore_ascii_case("auth"));
                // `auth-int` alone: it hashes the body, too.
                return self.has_qop;
            }
            "algorithm" => {
                let name = value.to_ascii_uppercase();
                let (name, is_session) = match name.strip_suffix("-SESS") {
                    Some(name) => (name, true),
                    None => (&*name, false),
                };
                self.is_session = is_session;
                self.algorithm = match name {
                    "MD5" => Algorithm::Md5,
                    "SHA-256" => Algorithm::Sha256,
                    _ => return false,
                };
            }
            _ => {}
        }
        true
    }
}

/// A parameter's value, a token or quoted, and what stands behind it.
fn parameter(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            _ => value.push(c),
        }
    }
    (value, "")
}

/// RFC 9110 §5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, Challenge, Credentials, challenges, strongest};
    use http::HeaderMap;
    use http::header::WWW_AUTHENTICATE;

    /// The example of RFC 7616 §3.9.1, and that of RFC 2617 §3.5.
    #[test]
    fn the_examples_of_the_rfcs() {
        let text = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256,
            nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
            Basic realm="x", Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5,
            nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
            .replace('\n', " ");
        let asked = challenges(&text);
        assert_eq!(asked.len(), 2);
        let user = Credentials::new("Mufasa", "Circle of Life");
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let said = |challenge: &Challenge| {
            let value = user.authorize(challenge, "GET", "/dir/index.html", cnonce);
            value.expect("a value").to_str().expect("text").to_owned()
        };
        let response = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        assert!(said(&asked[0]).contains(response), "{}", said(&asked[0]));
        let response = "8ca523f5e9506fed4657c9700eebdbec";
        assert!(said(&asked[1]).contains(response), "{}", said(&asked[1]));

        let user = Credentials::new("Mufasa", "Circle Of Life");
        let challenge = Challenge {
            realm: "testrealm@host.com".to_owned(),
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093".to_owned(),
            has_qop: true,
            ..Challenge::default()
        };
        let value = user.authorize(&challenge, "GET", "/dir/index.html", "0a4f113b");
        let value = value.expect("a value");
        let value = value.to_str().expect("text");
        assert!(
            value.contains("6629fae49393a05397450978507c4ef1"),
            "{value}"
        );
        assert!(
            value.contains("nc=00000001") && value.contains("qop=auth,"),
            "{value}"
        );
    }

    #[test]
    fn the_strongest_that_is_understood_is_answered() {
        let mut fields = HeaderMap::new();
        for value in [
            r#"Negotiate"#,
            r#"Digest realm="a", nonce="n1", algorithm=SHA-512-256, Digest realm="a", nonce=n2"#,
            r#"Digest nonce="n\"3", algorithm="SHA-256-sess", stale=TRUE, qop=auth"#,
            r#"Digest realm="a", nonce="n4", qop="auth-int", algorithm=SHA-256"#,
            r#"Digest realm="a", algorithm=SHA-256"#,
        ] {
            fields.append(WWW_AUTHENTICATE, value.parse().expect("a value"));
        }
        let best = strongest(&fields).expect("one");
        assert_eq!((best.algorithm, &*best.nonce), (Algorithm::Sha256, "n\"3"));
        assert!(best.is_session && best.is_stale && best.has_qop);
        let user = Credentials::new("u\"", "p");
        let value = user
            .answer(&fields, "GET", "/", true)
            .expect("it was stale");
        assert!(value.is_sensitive());
        let value = value.to_str().expect("text");
        assert!(
            value.starts_with(r#"Digest username="u\"", realm="", nonce="n\"3""#),
            "{value}"
        );
        assert!(value.contains("algorithm=SHA-256-sess"), "{value}");
    }

    #[test]
    fn what_cannot_be_answered_is_not() {
        let user = Credentials::new("u", "p");
        for text in [
            "",
            "Basic realm=\"x\"",
            "Digest",
            "Digest realm=\"x",
            "\"Digest nonce=n\"",
            "=,=",
            "nonce=1",
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(WWW_AUTHENTICATE, text.parse().expect("a value"));
            assert!(user.answer(&fields, "GET", "/", false).is_none(), "{text}");
        }
        let mut fields = HeaderMap::new();
        fields.insert(WWW_AUTHENTICATE, "Digest nonce=n".parse().expect("a value"));
        assert!(user.answer(&fields, "GET", "/", false).is_some());
        assert!(
            user.answer(&fields, "GET", "/", true).is_none(),
            "it was refused"
        );
    }
}
