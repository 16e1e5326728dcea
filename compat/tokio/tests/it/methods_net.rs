//! Methods, constants and variants of `tokio::net`.

#[test]
#[expect(deprecated, reason = "they are there all the same")]
fn they_are_there() {
    methods! {
        tokio::net::TcpListener: accept poll_accept from_std into_std local_addr ttl set_ttl;
        tokio::net::TcpSocket: new_v4 new_v6 set_keepalive keepalive set_reuseaddr reuseaddr set_reuseport reuseport
            set_send_buffer_size send_buffer_size set_recv_buffer_size recv_buffer_size set_linger set_zero_linger
            linger set_nodelay nodelay tclass_v6 set_tclass_v6 tos_v4 tos set_tos_v4 set_tos device bind_device
            local_addr take_error bind connect listen from_std_stream;
        tokio::net::TcpStream: from_std into_std local_addr take_error peer_addr poll_peek ready readable
            poll_read_ready try_read try_read_vectored writable poll_write_ready try_write try_write_vectored peek
            nodelay set_nodelay quickack set_quickack linger set_linger set_zero_linger ttl set_ttl split into_split;
        tokio::net::UdpSocket: from_std into_std local_addr peer_addr ready writable poll_send_ready send poll_send
            try_send readable poll_recv_ready recv poll_recv try_recv poll_send_to try_send_to recv_from
            poll_recv_from try_recv_from peek poll_peek try_peek peek_from poll_peek_from try_peek_from peek_sender
            poll_peek_sender try_peek_sender broadcast set_broadcast multicast_loop_v4 set_multicast_loop_v4
            multicast_ttl_v4 set_multicast_ttl_v4 multicast_loop_v6 set_multicast_loop_v6 tclass_v6 set_tclass_v6 ttl
            set_ttl tos_v4 tos set_tos_v4 set_tos device bind_device join_multicast_v4 join_multicast_v6
            leave_multicast_v4 leave_multicast_v6 take_error;
        tokio::net::UnixDatagram: ready writable poll_send_ready readable poll_recv_ready pair from_std into_std
            unbound send try_send recv try_recv recv_from poll_recv_from poll_send poll_recv try_recv_from local_addr
            peer_addr take_error shutdown;
        tokio::net::UnixListener: bind_addr from_std into_std local_addr take_error accept poll_accept;
        tokio::net::UnixSocket: new_datagram new_stream listen datagram;
        tokio::net::UnixStream: connect_addr ready readable poll_read_ready try_read try_read_vectored writable
            poll_write_ready try_write try_write_vectored from_std into_std pair local_addr peer_addr peer_cred
            take_error split into_split;
        tokio::net::tcp::OwnedReadHalf: reunite poll_peek peek ready readable try_read try_read_vectored peer_addr
            local_addr;
        tokio::net::tcp::OwnedWriteHalf: reunite forget ready writable try_write try_write_vectored peer_addr
            local_addr;
        tokio::net::tcp::ReadHalf<'static>: poll_peek peek ready readable try_read try_read_vectored peer_addr
            local_addr;
        tokio::net::tcp::WriteHalf<'static>: ready writable try_write try_write_vectored peer_addr local_addr;
        tokio::net::unix::OwnedReadHalf: reunite ready readable try_read try_read_vectored peer_addr local_addr;
        tokio::net::unix::OwnedWriteHalf: reunite forget ready writable try_write try_write_vectored peer_addr
            local_addr;
        tokio::net::unix::ReadHalf<'static>: ready readable try_read try_read_vectored peer_addr local_addr;
        tokio::net::unix::SocketAddr: is_unnamed as_pathname as_abstract_name;
        tokio::net::unix::UCred: uid gid pid;
        tokio::net::unix::WriteHalf<'static>: ready writable try_write try_write_vectored peer_addr local_addr;
        tokio::net::unix::pipe::OpenOptions: new read_write unchecked;
        tokio::net::unix::pipe::Receiver: from_file from_owned_fd from_file_unchecked from_owned_fd_unchecked ready
            readable poll_read_ready try_read try_read_vectored into_blocking_fd into_nonblocking_fd;
        tokio::net::unix::pipe::Sender: from_file from_owned_fd from_file_unchecked from_owned_fd_unchecked ready
            writable poll_write_ready try_write try_write_vectored into_blocking_fd into_nonblocking_fd;
    }
}
