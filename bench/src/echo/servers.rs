//! The echo servers, each written as its runtime's users would. One worker: they have one core.

use std::net::SocketAddr;

use super::floor;

/// The read buffer for messages of `size`: roomier than one message, as real servers' are.
fn buffer(size: usize) -> usize {
    (2 * size).max(1024)
}

const ANY: &str = "127.0.0.1:0";

/// Accept, then a task for each connection that reads and writes all.
macro_rules! tokio_shaped {
    ($rt:ident, $size:expr, $ready:expr) => {{
        use crate::rt::$rt::{AsyncReadExt, AsyncWriteExt, TcpListener, detach, run_on};
        let (size, ready) = ($size, $ready);
        run_on(1, async move {
            let listener = TcpListener::bind(ANY).await.expect("bind");
            ready(listener.local_addr().expect("bound"));
            loop {
                let (mut socket, _) = listener.accept().await.expect("accept");
                socket.set_nodelay(true).expect("nodelay");
                detach(async move {
                    let mut buffer = vec![0; buffer(size)];
                    while let Ok(n @ 1..) = socket.read(&mut buffer).await {
                        if socket.write_all(&buffer[..n]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        })
    }};
}

/// Runs the server named `runtime` for ever; calls `ready` with its address.
pub fn serve(runtime: &str, size: usize, ready: impl FnOnce(SocketAddr) + Send + 'static) {
    match runtime {
        "tokio-mt" => tokio_shaped!(tokio_mt, size, ready),
        "tokio-ct" => tokio_shaped!(tokio_ct, size, ready),
        "blitz-mt" => tokio_shaped!(blitz_mt, size, ready),
        "blitz-ct" => tokio_shaped!(blitz_ct, size, ready),
        "blitz-leased" => blitz_leased(ready),
        "monoio" => monoio(size, ready),
        "glommio" => glommio(size, ready),
        "compio" => compio(size, ready),
        "smol" => smol(size, ready),
        "raw-epoll" => floor::epoll(size, ready),
        "raw-ring" => floor::ring(size, ready),
        "tokio-mt:file" => file_by_copy_tokio(ready),
        "blitz-mt:file" => file_by_copy_blitz(ready),
        "blitz-sendfile:file" => file_by_sendfile(ready),
        "blitz-mapped:file" => file_by_map(ready, false),
        "blitz-mapped-zc:file" => file_by_map(ready, true),
        other => panic!("no server {other}"),
    }
}

fn blitz_leased(ready: impl FnOnce(SocketAddr) + Send + 'static) {
    crate::rt::blitz_mt::run_on(1, async move {
        let listener = blitz_io::net::TcpListener::bind(ANY).await.expect("bind");
        ready(listener.local_addr().expect("bound"));
        loop {
            let (socket, _) = listener.accept().await.expect("accept");
            socket.set_nodelay(true).expect("nodelay");
            blitz_io::spawn(async move {
                while let Ok(view) = socket.recv_lease().await {
                    if view.is_empty() || socket.write_all_owned(view).await.0.is_err() {
                        return;
                    }
                }
            });
        }
    })
}

fn monoio(size: usize, ready: impl FnOnce(SocketAddr) + 'static) {
    use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
    crate::rt::monoio::run(async move {
        let listener = monoio::net::TcpListener::bind(ANY).expect("bind");
        ready(listener.local_addr().expect("bound"));
        loop {
            let (mut socket, _) = listener.accept().await.expect("accept");
            socket.set_nodelay(true).expect("nodelay");
            crate::rt::monoio::detach(async move {
                let mut memory: Vec<u8> = Vec::with_capacity(buffer(size));
                loop {
                    let (result, read) = socket.read(memory).await;
                    if !matches!(result, Ok(1..)) {
                        return;
                    }
                    let (result, written) = socket.write_all(read).await;
                    if result.is_err() {
                        return;
                    }
                    memory = written;
                    memory.clear();
                }
            });
        }
    })
}

fn glommio(size: usize, ready: impl FnOnce(SocketAddr) + 'static) {
    use futures::{AsyncReadExt, AsyncWriteExt};
    crate::rt::glommio::run(async move {
        let listener = glommio::net::TcpListener::bind(ANY).expect("bind");
        ready(listener.local_addr().expect("bound"));
        loop {
            let mut socket = listener.accept().await.expect("accept");
            socket.set_nodelay(true).expect("nodelay");
            crate::rt::glommio::detach(async move {
                let mut memory = vec![0; buffer(size)];
                while let Ok(n @ 1..) = socket.read(&mut memory).await {
                    if socket.write_all(&memory[..n]).await.is_err() {
                        return;
                    }
                }
            });
        }
    })
}

fn compio(size: usize, ready: impl FnOnce(SocketAddr) + 'static) {
    use compio::buf::BufResult;
    use compio::io::{AsyncRead, AsyncWriteExt};
    crate::rt::compio::run(async move {
        let listener = compio::net::TcpListener::bind(ANY).await.expect("bind");
        ready(listener.local_addr().expect("bound"));
        loop {
            let (mut socket, _) = listener.accept().await.expect("accept");
            crate::rt::compio::detach(async move {
                let mut memory: Vec<u8> = Vec::with_capacity(buffer(size));
                loop {
                    let BufResult(result, read) = socket.read(memory).await;
                    if !matches!(result, Ok(1..)) {
                        return;
                    }
                    let BufResult(result, written) = socket.write_all(read).await;
                    if result.is_err() {
                        return;
                    }
                    memory = written;
                    memory.clear();
                }
            });
        }
    })
}

fn smol(size: usize, ready: impl FnOnce(SocketAddr) + 'static) {
    use smol::io::{AsyncReadExt, AsyncWriteExt};
    crate::rt::smol::run(async move {
        let listener = smol::net::TcpListener::bind(ANY).await.expect("bind");
        ready(listener.local_addr().expect("bound"));
        loop {
            let (mut socket, _) = listener.accept().await.expect("accept");
            socket.set_nodelay(true).expect("nodelay");
            crate::rt::smol::detach(async move {
                let mut memory = vec![0; buffer(size)];
                while let Ok(n @ 1..) = socket.read(&mut memory).await {
                    if socket.write_all(&memory[..n]).await.is_err() {
                        return;
                    }
                }
            });
        }
    })
}

/// A file that is served again and again, 16 MiB long.
fn served_file() -> std::path::PathBuf {
    let path = std::env::temp_dir().join("blitz-bench-served");
    if std::fs::metadata(&path).map_or(0, |m| m.len()) != FILE {
        std::fs::write(&path, vec![7; FILE as usize]).expect("room for the served file");
    }
    path
}

const FILE: u64 = 16 << 20;

/// By read and write with a 64 KiB buffer: what `tokio::io::copy` users with a tuned buffer do.
macro_rules! file_by_copy {
    ($name:ident, $rt:ident) => {
        fn $name(ready: impl FnOnce(SocketAddr) + Send + 'static) {
            use crate::rt::$rt::{AsyncReadExt, AsyncWriteExt, TcpListener, root, run_on};
            run_on(1, async move {
                let listener = TcpListener::bind(ANY).await.expect("bind");
                ready(listener.local_addr().expect("bound"));
                let (mut socket, _) = listener.accept().await.expect("accept");
                let mut memory = vec![0; 64 << 10];
                loop {
                    let mut file = root::fs::File::open(served_file()).await.expect("open");
                    while let Ok(n @ 1..) = file.read(&mut memory).await {
                        if socket.write_all(&memory[..n]).await.is_err() {
                            return;
                        }
                    }
                }
            })
        }
    };
}
file_by_copy!(file_by_copy_tokio, tokio_mt);
file_by_copy!(file_by_copy_blitz, blitz_mt);

fn file_by_sendfile(ready: impl FnOnce(SocketAddr) + Send + 'static) {
    crate::rt::blitz_mt::run_on(1, async move {
        let listener = blitz_io::net::TcpListener::bind(ANY).await.expect("bind");
        ready(listener.local_addr().expect("bound"));
        let (socket, _) = listener.accept().await.expect("accept");
        let file = blitz_io::fs::File::open(served_file()).await.expect("open");
        while socket.send_file(&file, 0, FILE).await.is_ok() {}
    })
}

/// A map that is made once and sent from again and again: by a write, or without a copy.
fn file_by_map(ready: impl FnOnce(SocketAddr) + Send + 'static, is_zero_copy: bool) {
    use blitz_io::fs::{File, Mmap};
    use blitz_io::io::IoBuf;
    const PIECE: usize = 256 << 10;
    crate::rt::blitz_mt::run_on(1, async move {
        let listener = blitz_io::net::TcpListener::bind(ANY).await.expect("bind");
        ready(listener.local_addr().expect("bound"));
        let (socket, _) = listener.accept().await.expect("accept");
        let file = File::open(served_file()).await.expect("open");
        // SAFETY: the file is this program's, written before, and not again.
        let map = unsafe { Mmap::map(&file) }.await.expect("map");
        map.load().await.expect("load");
        loop {
            let mut at = 0;
            while at < map.len() {
                let part = map.clone().slice(at..map.len().min(at + PIECE));
                let (sent, _) = if is_zero_copy {
                    socket.send_zc(part).await
                } else {
                    socket.write_owned(part).await
                };
                match sent {
                    Ok(n) => at += n,
                    Err(_the_client_has_seen_enough) => return,
                }
            }
        }
    })
}
