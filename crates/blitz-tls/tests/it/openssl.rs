//! Against another implementation: the command `openssl`, where it is installed.
//!
//! What is refused here is refused because rustls has no code for it; these tests show that nothing of ours lets it in again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::runtime::Runtime;
use blitz_io::sync::mpsc;
use blitz_tls::rustls::{NamedGroup, ProtocolVersion};
use blitz_tls::{
    CertificateProblem, ClientAuth, HTTP_1_1, TlsAcceptor, TlsConnector, TlsError, TlsStream,
};
use rcgen::{KeyPair, PKCS_RSA_SHA256};

use crate::harness::{GUARD, guarded, on_both, run};
use crate::made::{Authority, Made, authority, localhost, params};

/// Whether there is an OpenSSL to test against.
fn is_installed() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let version = Command::new("openssl").arg("version").output();
        let found = version.is_ok_and(|output| output.stdout.starts_with(b"OpenSSL 3"));
        if !found {
            eprintln!("nothing is tested against OpenSSL: no `openssl` of version 3 on the path");
        }
        found
    })
}

/// What is said of one client: its session, after it has sent all, or why there is none.
type Report = Result<Said, TlsError>;

#[derive(Debug)]
struct Said {
    text: String,
    /// How its reading ended, if not well.
    error: Option<std::io::Error>,
    version: Option<ProtocolVersion>,
    group: Option<NamedGroup>,
    name: Option<String>,
    is_resumed: bool,
    has_certificate: bool,
}

/// Serves until the runtime ends: greets each client, reads what it says, and reports.
async fn serve(acceptor: TlsAcceptor) -> (SocketAddr, mpsc::UnboundedReceiver<Report>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (reports, received) = mpsc::unbounded_channel();
    blitz_io::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let report = match acceptor.accept(stream).await {
                Ok(stream) => Ok(converse(stream).await),
                Err(failed) => {
                    let (error, mut stream) = failed.into_parts();
                    // So that the alert is read, and not lost to a reset.
                    let _ = stream.shutdown().await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                    Err(error)
                }
            };
            if reports.send(report).is_err() {
                return;
            }
        }
    });
    (addr, received)
}

async fn converse(mut stream: TlsStream<TcpStream>) -> Said {
    let mut said = Said {
        text: String::new(),
        error: None,
        version: stream.protocol_version(),
        group: stream.key_exchange(),
        name: stream.server_name().map(str::to_owned),
        is_resumed: stream.is_resumed(),
        has_certificate: stream.peer_certificates().is_some(),
    };
    let _ = stream.write_all(GREETING).await;
    let _ = stream.flush().await;
    // It says `end`, or ends.
    let mut byte = [0];
    while !said.text.ends_with("end\n") {
        match stream.read(&mut byte).await {
            Ok(0) => break,
            Ok(_) => said.text.push(byte[0] as char),
            Err(error) => {
                said.error = Some(error);
                break;
            }
        }
    }
    let _ = stream.shutdown().await;
    said
}

/// What `openssl s_client` prints, with these arguments, when it says `words` once it is greeted and waits for the server's end.
fn s_client(addr: SocketAddr, args: &[&str], words: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &addr.to_string()])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It ends when its input does, so that stays open.
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    guarded(GUARD, || {
        let mut printed = Vec::new();
        // Who is refused is not greeted, and ends.
        while stdout.read_until(b'\n', &mut printed).unwrap() > 0 && !printed.ends_with(GREETING) {}
        // It may have ended before it was told anything.
        let _ = stdin.write_all(words.as_bytes());
        stdout.read_to_end(&mut printed).unwrap();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_end(&mut printed).unwrap();
        child.wait().unwrap();
        String::from_utf8_lossy(&printed).into_owned()
    })
}

const GREETING: &[u8] = b"a greeting of the server\n";

