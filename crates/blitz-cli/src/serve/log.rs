//! The access log: a line for each answer, when its last byte has gone.
//!
//! Lines are written by a thread of their own, the [`Writer`]'s. A server does not wait for who reads its log, and neither does its end: lines
//! that have no room are left out, and counted.

use blitz_http::{Peer, Request, Response};
use blitz_http_proto::HttpDate;
use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, Method, Uri, Version};
use serde_json::json;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel,
};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Lines that may wait to be written.
const LINES_MAX: usize = 4096;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The Common Log Format: `127.0.0.1 - - [28/Nov/2026:18:29:53 +0000] "GET / HTTP/1.1" 200 1398`.
    Common,
    /// The same with referrer and user agent behind it.
    Combined,
    Json,
    None,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(name: &str) -> Result<Format, ()> {
        match name {
            "common" => Ok(Format::Common),
            "combined" => Ok(Format::Combined),
            "json" => Ok(Format::Json),
            "none" => Ok(Format::None),
            _ => Err(()),
        }
    }
}

/// So long may the last lines take.
const END_MAX: Duration = Duration::from_secs(2);

/// Where lines go. Clones go to the same place.
#[derive(Clone)]
pub(super) struct Log(Arc<Inner>);

struct Inner {
    format: Format,
    lines: SyncSender<Message>,
    lost: AtomicU64,
    /// Bytes of bodies that went.
    sent: AtomicU64,
}

enum Message {
    Line(String),
    /// The last one.
    End(String),
}

/// The thread that writes.
pub(super) struct Writer {
    log: Log,
    /// It is done when it hangs up.
    done: Receiver<Infallible>,
}

impl Writer {
    /// Starts to write to the standard output.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn start(format: Format) -> Result<Writer, String> {
        let (lines, receive) = sync_channel(LINES_MAX);
        let (alive, done) = channel();
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || {
                write(&receive);
                drop(alive);
            })
            .map_err(|error| format!("cannot start the thread that writes the log: {error}"))?;
        let log = Log(Arc::new(Inner {
            format,
            lines,
            lost: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }));
        Ok(Writer { log, done })
    }

    /// Where lines go.
    pub(super) fn log(&self) -> Log {
        self.log.clone()
    }

    /// Writes what is left, and `last` behind it.
    ///
    /// # Errors
    /// When lines were lost, or nobody reads these.
    pub(super) fn end(self, last: &str) -> Result<(), String> {
        let deadline = Instant::now() + END_MAX;
        let mut message = Message::End(format!("{last}\n"));
        while let Err(TrySendError::Full(full)) = self.log.0.lines.try_send(message) {
            if Instant::now() >= deadline {
                break;
            }
            message = full;
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if self.done.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            return Err(format!("{last}; the log was not read to its end"));
        }
        // ORDERING: a count; the server has ended.
        match self.log.0.lost.load(Relaxed) {
            0 => Ok(()),
            lost => Err(format!(
                "{lost} lines of the log were left out: nobody read them in time"
            )),
        }
    }
}

impl Log {
    /// Bytes of bodies that went so far.
    pub(super) fn bytes_sent(&self) -> u64 {
        // ORDERING: a count.
        self.0.sent.load(Relaxed)
    }

    /// What a line says of a request.
    pub(super) fn begin(&self, request: &Request) -> Line {
        let field = |name: HeaderName| match self.0.format {
            Format::Combined | Format::Json => text(request.headers(), &name),
            Format::Common | Format::None => None,
        };
        Line {
            log: self.clone(),
            begun: Instant::now(),
            at: SystemTime::now(),
            peer: request
                .extensions()
                .get::<Peer>()
                .copied()
                .unwrap_or_default(),
            method: request.method().clone(),
            target: request.uri().clone(),
            version: request.version(),
            referrer: field(REFERER),
            agent: field(USER_AGENT),
        }
    }

    fn line(&self, line: String) {
        if self.0.lines.try_send(Message::Line(line)).is_err() {
            // ORDERING: a count.
            self.0.lost.fetch_add(1, Relaxed);
        }
    }
}

