//! The calls against a loopback peer.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::descriptor::{AsFd, AsRawFd};

fn pair() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = stream(Domain::IPV4).unwrap();
    connect(ours.as_fd(), listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    (ours, theirs)
}

#[test]
fn accept_gives_a_non_blocking_descriptor_closed_on_exec() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(
        accept(listener.as_fd()).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (fd, addr) = accept(listener.as_fd()).unwrap();
    assert_eq!(addr, client.local_addr().unwrap());
    assert_eq!(peer_addr(fd.as_fd()).unwrap(), addr);
    assert_eq!(
        read(fd.as_fd(), &mut [0; 1]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    // SAFETY: the call only reads the descriptor's flags.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
}

#[test]
fn peek_leaves_what_read_takes() {
    let (ours, mut theirs) = pair();
    theirs.write_all(b"hello").unwrap();
    let mut buf = [0; 8];
    assert_eq!(peek_bytes(ours.as_fd(), &mut buf).unwrap(), 5);
    assert_eq!(read(ours.as_fd(), &mut buf[..2]).unwrap(), 2);
    let (mut a, mut b) = ([0; 2], [0; 4]);
    let mut bufs = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
    assert_eq!(recv_vectored(ours.as_fd(), &mut bufs).unwrap(), 3);
    assert_eq!((&a, &b[..1]), (b"ll", &b"o"[..]));
}

#[test]
fn vectored_bytes_arrive_in_order_and_a_closed_peer_is_an_error_not_a_signal() {
    let (ours, mut theirs) = pair();
    let bufs = [IoSlice::new(b"ab"), IoSlice::new(b"cde")];
    assert_eq!(send_vectored(ours.as_fd(), &bufs).unwrap(), 5);
    let mut got = [0; 5];
    theirs.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"abcde");
    shutdown(ours.as_fd(), Shutdown::Write).unwrap();
    assert_eq!(
        send(ours.as_fd(), b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    assert_eq!(theirs.read(&mut got).unwrap(), 0);
}

#[cfg(linux)]
#[test]
fn bytes_go_from_file_and_socket_to_socket_without_us() {
    let path = std::env::temp_dir().join(format!("blitz-sendfile-{}", std::process::id()));
    std::fs::write(&path, b"0123456789").unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let (ours, mut theirs) = pair();
    assert!(is_resident(file.as_fd(), 0));
    assert_eq!(send_file(ours.as_fd(), file.as_fd(), 4, 100).unwrap(), 6);
    assert_eq!(send_file(ours.as_fd(), file.as_fd(), 10, 100).unwrap(), 0);
    let mut got = [0; 6];
    theirs.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"456789");

    let pipe = Pipe::new(1 << 16).unwrap();
    assert!(pipe.capacity() >= 4096);
    assert_eq!(
        splice(ours.as_fd(), pipe.write_end().as_fd(), 100)
            .unwrap_err()
            .kind(),
        ErrorKind::WouldBlock
    );
    theirs.write_all(b"spliced").unwrap();
    assert_eq!(
        splice(ours.as_fd(), pipe.write_end().as_fd(), 100).unwrap(),
        7
    );
    assert_eq!(splice(pipe.read_end().as_fd(), ours.as_fd(), 7).unwrap(), 7);
    let mut got = [0; 7];
    theirs.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"spliced");
}
