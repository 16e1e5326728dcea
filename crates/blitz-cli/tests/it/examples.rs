//! The examples: each does what its first lines say.
//!
//! `cargo test` builds the examples beside this test, so they are found next to the command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

pub(crate) fn example(name: &str) -> PathBuf {
    let command = PathBuf::from(env!("CARGO_BIN_EXE_blitz"));
    let folder = command.parent().expect("the command stands in a folder");
    let path = folder
        .join("examples")
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{} is not built: `cargo test -p blitz-cli` builds it",
        path.display()
    );
    path
}

/// A running example; it is ended when the test is over, however that ends.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: String,
}

impl Running {
    pub(crate) fn start(name: &str, words: &[&str]) -> Self {
        let mut child = Command::new(example(name))
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("its output is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says a line");
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .expect("where it listens")
            .to_owned();
        Running { child, address }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends `bytes`, closes, and gives what came back.
pub(crate) fn exchange(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    let mut reader = stream.try_clone().expect("a second handle");
    let receiving = std::thread::spawn(move || {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).expect("the answer comes");
        back
    });
    stream.write_all(bytes).expect("the server reads");
    stream
        .shutdown(Shutdown::Write)
        .expect("the connection is open");
    receiving.join().expect("the receiving thread ends")
}

#[test]
fn echo_server_sends_back_what_comes_on_every_flavor() {
    for flavor in ["multi", "current", "per-core"] {
        let server = Running::start(
            "echo_server",
            &["--addr", "127.0.0.1:0", "--flavor", flavor],
        );
        let bytes: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        assert!(exchange(&server.address, &bytes) == bytes, "{flavor}");
    }
}

#[cfg(unix)]
#[test]
fn echo_server_ends_well_on_sigterm_and_ctrl_c() {
    for signal in ["TERM", "INT"] {
        let mut server = Running::start("echo_server", &["--addr", "127.0.0.1:0"]);
        let id = server.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .expect("kill starts");
        assert!(sent.success());
        let status = server.child.wait().expect("it ends");
        assert!(status.success(), "{signal}: {status}");
    }
}

#[test]
fn echo_server_names_a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has an address").to_string();
    let output = Command::new(example("echo_server"))
        .args(["--addr", &address])
        .output()
        .expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(error.contains(&address), "{error}");
}

#[test]
fn proxy_joins_both_ways() {
    let server = Running::start("echo_server", &["--addr", "127.0.0.1:0"]);
    let proxy = Running::start(
        "proxy",
        &["--listen", "127.0.0.1:0", "--to", &server.address],
    );
    let bytes: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    assert!(exchange(&proxy.address, &bytes) == bytes);
}

