//! The one server that a row's clients ask: nginx where it is installed, else ours; in a process of its own, in clear and by TLS.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use blitz_http::{Listener, Router, now, reply};
use blitz_io::runtime::Builder;
use blitz_tls::{Identity, TlsAcceptor};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::machine;
use crate::rows::{HELLO, LARGE, Row};

pub struct Server {
    child: Child,
    plain: SocketAddr,
    tls: SocketAddr,
    folder: PathBuf,
    is_nginx: bool,
}

/// What `--server` says, or what there is.
pub fn choose(wanted: Option<&str>) -> Result<&'static str, String> {
    let nginx = Command::new("nginx")
        .arg("-v")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    match wanted {
        None if nginx => Ok("nginx"),
        None => {
            eprintln!("nginx is not installed: the server is ours");
            Ok("blitz")
        }
        Some("nginx") if nginx => Ok("nginx"),
        Some("nginx") => Err("nginx is not installed".to_owned()),
        Some("blitz") => Ok("blitz"),
        Some(other) => Err(format!("no server {other}")),
    }
}

impl Server {
    /// Starts it with so many workers; on the first processor if it is one.
    pub fn start(name: &str, workers: usize) -> Result<Server, String> {
        let (plain, tls) = (machine::free_addr(), machine::free_addr());
        let folder = std::env::temp_dir().join(format!(
            "bench-client-{}-{}",
            std::process::id(),
            plain.port()
        ));
        let told = |error: io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir_all(&folder).map_err(told)?;
        certificates(&folder)?;
        let is_nginx = name == "nginx";
        let mut command = if is_nginx {
            configure(&folder, plain, tls, workers).map_err(told)?;
            let mut command = Command::new("nginx");
            command
                .arg("-p")
                .arg(&folder)
                .arg("-c")
                .arg(folder.join("nginx.conf"));
            command
        } else {
            let this = std::env::current_exe().map_err(|error| error.to_string())?;
            let mut command = Command::new(this);
            command
                .arg("server")
                .args([workers.to_string(), plain.to_string(), tls.to_string()])
                .arg(&folder);
            command
        };
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        if workers == 1 {
            machine::pin_child(&mut command, 0);
        }
        let child = command.spawn().map_err(|error| error.to_string())?;
        let mut server = Server {
            child,
            plain,
            tls,
            folder,
            is_nginx,
        };
        for addr in [plain, tls] {
            machine::wait_until_it_listens(&mut server.child, addr)?;
        }
        Ok(server)
    }

    /// What a row asks for.
    pub fn url(&self, row: &Row) -> String {
        let (scheme, addr) = if row.tls {
            ("https", self.tls)
        } else {
            ("http", self.plain)
        };
        format!("{scheme}://{addr}{}", row.path())
    }

    /// The certificate of the authority that has signed the server's.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root.pem")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx ends its workers when it is told to end, not when it is killed.
        if self.is_nginx {
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
        // What is left behind lies among the temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An authority's certificate, and one of its by which the server is known, with its key.
fn certificates(folder: &Path) -> Result<(), String> {
    let told = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::new(Vec::new()).map_err(told)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = KeyPair::generate().map_err(told)?;
    let authority = CertifiedIssuer::self_signed(params, authority).map_err(told)?;
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).map_err(told)?;
    let key = KeyPair::generate().map_err(told)?;
    let cert = params.signed_by(&key, &authority).map_err(told)?;
    for (name, text) in [
        ("root.pem", authority.pem()),
        ("cert.pem", cert.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// nginx's configuration, and the file that it sends.
fn configure(folder: &Path, plain: SocketAddr, tls: SocketAddr, workers: usize) -> io::Result<()> {
    let text = format!(
        r#"daemon off;
worker_processes {workers};
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    tcp_nodelay on;
    sendfile on;
    default_type application/octet-stream;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {plain} backlog=4096;
        listen {tls} ssl backlog=4096;
        ssl_certificate cert.pem;
        ssl_certificate_key key.pem;
        ssl_protocols TLSv1.3;
        root html;
        location = / {{ default_type text/plain; return 200 "{HELLO}"; }}
    }}
}}
"#
    );
    std::fs::write(folder.join("nginx.conf"), text)?;
    std::fs::create_dir_all(folder.join("html"))?;
    std::fs::write(folder.join("html/large"), large())
}

fn large() -> Vec<u8> {
    vec![b'x'; LARGE as usize]
}

/// Ours: `WORKERS PLAIN TLS FOLDER`. Serves until it is ended.
pub fn main(args: &[String]) -> Result<(), String> {
    let [workers, plain, tls, folder] = args else {
        return Err("the server wants four words".to_owned());
    };
    machine::raise_descriptor_limit();
    let number = workers
        .parse()
        .map_err(|_| format!("{workers} is no number"))?;
    let folder = Path::new(folder);
    let identity = Identity::from_files(folder.join("cert.pem"), folder.join("key.pem"));
    let identity = identity.map_err(|error| error.to_string())?;
    let acceptor = TlsAcceptor::builder(identity).build();
    let acceptor = acceptor.map_err(|error| error.to_string())?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(number)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let large = Bytes::from(large());
    let router = Router::new()
        .get("/", now(|request| reply(request, HELLO)))
        .get("/large", now(move |request| reply(request, large.clone())));
    runtime.block_on(async {
        let told = |error: io::Error| error.to_string();
        let plain = Listener::bind(plain.as_str()).await.map_err(told)?;
        let tls = Listener::bind(tls.as_str()).await.map_err(told)?;
        let server = blitz_http::Server::new()
            .listen(plain)
            .listen(tls.tls(&acceptor));
        blitz_io::spawn(server.serve(router))
            .await
            .map_err(|error| error.to_string())?;
        Ok(())
    })
}
