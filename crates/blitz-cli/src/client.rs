//! The other end of an inspection socket: a request is a line of JSON, an answer is lines of JSON and says which one is the last.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

/// A process that is read does this with a thread that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(20);
/// No line is longer: a full backtrace has a few kilobytes.
const LINE_LEN_MAX: u64 = 16 << 20;

/// A connection to a running process.
#[derive(Debug)]
pub(crate) struct Client {
    path: String,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects, and makes sure that a blitz-io runtime answers.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the socket, and what to do.
    pub(crate) fn connect(path: &str) -> Result<Self, String> {
        let stream = UnixStream::connect(path).map_err(|error| no_connection(path, &error))?;
        let limited = stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        limited.map_err(|error| format!("{path}: {error}"))?;
        let mut client = Self {
            path: path.to_owned(),
            stream: BufReader::new(stream),
        };
        let hello = client.get("runtime")?;
        if hello
            .first()
            .is_none_or(|line| line["runtime"]["protocol"] != 1)
        {
            return Err(client.is_foreign());
        }
        Ok(client)
    }

    /// Asks for one thing, and collects the lines of the answer.
    ///
    /// # Errors
    /// A sentence: that the process has gone, or does not answer, or what it says against the request.
    pub(crate) fn get(&mut self, what: &str) -> Result<Vec<Value>, String> {
        self.ask(&json!({ "get": what }))
    }

    /// The same for a request with more in it.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub(crate) fn ask(&mut self, request: &Value) -> Result<Vec<Value>, String> {
        let mut lines = Vec::new();
        self.send(request)?;
        while let Some(line) = self.line()? {
            lines.push(line);
        }
        Ok(lines)
    }

    fn send(&mut self, request: &Value) -> Result<(), String> {
        let request = format!("{request}\n");
        let sent = self.stream.get_mut().write_all(request.as_bytes());
        sent.map_err(|error| {
            // Whoever cuts a connection may have said why before.
            match self.line() {
                Err(why) if error.kind() == io::ErrorKind::BrokenPipe => why,
                _ => self.has_failed(&error),
            }
        })
    }

    /// The next line of the answer; `None` after the last.
    fn line(&mut self) -> Result<Option<Value>, String> {
        let mut line = Vec::new();
        let mut limited = self.stream.by_ref().take(LINE_LEN_MAX);
        let read = limited.read_until(b'\n', &mut line);
        read.map_err(|error| self.has_failed(&error))?;
        if line.is_empty() {
            return Err(format!(
                "{}: the process has ended, or has cut the connection",
                self.path
            ));
        }
        let Ok(value) = serde_json::from_slice::<Value>(&line) else {
            return Err(self.is_foreign());
        };
        if let Some(error) = value["error"].as_str() {
            return Err(format!("{}: {error}", self.path));
        }
        Ok(value.get("end").is_none().then_some(value))
    }

    fn is_foreign(&self) -> String {
        format!(
            "{}: whoever listens there is no blitz-io runtime, or one whose protocol this command does not know",
            self.path
        )
    }

    fn has_failed(&self, error: &io::Error) -> String {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("{}: no answer in {} s", self.path, PATIENCE.as_secs())
            }
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                format!(
                    "{}: the process has ended, or has cut the connection",
                    self.path
                )
            }
            _ => format!("{}: {error}", self.path),
        }
    }
}

fn no_connection(path: &str, error: &io::Error) -> String {
    let because = match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such socket. Start the program with BLITZ_IO_INSPECT set to a path, or let it call \
             `Builder::inspect`, and name that path here"
        }
        io::ErrorKind::ConnectionRefused => {
            "nobody listens there: the program that made it has ended, or it is no socket"
        }
        io::ErrorKind::PermissionDenied => {
            "it is open to the user who runs the program, and to root, only"
        }
        _ => return format!("{path}: {error}"),
    };
    format!("{path}: {because}")
}

/// Text with the detours of its paths left out: `crates/a/../../examples/x.rs` is `examples/x.rs`.
///
/// Control characters, which could move a cursor, are shown as `?`.
pub(crate) fn plain(text: &str) -> String {
    let mut text: String = text
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    let is_name = |c: char| !(c == '/' || c.is_whitespace() || c == '(');
    while let Some(up) = text.find("/../") {
        let name = text[..up].rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
        if name == up || &text[name..up] == ".." {
            break;
        }
        text.replace_range(name..up + "/../".len(), "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detours_are_left_out_and_nothing_else() {
        let plain = |text| super::plain(text);
        assert_eq!(
            plain("at crates/blitz-cli/../../examples/x.rs:1:2, 3 polls"),
            "at examples/x.rs:1:2, 3 polls"
        );
        assert_eq!(plain("a/../b"), "b");
        assert_eq!(plain("../../b"), "../../b");
        assert_eq!(plain("/../b"), "/../b");
        assert_eq!(plain("src/main.rs:1:1"), "src/main.rs:1:1");
        assert_eq!(plain("a\u{1b}[2J"), "a?[2J");
    }

    #[test]
    fn a_missing_socket_is_told_with_what_to_do() {
        let error = Client::connect("/no/such/socket").expect_err("it is missing");
        assert!(error.contains("BLITZ_IO_INSPECT"), "{error}");
    }
}
