//! The examples that serve HTTP behind something or by something else: `http_tour` with TLS, `https`, `axum_on_blitz`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_tls::{Identity, Roots, TlsConnector};

use crate::examples::example;

const GUARD: Duration = Duration::from_secs(60);

/// A running example; it is ended when the test is over, however that ends.
struct Running {
    child: Child,
    says: BufReader<std::process::ChildStdout>,
    addresses: Vec<String>,
}

impl Running {
    /// Starts it, and reads where it listens: on so many ports.
    fn start(name: &str, words: &[&str], ports: usize) -> Running {
        let mut child = Command::new(example(name))
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut running = Running {
            child,
            says: BufReader::new(stdout),
            addresses: Vec::new(),
        };
        for _ in 0..ports {
            let line = running.line();
            let address = line.strip_prefix("listening on ");
            running
                .addresses
                .push(address.expect("where it listens").to_owned());
        }
        running
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("it says a line");
        line.trim_end().to_owned()
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.expect("kill starts").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is answered in clear.
fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it accepts");
    stream
        .set_read_timeout(Some(GUARD))
        .expect("a socket has one");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// A connection by TLS that stays.
struct Session {
    runtime: blitz_io::runtime::Runtime,
    stream: blitz_tls::TlsStream<blitz_io::net::TcpStream>,
}

/// Whom a client trusts, and who it is.
fn connector(root: Option<&Path>, own: Option<(&Path, &Path)>) -> TlsConnector {
    let mut builder = TlsConnector::builder();
    if let Some(root) = root {
        let mut roots = Roots::new();
        roots.add_pem_file(root).expect("a root");
        builder = builder.only_roots(roots);
    }
    if let Some((cert, key)) = own {
        builder = builder.identity(Identity::from_files(cert, key).expect("a pair"));
    }
    builder.build().expect("a connector")
}

impl Session {
    fn open(address: &str, connector: &TlsConnector) -> Result<Session, String> {
        let mut builder = blitz_io::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().expect("a runtime");
        let stream = runtime.block_on(async {
            let stream = blitz_io::net::TcpStream::connect(address).await;
            let stream = stream.map_err(|error| error.to_string())?;
            let session = connector.connect("localhost", stream).await;
            session.map_err(|error| error.to_string())
        })?;
        Ok(Session { runtime, stream })
    }

    /// Asks on the connection as it is, and reads as far as `until`.
    fn ask(&mut self, request: &str, until: &str) -> Result<String, String> {
        let stream = &mut self.stream;
        let asked = async {
            stream.write_all(request.as_bytes()).await?;
            stream.flush().await?;
            let mut answer = Vec::new();
            while !answer.ends_with(until.as_bytes()) {
                if stream.read_buf(&mut answer).await? == 0 {
                    break;
                }
            }
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        let within = async { blitz_io::time::timeout(GUARD, asked).await };
        let answer: std::io::Result<String> = self.runtime.block_on(within).expect("in time");
        answer.map_err(|error| error.to_string())
    }
}

/// Writes a certificate for localhost and its key.
fn make(cert: &Path, key: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    std::fs::write(cert, made.cert.pem()).expect("room");
    std::fs::write(key, made.signing_key.serialize_pem()).expect("room");
}

#[cfg(unix)]
#[test]
fn http_tour_speaks_tls_and_takes_new_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    make(&cert, &key);
    let words = [
        "--addr",
        "127.0.0.1:0",
        "--tls",
        cert.to_str().expect("text"),
        key.to_str().expect("text"),
    ];
    let mut server = Running::start("http_tour", &words, 1);
    let address = server.addresses[0].clone();
    let (request, hello) = (
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "Hello from blitz-http\n",
    );
    let trusting = connector(Some(&cert), None);
    let mut old = Session::open(&address, &trusting).expect("a session");
    assert!(old.ask(request, hello).expect("an answer").ends_with(hello));
    assert!(
        ask(&address, &get("/")).contains("400 Bad Request"),
        "in clear"
    );
    // A pair that cannot be used.
    let before = std::fs::read(&key).expect("it is there");
    std::fs::write(&key, "no key").expect("room");
    server.signal("HUP");
    assert!(server.line().starts_with("the old certificates stay: "));
    std::fs::write(&key, before).expect("room");
    Session::open(&address, &trusting).expect("a session by the old ones");
    // A client that was never here: one that was resumes its session, and is shown no certificate.
    let stranger = connector(Some(&cert), None);
    make(&cert, &key);
    server.signal("HUP");
    assert_eq!(server.line(), "certificates reloaded");
    let gone = Session::open(&address, &stranger);
    assert!(gone.is_err(), "the old one is not shown any more");
    let mut new = Session::open(&address, &connector(Some(&cert), None)).expect("a session");
    assert!(new.ask(request, hello).expect("an answer").ends_with(hello));
    assert!(old.ask(request, hello).expect("an answer").ends_with(hello));
    // A session that only waits ends at once.
    server.signal("TERM");
    assert_eq!(server.line(), "ended; nothing was cut");
    assert!(server.child.wait().expect("it ends").success());
}

#[test]
fn http_tour_asks_clients_for_a_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    make(&cert, &key);
    // The authority of the clients, and a client's certificate.
    let (ca, own, own_key) = (file("ca.pem"), file("own.pem"), file("own.key"));
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let signs = rcgen::KeyPair::generate().expect("a key");
    let issuer = rcgen::CertifiedIssuer::self_signed(params, signs).expect("made");
    std::fs::write(&ca, issuer.pem()).expect("room");
    let client = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(["client".to_owned()]).expect("parameters");
    let signed = params.signed_by(&client, &issuer).expect("signed");
    std::fs::write(&own, signed.pem()).expect("room");
    std::fs::write(&own_key, client.serialize_pem()).expect("room");
    let words = [
        "--addr",
        "127.0.0.1:0",
        "--client-ca",
        ca.to_str().expect("text"),
        "--tls",
        cert.to_str().expect("text"),
        key.to_str().expect("text"),
    ];
    let server = Running::start("http_tour", &words, 1);
    let address = &server.addresses[0];
    let known = connector(Some(&cert), Some((&own, &own_key)));
    let mut session = Session::open(address, &known).expect("a session");
    assert!(
        session
            .ask(&get("/"), "\r\n\r\nHello from blitz-http\n")
            .expect("an answer")
            .starts_with("HTTP/1.1 200 ")
    );
    // In TLS 1.3 who is refused hears of it at the first read.
    let stranger = Session::open(address, &connector(Some(&cert), None));
    let told = stranger.and_then(|mut session| session.ask(&get("/"), "blitz-http\n"));
    assert!(told.is_err(), "{told:?}");
}

#[test]
fn https_sends_who_comes_in_clear_to_the_other_port() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    make(&cert, &key);
    let words = [
        "--addr",
        "127.0.0.1:0",
        "--clear",
        "127.0.0.1:0",
        "--proxy",
        "127.0.0.0/8",
        "--tls",
        cert.to_str().expect("text"),
        key.to_str().expect("text"),
    ];
    let server = Running::start("https", &words, 2);
    let port = server.addresses[0].rsplit(':').next().expect("a port");
    let line = "PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n";
    let answer = ask(&server.addresses[1], &format!("{line}{}", get("/a?b")));
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(
        answer.contains(&format!("location: https://localhost:{port}/a?b\r\n")),
        "{answer}"
    );
    assert_eq!(
        ask(&server.addresses[1], &get("/")),
        "",
        "from a proxy without its header"
    );
    // With the one that it makes itself, and without a proxy.
    let words = ["--addr", "127.0.0.1:0"];
    let server = Running::start("https", &words, 1);
    let connector = TlsConnector::builder().dangerous().accept_any_certificate();
    let connector = connector.build().expect("a connector");
    let mut session = Session::open(&server.addresses[0], &connector).expect("a session");
    let answer = session.ask(&get("/"), "TLSv1_3\n").expect("an answer");
    assert!(
        answer.ends_with("127.0.0.1 asked for localhost by TLSv1_3\n"),
        "{answer}"
    );
}

