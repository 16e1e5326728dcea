//! A jar for cookies (RFC 6265bis): the store is `cookie_store`'s, the list of public suffixes `psl`'s, the bounds ours.

use cookie_store::{CookieStore, RawCookie};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use url::Url;

/// Bytes of a cookie that are looked at.
const COOKIE_BYTES_MAX: usize = 4096;
/// Cookies of one response that are taken.
const A_RESPONSE_MAX: usize = 50;
/// Cookies in a jar.
const JAR_MAX: usize = 3000;

/// Cookies that servers set, for whom they are meant.
///
/// A clone is the same jar. A server sets cookies for itself and for the domain that it belongs to, and never for a public suffix
/// such as `co.uk`. What is too large or too much is not kept: a jar has at most 3,000 cookies of 4 KiB.
///
/// ```
/// use blitz_http::client::CookieJar;
///
/// let jar = CookieJar::new();
/// let shop = "https://www.shop.co.uk/".parse()?;
/// jar.set(&shop, "session=1; Domain=shop.co.uk; Path=/; Secure");
/// jar.set(&shop, "for=everybody; Domain=co.uk");
/// assert_eq!(jar.get(&"https://shop.co.uk/cart".parse()?).unwrap(), "session=1");
/// assert!(jar.get(&"https://other.co.uk/".parse()?).is_none());
/// assert!(jar.get(&"http://shop.co.uk/".parse()?).is_none(), "it is a secure one");
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Default)]
pub struct CookieJar(Arc<Mutex<CookieStore>>);

impl CookieJar {
    /// An empty jar.
    pub fn new() -> CookieJar {
        CookieJar::default()
    }

    fn store(&self) -> MutexGuard<'_, CookieStore> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a cookie in as if the server of `url` had set it; `text` is what stands in `Set-Cookie`. Whether it was taken.
    pub fn set(&self, url: &Url, text: &str) -> bool {
        if text.len() > COOKIE_BYTES_MAX {
            return false;
        }
        let Ok(mut cookie) = RawCookie::parse(text.to_owned()) else {
            return false;
        };
        let host = url.host_str().unwrap_or_default();
        if let Some(domain) = cookie
            .domain()
            .map(|domain| domain.trim_matches('.').to_ascii_lowercase())
            && is_public_suffix(&domain)
        {
            if domain != host {
                return false;
            }
            cookie.unset_domain();
        }
        let name = cookie.name();
        let secure = cookie.secure() == Some(true) && url.scheme() == "https";
        let to_host = cookie.domain().is_none() && cookie.path() == Some("/");
        let starts = |prefix: &str| {
            let start = name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if starts("__secure-") && !secure || starts("__host-") && !(secure && to_host) {
            return false;
        }
        let mut store = self.store();
        if store.iter_any().count() >= JAR_MAX {
            return false;
        }
        store.insert_raw(&cookie, url).is_ok()
    }

    /// What to say in `Cookie` to the server of `url`.
    pub fn get(&self, url: &Url) -> Option<HeaderValue> {
        let store = self.store();
        let mut line = String::new();
        for (name, value) in store.get_request_values(url) {
            if !line.is_empty() {
                line.push_str("; ");
            }
            line.push_str(name);
            line.push('=');
            line.push_str(value);
        }
        let mut value = HeaderValue::try_from(line)
            .ok()
            .filter(|line| !line.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }

    /// How many there are that have not expired.
    pub fn len(&self) -> usize {
        self.store().iter_unexpired().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all out.
    pub fn clear(&self) {
        self.store().clear();
    }

    pub(super) fn take_from(&self, url: &Url, headers: &HeaderMap) {
        for value in headers.get_all(SET_COOKIE).iter().take(A_RESPONSE_MAX) {
            if let Ok(text) = std::str::from_utf8(value.as_bytes()) {
                self.set(url, text);
            }
        }
    }
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieJar")
            .field("len", &self.len())
            .finish()
    }
}

/// Whether nobody but a registry owns all that is below `domain`. A name without a dot counts as one.
fn is_public_suffix(domain: &str) -> bool {
    domain.parse::<std::net::IpAddr>().is_err()
        && psl::suffix_str(domain).is_none_or(|suffix| suffix == domain)
}

#[cfg(test)]
mod tests {
    use super::CookieJar;
    use url::Url;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    fn got(jar: &CookieJar, address: &str) -> String {
        let value = jar.get(&url(address));
        value.map_or(String::new(), |value| {
            value.to_str().expect("ASCII").to_owned()
        })
    }

    #[test]
    fn cookies_go_where_they_belong() {
        let jar = CookieJar::new();
        let site = url("http://a.example.com/dir/page");
        assert!(jar.set(&site, "host=1"));
        assert!(jar.set(&site, "domain=2; Domain=.example.com; Path=/"));
        assert!(jar.set(&site, "path=3; Path=/dir"));
        assert!(!jar.set(&site, "other=4; Domain=other.com"));
        assert!(!jar.set(&site, "tld=5; Domain=com"));
        assert_eq!(got(&jar, "http://b.example.com/"), "domain=2");
        let own = got(&jar, "http://a.example.com/dir/x");
        assert!(own.contains("host=1") && own.contains("path=3"), "{own}");
        assert_eq!(got(&jar, "http://example.org/"), "");
        assert!(jar.set(&site, "host=; Max-Age=0") || jar.len() == 2);
        assert!(!got(&jar, "http://a.example.com/dir/x").contains("host"));
    }

    #[test]
    fn public_suffixes_and_prefixes_are_held() {
        let jar = CookieJar::new();
        assert!(jar.set(&url("https://github.io/"), "own=1; Domain=github.io"));
        assert!(!jar.set(&url("https://me.github.io/"), "all=1; Domain=github.io"));
        assert_eq!(got(&jar, "https://you.github.io/"), "");
        assert!(jar.set(&url("http://localhost/"), "local=1"));
        assert!(jar.set(&url("http://127.0.0.1/"), "address=1"));
        assert!(!jar.set(&url("http://a.org/"), "__Secure-a=1; Secure"));
        assert!(!jar.set(&url("https://a.org/x/"), "__Host-a=1; Secure"));
        assert!(jar.set(&url("https://a.org/x/"), "__Host-a=1; Secure; Path=/"));
        assert!(!jar.set(&url("http://a.org/"), &format!("a={}", "x".repeat(5000))));
    }

    #[test]
    fn a_jar_has_an_end() {
        let jar = CookieJar::new();
        for n in 0..3000 {
            assert!(jar.set(&url("http://a.org/"), &format!("c{n}=1; Path=/p{n}")));
        }
        assert!(!jar.set(&url("http://a.org/"), "more=1"));
        jar.clear();
        assert!(jar.set(&url("http://a.org/"), "more=1"));
    }
}
