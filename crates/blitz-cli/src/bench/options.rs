//! The options of `blitz bench`.

use super::slo::Slo;
use crate::args::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::time::Duration;

/// How long it runs when nothing is said.
const DURATION: Duration = Duration::from_secs(10);
/// How long an answer may take when nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);
/// More on one connection would measure the memory of the server's socket.
const PIPELINE_MAX: usize = 1024;

/// What the command line says.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) url: Uri,
    /// Messages are what is sent, over `ws` or `wss`.
    pub(super) websocket: bool,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) connections: usize,
    pub(super) workers: usize,
    /// When it ends; none if the number of requests alone says that.
    pub(super) duration: Option<Duration>,
    pub(super) requests: Option<u64>,
    /// Requests a second, on all connections together; none is as many as come back.
    pub(super) rate: Option<f64>,
    pub(super) pipeline: usize,
    pub(super) keep_alive: bool,
    pub(super) timeout: Duration,
    pub(super) insecure: bool,
    pub(super) cacert: Option<String>,
    pub(super) slo: Slo,
    pub(super) json: bool,
    pub(super) html: Option<String>,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// When one is wrong; the message names it.
    pub(super) fn parse(words: &[&str]) -> Result<Options, String> {
        let mut args = Args::new("blitz bench", words);
        let (headers, typed) = headers(&mut args)?;
        let data: Option<String> = either(&mut args, ["-d", "--data"], "DATA or @FILE")?;
        let method: Option<String> = either(&mut args, ["-X", "--method"], "a method")?;
        let connections = either(
            &mut args,
            ["-c", "--connections"],
            "a number of connections",
        )?;
        let requests: Option<u64> =
            either(&mut args, ["-n", "--requests"], "a number of requests")?;
        let duration: Option<String> = args.optional("--duration", "a time such as 10s")?;
        let timeout: Option<String> = args.optional("--timeout", "a time such as 10s")?;
        let rate: Option<f64> = args.optional("--rate", "a number of requests a second")?;
        let pipeline = args.value("--pipeline", "a number of requests", 1)?;
        let workers: Option<usize> = args.optional("--workers", "a number of threads")?;
        let cacert: Option<String> = args.optional("--cacert", "a file")?;
        let html: Option<String> = args.optional("--html", "a file")?;
        let slo: Option<String> = args.optional("--slo", "objectives such as p99<5ms")?;
        let closes = args.flag("--no-keepalive");
        let insecure = args.flag("--insecure") | args.flag("-k");
        let json = args.flag("--json");
        let url = args.name("the URL of what is to be asked")?;
        if url.starts_with('-') {
            return Err(format!(
                "`blitz bench` does not know `{url}`; `blitz bench --help` lists the options"
            ));
        }
        args.end()?;

        let connections: usize = connections.unwrap_or(50);
        for (name, number) in [
            ("--connections", connections),
            ("--pipeline", pipeline),
            ("--workers", workers.unwrap_or(1)),
        ] {
            if number == 0 {
                return Err(format!("{name} wants at least 1"));
            }
        }
        if requests == Some(0) {
            return Err("--requests wants at least 1".to_owned());
        }
        if pipeline > PIPELINE_MAX {
            return Err(format!("--pipeline wants at most {PIPELINE_MAX}"));
        }
        if closes && pipeline > 1 {
            return Err(
                "--pipeline and --no-keepalive contradict each other: a connection without keep-alive carries one request"
                    .to_owned(),
            );
        }
        if rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e9)) {
            return Err("--rate wants a number of requests a second above 0".to_owned());
        }
        let duration = duration.map(|text| positive("--duration", &text));
        let duration = match duration.transpose()? {
            None if requests.is_none() => Some(DURATION),
            given => given,
        };
        let timeout = timeout.map(|text| positive("--timeout", &text));
        if insecure && cacert.is_some() {
            return Err(
                "--insecure and --cacert contradict each other: one trusts everybody, the other one file"
                    .to_owned(),
            );
        }
        let body = data.as_deref().map(body).transpose()?;
        let url = read_url(&url)?;
        let websocket = matches!(url.scheme_str(), Some("ws" | "wss"));
        if websocket && (closes || method.is_some()) {
            return Err("--no-keepalive and --method are for HTTP: a WebSocket is one connection, asked for by GET".to_owned());
        }
        let method = match method {
            _ if websocket => Method::GET,
            Some(name) => read_method(&name)?,
            None if body.is_some() => Method::POST,
            None => Method::GET,
        };
        let mut headers = headers;
        if body.is_some() && !typed && !websocket {
            // As curl says of what `-d` sends.
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(http::header::CONTENT_TYPE, form);
        }
        let workers = workers.unwrap_or_else(|| processors().div_ceil(2));
        Ok(Options {
            url,
            websocket,
            method,
            headers,
            body: body.unwrap_or_default(),
            connections,
            workers: workers.min(connections),
            duration,
            requests,
            rate,
            pipeline,
            keep_alive: !closes,
            timeout: timeout.transpose()?.unwrap_or(TIMEOUT),
            insecure,
            cacert,
            slo: slo
                .as_deref()
                .map(Slo::parse)
                .transpose()?
                .unwrap_or_default(),
            json,
            html,
        })
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// An option that has a short name, too.
fn either<T: std::str::FromStr>(
    args: &mut Args<'_>,
    names: [&str; 2],
    kind: &str,
) -> Result<Option<T>, String> {
    let [short, long] = names;
    match (args.optional(short, kind)?, args.optional(long, kind)?) {
        (Some(_), Some(_)) => Err(format!("{short} and {long} are the same: give one")),
        (one, other) => Ok(one.or(other)),
    }
}

