//! A jar for cookies (RFC 6265bis): the store is `cookie_store`'s, the list of public suffixes `psl`'s, the bounds ours.

use cookie_store::{Cookie, CookieStore, RawCookie, StoreAction};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use url::Url;

/// Bytes of a cookie that are looked at.
const COOKIE_BYTES_MAX: usize = 4096;
/// Cookies of one response that are taken.
const A_RESPONSE_MAX: usize = 50;
/// Cookies of one domain, and in a jar (RFC 6265 §6.1 asks for no less).
const A_DOMAIN_MAX: usize = 50;
const JAR_MAX: usize = 3000;

/// Cookies that servers set, for whom they are meant.
///
/// A clone is the same jar. A server sets cookies for itself and for the domain that it belongs to, and never for a public suffix
/// such as `co.uk`. A cookie of more than 4 KiB is not kept. A domain has at most 50, and a jar 3,000; where there would be more the one
/// goes that has expired, or else the one that was set longest ago.
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
pub struct CookieJar(Arc<Mutex<Jar>>);

/// The store, and in which order what is in it was set.
#[derive(Default)]
struct Jar {
    store: CookieStore,
    /// By number, which grows with time.
    places: BTreeMap<u64, Place>,
    /// The numbers of each domain, in their order.
    domains: HashMap<String, VecDeque<u64>>,
    next: u64,
}

/// What a store tells cookies apart by.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    domain: String,
    path: String,
    name: String,
}

impl Place {
    fn of(cookie: &Cookie<'_>) -> Place {
        Place {
            domain: String::from(&cookie.domain),
            path: String::from(&cookie.path),
            name: cookie.name().to_owned(),
        }
    }
}

impl Jar {
    /// Whether it was taken.
    fn insert(&mut self, cookie: &RawCookie<'_>, url: &Url) -> bool {
        let Ok(cookie) = Cookie::try_from_raw_cookie(cookie, url) else {
            return false;
        };
        let place = Place::of(&cookie);
        let Ok(done) = self.store.insert(cookie.into_owned(), url) else {
            return false;
        };
        match done {
            StoreAction::Inserted => self.add(place),
            // It was set anew, so it is the newest.
            StoreAction::UpdatedExisting => {
                self.forget(&place);
                self.add(place);
            }
            StoreAction::ExpiredExisting => self.remove(&place),
        }
        true
    }

    fn add(&mut self, place: Place) {
        self.next += 1;
        let numbers = self.domains.entry(place.domain.clone()).or_default();
        numbers.push_back(self.next);
        let is_full = numbers.len() > A_DOMAIN_MAX;
        let oldest = numbers.front().copied();
        let domain = place.domain.clone();
        self.places.insert(self.next, place);
        if is_full {
            let goes = self.expired(&domain).or(oldest);
            self.evict(goes);
        } else if self.places.len() > JAR_MAX {
            let oldest = self.places.first_key_value().map(|(number, _)| *number);
            self.evict(oldest);
        }
    }

    /// One of the domain that has expired.
    fn expired(&self, domain: &str) -> Option<u64> {
        let mut numbers = self.domains.get(domain)?.iter().copied();
        numbers.find(|number| {
            let place = self.places.get(number);
            let cookie = place.and_then(|at| self.store.get_any(&at.domain, &at.path, &at.name));
            cookie.is_none_or(Cookie::is_expired)
        })
    }

    fn evict(&mut self, number: Option<u64>) {
        if let Some(place) = number.and_then(|number| self.places.get(&number).cloned()) {
            self.remove(&place);
        }
    }

    fn remove(&mut self, place: &Place) {
        self.store.remove(&place.domain, &place.path, &place.name);
        self.forget(place);
    }

    /// The cookie counts no more. A domain has so few that looking through them costs nothing.
    fn forget(&mut self, place: &Place) {
        let Some(numbers) = self.domains.get_mut(&place.domain) else {
            return;
        };
        let at = |number: &u64| self.places.get(number) == Some(place);
        if let Some(at) = numbers.iter().position(at)
            && let Some(number) = numbers.remove(at)
        {
            self.places.remove(&number);
        }
        if numbers.is_empty() {
            self.domains.remove(&place.domain);
        }
    }
}

