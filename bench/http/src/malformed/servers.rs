//! The three servers, each of which takes every method and path, reads the body and answers 200: what is refused, the server
//! refused and not a handler. CONNECT gets 405, because a tunnel is no answer.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub struct Servers {
    pub ours: SocketAddr,
    pub hyper: SocketAddr,
    pub nginx: Option<SocketAddr>,
    /// Where nginx passes on what the scripted server answers.
    pub nginx_of_answers: Option<SocketAddr>,
    pub versions: String,
    _nginx: Option<Nginx>,
}

impl Servers {
    pub fn start(scripted: SocketAddr) -> Result<Servers, String> {
        let version = Command::new("nginx").arg("-v").output();
        let (nginx, version) = match version {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                (
                    Some(Nginx::start(scripted)?),
                    text.replace("nginx version: ", ""),
                )
            }
            Err(_) => (None, String::new()),
        };
        let hyper_version = lock_version("hyper");
        Ok(Servers {
            ours: ours(),
            hyper: hyper(),
            nginx: nginx.as_ref().map(|nginx| nginx.addr),
            nginx_of_answers: nginx.as_ref().map(|nginx| nginx.of_answers),
            versions: format!("hyper {hyper_version} and {version}"),
            _nginx: nginx,
        })
    }
}

/// Which version of a crate was measured.
fn lock_version(name: &str) -> String {
    let lock = include_str!("../../Cargo.lock");
    let (_, behind) = lock
        .split_once(&format!("name = \"{name}\"\nversion = \""))
        .unwrap_or_default();
    behind.split('"').next().unwrap_or_default().to_owned()
}

fn ours() -> SocketAddr {
    let (say, hear) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = blitz_io::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let server = blitz_http::Server::bind("127.0.0.1:0")
                .await
                .expect("a free port");
            say.send(server.local_addrs()[0]).expect("somebody waits");
            let judge = blitz_http::service_fn(async |mut request: blitz_http::Request| {
                use blitz_http::Reply;
                let connect = *request.method() == http::Method::CONNECT;
                match std::mem::take(request.body_mut()).collect().await {
                    Ok(_) if connect => http::StatusCode::METHOD_NOT_ALLOWED.into_response(),
                    Ok(_) => "taken".into_response(),
                    Err(error) => error.into_response(),
                }
            });
            server.serve(judge).await;
        });
    });
    hear.recv().expect("it listens")
}

fn hyper() -> SocketAddr {
    let (say, hear) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("a free port");
            say.send(listener.local_addr().expect("bound"))
                .expect("somebody waits");
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                tokio::spawn(async move {
                    let judge = hyper::service::service_fn(judge);
                    // A connection that failed is what is looked at from the other side.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(hyper_util::rt::TokioIo::new(stream), judge)
                        .await;
                });
            }
        });
    });
    hear.recv().expect("it listens")
}

async fn judge(
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let connect = *request.method() == http::Method::CONNECT;
    let body = request.into_body().collect().await;
    let mut response = http::Response::new(Full::from("taken"));
    *response.status_mut() = match body {
        Ok(_) if connect => http::StatusCode::METHOD_NOT_ALLOWED,
        Ok(_) => http::StatusCode::OK,
        Err(_) => http::StatusCode::BAD_REQUEST,
    };
    Ok(response)
}

/// nginx before a server that answers 200: it reads a body whole, and passes the request without it.
struct Nginx {
    child: Child,
    addr: SocketAddr,
    of_answers: SocketAddr,
    folder: PathBuf,
}

impl Nginx {
    fn start(scripted: SocketAddr) -> Result<Nginx, String> {
        let behind = behind();
        let listener = || TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string());
        // Both at once, so that they are two.
        let free = [listener()?, listener()?];
        let [addr, of_answers] = free.map(|listener| listener.local_addr());
        let addr = addr.map_err(|error| error.to_string())?;
        let of_answers = of_answers.map_err(|error| error.to_string())?;
        let folder = std::env::temp_dir().join(format!("malformed-nginx-{}", addr.port()));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let text = format!(
            r#"daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 1000; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {addr};
        location / {{
            proxy_pass http://{behind}/;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }}
    }}
    server {{
        listen {of_answers};
        location / {{
            proxy_pass http://{scripted};
            proxy_http_version 1.1;
            proxy_next_upstream off;
        }}
    }}
}}
"#
        );
        std::fs::write(folder.join("nginx.conf"), text).map_err(|error| error.to_string())?;
        let child = Command::new("nginx")
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let nginx = Nginx {
            child,
            addr,
            of_answers,
            folder,
        };
        let begun = Instant::now();
        while TcpStream::connect(addr).is_err() {
            if begun.elapsed() > Duration::from_secs(20) {
                return Err("nginx does not listen".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end when it is told to end, not when it is killed.
        // SAFETY: a plain system call; the child has not been waited for, so the number is its own.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The server behind nginx: reads a head, answers, closes.
fn behind() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let (mut head, mut memory) = (Vec::new(), [0; 4096]);
                while memchr::memmem::find(&head, b"\r\n\r\n").is_none() {
                    match stream.read(&mut memory) {
                        Ok(n @ 1..) => head.extend_from_slice(&memory[..n]),
                        _ => return,
                    }
                }
                // nginx shows it if this fails.
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\ntaken");
            });
        }
    });
    addr
}