/// All fields that were given, and whether they name the type of the body.
fn headers(args: &mut Args<'_>) -> Result<(HeaderMap, bool), String> {
    let mut fields = HeaderMap::new();
    for option in ["-H", "--header"] {
        while let Some(text) = args.optional::<String>(option, "`Name: value`")? {
            let wrong = || format!("{option} wants `Name: value`, not `{text}`");
            let (name, value) = text.split_once(':').ok_or_else(wrong)?;
            let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
            let value: HeaderValue = value.trim().parse().map_err(|_| wrong())?;
            for (of, instead) in [
                (http::header::CONTENT_LENGTH, "it is that of --data"),
                (http::header::TRANSFER_ENCODING, "the length is known"),
                (http::header::CONNECTION, "--no-keepalive is for that"),
            ] {
                if name == of {
                    return Err(format!("{option} cannot set {of}: {instead}"));
                }
            }
            fields.append(name, value);
        }
    }
    let typed = fields.contains_key(http::header::CONTENT_TYPE);
    Ok((fields, typed))
}

fn body(data: &str) -> Result<Vec<u8>, String> {
    match data.strip_prefix('@') {
        Some(path) => std::fs::read(path).map_err(|error| format!("--data {data}: {error}")),
        None => Ok(data.as_bytes().to_vec()),
    }
}

fn read_method(name: &str) -> Result<Method, String> {
    let method: Result<Method, _> = name.parse();
    match method {
        Ok(Method::CONNECT) => Err("--method cannot be CONNECT: it makes a tunnel".to_owned()),
        Ok(method) => Ok(method),
        Err(_) => Err(format!("--method wants a method of HTTP, not `{name}`")),
    }
}

/// An address with a scheme that we speak, and a host.
fn read_url(text: &str) -> Result<Uri, String> {
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url: Uri = whole
        .parse()
        .map_err(|error| format!("`{text}` is no URL: {error}"))?;
    match url.scheme_str() {
        Some("http" | "https" | "ws" | "wss") => {}
        other => {
            let scheme = other.unwrap_or_default();
            return Err(format!(
                "`{text}`: only http, https, ws and wss are spoken here, not `{scheme}`"
            ));
        }
    }
    let authority = url.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(format!(
            "`{text}` has a name and a password in it; give them by --header 'Authorization: …'"
        ));
    }
    if url.host().is_none_or(str::is_empty) {
        return Err(format!("`{text}` names no host"));
    }
    // `Uri` takes what is no number, and a number that is none of a port, for no port.
    let behind = authority
        .rsplit_once(']')
        .map_or(authority, |(_, rest)| rest);
    if behind.contains(':') && url.port_u16().is_none() {
        return Err(format!("`{text}` has a port that is none"));
    }
    Ok(url)
}

fn positive(option: &str, text: &str) -> Result<Duration, String> {
    match read_time(text) {
        Some(time) if !time.is_zero() => Ok(time),
        _ => Err(format!(
            "{option} wants a time such as 500ms, 10s or 2m, not `{text}`"
        )),
    }
}

