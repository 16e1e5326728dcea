//! Seeking through buffers: the place a reader or writer sees is what counts, not where the stream below stands.

use std::io::Cursor;

use blitz_io_traits::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufStream, BufWriter,
    ErrorKind, SeekFrom,
};
use proptest::prelude::*;

use crate::script::block_on;

#[derive(Clone, Debug)]
enum Act {
    Read(usize),
    Write(Vec<u8>),
    Start(u64),
    Current(i64),
    End(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (1_usize..20).prop_map(Act::Read),
        prop::collection::vec(any::<u8>(), 1..20).prop_map(Act::Write),
        (0_u64..60).prop_map(Act::Start),
        (-30_i64..30).prop_map(Act::Current),
        (-60_i64..5).prop_map(Act::End),
    ];
    prop::collection::vec(act, 1..30)
}

proptest! {
    /// A buffered file with any mix of calls does what std's cursor does without a buffer.
    #[test]
    fn buffers_are_not_seen(acts in acts(), rooms in (1_usize..16, 0_usize..16)) {
        let mut plain = Cursor::new((0..40).collect::<Vec<u8>>());
        let mut buffered = BufStream::with_capacity(rooms.0, rooms.1, plain.clone());
        // Between reading and writing a file is sought in: what was read ahead stands where the writer is not.
        let mut reading = true;
        for act in acts {
            if matches!(act, Act::Read(_)) != reading && matches!(act, Act::Read(_) | Act::Write(_)) {
                reading = !reading;
                block_on(buffered.seek(SeekFrom::Current(0))).unwrap();
            }
            match act {
                Act::Read(len) => {
                    let (mut one, mut two) = (vec![0; len], vec![0; len]);
                    let expected = std::io::Read::read(&mut plain, &mut one).unwrap();
                    let mut n = 0;
                    while n < expected {
                        n += block_on(buffered.read(&mut two[n..])).unwrap();
                    }
                    prop_assert_eq!(one, two);
                }
                Act::Write(bytes) => {
                    std::io::Write::write_all(&mut plain, &bytes).unwrap();
                    block_on(buffered.write_all(&bytes)).unwrap();
                }
                Act::Start(_) | Act::Current(_) | Act::End(_) => {
                    let to = match act {
                        Act::Start(at) => SeekFrom::Start(at),
                        Act::Current(by) => SeekFrom::Current(by),
                        Act::End(by) => SeekFrom::End(by),
                        _ => unreachable!(),
                    };
                    let expected = std::io::Seek::seek(&mut plain, to);
                    let answer = block_on(buffered.seek(to));
                    match expected {
                        Ok(at) => prop_assert_eq!(answer.unwrap(), at),
                        Err(err) => prop_assert_eq!(answer.unwrap_err().kind(), err.kind()),
                    }
                }
            }
        }
        block_on(buffered.flush()).unwrap();
        prop_assert_eq!(buffered.into_inner().into_inner(), plain.into_inner());
    }
}

#[test]
fn a_seek_that_fails_keeps_the_read_ahead() {
    let mut file = BufReader::with_capacity(4, Cursor::new(b"0123456789"));
    assert_eq!(block_on(file.read_u8()).unwrap(), b'0');
    assert_eq!(file.buffer(), b"123");
    let err = block_on(file.seek(SeekFrom::Current(-5))).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert_eq!(file.buffer(), b"123");
    assert_eq!(block_on(file.stream_position()).unwrap(), 1);
    assert_eq!(block_on(file.fill_buf()).unwrap(), b"1234");
}

#[test]
fn what_was_written_stands_before_a_seek() {
    let mut file = BufWriter::with_capacity(16, Cursor::new(Vec::new()));
    block_on(async {
        file.write_all(b"abcdef").await?;
        assert_eq!(file.stream_position().await?, 6);
        file.seek(SeekFrom::Start(2)).await?;
        file.write_all(b"XY").await?;
        file.flush().await
    })
    .unwrap();
    assert_eq!(file.get_ref().get_ref(), b"abXYef");
}

#[test]
fn stepping_back_by_more_than_fits_takes_two_seeks() {
    let mut file = BufReader::with_capacity(4, Cursor::new(vec![0; 64]));
    block_on(file.read_u8()).unwrap();
    // Three bytes were read ahead, so this one does not fit an `i64` below; it fails there, not here.
    let err = block_on(file.seek(SeekFrom::Current(i64::MIN))).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert_eq!(block_on(file.stream_position()).unwrap(), 1);
}
