//! Proxies: which one a request goes through, if any.

use super::error::{Error, Kind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use url::Url;

/// A way through somebody else: an HTTP proxy, over TLS or not, or one of SOCKS.
///
/// ```
/// use blitz_http::client::Proxy;
/// assert!(Proxy::new("http://user:secret@proxy.example:3128").is_ok());
/// assert!(Proxy::new("socks5h://127.0.0.1:1080").is_ok());
/// assert!(Proxy::new("gopher://proxy.example").is_err());
/// ```
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    url: Url,
    host: String,
    port: u16,
    kind: ProxyKind,
    user: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyKind {
    /// Over TLS or not.
    Http { tls: bool },
    /// Who resolves the name: the proxy (`socks4a`) or we (`socks4`), who then need an address of IPv4.
    Socks4 { resolves: bool },
    /// The same: `socks5h` and `socks5`.
    Socks5 { resolves: bool },
}

impl ProxyKind {
    /// Whether names are resolved where nobody sees it.
    pub(super) fn resolves(self) -> bool {
        match self {
            ProxyKind::Http { .. } => true,
            ProxyKind::Socks4 { resolves } | ProxyKind::Socks5 { resolves } => resolves,
        }
    }
}

impl Proxy {
    /// The proxy at an address of the schemes `http`, `https`, `socks4` and `socks5` (names are resolved here), `socks4a` and `socks5h` (the
    /// proxy resolves them); without a scheme it is `http`. A user and password in it are shown to the proxy, and to nobody else;
    /// SOCKS4 knows no passwords.
    ///
    /// # Errors
    /// When that is no such address.
    pub fn new(address: &str) -> Result<Proxy, Error> {
        let url = match Url::parse(address) {
            Ok(url) if address.contains("://") => url,
            _ => Url::parse(&format!("http://{address}")).map_err(Kind::Url)?,
        };
        let (kind, port) = match url.scheme() {
            "http" => (ProxyKind::Http { tls: false }, 80),
            "https" => (ProxyKind::Http { tls: true }, 443),
            "socks4" => (ProxyKind::Socks4 { resolves: false }, 1080),
            "socks4a" => (ProxyKind::Socks4 { resolves: true }, 1080),
            "socks5" => (ProxyKind::Socks5 { resolves: false }, 1080),
            "socks5h" => (ProxyKind::Socks5 { resolves: true }, 1080),
            other => {
                let why = format!("a proxy of the scheme `{other}` is not known");
                return Err(Kind::Request(why).into());
            }
        };
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(Kind::Request("proxy has no host".to_owned()).into());
        };
        let decode = |text: &str| {
            let bytes = percent_decode(text);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let user = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let password = url.password().unwrap_or_default();
            (decode(url.username()), decode(password))
        });
        let too_long = |text: &str| text.len() > 255;
        let why = match (kind, &user) {
            (ProxyKind::Socks5 { .. }, Some((name, password)))
                if too_long(name) || too_long(password) =>
            {
                Some("user or password are too long for SOCKS5")
            }
            (ProxyKind::Socks4 { .. }, Some((name, password)))
                if too_long(name) || name.contains('\0') || !password.is_empty() =>
            {
                Some("SOCKS4 has no such user, and no passwords: use socks5")
            }
            _ => None,
        };
        if let Some(why) = why {
            return Err(Kind::Request(why.to_owned()).into());
        }
        Ok(Proxy(Arc::new(Inner {
            host: host.to_owned(),
            port: url.port().unwrap_or(port),
            kind,
            user,
            url,
        })))
    }

    pub(super) fn kind(&self) -> ProxyKind {
        self.0.kind
    }

    pub(super) fn host(&self) -> &str {
        &self.0.host
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port
    }

    pub(super) fn user(&self) -> Option<(&str, &str)> {
        let (user, password) = self.0.user.as_ref()?;
        Some((user, password))
    }

    /// What connections are told apart by: with the credentials.
    pub(super) fn key(&self) -> String {
        self.0.url.as_str().to_owned()
    }

    /// `Proxy-Authorization`, where there are credentials.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.user()?;
        Some(basic(user, password))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("kind", &self.0.kind)
            .field("host", &self.0.host)
            .field("port", &self.0.port)
            .finish_non_exhaustive()
    }
}

/// Credentials as RFC 7617 writes them.
pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    let coded = STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {coded}")).expect("it is ASCII");
    value.set_sensitive(true);
    value
}

fn percent_decode(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        let digit = |at: usize| char::from(*behind.get(at)?).to_digit(16);
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &behind[2..];
            }
            _ => bytes.push(first),
        }
    }
    bytes
}

/// Chooses by the address.
pub(super) type Choose = Arc<dyn Fn(&Url) -> Option<Proxy> + Send + Sync>;

/// Which proxy is for whom.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    /// Asked first, where there is one, and then nobody else is.
    pub(super) choose: Option<Choose>,
    pub(super) http: Option<Proxy>,
    pub(super) https: Option<Proxy>,
    pub(super) without: NoProxy,
}

impl Proxies {
    /// What the environment says: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower case or else in upper case; but
    /// `HTTP_PROXY` not where this is a CGI program, whose clients can set it.
    pub(super) fn from_environment(get: impl Fn(&str) -> Option<String>) -> Result<Proxies, Error> {
        let get = |name: &str| {
            let upper = name.to_uppercase();
            let forbidden = name == "http_proxy" && get("REQUEST_METHOD").is_some();
            let value = get(name).or_else(|| if forbidden { None } else { get(&upper) });
            value.filter(|value| !value.trim().is_empty())
        };
        let proxy = |name: &str| {
            let value = get(name).or_else(|| get("all_proxy"));
            value.map(|value| Proxy::new(value.trim())).transpose()
        };
        Ok(Proxies {
            http: proxy("http_proxy")?,
            https: proxy("https_proxy")?,
            without: NoProxy::new(&get("no_proxy").unwrap_or_default()),
            choose: None,
        })
    }

