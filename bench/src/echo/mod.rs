//! TCP echo: the server in a process of its own on one core, a raw epoll client on the other.
//!
//! The client keeps one message in flight on each connection. Its rate is the row's value; CPU per echo and memory are
//! the server's, asked for over a pipe at the start and the end of the measured time.

mod buffers;
mod client;
mod floor;
mod servers;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::measure::{self, Sample};

/// How long a cell is measured, after a warm-up of a third of that.
const MEASURED: Duration = Duration::from_millis(1_200);

/// What the server's process has used so far.
struct Usage {
    cpu_us: f64,
    rss: f64,
}

/// A server in a child process.
struct Server {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(runtime: &str, size: usize) -> Self {
        let exe = std::env::current_exe().expect("this program");
        let mut child = Command::new(exe)
            .args(["server", runtime, &size.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let address = line(&mut lines).parse().expect("the server's address");
        Self {
            child,
            lines,
            address,
        }
    }

    fn usage(&mut self) -> Usage {
        self.child
            .stdin
            .as_mut()
            .expect("a pipe")
            .write_all(b"usage\n")
            .expect("the server lives");
        let text = line(&mut self.lines);
        let mut fields = text
            .split(' ')
            .map(|field| field.parse().expect("a number"));
        Usage {
            cpu_us: fields.next().expect("cpu"),
            rss: fields.next().expect("rss"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut text = String::new();
    from.read_line(&mut text).expect("a line from the server");
    text.trim().to_owned()
}

/// The child's side: serves until it is killed, and answers each line on its input with what it has used.
pub fn serve(runtime: &str, size: usize) {
    measure::raise_descriptor_limit();
    std::thread::spawn(|| {
        for _ in std::io::stdin().lines() {
            println!("{} {}", measure::cpu_time().as_micros(), measure::rss());
        }
        std::process::exit(0);
    });
    measure::pin(0);
    servers::serve(runtime, size, |address| println!("{address}"));
}

/// One cell of the echo rows.
pub fn run(runtime: &str, connections: usize, size: usize) -> Sample {
    measure::raise_descriptor_limit();
    let mut server = Server::start(runtime, size);
    measure::pin(1);
    let mut client = client::Client::connect(server.address, connections, size);
    client.run(MEASURED / 3);
    let before = server.usage();
    let (echoes, time) = client.run(MEASURED);
    let after = server.usage();
    Sample {
        value: echoes as f64 / time.as_secs_f64(),
        cpu_us: (after.cpu_us - before.cpu_us) / echoes as f64,
        rss_kib: after.rss / 1024.0,
        ..Sample::default()
    }
}

/// Bytes of resident memory for each connection that has been served once and waits.
///
/// The difference between one crowd and two: what a runtime sets up once (its pools, rings and tables for the first crowd) is
/// in both, what each connection costs is in the difference.
pub fn idle_connection(runtime: &str) -> Sample {
    const CROWD: usize = 8_000;
    measure::raise_descriptor_limit();
    let mut server = Server::start(runtime, 512);
    let mut first = client::Client::connect(server.address, CROWD, 512);
    first.once_each();
    let before = server.usage();
    let mut second = client::Client::connect(server.address, CROWD, 512);
    second.once_each();
    let after = server.usage();
    Sample {
        value: (after.rss - before.rss) / CROWD as f64,
        ..Sample::default()
    }
}

/// A file's bytes through a socket, as often as fits in the measured time.
pub fn send_file(runtime: &str) -> Sample {
    let mut server = Server::start(&format!("{runtime}:file"), 0);
    measure::pin(1);
    let mut drain = client::Drain::connect(server.address);
    drain.run(MEASURED / 3);
    let before = server.usage();
    let (bytes, time) = drain.run(MEASURED);
    let after = server.usage();
    let mib = bytes as f64 / f64::from(1 << 20);
    Sample {
        value: time.as_secs_f64() * 1e6 / mib,
        cpu_us: (after.cpu_us - before.cpu_us) / mib,
        rss_kib: after.rss / 1024.0,
        ..Sample::default()
    }
}
