//! A TLS echo server and its client: certificates from files, client certificates, a reload on SIGHUP.
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout key.pem -out cert.pem \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE
//! cargo run --release --example tls_echo -- serve --addr 127.0.0.1:7443 --cert cert.pem --key key.pem
//! cargo run --release --example tls_echo -- connect --addr 127.0.0.1:7443 --name localhost --ca cert.pem
//! ```
//!
//! The server prints one line, `listening on …`, once it accepts, and one line for each client; it ends on Ctrl-C or SIGTERM. SIGHUP reads the
//! certificates again: sessions go on, and a pair that cannot be used leaves the old one in place. `--cert` and `--key` can be given
//! several times, for several names. With `--client-ca FILE` clients have to show a certificate that leads to FILE.
//!
//! The client sends its standard input and prints what comes back. Without `--ca` it trusts whom the system trusts; `--cert` and
//! `--key` are its own certificate.

use blitz_io::io::{AsyncReadExt, AsyncWriteExt, copy, split, stdin, stdout};
use blitz_io::net::{TcpListener, TcpStream};
use blitz_io::time::{sleep, timeout};
use blitz_tls::{
    CertificateStore, ClientAuth, HANDSHAKE_TIMEOUT, Identity, Roots, TlsAcceptor, TlsConnector,
};
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// How long a client may say nothing.
const IDLE: Duration = Duration::from_secs(60);

type Outcome = Result<(), Box<dyn Error>>;

#[derive(Default)]
struct Options {
    addr: Option<String>,
    name: Option<String>,
    certs: Vec<String>,
    keys: Vec<String>,
    ca: Option<String>,
    client_ca: Option<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Options::default();
        while let Some(arg) = args.next() {
            let value = args
                .next()
                .ok_or_else(|| format!("{arg} wants a value, or is unknown"))?;
            match arg.as_str() {
                "--addr" => options.addr = Some(value),
                "--name" => options.name = Some(value),
                "--cert" => options.certs.push(value),
                "--key" => options.keys.push(value),
                "--ca" => options.ca = Some(value),
                "--client-ca" => options.client_ca = Some(value),
                other => {
                    return Err(format!(
                        "unknown option {other}: use --addr, --cert, --key, --client-ca; a client has --name and --ca too"
                    )
                    .into());
                }
            }
        }
        if options.certs.len() != options.keys.len() {
            return Err("each --cert wants a --key".into());
        }
        Ok(options)
    }

    fn addr(&self) -> &str {
        self.addr.as_deref().unwrap_or("127.0.0.1:7443")
    }

    fn identities(&self) -> Result<Vec<Identity>, Box<dyn Error>> {
        let pairs = self.certs.iter().zip(&self.keys);
        let identities = pairs.map(|(cert, key)| Identity::from_files(cert, key));
        Ok(identities.collect::<Result<_, _>>()?)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let mut args = std::env::args().skip(1);
    let mode = args.next().unwrap_or_default();
    let options = Options::parse(args)?;
    let runtime = blitz_io::runtime::Runtime::new()?;
    match mode.as_str() {
        "serve" => runtime.block_on(serve(options)),
        "connect" => runtime.block_on(connect(options)),
        other => Err(format!("the first word is serve or connect, not `{other}`").into()),
    }
}

async fn serve(options: Options) -> Outcome {
    let mut identities = options.identities()?.into_iter();
    let default = identities.next().ok_or("a server wants --cert and --key")?;
    let store = CertificateStore::with_default(default, identities.collect());
    let mut builder = TlsAcceptor::builder(store.clone());
    if let Some(file) = &options.client_ca {
        let mut roots = Roots::new();
        roots.add_pem_file(file)?;
        builder = builder.client_auth(ClientAuth::Required(roots));
    }
    let acceptor = builder.build()?;
    let listener = TcpListener::bind(options.addr())
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", options.addr()))?;
    // Before the line that says we are there: who reads it may send a signal at once.
    let stop = signals(store)?;
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    let server = blitz_io::spawn(accept(listener, acceptor));
    stop.await;
    server.abort();
    Ok(())
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let acceptor = acceptor.clone();
                blitz_io::spawn(async move {
                    match echo(stream, acceptor).await {
                        Ok(line) => println!("{peer}: {line}"),
                        Err(error) => println!("{peer}: {error}"),
                    }
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: closing connections will give some back.
                eprintln!("cannot accept: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Sends back what comes, and says what it was.
async fn echo(stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<String> {
    let mut stream = acceptor
        .accept(stream)
        .until(sleep(HANDSHAKE_TIMEOUT))
        .await?;
    let mut buffer = vec![0; 16 * 1024];
    let mut total = 0;
    loop {
        let count = timeout(IDLE, stream.read(&mut buffer)).await??;
        if count == 0 {
            break;
        }
        total += count;
        timeout(IDLE, stream.write_all(&buffer[..count])).await??;
        timeout(IDLE, stream.flush()).await??;
    }
    timeout(IDLE, stream.shutdown()).await??;
    Ok(format!(
        "{total} bytes, asked for {}, {}, {}",
        stream.server_name().unwrap_or("no name"),
        if stream.is_resumed() {
            "resumed"
        } else {
            "new"
        },
        match stream.peer_certificates() {
            Some(_) => "with a certificate",
            None => "without a certificate",
        }
    ))
}

async fn connect(options: Options) -> Outcome {
    let mut builder = TlsConnector::builder();
    if let Some(file) = &options.ca {
        let mut roots = Roots::new();
        roots.add_pem_file(file)?;
        builder = builder.only_roots(roots);
    }
    if let Some(identity) = options.identities()?.into_iter().next() {
        builder = builder.identity(identity);
    }
    let addr = options.addr();
    let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
    let name = options.name.as_deref().unwrap_or(host);
    let stream = TcpStream::connect(addr)
        .await
        .map_err(|error| format!("cannot reach {addr}: {error}"))?;
    let stream = builder
        .build()?
        .connect(name, stream)
        .until(sleep(HANDSHAKE_TIMEOUT))
        .await?;
    eprintln!("{stream:?}");
    let (mut reading, mut writing) = split(stream);
    let sending = blitz_io::spawn(async move {
        let mut input = stdin();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = input.read(&mut buffer).await?;
            if count == 0 {
                return writing.shutdown().await;
            }
            writing.write_all(&buffer[..count]).await?;
            writing.flush().await?;
        }
    });
    let mut output = stdout();
    copy(&mut reading, &mut output).await?;
    output.flush().await?;
    // The server has ended it, perhaps before all was sent.
    sending.abort();
    Ok(())
}

/// Reloads the certificates at each SIGHUP; ends at Ctrl-C or SIGTERM. It listens from now on.
#[cfg(unix)]
fn signals(store: CertificateStore) -> io::Result<impl Future<Output = ()>> {
    use blitz_io::signal::unix::{SignalKind, signal};

    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        loop {
            blitz_io::select! {
                _ = interrupt.recv() => return,
                _ = terminate.recv() => return,
                _ = hangup.recv() => {
                    // Files are read on a thread that may wait.
                    let store = store.clone();
                    match blitz_io::task::spawn_blocking(move || store.reload()).await {
                        Ok(Ok(())) => println!("certificates reloaded"),
                        Ok(Err(error)) => println!("the old certificates stay: {error}"),
                        Err(error) => println!("the old certificates stay: {error}"),
                    }
                }
            }
        }
    })
}

#[cfg(not(unix))]
fn signals(_store: CertificateStore) -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if let Err(error) = blitz_io::signal::ctrl_c().await {
            eprintln!("cannot listen for Ctrl-C: {error}");
        }
    })
}