impl CookieJar {
    /// An empty jar.
    pub fn new() -> CookieJar {
        CookieJar::default()
    }

    fn jar(&self) -> MutexGuard<'_, Jar> {
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
        self.jar().insert(&cookie, url)
    }

    /// What to say in `Cookie` to the server of `url`.
    pub fn get(&self, url: &Url) -> Option<HeaderValue> {
        let jar = self.jar();
        let mut line = String::new();
        for (name, value) in jar.store.get_request_values(url) {
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
        self.jar().store.iter_unexpired().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all out.
    pub fn clear(&self) {
        *self.jar() = Jar::default();
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
    use cookie_store::CookieStore;
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

    /// The names that come back, in order.
    fn names(jar: &CookieJar, address: &str) -> Vec<String> {
        let line = got(jar, address);
        let pairs = line.split("; ").filter_map(|pair| pair.split_once('='));
        let mut names: Vec<_> = pairs.map(|(name, _)| name.to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_domain_has_its_share() {
        let jar = CookieJar::new();
        let site = url("http://a.org/");
        assert!(jar.set(&url("http://b.org/"), "other=1"));
        for n in 0..50 {
            assert!(jar.set(&site, &format!("c{n:02}=1")));
        }
        // Set anew it is one of them still, and the newest.
        assert!(jar.set(&site, "c00=2"));
        assert_eq!(names(&jar, "http://a.org/").len(), 50);
        for n in 50..55 {
            assert!(jar.set(&site, &format!("c{n:02}=1")));
        }
        let left = names(&jar, "http://a.org/");
        let newest = std::iter::once(0).chain(6..55).map(|n| format!("c{n:02}"));
        assert_eq!(left, newest.collect::<Vec<_>>());
        assert_eq!(got(&jar, "http://b.org/"), "other=1");
        // What is taken out makes room.
        assert!(jar.set(&site, "c54=; Max-Age=0"));
        assert!(jar.set(&site, "new=1"));
        assert_eq!(names(&jar, "http://a.org/").len(), 50);
        assert!(names(&jar, "http://a.org/").contains(&"c06".to_owned()));
    }

    #[test]
    fn what_has_expired_goes_first() {
        let jar = CookieJar::new();
        let site = url("http://a.org/");
        for n in 0..49 {
            assert!(jar.set(&site, &format!("c{n:02}=1")));
        }
        assert!(jar.set(&site, "short=1; Max-Age=100"));
        // As if its time had passed.
        let mut inner = jar.jar();
        let mut cookies: Vec<_> = inner.store.iter_any().cloned().collect();
        for cookie in &mut cookies {
            if cookie.name() == "short" {
                cookie.expire();
            }
        }
        let cookies = cookies.into_iter().map(Ok::<_, std::convert::Infallible>);
        inner.store = CookieStore::from_cookies(cookies, true).expect("cookies");
        drop(inner);
        assert!(jar.set(&site, "new=1"));
        let left = names(&jar, "http://a.org/");
        assert!(left.contains(&"c00".to_owned()) && left.contains(&"new".to_owned()));
        assert_eq!((left.len(), jar.jar().places.len()), (50, 50));
    }

    #[test]
    fn a_jar_has_an_end() {
        let jar = CookieJar::new();
        for n in 0..3001 {
            let site = url(&format!("http://host{}.org/", n / 40));
            assert!(jar.set(&site, &format!("c{n}=1; Path=/p{n}")));
        }
        assert_eq!(jar.len(), 3000);
        assert_eq!(got(&jar, "http://host0.org/p0"), "", "the oldest has gone");
        assert_eq!(got(&jar, "http://host0.org/p1"), "c1=1");
        assert_eq!(got(&jar, "http://host75.org/p3000"), "c3000=1");
        let inner = jar.jar();
        assert_eq!(inner.places.len(), inner.store.iter_any().count());
        let of_domains: usize = inner
            .domains
            .values()
            .map(std::collections::VecDeque::len)
            .sum();
        assert_eq!(of_domains, 3000);
        drop(inner);
        jar.clear();
        assert!(jar.is_empty() && jar.set(&url("http://a.org/"), "more=1"));
    }
}