fn next(runtime: &Runtime, reports: &mut mpsc::UnboundedReceiver<Report>) -> Report {
    run(runtime, reports.recv()).unwrap()
}

/// A server with an RSA and an EC certificate, so that no old suite is refused for want of a key.
fn server() -> TlsAcceptor {
    static RSA: OnceLock<Made> = OnceLock::new();
    let rsa = RSA.get_or_init(|| {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        authority().issue_by(params(&["localhost"]), key)
    });
    let store =
        blitz_tls::CertificateStore::with_default(localhost().identity(), vec![rsa.identity()]);
    TlsAcceptor::builder(store)
        .alpn([HTTP_1_1])
        .build()
        .unwrap()
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn new_versions_are_spoken_and_old_ones_refused() {
    if !is_installed() {
        return;
    }
    on_both(|runtime| {
        let files = Files::new();
        let ca = files.write("ca", &authority().pem());
        let (addr, mut reports) = run(runtime, serve(server()));
        for (option, version) in [
            ("-tls1_3", ProtocolVersion::TLSv1_3),
            ("-tls1_2", ProtocolVersion::TLSv1_2),
        ] {
            let args = [
                option,
                "-CAfile",
                &ca,
                "-verify_return_error",
                "-servername",
                "localhost",
                "-alpn",
                "h2,http/1.1",
            ];
            let printed = s_client(addr, &args, "hello\nend\n");
            let said = next(runtime, &mut reports).unwrap();
            assert_eq!(said.version, Some(version));
            assert_eq!(said.text, "hello\nend\n");
            assert_eq!(said.name.as_deref(), Some("localhost"));
            assert!(said.error.is_none(), "{said:?}");
            assert!(printed.contains("a greeting of the server"), "{printed}");
            assert!(printed.contains("ALPN protocol: http/1.1"), "{printed}");
            assert!(printed.contains("Verify return code: 0"), "{printed}");
            assert!(
                printed.contains("closed") || printed.contains("CLOSED"),
                "{printed}"
            );
        }
        for option in ["-tls1", "-tls1_1"] {
            // OpenSSL itself does not offer them any more, unless it is told that security does not matter.
            let printed = s_client(addr, &[option, "-cipher", "ALL:@SECLEVEL=0"], "end\n");
            match next(runtime, &mut reports) {
                Err(TlsError::NoCommonVersion) => {}
                report => panic!("{option}: {report:?}\n{printed}"),
            }
            assert!(
                printed.contains("alert protocol version")
                    || printed.contains("alert handshake failure"),
                "{printed}"
            );
        }
    });
}

#[test]
fn weak_suites_are_refused() {
    if !is_installed() {
        return;
    }
    on_both(|runtime| {
        let (addr, mut reports) = run(runtime, serve(server()));
        for suite in [
            // No forward secrecy; no authenticated encryption; both; nobody authenticated; finite fields.
            "AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-SHA256",
            "ECDHE-ECDSA-AES256-SHA",
            "AES128-SHA",
            "ADH-AES128-SHA256",
            "DHE-RSA-AES128-GCM-SHA256",
            "PSK-AES128-CBC-SHA",
            "NULL-SHA256",
        ] {
            let cipher = format!("{suite}:@SECLEVEL=0");
            let printed = s_client(
                addr,
                &["-tls1_2", "-cipher", &cipher, "-psk", "00"],
                "end\n",
            );
            match next(runtime, &mut reports) {
                Err(TlsError::NoCommonSuite(_)) => {}
                report => panic!("{suite}: {report:?}\n{printed}"),
            }
            assert!(printed.contains("handshake failure"), "{suite}: {printed}");
        }
        for suite in [
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-CHACHA20-POLY1305",
        ] {
            s_client(addr, &["-tls1_2", "-cipher", suite], "end\n");
            next(runtime, &mut reports).unwrap();
        }
        // A curve that is too short for the one, and known to the other.
        s_client(addr, &["-tls1_3", "-groups", "P-521"], "end\n");
        assert!(matches!(
            next(runtime, &mut reports),
            Err(TlsError::NoCommonSuite(_))
        ));
        s_client(addr, &["-tls1_3", "-groups", "P-256"], "end\n");
        let said = next(runtime, &mut reports).unwrap();
        assert_eq!(said.group, Some(NamedGroup::secp256r1));
    });
}

#[test]
fn renegotiation_is_refused() {
    if !is_installed() {
        return;
    }
    on_both(|runtime| {
        let (addr, mut reports) = run(runtime, serve(server()));
        let printed = s_client(addr, &["-tls1_2"], "R\n");
        let report = next(runtime, &mut reports).unwrap();
        assert!(printed.contains("RENEGOTIATING"), "{printed}");
        assert!(
            printed.contains("no renegotiation"),
            "{report:?}\n{printed}"
        );
        // Secure renegotiation (RFC 5746) is named all the same, as a defence of those who know others.
        assert!(
            printed.contains("Secure Renegotiation IS supported"),
            "{printed}"
        );
    });
}

#[test]
fn sessions_of_openssl_are_resumed() {
    if !is_installed() {
        return;
    }
    on_both(|runtime| {
        let files = Files::new();
        let (addr, mut reports) = run(runtime, serve(server()));
        for version in ["-tls1_3", "-tls1_2"] {
            let session = files.write("session", "");
            s_client(addr, &[version, "-sess_out", &session], "end\n");
            assert!(!next(runtime, &mut reports).unwrap().is_resumed);
            let printed = s_client(addr, &[version, "-sess_in", &session], "end\n");
            assert!(
                next(runtime, &mut reports).unwrap().is_resumed,
                "{version}: {printed}"
            );
        }
    });
}

#[test]
fn clients_of_openssl_show_certificates() {
    if !is_installed() {
        return;
    }
    on_both(|runtime| {
        let files = Files::new();
        let (ca, other) = (Authority::new("clients"), Authority::new("others"));
        let (good, bad) = (ca.issue(&["client.test"]), other.issue(&["client.test"]));
        let acceptor = TlsAcceptor::builder(localhost().identity())
            .client_auth(ClientAuth::Required(ca.roots()))
            .build()
            .unwrap();
        let (addr, mut reports) = run(runtime, serve(acceptor));
        for version in ["-tls1_3", "-tls1_2"] {
            let shown = |made: &Made| {
                let (cert, key) = (
                    files.write("cert", &made.cert),
                    files.write("key", &made.key),
                );
                s_client(addr, &[version, "-cert", &cert, "-key", &key], "end\n")
            };
            shown(&good);
            assert!(next(runtime, &mut reports).unwrap().has_certificate);
            let printed = shown(&bad);
            let error = next(runtime, &mut reports).unwrap_err();
            assert_eq!(
                error.certificate_problem(),
                Some(CertificateProblem::UnknownIssuer)
            );
            assert!(printed.contains("alert unknown ca"), "{printed}");
            let printed = s_client(addr, &[version], "end\n");
            let error = next(runtime, &mut reports).unwrap_err();
            assert!(matches!(error, TlsError::NoCertificate), "{error:?}");
            assert!(printed.contains("alert"), "{printed}");
        }
    });
}

/// `openssl s_server`, which sends back each line reversed.
struct Server {
    child: Child,
    /// It ends when its input does.
    _stdin: ChildStdin,
    _stdout: BufReader<ChildStdout>,
    addr: String,
}

impl Server {
    fn start(files: &Files, made: &Made, args: &[&str]) -> Self {
        let (cert, key) = (
            files.write("server.cert", &made.cert),
            files.write("server.key", &made.key),
        );
        let mut child = Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-cert",
                &cert,
                "-key",
                &key,
                "-rev",
            ])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let addr = guarded(GUARD, || {
            loop {
                line.clear();
                assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "no server");
                if let Some(addr) = line.strip_prefix("ACCEPT ") {
                    return addr.trim().to_owned();
                }
            }
        });
        Server {
            child,
            _stdin: stdin,
            _stdout: stdout,
            addr,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn reversed(connector: &TlsConnector, addr: &str) -> Result<TlsStream<TcpStream>, TlsError> {
    let stream = TcpStream::connect(addr).await?;
    let mut stream = connector
        .connect("localhost", stream)
        .await
        .map_err(TlsError::from)?;
    stream.write_all(b"abc\n").await?;
    stream.flush().await?;
    let mut word = [0; 4];
    stream.read_exact(&mut word).await?;
    assert_eq!(&word, b"cba\n");
    Ok(stream)
}

#[test]
fn servers_of_openssl_are_reached_and_old_ones_refused() {
    if !is_installed() {
        return;
    }
    on_both(|runtime| {
        let files = Files::new();
        let connector = || {
            TlsConnector::builder()
                .only_roots(authority().roots())
                .alpn([HTTP_1_1])
                .build()
                .unwrap()
        };
        for (option, version) in [
            ("-tls1_3", ProtocolVersion::TLSv1_3),
            ("-tls1_2", ProtocolVersion::TLSv1_2),
        ] {
            let server = Server::start(&files, localhost(), &[option, "-alpn", "http/1.1"]);
            let connector = connector();
            run(runtime, async {
                for is_resumed in [false, true] {
                    let mut stream = reversed(&connector, &server.addr).await.unwrap();
                    assert_eq!(stream.protocol_version(), Some(version));
                    assert_eq!(stream.alpn_protocol(), Some(HTTP_1_1));
                    assert_eq!(stream.is_resumed(), is_resumed, "{option}");
                    stream.write_all(b"CLOSE\n").await.unwrap();
                    stream.flush().await.unwrap();
                    let mut rest = Vec::new();
                    stream.read_to_end(&mut rest).await.unwrap();
                }
            });
        }
        for option in ["-tls1", "-tls1_1"] {
            let server =
                Server::start(&files, localhost(), &[option, "-cipher", "ALL:@SECLEVEL=0"]);
            let error = run(runtime, reversed(&connector(), &server.addr)).unwrap_err();
            assert!(
                matches!(error, TlsError::Refused(_) | TlsError::NoCommonVersion),
                "{option}: {error:?}"
            );
        }
    });
}

#[test]
fn servers_of_openssl_get_our_certificate() {
    if !is_installed() {
        return;
    }
    on_both(|runtime| {
        let files = Files::new();
        let ca = Authority::new("clients");
        let made = ca.issue(&["client.test"]);
        let roots = files.write("clients", &ca.pem());
        let server = Server::start(
            &files,
            localhost(),
            &["-Verify", "1", "-verify_return_error", "-CAfile", &roots],
        );
        let builder = || TlsConnector::builder().only_roots(authority().roots());
        let with = builder().identity(made.identity()).build().unwrap();
        let without = builder().build().unwrap();
        run(runtime, async {
            reversed(&with, &server.addr).await.unwrap();
            match reversed(&without, &server.addr).await.unwrap_err() {
                // By the first read, since the handshake was done.
                TlsError::Io(error) => assert!(
                    matches!(TlsError::of(&error), Some(TlsError::Refused(_))),
                    "{error}"
                ),
                error => assert!(matches!(error, TlsError::Refused(_)), "{error:?}"),
            }
        });
    });
}

#[test]
fn noise_on_the_port_of_a_server_is_only_noise() {
    on_both(|runtime| {
        let (addr, mut reports) = run(runtime, serve(server()));
        let mut noise = std::net::TcpStream::connect(addr).unwrap();
        noise.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        noise.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        noise.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"");
        assert!(matches!(
            next(runtime, &mut reports),
            Err(TlsError::PlainHttp)
        ));
    });
}
