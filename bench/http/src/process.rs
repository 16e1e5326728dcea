//! Servers as processes: started, asked what they have used, ended.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::counted;
use crate::machine::{self, Usage};

/// A server in a process of its own, with the processes that it started.
pub struct Server {
    child: Child,
    /// Where one of ours answers.
    lines: Option<BufReader<ChildStdout>>,
    pub addr: SocketAddr,
    folder: Option<PathBuf>,
}

/// The servers that are programs of their own, and what they are called here.
pub const OUTSIDE: [&str; 3] = ["nginx", "go net/http", "fasthttp"];

/// Whether this server can be run here; if not, why.
pub fn is_there(name: &str) -> Result<(), String> {
    match name {
        "nginx" => works(Command::new("nginx").arg("-v"), "nginx is not installed"),
        "go net/http" => go("nethttp").map(drop),
        "fasthttp" => go("fasthttp").map(drop),
        _ => Ok(()),
    }
}

fn works(command: &mut Command, otherwise: &str) -> Result<(), String> {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    match quiet.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(otherwise.to_owned()),
    }
}

/// Builds a program of `go/`; returns where it is.
fn go(name: &str) -> Result<PathBuf, String> {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("go")
        .join(name);
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = program.with_file_name(format!("go-{name}"));
    let build = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(&source)
        // Without modules nothing is loaded from the net: fasthttp is Debian's golang-github-valyala-fasthttp-dev.
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .output()
        .map_err(|_| "go is not installed".to_owned())?;
    if build.status.success() {
        Ok(program)
    } else {
        let why = String::from_utf8_lossy(&build.stderr);
        Err(format!(
            "go cannot build it: {}",
            why.lines().last().unwrap_or_default()
        ))
    }
}

impl Server {
    /// Starts a server with so many workers; alone on the first processor if there is one of them.
    pub fn start(name: &str, workers: usize) -> Result<Server, String> {
        let addr = machine::free_addr();
        let mut folder = None;
        let mut command = match name {
            "nginx" => {
                let made = nginx_folder(addr, workers).map_err(|error| error.to_string())?;
                let mut command = Command::new("nginx");
                command
                    .arg("-p")
                    .arg(&made)
                    .arg("-c")
                    .arg(made.join("nginx.conf"));
                folder = Some(made);
                command
            }
            "go net/http" | "fasthttp" => {
                let program = go(if name == "fasthttp" { name } else { "nethttp" })?;
                let mut command = Command::new(program);
                command.arg(addr.to_string());
                command.env("GOMAXPROCS", workers.to_string());
                command
            }
            _ => {
                let this = std::env::current_exe().map_err(|error| error.to_string())?;
                let mut command = Command::new(this);
                command.args(["server", name, &workers.to_string(), &addr.to_string()]);
                command
            }
        };
        let ours = !OUTSIDE.contains(&name);
        command
            .stdin(Stdio::piped())
            .stdout(if ours { Stdio::piped() } else { Stdio::null() })
            .stderr(Stdio::null());
        if workers == 1 {
            machine::pin_child(&mut command, 0);
        }
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let lines = child.stdout.take().map(BufReader::new);
        let mut server = Server {
            child,
            lines,
            addr,
            folder,
        };
        machine::wait_until_it_listens(&mut server.child, addr)?;
        Ok(server)
    }

    /// What it and the processes below it have used.
    pub fn usage(&self) -> Usage {
        machine::usage(self.child.id())
    }

    /// Begins to count allocations, in a server of this program.
    pub fn count(&mut self) -> bool {
        self.ask("count").is_some()
    }

    /// Allocations and bytes since then.
    pub fn counted(&mut self) -> Option<(f64, f64)> {
        let line = self.ask("counted")?;
        let mut numbers = line.split(' ').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    }

    fn ask(&mut self, question: &str) -> Option<String> {
        let lines = self.lines.as_mut()?;
        let input = self.child.stdin.as_mut()?;
        writeln!(input, "{question}").ok()?;
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        Some(line.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx ends its workers when it is told to end, not when it is killed.
        if self.folder.is_some() {
            // SAFETY: a plain system call; the child has not been waited for, so the number is its own.
            unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(10) {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        // It may have ended already; then there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(folder) = &self.folder {
            // What is left behind lies among the temporary files.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// The server's side: answers lines on its input, ends with it.
pub fn answer_questions() {
    std::thread::spawn(|| {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            match line.as_str() {
                "count" => {
                    counted::begin();
                    println!("counts");
                }
                _ => {
                    let (calls, bytes) = counted::end();
                    println!("{calls} {bytes}");
                }
            }
        }
        std::process::exit(0);
    });
}

/// A folder with nginx's configuration.
fn nginx_folder(addr: SocketAddr, workers: usize) -> std::io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("bench-http-nginx-{}", addr.port()));
    std::fs::create_dir_all(&folder)?;
    let text = format!(
        r#"daemon off;
worker_processes {workers};
worker_rlimit_nofile 30000;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    server_tokens off;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    tcp_nodelay on;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {addr} backlog=4096;
        location = / {{ default_type text/plain; return 200 "Hello, World!"; }}
        location = /json {{ default_type application/json; return 200 '{{"message":"Hello, World!"}}'; }}
    }}
}}
"#
    );
    std::fs::write(folder.join("nginx.conf"), text)?;
    Ok(folder)
}
