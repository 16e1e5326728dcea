//! The server as its parent sees it: the lines it says, and what the system knows of its process.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// A server that says nothing for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; dropping it ends it.
pub(crate) struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    pub(crate) address: SocketAddr,
    /// The name of the back end, when the server tells it.
    pub(crate) backend: Option<String>,
}

impl Server {
    /// Starts this very program again as the server.
    ///
    /// # Errors
    /// When it cannot be started or does not come up.
    pub(crate) fn start(size: usize, workers: Option<usize>) -> Result<Self, String> {
        let own = std::env::current_exe()
            .map_err(|error| format!("cannot find my own program: {error}"))?;
        let mut command = Command::new(own);
        command
            .arg(super::SERVER_COMMAND)
            .args(["--size", &size.to_string()]);
        if let Some(workers) = workers {
            command.args(["--workers", &workers.to_string()]);
        }
        Self::from(command)
    }

    /// Starts another program, with its own arguments behind it, that prints `listening on ADDRESS`, such as the `echo_server` example.
    ///
    /// # Errors
    /// As [`start`](Server::start).
    pub(crate) fn start_program(words: &str) -> Result<Self, String> {
        let mut words = words.split_whitespace();
        let mut command = Command::new(words.next().ok_or("--server wants a program")?);
        command.args(words).args(["--addr", "127.0.0.1:0"]);
        Self::from(command)
    }

    fn from(mut command: Command) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the server {name}: {error}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        // Built first: from here on an error ends the child.
        let mut server = Server {
            child,
            stdin,
            lines,
            address,
            backend: None,
        };
        let line = server.line()?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["listening", "on", address, ref rest @ ..] => {
                server.address = address
                    .parse()
                    .map_err(|_| format!("the server said `{line}`"))?;
                server.backend = rest.strip_prefix(&["by"]).map(|name| name.join(" "));
                Ok(server)
            }
            _ => Err(format!(
                "the server said `{line}` instead of where it listens"
            )),
        }
    }

    fn line(&mut self) -> Result<String, String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("the server said nothing for {PATIENCE:?}"))
            }
            Err(RecvTimeoutError::Disconnected) => match self.child.wait() {
                Ok(status) => Err(format!("the server ended: {status}")),
                Err(error) => Err(format!("the server is gone: {error}")),
            },
        }
    }

    /// How many tasks live in the server, if it is one that answers.
    ///
    /// # Errors
    /// When it does not answer although it should.
    pub(crate) fn tasks(&mut self) -> Result<Option<u64>, String> {
        if self.backend.is_none() {
            return Ok(None);
        }
        let asked = self.stdin.as_mut().ok_or("the server has no input")?;
        writeln!(asked, "stats").map_err(|error| format!("cannot ask the server: {error}"))?;
        let line = self.line()?;
        let count = line
            .strip_prefix("stats tasks=")
            .and_then(|count| count.parse().ok());
        count
            .map(Some)
            .ok_or_else(|| format!("the server answered `{line}`"))
    }

    /// The memory the process holds, in KiB; `None` where the system does not tell.
    pub(crate) fn memory_kib(&self) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// How many descriptors the process has open; `None` where the system does not tell.
    pub(crate) fn descriptors(&self) -> Option<u64> {
        Some(
            std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))
                .ok()?
                .count() as u64,
        )
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input ends our own server; another program is ended by force. Either may
        // be gone already.
        drop(self.stdin.take());
        if self.backend.is_none() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