/// A number with its unit: `ns`, `us`, `ms`, `s`, `m`, `h`; seconds without one.
pub(super) fn read_time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text
        .find(|c: char| c.is_alphabetic() || c == 'µ')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_the_url_has_a_default() {
        let options = Options::parse(&["localhost:8000"]).expect("it is enough");
        assert_eq!(options.url.to_string(), "http://localhost:8000/");
        assert_eq!(options.method, Method::GET);
        assert_eq!((options.connections, options.pipeline), (50, 1));
        assert_eq!((options.duration, options.requests), (Some(DURATION), None));
        assert!(options.keep_alive && options.rate.is_none() && options.headers.is_empty());
    }

    #[test]
    fn all_options_are_read() {
        let words = [
            "-H",
            "X-A: b",
            "--header=x-a:c",
            "-d",
            "a=b",
            "-c",
            "3",
            "--workers",
            "8",
            "-n",
            "1_000",
            "--rate",
            "2.5",
            "--timeout",
            "250ms",
            "--pipeline=4",
            "--insecure",
            "https://[::1]:9/x?y=z",
            "--json",
            "--slo",
            "p99<5ms",
        ];
        let options = Options::parse(&words).expect("all of it is right");
        assert_eq!(options.method, Method::POST);
        assert_eq!(options.body, b"a=b");
        assert_eq!(options.headers.get_all("x-a").iter().count(), 2);
        assert_eq!(
            options.headers["content-type"],
            "application/x-www-form-urlencoded"
        );
        assert_eq!((options.connections, options.workers), (3, 3));
        assert_eq!((options.requests, options.duration), (Some(1000), None));
        assert_eq!(options.timeout, Duration::from_millis(250));
        assert!(options.json && options.insecure && options.rate == Some(2.5));
        let words = [
            "x",
            "-X",
            "PUT",
            "-d",
            "{}",
            "-H",
            "Content-Type: application/json",
        ];
        let options = Options::parse(&words).expect("all of it is right");
        assert_eq!(options.method, Method::PUT);
        assert_eq!(options.headers["content-type"], "application/json");
    }

    #[test]
    fn mistakes_are_named() {
        for (words, said) in [
            (&[][..], "wants the URL"),
            (&["ftp://a"], "not `ftp`"),
            (&["http://"], "`http://`"),
            (&["http://a:b@c/"], "Authorization"),
            (&["http://a:99999/"], "port"),
            (&["a b"], "is no URL"),
            (&["-z", "a"], "does not know `-z`"),
            (&["a", "--conections", "5"], "`--conections`"),
            (&["a", "-c", "0"], "--connections wants at least 1"),
            (&["a", "-c", "1", "--connections", "2"], "are the same"),
            (&["a", "-n", "0"], "--requests wants at least 1"),
            (&["a", "-n", "many"], "-n wants a number of requests"),
            (&["a", "--rate", "0"], "--rate"),
            (&["a", "--rate", "nan"], "--rate"),
            (&["a", "--duration", "0"], "--duration wants a time"),
            (&["a", "--duration", "5 parsecs"], "--duration wants a time"),
            (&["a", "--timeout", "-1s"], "--timeout wants a time"),
            (&["a", "--pipeline", "5000"], "at most 1024"),
            (&["a", "--pipeline", "2", "--no-keepalive"], "contradict"),
            (&["a", "--insecure", "--cacert", "f"], "contradict"),
            (&["a", "-X", "CONNECT"], "tunnel"),
            (&["a", "-X", "G T"], "--method wants"),
            (&["a", "-H", "no colon"], "-H wants"),
            (
                &["a", "-H", "Content-Length: 5"],
                "cannot set content-length",
            ),
            (&["a", "-d", "@/no/such/file"], "/no/such/file"),
            (&["a", "--slo", "p99"], "--slo"),
        ] {
            let error = Options::parse(words).expect_err("it is wrong");
            assert!(error.contains(said), "{words:?}: {error}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, ns) in [
            ("5", 5_000_000_000),
            ("1.5ms", 1_500_000),
            ("7 us", 7_000),
            ("7µs", 7_000),
            ("2m", 120_000_000_000),
            ("10ns", 10),
        ] {
            assert_eq!(read_time(text), Some(Duration::from_nanos(ns)), "{text}");
        }
        for text in ["", "s", "1x", "-1s", "1e400s"] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }
}
