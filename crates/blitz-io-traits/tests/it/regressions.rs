//! One test for each fault known from other libraries, by the name of what must not happen.

use std::io::{Cursor, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use blitz_io_traits::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
    BufWriter, ErrorKind, ReadBuf, Result, copy, copy_buf, duplex, empty, repeat, split,
};

use crate::script::{Plan, Source, Step, block_on, poll_once};

fn poll_read<R: AsyncRead + Unpin>(reader: &mut R, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
    Pin::new(reader).poll_read(&mut Context::from_waker(Waker::noop()), buf)
}

#[test]
fn take_does_not_overflow_behind_what_is_filled() {
    let mut take = repeat(7).take(u64::MAX);
    let mut memory = [0; 8];
    let mut buf = ReadBuf::new(&mut memory);
    buf.put_slice(b"ab");
    assert!(poll_read(&mut take, &mut buf).is_ready());
    assert_eq!(buf.filled(), [b'a', b'b', 7, 7, 7, 7, 7, 7]);
    assert_eq!(take.limit(), u64::MAX - 6);
}

#[test]
fn take_does_not_call_initialised_what_is_not() {
    /// Initialises all it gets, and fills one byte.
    struct Eager;
    impl AsyncRead for Eager {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<Result<()>> {
            buf.initialize_unfilled();
            buf.advance(1);
            Poll::Ready(Ok(()))
        }
    }
    let mut memory = [MaybeUninit::uninit(); 16];
    let mut buf = ReadBuf::uninit(&mut memory);
    buf.put_slice(b"ab");
    let mut take = Eager.take(3);
    assert!(poll_read(&mut take, &mut buf).is_ready());
    assert_eq!(take.limit(), 2, "what was only initialised does not count");
    assert_eq!(buf.filled(), b"ab\0");
    // Three bytes behind the two were initialised, and none of the eleven behind the limit.
    assert_eq!(buf.initialized().len(), 5);
}

#[test]
fn take_at_its_limit_does_not_wait_for_bytes_that_are_not_its_own() {
    let (mut here, there) = duplex(8);
    block_on(here.write_all(b"ab")).unwrap();
    let mut take = BufReader::new(there).take(2);
    let mut all = Vec::new();
    // `here` lives, so one more read from below would wait for ever.
    block_on(take.read_to_end(&mut all)).unwrap();
    assert_eq!(all, b"ab");
    assert_eq!(block_on(take.fill_buf()).unwrap(), b"");
}

/// Puts a buffer of its own in the place of the one it was given, in safe code.
struct Exchanger;

impl AsyncRead for Exchanger {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let mut other = ReadBuf::new(vec![7; 64].leak());
        other.set_filled(64);
        *buf = other;
        Poll::Ready(Ok(()))
    }
}

#[test]
#[should_panic(expected = "exchanged the buffer")]
fn an_exchanged_buffer_is_not_taken_for_ours_by_read_buf() {
    let _ = block_on(Exchanger.read_buf(&mut Vec::with_capacity(64)));
}

#[test]
#[should_panic(expected = "exchanged the buffer")]
fn an_exchanged_buffer_is_not_taken_for_ours_by_read_to_end() {
    let _ = block_on(Exchanger.read_to_end(&mut Vec::with_capacity(64)));
}

#[test]
#[should_panic(expected = "exchanged the buffer")]
fn an_exchanged_buffer_is_not_taken_for_ours_by_take() {
    let _ = block_on(Exchanger.take(3).read(&mut [0; 64]));
}

#[test]
fn a_read_without_room_is_no_end_in_a_chain() {
    let mut chain = (&b"one"[..]).chain(&b"two"[..]);
    assert_eq!(block_on(chain.read(&mut [])).unwrap(), 0);
    let mut all = String::new();
    block_on(chain.read_to_string(&mut all)).unwrap();
    assert_eq!(all, "onetwo");
}

