//! The servers, each written as its users would: `GET /` the 13 bytes `Hello, World!`, `GET /json` an object that is made
//! for each request, `POST /echo` the body back after all of it has come. All answer with the same fields: the type, the length
//! and the date; may_minihttp and nginx give their names too.

mod actix;
mod axum;
mod blitz;
mod floor;
mod hyper;
mod may;
mod ntex;
mod ring;
mod xitca;

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;

pub const HELLO: &str = "Hello, World!";

/// What `/json` makes and writes out, each time.
#[derive(serde::Serialize)]
pub struct Message {
    message: &'static str,
}

pub const MESSAGE: Message = Message { message: HELLO };

/// The object's bytes, made anew.
pub fn json() -> Vec<u8> {
    serde_json::to_vec(&MESSAGE).expect("plain text")
}

/// Serves for ever.
pub fn serve(name: &str, workers: usize, addr: SocketAddr) {
    match name {
        "blitz" => blitz::serve(blitz::Flavor::Multi, workers, addr),
        "blitz-ct" => blitz::serve(blitz::Flavor::Current, workers, addr),
        "blitz-tpc" => blitz::serve(blitz::Flavor::PerCore, workers, addr),
        "blitz-leased" => blitz::serve_leased(workers, addr),
        "hyper" => hyper::serve(workers, addr),
        "axum" => axum::serve(workers, addr),
        "actix-web" => actix::serve(workers, addr),
        "ntex" => ntex::serve(workers, addr),
        "xitca-web" => xitca::serve(workers, addr),
        "may_minihttp" => may::serve(workers, addr),
        "raw-epoll" => floor::serve(workers, addr),
        "raw-ring" => ring::serve(workers, addr),
        other => panic!("no server {other}"),
    }
}

/// A listener with a long queue, for those that take one from outside.
pub fn listen(addr: SocketAddr) -> TcpListener {
    let listener = TcpListener::bind(addr).expect("the address is free");
    // std's queue is short for thousands of connections at once; listening again only lengthens it.
    // SAFETY: a plain system call on a listening socket.
    unsafe { libc::listen(listener.as_raw_fd(), 4096) };
    listener
}

/// For a connection that the kernel has accepted by itself.
pub fn set_nodelay(fd: i32) {
    let on: libc::c_int = 1;
    // SAFETY: the option's value lives through the call.
    unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            (&raw const on).cast(),
            size_of_val(&on) as u32,
        )
    };
}

/// tokio as its users run it: on one core the single-threaded scheduler, which is the faster one there.
pub fn tokio(workers: usize) -> tokio::runtime::Runtime {
    let mut builder = if workers == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(workers);
        builder
    };
    builder.enable_all().build().expect("a runtime")
}

/// [`listen`], for tokio.
pub fn tokio_listener(addr: SocketAddr) -> tokio::net::TcpListener {
    let listener = listen(addr);
    listener.set_nonblocking(true).expect("nonblocking");
    tokio::net::TcpListener::from_std(listener).expect("a listener")
}
