//! An HTTP client with curl's options, which prints one line of JSON a request.
//!
//! ```text
//! cargo run --release --example client -- -X POST -d @body.json -H 'Content-Type: application/json' https://example.com/
//! ```
//!
//! `-X METHOD`, `-H 'NAME: VALUE'`, `-d DATA|@FILE`, `-L` (follow redirects), `--compressed`, `--max-time S`, `--connect-timeout S`,
//! `--cacert FILE`, `--cert FILE`, `--key FILE`, `--resolve HOST:PORT:ADDR`, `-x PROXY`, `--unix-socket PATH`; `--repeat N` sends
//! it so often, one after the other, with `--repeat-delay MS` in between, on one client.
//!
//! The line has `status`, `version`, `headers` (a list where a name comes several times), `trailers`, `body_len`, `body_sha256`,
//! `error` and `phase` (or null), `reused`, `timings_ms`. Ends with 1 where a request failed on the way; a status is no failure.

use aws_lc_rs::digest::{Context, SHA256};
use blitz_http::Client;
use blitz_http::client::{
    ClientBuilder, Error, Proxy, RedirectPolicy, RequestBuilder, Response, Timings,
};
use blitz_tls::{Identity, Roots};
use http::{HeaderMap, Method};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

type BoxError = Box<dyn std::error::Error>;

struct Args {
    url: String,
    method: Option<Method>,
    headers: Vec<(String, String)>,
    data: Option<Vec<u8>>,
    repeat: u32,
    delay: Duration,
    builder: ClientBuilder,
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("client: {error}");
            return ExitCode::from(2);
        }
    };
    let runtime = match blitz_io::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("client: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("client: {error}");
            ExitCode::from(2)
        }
    }
}

