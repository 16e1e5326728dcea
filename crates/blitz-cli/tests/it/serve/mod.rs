//! `blitz serve`: what it answers, what it logs, and how it ends.

#[cfg(unix)]
mod start_page;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

/// How long anything may take that should take no time.
const GUARD: Duration = Duration::from_secs(60);

/// A running server; it is ended when the test is over, however that ends.
struct Server {
    child: Child,
    /// Behind the line that says where it listens.
    output: BufReader<ChildStdout>,
    addr: String,
    /// What it said before that line.
    said: String,
}

impl Server {
    fn start(dir: &Path, words: &[&str]) -> Server {
        Server::start_in(dir, words, &[])
    }

    /// In an environment with these, too.
    fn start_in(dir: &Path, words: &[&str], environment: &[(&str, &str)]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_blitz"))
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .envs(environment.iter().copied())
            .arg("serve")
            .arg(dir)
            .args(["--addr", "127.0.0.1:0"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut said = String::new();
        let addr = loop {
            let mut line = String::new();
            let read = output.read_line(&mut line).expect("it says a line");
            assert!(read > 0, "it ended: {said}");
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                let scheme = if words.contains(&"--tls") {
                    "https://"
                } else {
                    "http://"
                };
                let addr = url.strip_prefix(scheme).unwrap_or_else(|| panic!("{line}"));
                break addr.to_owned();
            }
            said += &line;
        };
        Server {
            child,
            output,
            addr,
            said,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.addr).expect("it accepts");
        stream.set_read_timeout(Some(GUARD)).expect("a timeout");
        stream
    }

    /// Sends a request with these fields, and reads to the connection's end.
    fn ask(&self, line: &str, fields: &str) -> String {
        let mut stream = self.connect();
        let host = if fields.contains("Host: ") {
            ""
        } else {
            "Host: localhost\r\n"
        };
        let request = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The next line of its output.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.expect("kill starts").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.txt"), "0123456789").expect("a file");
    folder
}

#[cfg(unix)]
#[test]
fn a_service_manager_hears_that_it_is_ready_alive_and_ending() {
    use std::os::unix::net::UnixDatagram;

    let folder = folder();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("bound");
    manager.set_read_timeout(Some(GUARD)).expect("a timeout");
    let hears = || {
        let mut bytes = [0; 64];
        let n = manager.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    };
    let path = path.to_str().expect("text");
    let environment = [("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "20000")];
    let server = Server::start_in(folder.path(), &[], &environment);
    assert_eq!(hears(), "READY=1");
    for _ in 0..3 {
        assert_eq!(hears(), "WATCHDOG=1");
    }
    server.signal("TERM");
    while hears() != "STOPPING=1" {}
}

#[test]
fn files_and_the_start_page_are_served_and_logged() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[]);
    let answer = server.ask("GET /a.txt", "");
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n0123456789"),
        "{answer}"
    );
    assert!(
        answer.contains("\r\ncache-control: no-cache\r\n"),
        "{answer}"
    );
    let line = server.line();
    assert!(
        line.starts_with("127.0.0.1 - - [") && line.ends_with("] \"GET /a.txt HTTP/1.1\" 200 10"),
        "{line}"
    );
    // Without an index the start page is the folder's own.
    let page = server.ask("GET /", "");
    assert!(
        page.contains("<h1>blitz serve</h1>") && page.contains("<a href=\"./a.txt\">"),
        "{page}"
    );
    assert!(
        page.contains("\r\ncontent-security-policy: default-src 'none';"),
        "{page}"
    );
    std::fs::write(folder.path().join("index.html"), "<p>mine").expect("a file");
    assert!(server.ask("GET /", "").ends_with("<p>mine"));
    assert!(
        server
            .ask("GET /.blitz/", "")
            .contains("<h1>blitz serve</h1>")
    );
    for (path, kind) in [
        ("page.js", "text/javascript"),
        ("page.css", "text/css"),
        ("figures", "application/json"),
    ] {
        let answer = server.ask(&format!("GET /.blitz/{path}"), "");
        let kind = format!("\r\ncontent-type: {kind}");
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.contains(&kind),
            "{answer}"
        );
    }
    assert!(
        server
            .ask("POST /.blitz/", "Content-Length: 0\r\n")
            .starts_with("HTTP/1.1 405 ")
    );
    assert!(
        server
            .ask("GET /.blitz/nothing", "")
            .starts_with("HTTP/1.1 404 ")
    );
}

#[test]
fn logs_are_combined_or_json_where_that_is_wanted() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &["--log", "combined"]);
    server.ask(
        "GET /a.txt",
        "User-Agent: \"me\"\r\nReferer: http://localhost/\r\n",
    );
    let line = server.line();
    assert!(
        line.ends_with("200 10 \"http://localhost/\" \"\\\"me\\\"\""),
        "{line}"
    );
    let mut server = Server::start(folder.path(), &["--json"]);
    server.ask("HEAD /a.txt?x=%22", "User-Agent: me\r\n");
    let line: serde_json::Value = serde_json::from_str(&server.line()).expect("JSON");
    assert_eq!(line["target"], "/a.txt?x=%22");
    assert_eq!(
        (line["status"].as_u64(), line["bytes"].as_u64()),
        (Some(200), Some(0))
    );
    assert_eq!(line["user_agent"], "me");
}

