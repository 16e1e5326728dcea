//! What may go to other threads, and the traits that tokio's types have.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd};

use blitz_io::io::unix::{AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, TryIoError};
use blitz_io::io::{AsyncRead, AsyncWrite, Interest, Ready};
use blitz_io::net::tcp::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
use blitz_io::net::{BufferPool, BufferView, Incoming, Lease, TcpListener, TcpSocket, TcpStream};
use blitz_io::net::{UdpSocket, UnixDatagram, UnixListener, UnixSocket, UnixStream, udp, unix};
use blitz_io::process;
use blitz_io::signal::unix::{Signal, SignalKind};

const fn shared<T: Send + Sync + Unpin>() {}
const fn described<T: std::fmt::Debug>() {}
const fn sent<T: Send>(_: &T) {}

const _: () = {
    shared::<TcpListener>();
    shared::<TcpStream>();
    shared::<TcpSocket>();
    shared::<Incoming<'static>>();
    shared::<ReadHalf<'static>>();
    shared::<WriteHalf<'static>>();
    shared::<OwnedReadHalf>();
    shared::<OwnedWriteHalf>();
    shared::<ReuniteError>();
    shared::<process::Child>();
    shared::<process::ChildStdin>();
    shared::<process::ChildStdout>();
    shared::<process::Command>();
    shared::<blitz_io::io::Stdin>();
    shared::<blitz_io::io::Stdout>();
    shared::<blitz_io::io::Stderr>();
    reads::<blitz_io::io::Stdin>();
    writes::<blitz_io::io::Stderr>();
    has_descriptor::<blitz_io::io::Stdout>();
    has_descriptor::<process::ChildStdin>();
    shared::<UdpSocket>();
    shared::<udp::Datagram<'static>>();
    shared::<udp::Received>();
    shared::<udp::Ecn>();
    described::<UdpSocket>();
    shared::<UnixDatagram>();
    described::<UnixDatagram>();
    shared::<unix::pipe::Sender>();
    shared::<unix::pipe::Receiver>();
    shared::<unix::pipe::OpenOptions>();
    shared::<UnixListener>();
    shared::<UnixStream>();
    shared::<UnixSocket>();
    shared::<unix::SocketAddr>();
    shared::<unix::UCred>();
    shared::<unix::OwnedReadHalf>();
    shared::<unix::OwnedWriteHalf>();
    described::<UnixListener>();
    described::<UnixStream>();
    described::<UnixSocket>();
    described::<unix::SocketAddr>();
    shared::<BufferView>();
    shared::<BufferPool>();
    shared::<Lease>();
    shared::<Interest>();
    shared::<Ready>();
    shared::<AsyncFd<std::fs::File>>();
    shared::<AsyncFdReadyGuard<'static, std::fs::File>>();
    shared::<AsyncFdReadyMutGuard<'static, std::fs::File>>();
    shared::<TryIoError>();
    shared::<Signal>();
    shared::<SignalKind>();
    described::<TcpListener>();
    described::<TcpStream>();
    described::<TcpSocket>();
    described::<OwnedReadHalf>();
    described::<OwnedWriteHalf>();
    described::<Signal>();
};

const fn reads<T: AsyncRead>() {}
const fn writes<T: AsyncWrite>() {}
const fn has_descriptor<T: AsFd + AsRawFd>() {}
const fn hands_over<T: FromRawFd + IntoRawFd>() {}
const fn names_stream<T: AsRef<TcpStream>>() {}

const _: () = {
    reads::<TcpStream>();
    writes::<TcpStream>();
    reads::<OwnedReadHalf>();
    writes::<OwnedWriteHalf>();
    reads::<ReadHalf<'static>>();
    writes::<WriteHalf<'static>>();
    has_descriptor::<TcpStream>();
    has_descriptor::<TcpListener>();
    has_descriptor::<TcpSocket>();
    has_descriptor::<UdpSocket>();
    has_descriptor::<UnixDatagram>();
    has_descriptor::<unix::pipe::Sender>();
    has_descriptor::<unix::pipe::Receiver>();
    writes::<unix::pipe::Sender>();
    reads::<unix::pipe::Receiver>();
    has_descriptor::<UnixStream>();
    has_descriptor::<UnixListener>();
    has_descriptor::<UnixSocket>();
    hands_over::<UnixSocket>();
    reads::<UnixStream>();
    writes::<UnixStream>();
    reads::<unix::ReadHalf<'static>>();
    writes::<unix::OwnedWriteHalf>();
    has_descriptor::<AsyncFd<std::fs::File>>();
    hands_over::<TcpSocket>();
    names_stream::<TcpStream>();
    names_stream::<ReadHalf<'static>>();
    names_stream::<WriteHalf<'static>>();
    names_stream::<OwnedReadHalf>();
    names_stream::<OwnedWriteHalf>();
};

#[test]
fn futures_go_to_other_threads() {
    let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    sent(&TcpListener::bind(addr));
    sent(&TcpListener::bind("localhost:1"));
    sent(&TcpStream::connect(("localhost", 1)));
    sent(&TcpSocket::new_v4().unwrap().connect(addr));
    sent(&UnixStream::connect("/no/such/socket"));
    sent(&UnixSocket::new_stream().unwrap().connect("/no/such/socket"));
    sent(&blitz_io::signal::ctrl_c());
    sent(&blitz_io::net::lookup_host("localhost:1"));
    // The stream's own, from what makes one.
    let uses = async |stream: TcpStream, listener: TcpListener, file: std::fs::File| {
        sent(&stream.readable());
        sent(&stream.ready(Interest::WRITABLE));
        sent(&stream.read_owned(Vec::new()));
        sent(&stream.write_all_owned(Vec::new()));
        sent(&stream.send_zc(Vec::new()));
        sent(&stream.send_zc_vectored(vec![Vec::new()]));
        sent(&stream.recv_lease());
        sent(&stream.send_file(&file, 0, 1));
        sent(&stream.receive_file(&file, 0, 1));
        sent(&blitz_io::net::splice(&stream, &stream, 1));
        sent(&listener.accept());
        sent(&listener.incoming().accept());
    };
    let _ = uses;
    let uses = async |mut child: process::Child| {
        sent(&process::Command::new("true").output());
        sent(&child.kill());
        sent(&child.wait());
        sent(&child.wait_with_output());
    };
    let _ = uses;
    let uses = async |socket: UdpSocket| {
        let (mut byte, mut received) = ([0; 1], Vec::new());
        sent(&socket.send_to(b"", "localhost:1"));
        sent(&socket.connect("localhost:1"));
        sent(&socket.recv_buf_from(&mut Vec::new()));
        sent(&socket.recv_message(&mut byte));
        sent(&socket.send_message(&udp::Datagram::to_peer(b"")));
        sent(&socket.recv_many(&mut [], &mut received));
        sent(&socket.send_many(&[]));
    };
    let _ = uses;
    let uses = async |socket: UnixDatagram, sender: unix::pipe::Sender| {
        sent(&socket.send_to(b"", "/no/such/socket"));
        sent(&socket.recv_from(&mut [0; 1]));
        sent(&sender.writable());
    };
    let _ = uses;
    let uses = async |stream: UnixStream, listener: UnixListener| {
        sent(&stream.readable());
        sent(&stream.ready(Interest::WRITABLE));
        sent(&stream.read_owned(Vec::new()));
        sent(&stream.recv_lease());
        sent(&listener.accept());
    };
    let _ = uses;
}