fn args() -> Result<Args, BoxError> {
    let mut builder = Client::builder();
    let (mut follow, mut compressed) = (false, false);
    let (mut cert, mut key) = (None, None);
    let (mut url, mut method, mut data) = (None, None, None::<Vec<u8>>);
    let (mut headers, mut repeat, mut delay) = (Vec::new(), 1, Duration::ZERO);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-L" => {
                follow = true;
                continue;
            }
            "--compressed" => {
                compressed = true;
                continue;
            }
            _ if !arg.starts_with('-') => {
                url = Some(arg);
                continue;
            }
            _ => {}
        }
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} wants a value, or is unknown"))?;
        let seconds =
            || -> Result<Duration, BoxError> { Ok(Duration::try_from_secs_f64(value.parse()?)?) };
        match arg.as_str() {
            "-X" => method = Some(value.parse()?),
            "-H" => {
                let (name, value) = value.split_once(':').ok_or("-H wants `Name: value`")?;
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            "-d" => {
                let more = match value.strip_prefix('@') {
                    Some(path) => {
                        std::fs::read(path).map_err(|error| format!("{path}: {error}"))?
                    }
                    None => value.into_bytes(),
                };
                match &mut data {
                    Some(data) => {
                        data.push(b'&');
                        data.extend(more);
                    }
                    None => data = Some(more),
                }
            }
            "--max-time" => builder = builder.timeout(seconds()?),
            "--connect-timeout" => builder = builder.connect_timeout(seconds()?),
            "--cacert" => {
                let mut roots = Roots::new();
                roots.add_pem_file(&value)?;
                builder = builder.only_roots(roots);
            }
            "--cert" => cert = Some(value),
            "--key" => key = Some(value),
            "--resolve" => {
                let (host, rest) = value
                    .split_once(':')
                    .ok_or("--resolve wants HOST:PORT:ADDR")?;
                let (port, address) = rest
                    .split_once(':')
                    .ok_or("--resolve wants HOST:PORT:ADDR")?;
                let (port, address) = (port.parse()?, address.trim_matches(['[', ']']).parse()?);
                builder = builder.resolve_port(host, port, &[SocketAddr::new(address, port)]);
            }
            "-x" => builder = builder.proxy(Proxy::new(&value)?),
            "--unix-socket" => builder = builder.unix_socket(value),
            "--repeat" => repeat = value.parse()?,
            "--repeat-delay" => delay = Duration::from_millis(value.parse()?),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    if let Some(cert) = cert {
        // As curl: a key may stand in the certificate's file.
        let key = key.as_ref().unwrap_or(&cert);
        builder = builder.identity(Identity::from_files(&cert, key)?);
    }
    builder = builder.decompress(compressed);
    let policy = if follow {
        RedirectPolicy::default()
    } else {
        RedirectPolicy::none()
    };
    let url = url.ok_or("an address is wanted")?;
    Ok(Args {
        url: if url.contains("://") {
            url
        } else {
            format!("http://{url}")
        },
        builder: builder.redirects(policy),
        method,
        headers,
        data,
        repeat,
        delay,
    })
}

/// Whether all went well.
async fn run(args: Args) -> Result<bool, BoxError> {
    let client = args.builder.build()?;
    let default = if args.data.is_some() {
        Method::POST
    } else {
        Method::GET
    };
    let method = args.method.unwrap_or(default);
    let mut well = true;
    for n in 0..args.repeat {
        if n > 0 {
            blitz_io::time::sleep(args.delay).await;
        }
        let mut request = client.request(method.clone(), &args.url);
        for (name, value) in &args.headers {
            request = request.header_append(name.as_str(), value.as_str());
        }
        if let Some(data) = &args.data {
            let typed = args
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            if !typed {
                request = request.header("content-type", "application/x-www-form-urlencoded");
            }
            request = request.body(data.clone());
        }
        let line = ask(request).await;
        well &= line["error"].is_null();
        println!("{line}");
    }
    Ok(well)
}

async fn ask(request: RequestBuilder) -> Value {
    let mut line = json!({
        "status": null, "version": null, "headers": {}, "trailers": {}, "body_len": 0, "body_sha256": null,
        "error": null, "phase": null, "reused": false, "timings_ms": {},
    });
    let failed = match request.send().await {
        Ok(response) => read(response, &mut line).await,
        Err(error) => Err(error),
    };
    if let Err(error) = failed {
        line["error"] = json!(error.chain());
        line["phase"] = json!(error.phase().map(|phase| phase.name()));
        told(error.timings(), &mut line);
    }
    line
}

async fn read(mut response: Response, line: &mut Value) -> Result<(), Error> {
    line["status"] = json!(response.status().as_u16());
    line["version"] = json!(format!("{:?}", response.version()));
    line["headers"] = fields(response.headers());
    let (mut hash, mut len) = (Context::new(&SHA256), 0);
    loop {
        let chunk = response.chunk().await;
        line["body_len"] = json!(len);
        let Some(data) = chunk? else {
            break;
        };
        hash.update(&data);
        len += data.len();
    }
    let hash = hash.finish();
    let hex: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    line["body_sha256"] = json!(hex);
    line["trailers"] = response.trailers().map_or_else(|| json!({}), fields);
    told(response.timings(), line);
    Ok(())
}

fn told(timings: &Timings, line: &mut Value) {
    let ms = |took: Duration| json!((took.as_secs_f64() * 1e6).round() / 1e3);
    let mut all: Map<_, _> = timings
        .phases()
        .map(|(phase, took)| (phase.name().to_owned(), ms(took)))
        .collect();
    all.insert("total".to_owned(), ms(timings.total));
    line["timings_ms"] = Value::Object(all);
    line["reused"] = json!(timings.reused);
}

fn fields(fields: &HeaderMap) -> Value {
    let mut all = Map::new();
    for name in fields.keys() {
        let values = fields.get_all(name).iter();
        let mut values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let value = if values.len() == 1 {
            json!(values.remove(0))
        } else {
            json!(values)
        };
        all.insert(name.as_str().to_owned(), value);
    }
    Value::Object(all)
}
