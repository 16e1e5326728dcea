//! Methods, constants and variants of `tokio::io`.

type Cursor = std::io::Cursor<Vec<u8>>;

#[test]
fn they_are_there() {
    methods! {
        tokio::io::BufReader<Cursor>: new with_capacity get_ref get_mut get_pin_mut into_inner buffer;
        tokio::io::BufStream<Cursor>: new with_capacity get_ref get_mut get_pin_mut into_inner;
        tokio::io::BufWriter<Cursor>: new with_capacity get_ref get_mut get_pin_mut into_inner buffer;
        tokio::io::Chain<Cursor, Cursor>: get_ref get_mut get_pin_mut into_inner;
        tokio::io::Interest: READABLE WRITABLE ERROR PRIORITY is_readable is_writable is_error is_priority add remove;
        tokio::io::Join<Cursor, Cursor>: into_inner reader writer reader_mut writer_mut reader_pin_mut writer_pin_mut;
        tokio::io::Lines<Cursor>: next_line get_mut get_ref into_inner poll_next_line;
        tokio::io::ReadBuf<'static>: new uninit capacity filled filled_mut take initialized initialized_mut inner_mut
            unfilled_mut initialize_unfilled initialize_unfilled_to remaining clear advance set_filled assume_init
            put_slice;
        tokio::io::ReadHalf<Cursor>: is_pair_of unsplit;
        tokio::io::Ready: EMPTY READABLE WRITABLE READ_CLOSED WRITE_CLOSED PRIORITY ERROR ALL is_empty is_readable
            is_writable is_read_closed is_write_closed is_priority is_error;
        tokio::io::SimplexStream: new_unsplit;
        tokio::io::Split<Cursor>: next_segment poll_next_segment;
        tokio::io::Take<Cursor>: limit set_limit get_ref get_mut get_pin_mut into_inner;
        tokio::io::WriteHalf<Cursor>: is_pair_of;
        tokio::io::unix::AsyncFd<std::net::TcpStream>: register register_with_interest get_ref get_mut into_inner
            poll_read_ready poll_read_ready_mut poll_write_ready poll_write_ready_mut ready ready_mut readable
            readable_mut writable writable_mut new with_interest try_new try_with_interest;
        tokio::io::unix::AsyncFdReadyGuard<'static, std::net::TcpStream>: clear_ready clear_ready_matching
            retain_ready ready get_ref get_inner;
        tokio::io::unix::AsyncFdReadyMutGuard<'static, std::net::TcpStream>: clear_ready clear_ready_matching
            retain_ready ready get_ref get_mut get_inner get_inner_mut;
        tokio::io::unix::AsyncFdRegisterError<std::net::TcpStream>: into_parts;
    }
    trait_methods! {
        tokio::io::AsyncBufRead: poll_fill_buf consume;
        tokio::io::AsyncBufReadExt: read_until read_line split fill_buf consume lines;
        tokio::io::AsyncRead: poll_read;
        tokio::io::AsyncReadExt: read read_exact read_u8 read_i8 read_u16 read_i16 read_u32 read_i32 read_u64 read_i64
            read_u128 read_i128 read_f32 read_f64 read_u16_le read_i16_le read_u32_le read_i32_le read_u64_le
            read_i64_le read_u128_le read_i128_le read_f32_le read_f64_le read_to_end read_to_string take;
        tokio::io::AsyncSeek: start_seek poll_complete;
        tokio::io::AsyncSeekExt: seek rewind stream_position;
        tokio::io::AsyncWrite: poll_write poll_flush poll_shutdown poll_write_vectored is_write_vectored;
        tokio::io::AsyncWriteExt: write write_vectored write_all write_u8 write_i8 write_u16 write_i16 write_u32
            write_i32 write_u64 write_i64 write_u128 write_i128 write_f32 write_f64 write_u16_le write_i16_le
            write_u32_le write_i32_le write_u64_le write_i64_le write_u128_le write_i128_le write_f32_le write_f64_le
            flush shutdown;
    }
}