    pub(super) fn of(&self, url: &Url) -> Option<Proxy> {
        if let Some(choose) = &self.choose {
            return choose(url);
        }
        let proxy = match url.scheme() {
            "https" => self.https.as_ref(),
            _ => self.http.as_ref(),
        }?;
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        (!self.without.has(host, port)).then(|| proxy.clone())
    }
}

/// Whom one goes to without a proxy, as `NO_PROXY` writes it: names with all that is below them, addresses, networks
/// (`10.0.0.0/8`), each with a port or without one, or `*` for everybody.
#[derive(Clone, Debug, Default)]
pub(super) struct NoProxy(Vec<(Whom, Option<u16>)>);

#[derive(Clone, Debug)]
enum Whom {
    All,
    Name(String),
    Network(IpAddr, u32),
}

impl NoProxy {
    pub(super) fn new(list: &str) -> NoProxy {
        let entries = list.split([',', ' ']).map(str::trim);
        NoProxy(entries.filter_map(Self::entry).collect())
    }

    fn entry(text: &str) -> Option<(Whom, Option<u16>)> {
        if text.is_empty() {
            return None;
        }
        if text == "*" {
            return Some((Whom::All, None));
        }
        let network = |text: &str| -> Option<Whom> {
            let (address, bits) = text.split_once('/').unwrap_or((text, ""));
            let address = address.trim_start_matches('[').trim_end_matches(']');
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = if bits.is_empty() {
                most
            } else {
                bits.parse().ok()?
            };
            (bits <= most).then_some(Whom::Network(address, bits))
        };
        if let Some(whom) = network(text) {
            return Some((whom, None));
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => match port.parse() {
                Ok(port) => (name, Some(port)),
                Err(_) => (text, None),
            },
            None => (text, None),
        };
        if let Some(whom) = network(name) {
            return Some((whom, port));
        }
        let name = name.trim_start_matches("*.").trim_matches('.');
        Some((Whom::Name(name.to_ascii_lowercase()), port))
    }

    pub(super) fn extend(&mut self, others: NoProxy) {
        self.0.extend(others.0);
    }

    fn has(&self, host: &str, port: u16) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches([']', '.']);
        let address: Option<IpAddr> = host.parse().ok();
        self.0.iter().any(|(whom, of_port)| {
            of_port.is_none_or(|of_port| of_port == port)
                && match (whom, address) {
                    (Whom::All, _) => true,
                    (Whom::Name(name), None) => host
                        .strip_suffix(name.as_str())
                        .is_some_and(|before| before.is_empty() || before.ends_with('.')),
                    (Whom::Network(network, bits), Some(address)) => {
                        is_within(address, *network, *bits)
                    }
                    _ => false,
                }
        })
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.leading_zeros() >= bits
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.leading_zeros() >= bits
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{NoProxy, Proxies};
    use url::Url;

    #[test]
    fn whom_one_goes_to_without_a_proxy() {
        let list = NoProxy::new("example.com, .dot.org,10.0.0.0/8 [::1],only.net:8080,192.168.1.1");
        for (host, port, without) in [
            ("example.com", 80, true),
            ("www.example.com", 80, true),
            ("notexample.com", 80, false),
            ("dot.org", 80, true),
            ("a.dot.org", 80, true),
            ("10.200.1.1", 443, true),
            ("11.0.0.1", 443, false),
            ("[::1]", 80, true),
            ("[::2]", 80, false),
            ("only.net", 8080, true),
            ("only.net", 80, false),
            ("192.168.1.1", 1, true),
            ("192.168.1.2", 1, false),
        ] {
            assert_eq!(list.has(host, port), without, "{host}:{port}");
        }
        assert!(NoProxy::new("*").has("any.example", 1));
        assert!(!NoProxy::new("").has("any.example", 1));
    }

    #[test]
    fn the_environment_is_asked_by_the_rules_that_grew() {
        let of = |pairs: &'static [(&str, &str)], url: &str| {
            let get = |name: &str| {
                let pair = pairs.iter().find(|(key, _)| *key == name);
                pair.map(|(_, value)| (*value).to_owned())
            };
            let proxies = Proxies::from_environment(get).expect("proxies");
            let url = Url::parse(url).expect("an address");
            proxies.of(&url).map(|proxy| proxy.host().to_owned())
        };
        let all: &[_] = &[
            ("HTTP_PROXY", "http://a:1"),
            ("https_proxy", "b:2"),
            ("no_proxy", "x.org"),
        ];
        assert_eq!(of(all, "http://y.org/").as_deref(), Some("a"));
        assert_eq!(of(all, "https://y.org/").as_deref(), Some("b"));
        assert_eq!(of(all, "https://x.org/"), None);
        let cgi: &[_] = &[("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(of(cgi, "http://y.org/"), None);
        assert_eq!(
            of(&[("ALL_PROXY", "socks5h://c")], "http://y.org/").as_deref(),
            Some("c")
        );
        assert_eq!(of(&[("all_proxy", "")], "http://y.org/"), None);
    }
}