fn write(lines: &Receiver<Message>) {
    let mut text = String::new();
    loop {
        let mut message = lines.recv().ok();
        // All that is there goes in one write.
        let ends = loop {
            match message {
                Some(Message::Line(line)) => text.push_str(&line),
                Some(Message::End(line)) => {
                    text.push_str(&line);
                    break true;
                }
                // The program has ended otherwise.
                None => break text.is_empty(),
            }
            if text.len() >= 64 * 1024 {
                break false;
            }
            message = lines.try_recv().ok();
        };
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        // If nobody reads it any more, what comes is lost, and counted.
        if ends || written.is_err() {
            return;
        }
        text.clear();
    }
}

/// A request that is being answered.
pub(super) struct Line {
    log: Log,
    begun: Instant,
    at: SystemTime,
    peer: Peer,
    method: Method,
    target: Uri,
    version: Version,
    referrer: Option<String>,
    agent: Option<String>,
}

impl Line {
    /// Sees to it that the line is written when the response has gone.
    pub(super) fn follow(self, response: Response) -> Response {
        let status = response.status().as_u16();
        response.map(|body| {
            body.watched(move |bytes| {
                // ORDERING: a count.
                self.log.0.sent.fetch_add(bytes, Relaxed);
                if self.log.0.format != Format::None {
                    self.log.line(self.written(status, bytes));
                }
            })
        })
    }

    fn written(&self, status: u16, bytes: u64) -> String {
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let date = HttpDate::from_unix(since.as_secs());
        let peer = self
            .peer
            .addr
            .map_or("-".to_owned(), |addr| addr.ip().to_string());
        let target = self.target.to_string();
        if self.log.0.format == Format::Json {
            let object = json!({
                "time": iso(&date),
                "peer": peer,
                "method": self.method.as_str(),
                "target": target,
                "version": format!("{:?}", self.version),
                "status": status,
                "bytes": bytes,
                "duration_us": u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
                "referrer": self.referrer,
                "user_agent": self.agent,
            });
            return format!("{object}\n");
        }
        let d = date.as_str();
        // `Sun, 06 Nov 1994 08:49:37 GMT` becomes `06/Nov/1994:08:49:37 +0000`.
        let mut line = format!(
            "{peer} - - [{}/{}/{}:{} +0000] \"{} {} {:?}\" {status} {bytes}",
            &d[5..7],
            &d[8..11],
            &d[12..16],
            &d[17..25],
            self.method,
            escaped(&target),
            self.version
        );
        if self.log.0.format == Format::Combined {
            let field = |field: &Option<String>| field.as_deref().map_or("-".to_owned(), escaped);
            let _infallible = write!(
                line,
                " \"{}\" \"{}\"",
                field(&self.referrer),
                field(&self.agent)
            );
        }
        line.push('\n');
        line
    }
}

/// `1994-11-06T08:49:37Z`.
fn iso(date: &HttpDate) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let d = date.as_str();
    let month = MONTHS.find(&d[8..11]).map_or(0, |at| at / 3 + 1);
    format!("{}-{month:02}-{}T{}Z", &d[12..16], &d[5..7], &d[17..25])
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// What neither ends a quoted part of a line nor the line, nor tells a terminal anything.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _infallible = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use blitz_http::Body;

    fn line(format: Format) -> String {
        let log = Writer::start(format).expect("a thread").log();
        let mut request = http::Request::get("/a?b=c")
            .body(Body::empty())
            .expect("a request");
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, "curl \"8\"\\".parse().expect("a value"));
        let mut line = log.begin(&request);
        line.at = UNIX_EPOCH + Duration::from_secs(784_111_777);
        line.written(200, 16)
    }

    #[test]
    fn lines_are_of_the_formats_that_tools_read() {
        let common = "- - - [06/Nov/1994:08:49:37 +0000] \"GET /a?b=c HTTP/1.1\" 200 16";
        assert_eq!(line(Format::Common), format!("{common}\n"));
        let combined = format!("{common} \"-\" \"curl \\\"8\\\"\\\\\"\n");
        assert_eq!(line(Format::Combined), combined);
        let json: serde_json::Value = serde_json::from_str(&line(Format::Json)).expect("JSON");
        assert_eq!(json["time"], "1994-11-06T08:49:37Z");
        assert_eq!((&json["status"], &json["bytes"]), (&json!(200), &json!(16)));
        assert_eq!(json["user_agent"], "curl \"8\"\\");
    }

    #[test]
    fn nothing_in_a_line_reaches_a_terminal() {
        assert_eq!(escaped("a\n\"\u{1b}[2J\u{9b}"), "a\\x0a\\\"\\x1b[2J\\x9b");
    }
}