#[test]
#[should_panic(expected = "halves of two streams")]
fn halves_of_two_streams_are_not_put_together() {
    let (reading, _writing) = split(Cursor::new(Vec::new()));
    let (_reading, writing) = split(Cursor::new(Vec::new()));
    assert!(!reading.is_pair_of(&writing));
    reading.unsplit(writing);
}

#[test]
fn a_buffered_writer_keeps_what_a_failing_sink_did_not_take() {
    /// Takes three bytes, fails twice, and then takes all.
    struct Flaky(Vec<u8>, usize);
    impl AsyncWrite for Flaky {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<Result<usize>> {
            self.1 += 1;
            let n = match self.1 {
                1 => 3,
                2 | 3 => return Poll::Ready(Err(ErrorKind::StorageFull.into())),
                _ => buf.len(),
            };
            self.0.extend_from_slice(&buf[..n]);
            Poll::Ready(Ok(n))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    let mut sink = BufWriter::with_capacity(16, Flaky(Vec::new(), 0));
    block_on(sink.write_all(b"0123456789")).unwrap();
    assert_eq!(
        block_on(sink.flush()).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(sink.buffer(), b"3456789");
    // Eight more do not fit: the write fails as a whole, and takes nothing.
    let refused = block_on(sink.write(b"abcdefgh")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert_eq!(sink.buffer(), b"3456789");
    block_on(sink.write_all(b"abcdefgh")).unwrap();
    block_on(sink.flush()).unwrap();
    assert_eq!(sink.get_ref().0, b"0123456789abcdefgh");
}

#[test]
fn a_copy_flushes_while_its_source_is_silent() {
    let (mut sender, mut source) = duplex(64);
    let mut sink = BufWriter::new(Vec::new());
    block_on(sender.write_all(b"hello")).unwrap();
    {
        let mut copying = pin!(copy(&mut source, &mut sink));
        assert!(poll_once(copying.as_mut()).is_pending());
    }
    assert_eq!(sink.get_ref(), b"hello");

    block_on(sender.write_all(b" again")).unwrap();
    let mut source = BufReader::new(source);
    {
        let mut copying = pin!(copy_buf(&mut source, &mut sink));
        assert!(poll_once(copying.as_mut()).is_pending());
    }
    assert_eq!(sink.get_ref(), b"hello again");
}

#[test]
fn a_copy_reads_on_while_its_sink_is_busy() {
    let mut source = Source::new(vec![1; 100], Plan::new(vec![Step::Move(10)]));
    // A pipe that is full takes nothing before someone reads.
    let (mut sink, _reader) = duplex(1);
    block_on(sink.write_all(b"x")).unwrap();
    {
        let mut copying = pin!(copy(&mut source, &mut sink));
        assert!(poll_once(copying.as_mut()).is_pending());
    }
    assert!(
        source.data.is_empty(),
        "{} bytes were left",
        source.data.len()
    );
}

#[test]
fn a_dropped_read_line_gives_the_string_back() {
    let (mut sender, source) = duplex(64);
    let mut source = BufReader::new(source);
    let mut line = String::from("before ");
    block_on(sender.write_all("half a l€".as_bytes().split_last().unwrap().1)).unwrap();
    {
        let mut reading = pin!(source.read_line(&mut line));
        assert!(poll_once(reading.as_mut()).is_pending());
    }
    assert_eq!(line, "before half a l");
}

#[test]
fn a_line_that_is_no_text_is_reported_once() {
    let mut lines = (&b"ok\n\xff\n"[..]).lines();
    assert_eq!(block_on(lines.next_line()).unwrap().as_deref(), Some("ok"));
    assert_eq!(
        block_on(lines.next_line()).unwrap_err().kind(),
        ErrorKind::InvalidData
    );
    assert_eq!(block_on(lines.next_line()).unwrap(), None);
}

#[test]
fn a_line_goes_on_after_an_error_of_the_source() {
    /// Gives out half a line, an error, and the rest.
    struct Broken(Vec<&'static [u8]>);
    impl AsyncRead for Broken {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<Result<()>> {
            match self.0.pop() {
                Some(b"!") => return Poll::Ready(Err(ErrorKind::TimedOut.into())),
                Some(part) => buf.put_slice(part),
                None => {}
            }
            Poll::Ready(Ok(()))
        }
    }
    let mut lines = BufReader::new(Broken(vec![b" line\n", b"!", b"one"])).lines();
    assert_eq!(
        block_on(lines.next_line()).unwrap_err().kind(),
        ErrorKind::TimedOut
    );
    assert_eq!(
        block_on(lines.next_line()).unwrap().as_deref(),
        Some("one line")
    );
}

#[test]
fn a_cursor_behind_its_end_reads_nothing() {
    let mut cursor = Cursor::new(b"abc");
    cursor.set_position(u64::MAX);
    assert_eq!(block_on(cursor.read(&mut [0; 8])).unwrap(), 0);
    assert_eq!(cursor.position(), u64::MAX);
    assert_eq!(block_on(cursor.fill_buf()).unwrap(), b"");
}

#[test]
fn read_to_end_does_not_double_a_vector_of_the_right_size() {
    let mut exact = Vec::with_capacity(1000);
    block_on(repeat(1).take(1000).read_to_end(&mut exact)).unwrap();
    assert_eq!((exact.len(), exact.capacity()), (1000, 1000));
}

#[test]
fn read_to_end_does_not_zero_the_same_room_again() {
    /// Asks for initialised room as the futures adapter does, and counts what was not yet.
    struct Zeroing {
        zeroed: usize,
        left: usize,
    }
    impl AsyncRead for Zeroing {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<Result<()>> {
            self.zeroed += buf.capacity() - buf.initialized().len();
            buf.initialize_unfilled();
            if self.left > 0 {
                self.left -= 1;
                buf.advance(1);
            }
            Poll::Ready(Ok(()))
        }
    }
    let mut source = Zeroing {
        zeroed: 0,
        left: 10_000,
    };
    block_on(source.read_to_end(&mut Vec::new())).unwrap();
    assert!(
        source.zeroed < 100_000,
        "zeroed {} bytes for 10,000",
        source.zeroed
    );
}

#[test]
fn a_sink_that_takes_nothing_is_an_error_and_no_endless_loop() {
    let full = || Cursor::new(&mut [][..]);
    let zero = |err: blitz_io_traits::Error| assert_eq!(err.kind(), ErrorKind::WriteZero);
    zero(block_on(full().write_all(b"x")).unwrap_err());
    zero(block_on(full().write_all_buf(&mut &b"x"[..])).unwrap_err());
    zero(block_on(full().write_u64(1)).unwrap_err());
    zero(block_on(copy(&mut &b"x"[..], &mut full())).unwrap_err());
    zero(block_on(copy_buf(&mut &b"x"[..], &mut full())).unwrap_err());
    let mut buffered = BufWriter::new(full());
    block_on(buffered.write_all(b"x")).unwrap();
    zero(block_on(buffered.flush()).unwrap_err());
    assert_eq!(buffered.buffer(), b"x");
}

#[test]
fn nothing_can_be_read_from_and_everything_written_to_nothing() {
    assert_eq!(block_on(empty().read(&mut [0; 8])).unwrap(), 0);
    assert_eq!(
        block_on(empty().write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"c")])).unwrap(),
        3
    );
    Pin::new(&mut empty()).consume(10);
}

#[test]
#[should_panic(expected = "capacity must be greater than zero")]
fn a_reader_without_room_is_refused() {
    BufReader::with_capacity(0, empty());
}

#[test]
fn a_fill_that_alternates_with_pending_is_waited_for() {
    /// `Pending` each second time, also right after it was ready.
    struct Alternating(bool);
    impl AsyncRead for Alternating {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    impl AsyncBufRead for Alternating {
        fn poll_fill_buf(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<&[u8]>> {
            self.0 = !self.0;
            if self.0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(b"here"))
        }
        fn consume(self: Pin<&mut Self>, _: usize) {}
    }
    assert_eq!(block_on(Alternating(false).fill_buf()).unwrap(), b"here");
}