#[test]
fn file_copy_copies_every_byte_and_names_a_missing_file() {
    let folder = std::env::temp_dir().join(format!("blitz-file-copy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder of our own");
    let (from, to) = (folder.join("from"), folder.join("to"));
    let bytes: Vec<u8> = (0..700_001u32).map(|k| (k % 251) as u8).collect();
    std::fs::write(&from, &bytes).expect("the source is written");
    let output = Command::new(example("file_copy"))
        .args([&from, &to])
        .output()
        .expect("it starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(std::fs::read(&to).expect("the copy is there") == bytes);

    let missing = folder.join("missing");
    let output = Command::new(example("file_copy"))
        .args([&missing, &to])
        .output()
        .expect("it starts");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing"));
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

#[test]
fn journal_keeps_what_it_took_and_leaves_out_half_a_record() {
    let path = std::env::temp_dir().join(format!("blitz-journal-{}", std::process::id()));
    // Of a process of this number that was ended before its time.
    let _ = std::fs::remove_file(&path);
    let run = |words: &[&str]| {
        let words = words.iter().map(std::ffi::OsStr::new);
        let words: Vec<_> = std::iter::once(path.as_os_str()).chain(words).collect();
        output_of("journal", &words)
    };
    assert!(run(&["append", "one", "two"]).contains("2 lines, 22 bytes"));
    run(&["append", "three"]);
    assert_eq!(run(&["list"]), "one\ntwo\nthree\n");
    let file = std::fs::File::options().write(true).open(&path);
    file.expect("it is there").set_len(34).expect("it is cut");
    assert_eq!(run(&["list"]), "one\ntwo\n");
    run(&["append", "four"]);
    assert_eq!(run(&["list"]), "one\ntwo\nfour\n");
    std::fs::remove_file(&path).expect("the file is ours");
}

/// Runs an example and gives what it printed.
fn output_of(name: &str, words: &[&std::ffi::OsStr]) -> String {
    let output = Command::new(example(name))
        .args(words)
        .output()
        .expect("it starts");
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn csv_pipeline_sums_up_every_row_whatever_the_pieces() {
    let folder = std::env::temp_dir().join(format!("blitz-csv-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder of our own");
    let (from, to) = (folder.join("orders.csv"), folder.join("sums.csv"));
    let (from, to) = (from.as_os_str(), to.as_os_str());
    let made = output_of(
        "csv_pipeline",
        &["--generate".as_ref(), "3MB".as_ref(), from],
    );
    let rows: u64 = made
        .split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .expect("how many rows");
    assert!(rows >= 50_000 && rows.is_multiple_of(10_000), "{made}");
    let mut sums: Option<Vec<u8>> = None;
    // A piece smaller than a row, one of some rows, and the whole.
    for (piece, threads) in [("40", "1"), ("5kB", "3"), ("1MB", "2"), ("1GB", "1")] {
        let words = ["--piece", piece, "--threads", threads];
        let mut words: Vec<&std::ffi::OsStr> = words.iter().map(|word| word.as_ref()).collect();
        words.extend([from, to]);
        let said = output_of("csv_pipeline", &words);
        assert!(said.starts_with(&format!("{rows} rows (0 bad)")), "{said}");
        let written = std::fs::read(to).expect("the sums are there");
        assert_eq!(
            written.iter().filter(|byte| **byte == b'\n').count(),
            8 * 40 + 1
        );
        // The same, added up with no parser: no field before the note is ever quoted.
        let cents: u64 = said
            .split(' ')
            .skip_while(|word| *word != "worth")
            .nth(1)
            .and_then(|word| word.parse().ok())
            .expect("what it is worth");
        assert_eq!(
            cents,
            plain_sum(&std::fs::read(from).expect("the orders are there"))
        );
        assert!(sums.as_ref().is_none_or(|sums| *sums == written), "{piece}");
        sums = Some(written);
    }
    // A row that is none, and a last one without its line end.
    std::fs::write(from, b"id,region,product,quantity,price_cents,note\n1,a,b,2,3,x\n1,a\n1,a,b,2,3,x,y,z\n2,a,c,1,5,\"\"")
        .expect("room");
    let said = output_of("csv_pipeline", &[from, to]);
    assert!(said.starts_with("4 rows (2 bad) worth 11 cents"), "{said}");
    let written = std::fs::read_to_string(to).expect("the sums are there");
    assert!(
        written.ends_with("\na,b,1,2,6,6\na,c,1,1,5,5\n"),
        "{written}"
    );
    let missing = Command::new(example("csv_pipeline"))
        .args([folder.join("missing").as_os_str(), to])
        .output()
        .expect("it starts");
    assert!(!missing.status.success());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("missing"));
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

fn plain_sum(bytes: &[u8]) -> u64 {
    let text = std::str::from_utf8(bytes).expect("text");
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(',').skip(3);
            let pieces: u64 = fields.next()?.parse().ok()?;
            let price: u64 = fields.next()?.parse().ok()?;
            Some(pieces * price)
        })
        .sum()
}

#[test]
fn cpu_offload_measures_all_three() {
    let said = output_of("cpu_offload", &["--seconds".as_ref(), "0.2".as_ref()]);
    for name in ["nothing", "hashing in tasks", "hashing by `compute`"] {
        let line = said.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} is missing: {said}"));
        let hashed = line.split_whitespace().next_back();
        let hashed: f64 = hashed.and_then(|word| word.parse().ok()).expect("a number");
        assert_eq!(hashed > 0.0, name != "nothing", "{said}");
    }
}

#[test]
fn timers_prints_what_it_measured() {
    let output = Command::new(example("timers")).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("none early"),
        "{text}"
    );
}

#[test]
fn hello_http_says_hello_on_every_flavor() {
    for flavor in ["multi", "current", "per-core"] {
        let words = [
            "--addr",
            "127.0.0.1:0",
            "--flavor",
            flavor,
            "--workers",
            "2",
        ];
        let server = Running::start("hello_http", &words);
        let get = |path: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            String::from_utf8(exchange(&server.address, request.as_bytes())).expect("text")
        };
        let answer = get("/");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-length: 13\r\n"), "{answer}");
        assert!(answer.contains("content-type: text/plain\r\n"), "{answer}");
        assert!(answer.contains("\r\ndate: "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nHello, World!"), "{answer}");
        assert!(get("/json").ends_with("{\"message\":\"Hello, World!\"}"));
        assert!(get("/else").starts_with("HTTP/1.1 404 "));
    }
}

#[test]
fn static_files_serves_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.txt"), "0123456789").expect("a file");
    let dir = folder.path().to_str().expect("UTF-8");
    let server = Running::start("static_files", &["--addr", "127.0.0.1:0", "--dir", dir]);
    let get = |request: &str| {
        let request = format!("GET {request}\r\nHost: a\r\n\r\n");
        String::from_utf8(exchange(&server.address, request.as_bytes())).expect("text")
    };
    assert!(get("/a.txt HTTP/1.1").ends_with("\r\n\r\n0123456789"));
    assert!(get("/a.txt HTTP/1.1\r\nRange: bytes=2-3").ends_with("\r\n\r\n23"));
    assert!(get("/ HTTP/1.1").contains("<a href=\"./a.txt\">"));
    assert!(get("/../a.txt HTTP/1.1").starts_with("HTTP/1.1 404 "));
}

#[test]
fn sse_clock_ticks_and_makes_good_what_was_missed() {
    let server = Running::start("sse_clock", &["--addr", "127.0.0.1:0"]);
    let mut client = TcpStream::connect(&server.address).expect("the server accepts");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seen = now.expect("after 1970").as_secs() - 3;
    let request = format!("GET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: {seen}\r\n\r\n");
    client
        .write_all(request.as_bytes())
        .expect("the server reads");
    let lines = BufReader::new(client).lines().map_while(Result::ok);
    let ids = lines.filter_map(|line| line.strip_prefix("id: ")?.parse::<u64>().ok());
    let ids: Vec<u64> = ids.take(5).collect();
    assert_eq!(ids, (seen + 1..=seen + 5).collect::<Vec<_>>());
    let page = exchange(&server.address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(String::from_utf8_lossy(&page).contains("The server's clock"));
}

#[test]
fn http_tour_has_a_route_for_each_ability() {
    let server = Running::start("http_tour", &["--addr", "127.0.0.1:0"]);
    let ask = |request: &str| exchange(&server.address, request.as_bytes());
    let text = |request: &str| String::from_utf8(ask(request)).expect("text");
    let get = |path: &str| text(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(get("/").ends_with("Hello from blitz-http\n"));
    let chunks = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
    assert!(text(&format!("POST /echo {chunks}")).ends_with("3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"));
    assert!(text(&format!("POST /collect {chunks}")).ends_with("\r\n\r\nabc"));
    assert!(text(&format!("POST /both {chunks}")).ends_with("3 bytes came\n"));
    assert!(get("/both").ends_with("0 bytes came\n"));
    assert!(get("/204").starts_with("HTTP/1.1 204 "));
    assert!(get("/304").starts_with("HTTP/1.1 304 "));
    assert!(get("/slow?ms=5").ends_with("after 5 ms\n"));
    assert!(get("/slow").starts_with("HTTP/1.1 400 "));
    assert!(get("/else").starts_with("HTTP/1.1 404 "));
    assert!(
        text("DELETE /both HTTP/1.1\r\nHost: a\r\n\r\n")
            .contains("allow: GET, HEAD, OPTIONS, POST\r\n")
    );
    let big = ask("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        big.iter().filter(|byte| **byte == b'.').count(),
        64 * 1024 * 1024 + 1
    );

    let mut events = TcpStream::connect(&server.address).expect("the server accepts");
    events
        .write_all(b"GET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 6\r\n\r\n")
        .expect("the server reads");
    let mut lines = BufReader::new(events)
        .lines()
        .map(|line| line.expect("a line"));
    assert!(lines.any(|line| line == "id: 7"));
    assert_eq!(lines.next().as_deref(), Some("data: event 7"));

    let socket = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    let hi = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    let back = exchange(&server.address, &[&socket[..], &hi].concat());
    assert!(back.ends_with(&[0x81, 2, b'h', b'i']), "{back:?}");
    let head = String::from_utf8_lossy(&back);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(
        head.contains("\r\nsec-websocket-extensions: permessage-deflate; "),
        "{head}"
    );
}

#[cfg(unix)]
#[test]
fn http_tour_finishes_what_was_begun_and_says_what_it_cut() {
    for (grace, wait, said) in [
        ("30", 300, "ended; nothing was cut"),
        ("0.1", 60_000, "ended; cut 1: "),
    ] {
        let mut server = Running::start("http_tour", &["--addr", "127.0.0.1:0", "--grace", grace]);
        let mut client = TcpStream::connect(&server.address).expect("the server accepts");
        // The second answer comes only after the second request was taken.
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /slow?ms={wait} HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        client
            .write_all(request.as_bytes())
            .expect("the server reads");
        let mut first = [0; 100];
        let n = client.read(&mut first).expect("the first answer");
        assert!(first[..n].starts_with(b"HTTP/1.1 200 OK"));
        let pid = server.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.expect("kill is there").success());
        let mut rest = Vec::new();
        // A connection that is cut may be reset.
        let _ = client.read_to_end(&mut rest);
        assert_eq!(rest.ends_with(b"after 300 ms\n"), grace == "30");
        let mut output = String::new();
        let stdout = server.child.stdout.as_mut().expect("its output is piped");
        stdout
            .read_to_string(&mut output)
            .expect("it says how it ended");
        assert!(output.starts_with(said), "{output}");
        assert!(server.child.wait().expect("it ends").success());
    }
}