#[test]
fn figures_come_live_and_end_in_good_order() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--log", "none"]);
    let mut stream = BufReader::new(server.connect());
    let request = b"GET /.blitz/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.get_mut().write_all(request).expect("it reads");
    let mut figures = Vec::new();
    let mut line = String::new();
    while figures.len() < 2 {
        line.clear();
        assert!(stream.read_line(&mut line).expect("a line") > 0, "it ended");
        if let Some(data) = line.strip_prefix("data: ") {
            let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
            figures.push(data);
        }
    }
    let uptime = |at: usize| figures[at]["uptime_us"].as_u64().expect("a number");
    assert!(uptime(1) > uptime(0), "{figures:?}");
    assert!(figures[1]["requests"].as_u64() >= Some(1), "{figures:?}");
    assert!(
        figures[1]["workers"]
            .as_array()
            .is_some_and(|workers| !workers.is_empty())
    );
    #[cfg(unix)]
    {
        let mut server = server;
        server.signal("INT");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).expect("the rest");
        assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
        assert_eq!(server.line(), "ended; nothing was cut");
        assert!(server.child.wait().expect("it ends").success());
    }
}

#[cfg(unix)]
#[test]
fn what_is_cut_is_said() {
    let folder = folder();
    let large = std::fs::File::create(folder.path().join("large")).expect("a file");
    large.set_len(256 * 1024 * 1024).expect("room that is none");
    for again in [false, true] {
        let grace = if again { "1000" } else { "0.2" };
        let mut server = Server::start(folder.path(), &["--log", "none", "--grace", grace]);
        let mut stream = server.connect();
        let request = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request).expect("it reads");
        stream.read_exact(&mut [0; 1000]).expect("it begins");
        server.signal("TERM");
        if again {
            // It accepts no more once it has heard the first.
            while TcpStream::connect(&server.addr).is_ok() {
                std::thread::yield_now();
            }
            server.signal("INT");
        }
        let line = server.line();
        let said = if again {
            "ended at once; cut "
        } else {
            "ended; cut 1: 127.0.0.1:"
        };
        assert!(line.starts_with(said), "{line}");
        // Those that looked whether it still accepts may be among them.
        assert!(!line.contains("cut 0"), "{line}");
        assert!(server.child.wait().expect("it ends").success());
    }
}

#[test]
fn a_log_that_nobody_reads_holds_up_neither_an_answer_nor_the_end() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[]);
    // More than the pipe and the lines that may wait can hold.
    let mut stream = server.connect();
    let mut writer = stream.try_clone().expect("a second handle");
    let path = "x".repeat(100);
    let asking = std::thread::spawn(move || {
        for n in 0..6000 {
            let close = if n == 5999 {
                "Connection: close\r\n"
            } else {
                ""
            };
            let request = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n");
            writer.write_all(request.as_bytes()).expect("it reads");
        }
    });
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("answers");
    asking.join().expect("all is sent");
    assert_eq!(answers.matches("HTTP/1.1 404 ").count(), 6000);
    #[cfg(unix)]
    {
        server.signal("INT");
        assert!(server.child.wait().expect("it ends").success());
    }
    let mut log = String::new();
    server
        .output
        .read_to_string(&mut log)
        .expect("what there was room for");
    let lines = log.matches(" 404 ").count();
    assert!((1..6000).contains(&lines), "{lines} lines");
}

#[test]
fn a_server_for_this_machine_is_asked_by_its_own_name() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--allow-host", "allowed.test"]);
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("app.localhost", 200),
        ("127.0.0.1:1234", 200),
        ("[::1]:80", 200),
        ("allowed.test", 200),
        ("attacker.test", 421),
        ("localhost.attacker.test", 421),
    ] {
        let answer = server.ask("GET /a.txt", &format!("Host: {host}\r\n"));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{host}: {answer}"
        );
    }
}

#[test]
fn https_has_a_certificate_of_its_own_and_the_same_files() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &["--tls"]);
    assert!(
        server
            .said
            .contains("self-signed certificate made for this run"),
        "{}",
        server.said
    );
    let addr: std::net::SocketAddr = server.addr.parse().expect("an address");
    let runtime = blitz_io::runtime::Runtime::new().expect("a runtime");
    let asking = async {
        use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
        // That it is not verified is what is said of it.
        let connector = blitz_tls::TlsConnector::builder()
            .dangerous()
            .accept_any_certificate()
            .build();
        let connector = connector.expect("a connector");
        let stream = blitz_io::net::TcpStream::connect(addr)
            .await
            .expect("it accepts");
        let mut stream = connector
            .connect("localhost", stream)
            .await
            .expect("a session");
        let request = b"GET /a.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    };
    let answer = runtime.block_on(async { blitz_io::time::timeout(GUARD, asking).await });
    let answer = answer.expect("in time");
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("0123456789"),
        "{answer}"
    );
    assert!(server.line().ends_with("\"GET /a.txt HTTP/1.1\" 200 10"));
}

fn refused(words: &[&str]) -> String {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_blitz"))
        .arg("serve")
        .args(words)
        .output()
        .expect("it starts");
    assert!(!output.status.success(), "{words:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let folder = folder();
    let file = folder.path().join("a.txt");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    let file = file.to_str().expect("UTF-8");
    for (words, said) in [
        (&["/nothing/here"][..], "there is no such directory"),
        (&[file], "it is a file"),
        (&["--addr", "8000"], "HOST:PORT"),
        (
            &["--addr", "nowhere.invalid:80"],
            "cannot listen on nowhere.invalid:80",
        ),
        (&["--port", "80"], "does not know `--port`"),
        (&["a", "b"], "`b`"),
    ] {
        let error = refused(words);
        assert!(
            error.starts_with("blitz: ") && error.contains(said),
            "{words:?}: {error}"
        );
    }
    let error = refused(&["--addr", &taken]);
    assert!(
        error.contains(&taken) || error.contains("in use"),
        "{error}"
    );
}
