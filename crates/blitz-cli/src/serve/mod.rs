//! `blitz serve [DIR]`: the files of a directory over HTTP, and a page that shows the runtime at work.
//!
//! [`options`] reads the command line, [`site`] answers requests: files by `blitz-http`, what stands below `/.blitz/` by [`page`], whose
//! figures are [`figures`]'; [`https`] has the certificate, [`log`] writes a line for each. [`stop`] says when it is to end.

mod figures;
mod https;
mod log;
mod options;
mod page;
mod site;

use crate::{output, stop};
use blitz_http::files::Files;
use blitz_http::{Cut, Listener, Report, Server, service_fn, supervisor};
use log::{Log, Writer};
use options::Options;
use site::Site;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

const HELP: &str = "\
Serves the files of a directory over HTTP, and shows the runtime at work.

usage: blitz serve [DIR] [OPTIONS]

  DIR                  what to serve; the current directory if it is left out
  --addr HOST:PORT     where to listen; 127.0.0.1:8000 (8443 with --tls), or another port of 127.0.0.1 if that one is taken
  --tls                speak HTTPS, with a certificate for localhost that is made for this run
  --cert FILE          with --key: speak HTTPS with the certificate chain of this file (PEM)
  --key FILE           its private key (PEM)
  --log FORMAT         a line for each request: common (the default), combined, json or none
  --json               the same as --log json
  --workers N          threads; as many as there are processors
  --grace SECONDS      how long requests that were begun may take after Ctrl-C; 10
  --dotfiles           serve names that begin with a dot, too
  --no-listing         a folder without index.html is not found, and is not listed
  --fallback FILE      what answers where there is nothing: for programs in the browser with paths of their own
  --allow-host NAME    a name by which a server on a loopback address may be asked, beside localhost; several by commas

The start page stands at /.blitz/, and at / where DIR has no index.html. Ctrl-C ends the server in good order, a second one at once.
";

/// Runs the command.
///
/// # Errors
/// When an option is wrong, the directory cannot be served or the address not be listened on; the message says what to do.
pub(crate) fn main(words: &[&str]) -> Result<(), String> {
    if words.iter().any(|word| ["--help", "-h"].contains(word)) {
        return output::text(HELP);
    }
    let options = Options::parse(words)?;
    let dir = Path::new(&options.dir);
    let files = Files::new(dir).map_err(|error| cannot_serve(&options.dir, &error))?;
    let mut files = files
        .listing(options.listing)
        .dotfiles(options.dotfiles)
        // Whoever changes a file wants to see the change.
        .cache_control("no-cache");
    if let Some(fallback) = &options.fallback {
        files = files.fallback(fallback);
    }
    // A server wants as many descriptors as it may have; without them it serves fewer connections.
    let _ = blitz_sys::limit::raise_open_files();
    let runtime = crate::demo::runtime(options.workers)?;
    let writer = Writer::start(options.log)?;
    let end = runtime.block_on(run(&options, files, writer.log()))?;
    // What is left of the log goes before the last line.
    if let Err(why) = writer.end(&end) {
        eprintln!("blitz: {why}");
    }
    Ok(())
}

/// Serves until it is told to end; returns the line that says how.
async fn run(options: &Options, files: Files, log: Log) -> Result<String, String> {
    let port = if options.tls { 8443 } else { 8000 };
    let mut listener = match &options.addr {
        Some(addr) => Listener::bind(addr)
            .await
            .map_err(|error| format!("cannot listen on {addr}: {}", hint(&error)))?,
        None => default_listener(port).await?,
    };
    let mut certificate = None;
    if options.tls {
        let files = options.cert.as_deref().zip(options.key.as_deref());
        let (acceptor, said) = https::acceptor(files)?;
        listener = listener.tls(&acceptor);
        certificate = Some(said);
    }
    let server = Server::new().listen(listener);
    let handle = server.handle();
    let addrs = server.local_addrs();
    // Before the line that says we are there: who reads it may stop us at once.
    let mut stop = stop::Signals::new().map_err(|error| format!("cannot take signals: {error}"))?;
    let dir = std::path::absolute(&options.dir).unwrap_or_else(|_| (&options.dir).into());
    let local = addrs.iter().all(|addr| addr.ip().is_loopback());
    let site = Site {
        files,
        log,
        page: page::Page::new(&dir, &handle),
        listing: options.listing,
        hosts: local.then(|| options.allow_hosts.clone()),
    };
    output::line(&format!("serving {}", dir.display()))?;
    if let Some(said) = certificate {
        output::line(&said)?;
    }
    let scheme = if options.tls { "https" } else { "http" };
    for addr in &addrs {
        output::line(&format!("listening on {scheme}://{addr}"))?;
    }
    let site = Arc::new(site);
    let service = service_fn(move |request| site::answer(Arc::clone(&site), request));
    let mut serving = blitz_io::spawn(server.serve(service));
    told(supervisor::ready());
    if let Some(alive) = supervisor::watchdog() {
        blitz_io::spawn(alive);
    }
    stop.next().await;
    told(supervisor::stopping());
    handle.shut_down(options.grace);
    let open = handle.open();
    blitz_io::select! {
        report = &mut serving => report.map(|report| ended(&report)).map_err(|error| error.to_string()),
        () = stop.next() => Ok(format!("ended at once; cut {} of {open} connections", handle.open())),
    }
}

/// A service manager that cannot be told is no reason to serve nobody.
fn told(told: io::Result<bool>) {
    if let Err(error) = told {
        eprintln!("blitz: the service manager at NOTIFY_SOCKET cannot be told: {error}");
    }
}

/// The usual port of the loopback address, or any other of it.
async fn default_listener(port: u16) -> Result<Listener, String> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match Listener::bind(at(port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Listener::bind(at(0))
            .await
            .map_err(|error| format!("cannot listen on 127.0.0.1: {}", hint(&error))),
        Err(error) => Err(format!(
            "cannot listen on 127.0.0.1:{port}: {}",
            hint(&error)
        )),
    }
}

fn cannot_serve(dir: &str, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such directory".to_owned(),
        io::ErrorKind::NotADirectory => "it is a file, and a directory is wanted".to_owned(),
        io::ErrorKind::PermissionDenied => "it may not be read".to_owned(),
        _ => error.to_string(),
    };
    format!("cannot serve {dir}: {why}")
}

/// The error, and what to do about it.
fn hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("{error}; port 0 takes one that is free"),
        io::ErrorKind::PermissionDenied => format!("{error}; ports below 1024 are root's mostly"),
        _ => error.to_string(),
    }
}

/// How a server ended, in one line.
fn ended(report: &Report) -> String {
    let cut = |cut: &Cut| match cut.peer.addr {
        Some(addr) => format!("{addr} in {:?}", cut.phase),
        None => format!("{:?}", cut.phase),
    };
    match report.cut.as_slice() {
        [] => "ended; nothing was cut".to_owned(),
        all => {
            let all: Vec<String> = all.iter().map(cut).collect();
            format!("ended; cut {}: {}", all.len(), all.join(", "))
        }
    }
}
