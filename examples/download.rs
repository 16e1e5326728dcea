//! Downloads a file, and goes on where it was interrupted.
//!
//! ```text
//! cargo run --release --example download -- https://example.com/large.iso
//! cargo run --release --example download -- http://127.0.0.1:8080/large.iso here.iso
//! ```
//!
//! What has come stands in `FILE.part`, and what identifies it (the `ETag`, or else `Last-Modified`) in `FILE.part.of`. If both are
//! there, the rest is asked for by `Range` with `If-Range` (RFC 9110 §13.1.5): a server whose file has changed meanwhile sends all
//! of the new one. A connection that breaks is opened again, up to five times without progress.

use blitz_http::Client;
use blitz_http::client::{Response, Timeouts};
use blitz_io::fs::{self, OpenOptions};
use blitz_io::io::AsyncWriteExt;
use http::StatusCode;
use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const TRIES: u32 = 5;

struct Download {
    client: Client,
    url: String,
    file: PathBuf,
    part: PathBuf,
    of: PathBuf,
}

#[blitz_io::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("usage: download URL [FILE]")?;
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty() && !path.ends_with("://"));
    let file = args
        .next()
        .or_else(|| name.map(str::to_owned))
        .ok_or("a file's name is wanted")?;
    let mut timeouts = Timeouts::default();
    // A large file may take as long as it takes, as long as it comes.
    timeouts.total = Duration::MAX;
    let download = Download {
        client: Client::builder().timeouts(timeouts).build()?,
        url,
        part: PathBuf::from(format!("{file}.part")),
        of: PathBuf::from(format!("{file}.part.of")),
        file: PathBuf::from(file),
    };
    let mut failed = 0;
    loop {
        let before = download.have().await;
        match download.attempt().await {
            Ok(len) => {
                println!("{}: {len} bytes", download.file.display());
                return Ok(());
            }
            Err(error) => {
                let progress = download.have().await > before;
                failed = if progress { 1 } else { failed + 1 };
                if failed >= TRIES || !is_passing(&*error) {
                    return Err(error);
                }
                eprintln!("\n{error}; trying again");
                blitz_io::time::sleep(Duration::from_millis(200) * failed).await;
            }
        }
    }
}

/// What a new connection may cure.
fn is_passing(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<blitz_http::client::Error>();
    error.is_some_and(|error| {
        matches!(
            error.name(),
            "closed" | "io" | "truncated" | "timeout" | "connect"
        )
    })
}

impl Download {
    /// Bytes that are there.
    async fn have(&self) -> u64 {
        fs::metadata(&self.part)
            .await
            .map_or(0, |metadata| metadata.len())
    }

    async fn attempt(&self) -> Result<u64, Box<dyn Error>> {
        let known = fs::read_to_string(&self.of).await.unwrap_or_default();
        let have = if known.is_empty() {
            0
        } else {
            self.have().await
        };
        let mut request = self.client.get(&self.url);
        if have > 0 {
            request = request
                .header(RANGE, format!("bytes={have}-"))
                .header(IF_RANGE, known.as_str());
        }
        let response = request.send().await?;
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT if starts_at(&response) == Some(have) => have,
            StatusCode::OK => 0,
            // Nothing is missing, or all is.
            StatusCode::RANGE_NOT_SATISFIABLE if total(&response) == Some(have) => {
                return self.done(have).await;
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                fs::remove_file(&self.of).await?;
                return Err("the file became shorter meanwhile; start again".into());
            }
            status => return Err(format!("the server answered {status}").into()),
        };
        self.receive(response, start).await
    }

    async fn receive(&self, mut response: Response, start: u64) -> Result<u64, Box<dyn Error>> {
        let headers = response.headers();
        // A weak one says that the bytes may differ.
        let strong = headers
            .get(ETAG)
            .filter(|tag| !tag.as_bytes().starts_with(b"W/"));
        let version = strong.or_else(|| headers.get(LAST_MODIFIED));
        let version = version
            .and_then(|version| version.to_str().ok())
            .unwrap_or_default();
        if start == 0 {
            fs::write(&self.of, version).await?;
        }
        let mut options = OpenOptions::new();
        options
            .create(true)
            .append(start > 0)
            .write(true)
            .truncate(start == 0);
        let mut file = options.open(&self.part).await?;
        let all = response.content_length().map(|rest| start + rest);
        let mut bar = Bar::new(start, all);
        let mut have = start;
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    // What came is kept for the next attempt.
                    file.flush().await?;
                    return Err(error.into());
                }
            };
            file.write_all(&chunk).await?;
            have += chunk.len() as u64;
            bar.at(have);
        }
        file.flush().await?;
        file.sync_all().await?;
        bar.end(have);
        self.done(have).await
    }

    async fn done(&self, len: u64) -> Result<u64, Box<dyn Error>> {
        fs::rename(&self.part, &self.file).await?;
        fs::remove_file(&self.of).await?;
        Ok(len)
    }
}

/// Where a part begins: `bytes 10-19/20`.
fn starts_at(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

/// How long the whole is: `bytes */20`.
fn total(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit('/').next()?.parse().ok()
}

/// A line that tells how far it is, where somebody looks.
struct Bar {
    shown: bool,
    first: u64,
    all: Option<u64>,
    begun: Instant,
    last: Option<Instant>,
}

impl Bar {
    fn new(first: u64, all: Option<u64>) -> Bar {
        Bar {
            shown: std::io::stderr().is_terminal(),
            first,
            all,
            begun: Instant::now(),
            last: None,
        }
    }

    fn at(&mut self, have: u64) {
        let due = self
            .last
            .is_none_or(|last| last.elapsed() >= Duration::from_millis(100));
        if self.shown && due {
            self.last = Some(Instant::now());
            self.show(have);
        }
    }

    fn end(&self, have: u64) {
        if self.shown {
            self.show(have);
            eprintln!();
        }
    }

    fn show(&self, have: u64) {
        let mib = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
        let rate = mib(have - self.first) / self.begun.elapsed().as_secs_f64().max(0.001);
        let line = match self.all.filter(|all| *all > 0) {
            Some(all) => {
                let full = (have * 40 / all).min(40) as usize;
                let percent = have * 100 / all;
                format!(
                    "[{:40}] {percent:3} % of {:.1} MiB, {rate:.1} MiB/s",
                    "=".repeat(full),
                    mib(all)
                )
            }
            None => format!("{:.1} MiB, {rate:.1} MiB/s", mib(have)),
        };
        eprint!("\r{line}");
        // A progress bar that cannot be shown is nobody's loss.
        let _ = std::io::stderr().flush();
    }
}
