//! A client in the making.

use super::cookies::CookieJar;
use super::decode::Measure;
use super::dial::{Connect, Dialer, SocketOptions, Tls};
use super::error::{Error, Kind};
use super::local::Local;
use super::pool::{Pool, PoolConfig};
use super::proxy::{NoProxy, Proxies, Proxy};
use super::redirect::RedirectPolicy;
use super::request::Options;
use super::resolve::{Resolve, Resolver};
use super::retry::{Budget, RetryPolicy};
use super::timing::Timeouts;
use super::{Client, Fields, Inner};
use crate::BoxError;
use blitz_http_proto::Limits;
use blitz_tls::{HTTP_1_1, Identity, Roots, TlsConnector, TlsVersion};
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tower_service::Service;
use url::Url;

/// A client in the making. What is not said is set to what holds on the open net.
#[must_use = "it does nothing before `build`"]
pub struct ClientBuilder {
    headers: HeaderMap,
    timeouts: Timeouts,
    pool: PoolConfig,
    redirects: RedirectPolicy,
    retries: RetryPolicy,
    cookies: Option<CookieJar>,
    decompress: bool,
    measure: Measure,
    response_bytes_max: u64,
    collect_bytes_max: u64,
    limits: Limits,
    proxies: Proxies,
    environment: bool,
    resolver: Option<Arc<dyn Resolve>>,
    given: HashMap<(String, Option<u16>), Vec<SocketAddr>>,
    dns_cache: (Duration, Duration),
    socket: SocketOptions,
    unix_socket: Option<PathBuf>,
    public_only: bool,
    connector: Option<Arc<dyn Connect>>,
    tls: TlsChoice,
}

/// How TLS is spoken: as is said here in pieces, or as a whole that was made elsewhere.
struct TlsChoice {
    whole: Option<TlsConnector>,
    extra: Option<Roots>,
    only: Option<Roots>,
    identity: Option<Identity>,
    min_version: Option<TlsVersion>,
    max_version: Option<TlsVersion>,
    key_log: bool,
    no_sni: bool,
    anyone: bool,
}

impl ClientBuilder {
    pub(super) fn new() -> ClientBuilder {
        let mut headers = HeaderMap::new();
        let agent = concat!("blitz-http/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        ClientBuilder {
            headers,
            timeouts: Timeouts::default(),
            pool: PoolConfig::default(),
            redirects: RedirectPolicy::default(),
            retries: RetryPolicy::default(),
            cookies: None,
            decompress: true,
            measure: Measure {
                free: 8 * 1024 * 1024,
                ratio: 100,
            },
            response_bytes_max: u64::MAX,
            collect_bytes_max: 256 * 1024 * 1024,
            limits: Limits::default(),
            proxies: Proxies::default(),
            environment: true,
            resolver: None,
            given: HashMap::new(),
            dns_cache: (Duration::from_secs(30), Duration::from_secs(1)),
            socket: SocketOptions {
                nodelay: true,
                keepalive: true,
                local: None,
                interface: None,
                user_timeout: None,
                stagger: Duration::from_millis(250),
            },
            unix_socket: None,
            public_only: false,
            connector: None,
            tls: TlsChoice {
                whole: None,
                extra: None,
                only: None,
                identity: None,
                min_version: None,
                max_version: None,
                key_log: false,
                no_sni: false,
                anyone: false,
            },
        }
    }

    /// Fields that each request has, unless it says otherwise; beside `Accept: */*` and a `User-Agent` of our own.
    pub fn default_headers(mut self, headers: HeaderMap) -> ClientBuilder {
        for name in headers.keys() {
            self.headers.remove(name);
        }
        self.headers.extend(headers);
        self
    }

    /// Who asks. What cannot stand in a field is left out of it.
    pub fn user_agent(mut self, agent: &str) -> ClientBuilder {
        let agent: String = agent.chars().filter(|c| !c.is_control()).collect();
        if let Ok(agent) = HeaderValue::try_from(agent) {
            self.headers.insert(USER_AGENT, agent);
        }
        self
    }