#[test]
fn axum_on_blitz_is_axum() {
    let server = Running::start("axum_on_blitz", &["--addr", "127.0.0.1:0"], 1);
    let address = &server.addresses[0];
    let answer = ask(address, &get("/"));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("x-served-by: blitz-http\r\n"), "{answer}");
    assert!(answer.ends_with("Hello from axum\n"), "{answer}");
    assert!(ask(address, &get("/you")).ends_with("you are 127.0.0.1\n"));
    assert!(ask(address, &get("/later")).ends_with("later\n"));
    assert!(ask(address, &get("/else")).starts_with("HTTP/1.1 404 "));
    assert!(ask(address, &get("/people")).starts_with("HTTP/1.1 405 "));
    let post = |path: &str, kind: &str, body: &str| {
        let length = body.len();
        let head = "Host: a\r\nConnection: close\r\nContent-Type: ";
        let request = format!(
            "POST {path} HTTP/1.1\r\n{head}{kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        ask(address, &request)
    };
    assert!(post("/people", "application/json", "{\"name\":\"ann\"}").starts_with("HTTP/1.1 201 "));
    assert!(post("/people", "application/json", "{}").starts_with("HTTP/1.1 422 "));
    assert!(post("/people", "text/plain", "{}").starts_with("HTTP/1.1 415 "));
    assert!(ask(address, &get("/people/ann")).ends_with("{\"name\":\"ann\",\"number\":1}"));
    assert!(ask(address, &get("/people/bob")).starts_with("HTTP/1.1 404 "));
    let loud = post("/shout", "text/plain", &"xyz".repeat(50_000));
    assert_eq!(loud.matches('Y').count(), 50_000);
}
