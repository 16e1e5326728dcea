//! The adapter: there and back again changes no byte, no place and no end.

use std::io::Cursor;

use blitz_io_traits::compat::{
    FuturesAsyncReadCompatExt, FuturesAsyncWriteCompatExt, TokioAsyncReadCompatExt,
    TokioAsyncWriteCompatExt,
};
use blitz_io_traits::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, SeekFrom,
};
use proptest::prelude::*;

use crate::script::{Drain, SlowFile, Source, block_on, bytes, calm_plans, plans};

proptest! {
    #[test]
    fn there_and_back_changes_no_byte(data in bytes(), plan in plans(), other in calm_plans()) {
        let theirs = TokioAsyncReadCompatExt::compat(Source::new(data.clone(), plan));
        let mut ours = FuturesAsyncReadCompatExt::compat(theirs);
        let mut all = Vec::new();
        block_on(ours.read_to_end(&mut all)).unwrap();
        prop_assert_eq!(&all, &data);

        let theirs = TokioAsyncWriteCompatExt::compat_write(Drain::new(other));
        let mut ours = FuturesAsyncWriteCompatExt::compat_write(theirs);
        block_on(async {
            ours.write_all(&data).await?;
            ours.shutdown().await
        }).unwrap();
        let sink = ours.into_inner().into_inner();
        prop_assert_eq!(sink.flushed, data.len());
        prop_assert!(sink.shut_down);
        prop_assert_eq!(sink.data, data);
    }
}

#[test]
fn a_source_of_theirs_has_our_methods() {
    block_on(async {
        let mut ours = futures::io::Cursor::new(b"line one\nrest").compat();
        let mut line = String::new();
        ours.read_line(&mut line).await?;
        assert_eq!(line, "line one\n");
        assert_eq!(ours.stream_position().await?, 9);
        assert_eq!(ours.seek(SeekFrom::End(-2)).await?, 11);
        assert_eq!(ours.read_u16().await?.to_be_bytes(), *b"st");
        assert_eq!(ours.get_ref().position(), 13);
        std::io::Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_source_of_ours_has_their_methods() {
    use futures::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
    block_on(async {
        let mut theirs = TokioAsyncReadCompatExt::compat(BufReader::new(Cursor::new(
            b"line one\nrest".to_vec(),
        )));
        let mut line = String::new();
        theirs.read_line(&mut line).await?;
        assert_eq!(line, "line one\n");
        assert_eq!(theirs.seek(SeekFrom::Current(1)).await?, 10);
        let mut buf = [0; 3];
        theirs.read_exact(&mut buf).await?;
        assert_eq!(&buf, b"est");
        theirs.seek(SeekFrom::Start(0)).await?;
        theirs.write_all(b"LINE").await?;
        theirs.close().await?;
        assert!(
            theirs
                .get_ref()
                .get_ref()
                .get_ref()
                .starts_with(b"LINE one")
        );
        std::io::Result::Ok(())
    })
    .unwrap();
}

#[cfg(unix)]
#[test]
fn the_descriptor_of_what_is_inside_is_told() {
    use std::os::fd::{AsRawFd, RawFd};
    struct Ours(RawFd);
    impl AsRawFd for Ours {
        fn as_raw_fd(&self) -> RawFd {
            self.0
        }
    }
    impl futures::AsyncRead for Ours {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut [u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            std::task::Poll::Ready(Ok(0))
        }
    }
    assert_eq!(Ours(7).compat().as_raw_fd(), 7);
}

#[test]
fn a_seek_that_takes_its_time_is_begun_once() {
    use futures::AsyncSeekExt;
    let mut theirs = TokioAsyncReadCompatExt::compat(SlowFile::new(b"0123456789"));
    assert_eq!(block_on(theirs.seek(SeekFrom::Start(4))).unwrap(), 4);
    assert_eq!(block_on(theirs.seek(SeekFrom::Current(2))).unwrap(), 6);
}

#[test]
#[should_panic(expected = "filled must not become larger than initialized")]
fn a_source_that_claims_more_than_it_had_room_for_is_stopped() {
    struct Liar;
    impl futures::AsyncRead for Liar {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buf: &mut [u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            std::task::Poll::Ready(Ok(buf.len() + 1))
        }
    }
    let _ = block_on(Liar.compat().read(&mut [0; 8]));
}