    /// How long each phase may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> ClientBuilder {
        self.timeouts = timeouts;
        self
    }

    /// How long all of a request may take. One hour.
    pub fn timeout(mut self, total: Duration) -> ClientBuilder {
        self.timeouts.total = total;
        self
    }

    /// How long a connection may take to open. 10 s.
    pub fn connect_timeout(mut self, connect: Duration) -> ClientBuilder {
        self.timeouts.connect = connect;
        self
    }

    /// How many connections there may be, and for how long they are kept.
    pub fn pool(mut self, pool: PoolConfig) -> ClientBuilder {
        self.pool = pool;
        self
    }

    /// How many connections to one server there may be at a time; further requests wait in line. 256.
    pub fn connections_per_host_max(mut self, connections: usize) -> ClientBuilder {
        self.pool.connections_per_host_max = connections;
        self
    }

    /// Which redirects are followed. Up to ten, and none from https to http.
    pub fn redirects(mut self, policy: RedirectPolicy) -> ClientBuilder {
        self.redirects = policy;
        self
    }

    /// When a failed request is sent again. Never, but where a kept connection turns out to be closed.
    pub fn retries(mut self, policy: RetryPolicy) -> ClientBuilder {
        self.retries = policy;
        self
    }

    /// Keeps cookies in this jar, and shows those that are in it.
    pub fn cookies(mut self, jar: CookieJar) -> ClientBuilder {
        self.cookies = Some(jar);
        self
    }

    /// Whether compressed responses are asked for and decompressed; yes. They are by gzip, deflate, and with the crate's feature
    /// `compression` by br and zstd. A request with an `Accept-Encoding` or `Range` of its own gets
    /// what comes, as it comes.
    pub fn decompress(mut self, decompress: bool) -> ClientBuilder {
        self.decompress = decompress;
        self
    }

    /// How much may come of a compressed body: `free` bytes in any case, and beyond that `ratio` times what was received. 8 MiB, 100.
    /// More than that is an error, however large a response may be.
    pub fn decompression_max(mut self, free: u64, ratio: u64) -> ClientBuilder {
        self.measure = Measure { free, ratio };
        self
    }

    /// How large a response's body may be, after decompression. No limit: what streams needs none.
    pub fn response_bytes_max(mut self, bytes: u64) -> ClientBuilder {
        self.response_bytes_max = bytes;
        self
    }

    /// How much [`Response::bytes`](super::Response::bytes), `text` and `json` keep in memory before they fail. 256 MiB.
    pub fn collect_bytes_max(mut self, bytes: u64) -> ClientBuilder {
        self.collect_bytes_max = bytes;
        self
    }

    /// How large heads and trailers of responses may be. 64 KiB and 100 fields; 16 KiB. `body_bytes` counts for nothing here.
    pub fn limits(mut self, limits: Limits) -> ClientBuilder {
        self.limits = limits;
        self
    }

    /// Sends requests for http and https through a proxy. The environment is not looked at then.
    pub fn proxy(mut self, proxy: Proxy) -> ClientBuilder {
        self.proxies.http = Some(proxy.clone());
        self.proxies.https = Some(proxy);
        self.environment = false;
        self
    }

    /// Sends requests for http through a proxy. The environment is not looked at then.
    pub fn http_proxy(mut self, proxy: Proxy) -> ClientBuilder {
        self.proxies.http = Some(proxy);
        self.environment = false;
        self
    }

    /// Sends requests for https through a proxy. The environment is not looked at then.
    pub fn https_proxy(mut self, proxy: Proxy) -> ClientBuilder {
        self.proxies.https = Some(proxy);
        self.environment = false;
        self
    }

    /// Has this say for each request, redirects included, which proxy it goes through; with `None` it goes straight. It counts alone then,
    /// not the environment nor the other settings of proxies.
    ///
    /// ```
    /// # fn main() -> Result<(), blitz_http::client::Error> {
    /// use blitz_http::client::{Client, Proxy, Url};
    ///
    /// let inner = Proxy::new("socks5h://gate.example")?;
    /// let of_host = move |url: &Url| url.host_str()?.ends_with(".inner.example").then(|| inner.clone());
    /// let client = Client::builder().proxy_by(of_host).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn proxy_by(
        mut self,
        choose: impl Fn(&Url) -> Option<Proxy> + Send + Sync + 'static,
    ) -> ClientBuilder {
        self.proxies.choose = Some(Arc::new(choose));
        self.environment = false;
        self
    }

    /// Goes to these without a proxy, in the words of `NO_PROXY`: `example.com,10.0.0.0/8,localhost:8080`.
    pub fn proxy_not_for(mut self, list: &str) -> ClientBuilder {
        self.proxies.without = NoProxy::new(list);
        self
    }

    /// Uses no proxy, whatever the environment says. Otherwise `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are
    /// read when the client is built.
    pub fn no_proxy(mut self) -> ClientBuilder {
        self.proxies = Proxies::default();
        self.environment = false;
        self
    }

    /// Has names resolved by this. It must not block.
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> ClientBuilder {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Says beforehand where a host is, for all ports. The port of an address counts where it is not 0.
    pub fn resolve(mut self, host: &str, addresses: &[SocketAddr]) -> ClientBuilder {
        let key = (host.to_ascii_lowercase(), None);
        self.given.insert(key, addresses.to_vec());
        self
    }

    /// Says beforehand where a host is, for one port.
    pub fn resolve_port(
        mut self,
        host: &str,
        port: u16,
        addresses: &[SocketAddr],
    ) -> ClientBuilder {
        let key = (host.to_ascii_lowercase(), Some(port));
        self.given.insert(key, addresses.to_vec());
        self
    }

    /// How long addresses that were found are remembered, and how long that there are none. 30 s and 1 s: the system does not tell for how
    /// long they hold.
    pub fn dns_cache(mut self, found: Duration, missing: Duration) -> ClientBuilder {
        self.dns_cache = (found, missing);
        self
    }

    /// How long an address may say nothing before the next is tried beside it (RFC 8305). 250 ms.
    pub fn happy_eyeballs_delay(mut self, delay: Duration) -> ClientBuilder {
        self.socket.stagger = delay;
        self
    }

    /// Binds connections to this address of ours.
    pub fn local_address(mut self, address: IpAddr) -> ClientBuilder {
        self.socket.local = Some(address);
        self
    }

    /// Whether small pieces are sent at once. Yes.
    pub fn tcp_nodelay(mut self, nodelay: bool) -> ClientBuilder {
        self.socket.nodelay = nodelay;
        self
    }

    /// Whether the system asks now and then whether the other end is still there. Yes.
    pub fn tcp_keepalive(mut self, keepalive: bool) -> ClientBuilder {
        self.socket.keepalive = keepalive;
        self
    }

    /// Sends over this network interface alone, by its name (`SO_BINDTODEVICE`). On Linux; elsewhere no connection opens.
    pub fn interface(mut self, name: &str) -> ClientBuilder {
        self.socket.interface = Some(name.to_owned());
        self
    }

    /// How long what was sent may wait for its acknowledgement before the system gives the connection up (`TCP_USER_TIMEOUT`, RFC 5482).
    /// The system's own patience, a quarter of an hour or so, if nothing is said. On Linux; elsewhere no connection opens.
    pub fn tcp_user_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.socket.user_timeout = Some(timeout);
        self
    }

    /// Sends all requests through a Unix socket; the address still says `Host`, and whether TLS is spoken.
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> ClientBuilder {
        self.unix_socket = Some(path.into());
        self.no_proxy()
    }

    /// Refuses addresses that are not [public](super::is_public), after names were resolved and of redirects too: for who fetches what
    /// strangers name. The environment's proxies are not used; a [`connector`](ClientBuilder::connector) resolves by itself, and is
    /// asked for any name.
    pub fn public_only(mut self, only: bool) -> ClientBuilder {
        self.public_only = only;
        self
    }

    /// Opens streams by this instead of sockets.
    pub fn connector(mut self, connector: impl Connect + 'static) -> ClientBuilder {
        self.connector = Some(Arc::new(connector));
        self.no_proxy()
    }

    /// Has all requests answered by a service within this process: they go through memory, and no port is opened. It may be a
    /// [`Router`](crate::Router) or a [`Mock`](super::Mock).
    ///
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> Result<(), blitz_http::client::Error> {
    /// use blitz_http::{Client, Router, now};
    ///
    /// let client = Client::builder().service(Router::new().get("/", now(|_| "hello"))).build()?;
    /// let mut response = client.get("http://any.name/").send().await?;
    /// assert_eq!(response.text().await?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn service<S, B>(self, service: S) -> ClientBuilder
    where
        S: Service<crate::Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        self.connector(Local::new(service))
    }

    /// Speaks TLS as this connector does; the other settings of TLS count for nothing then.
    pub fn tls(mut self, connector: TlsConnector) -> ClientBuilder {
        self.tls.whole = Some(connector);
        self
    }

    /// Trusts these roots besides the platform's.
    pub fn extra_roots(mut self, roots: Roots) -> ClientBuilder {
        self.tls.extra = Some(roots);
        self
    }

    /// Trusts these roots and no others.
    pub fn only_roots(mut self, roots: Roots) -> ClientBuilder {
        self.tls.only = Some(roots);
        self
    }

    /// Shows this certificate to servers that ask for one.
    pub fn identity(mut self, identity: Identity) -> ClientBuilder {
        self.tls.identity = Some(identity);
        self
    }

    /// The oldest version of TLS that is allowed.
    pub fn min_tls_version(mut self, version: TlsVersion) -> ClientBuilder {
        self.tls.min_version = Some(version);
        self
    }

    /// The newest version of TLS that is allowed, for a server that gets a newer one wrong.
    pub fn max_tls_version(mut self, version: TlsVersion) -> ClientBuilder {
        self.tls.max_version = Some(version);
        self
    }

    /// Whether servers are told which name is asked for (SNI, RFC 6066 §3). Yes; a server with several certificates cannot choose without.
    pub fn tls_sni(mut self, send: bool) -> ClientBuilder {
        self.tls.no_sni = !send;
        self
    }

    /// Writes the keys of sessions to the file that `SSLKEYLOGFILE` names.
    pub fn tls_key_log(mut self, log: bool) -> ClientBuilder {
        self.tls.key_log = log;
        self
    }

    /// Takes every certificate: whoever sits on the way can read and change everything. For tests against a machine of one's own.
    pub fn dangerous_accept_any_certificate(mut self) -> ClientBuilder {
        self.tls.anyone = true;
        self
    }

    /// Makes the client. Roots are read when TLS is spoken for the first time.
    ///
    /// # Errors
    /// When the environment names a proxy that is none, or [`public_only`](ClientBuilder::public_only) cannot hold because a proxy
    /// resolves names where nobody sees it, or may, as those of [`proxy_by`](ClientBuilder::proxy_by).
    pub fn build(self) -> Result<Client, Error> {
        let mut proxies = self.proxies;
        if self.environment && !self.public_only {
            let without = std::mem::take(&mut proxies.without);
            proxies = Proxies::from_environment(|name| std::env::var(name).ok())?;
            proxies.without.extend(without);
        }
        if self.public_only {
            let mut known = [&proxies.http, &proxies.https].into_iter().flatten();
            if proxies.choose.is_some() || known.any(|proxy| proxy.kind().resolves()) {
                let why = "a proxy that resolves names itself cannot be kept to public addresses";
                return Err(Kind::Request(why.to_owned()).into());
            }
        }
        let (found, missing) = self.dns_cache;
        Ok(Client(Arc::new(Inner {
            headers: Fields::new(self.headers),
            options: Options {
                timeouts: Arc::new(self.timeouts),
                redirects: self.redirects,
                decompress: self.decompress,
                response_bytes_max: self.response_bytes_max,
                informed: None,
                digest: None,
            },
            retries: self.retries,
            budget: Budget::new(),
            cookies: self.cookies,
            measure: self.measure,
            collect_bytes_max: self.collect_bytes_max,
            limits: self.limits,
            proxies,
            unix_socket: self.unix_socket,
            pool: Pool::new(self.pool),
            dialer: Dialer {
                resolver: Resolver::new(self.resolver, self.given, found, missing),
                tls: Arc::new(self.tls.make()),
                options: self.socket,
                public_only: self.public_only,
                connector: self.connector,
            },
        })))
    }
}

impl TlsChoice {
    fn make(self) -> Tls {
        if let Some(whole) = self.whole {
            return Tls::of_connector(whole);
        }
        let mut builder = TlsConnector::builder()
            .alpn([HTTP_1_1])
            .key_log(self.key_log)
            .sni(!self.no_sni);
        if let Some(version) = self.min_version {
            builder = builder.min_version(version);
        }
        if let Some(version) = self.max_version {
            builder = builder.max_version(version);
        }
        if let Some(identity) = self.identity {
            builder = builder.identity(identity);
        }
        builder = match (self.anyone, self.only, self.extra) {
            (true, _, _) => builder.dangerous().accept_any_certificate(),
            (_, Some(only), _) => builder.only_roots(only),
            (_, None, Some(extra)) => builder.extra_roots(extra),
            _ => builder,
        };
        Tls::of_builder(builder)
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("timeouts", &self.timeouts)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
