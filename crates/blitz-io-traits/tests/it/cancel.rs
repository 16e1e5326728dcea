//! The stress twin: each future is dropped at each of its await points, and what its *Cancel safety* promises has to hold.
//!
//! Each test takes a fresh scene, polls `n` times, drops the future and lets the same operation go on to its end, for every `n` up
//! to the one at which it ends by itself. `by_single_polls` is the hardest schedule: every future gets one poll only.

use std::io::{IoSlice, SeekFrom};

use blitz_io_traits::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufWriter, copy,
    copy_bidirectional_with_sizes, copy_buf, duplex, join,
};

use crate::async_methods::async_methods;
use crate::script::{Drain, Plan, SlowFile, Source, Step, block_on, poll_once, poll_times};

/// More polls than any scene here needs.
const POLLS_MAX: usize = 10_000;

const TEXT: &[u8] = b"one\ntwo and more\n\nfour, which is longer than any buffer here\nlast";

fn bumpy() -> Plan {
    Plan::new(vec![
        Step::Wait,
        Step::Move(3),
        Step::Wait,
        Step::Wait,
        Step::Move(1),
        Step::Move(7),
        Step::Interrupt,
    ])
}

/// A bumpy plan for calls that pass `Interrupted` on.
fn calm() -> Plan {
    Plan::new(vec![
        Step::Wait,
        Step::Move(3),
        Step::Wait,
        Step::Wait,
        Step::Move(1),
        Step::Move(7),
    ])
}

/// Calls `scene` with every number of polls before the drop, until it says that nothing was left to drop.
fn at_every_await_point(scene: impl Fn(usize) -> bool) {
    for polls in 0..POLLS_MAX {
        if scene(polls) {
            assert!(polls > 3, "the scene never waited");
            return;
        }
    }
    panic!("the future never ends");
}

#[test]
fn read_loses_nothing() {
    at_every_await_point(|polls| {
        let mut source = Source::new(TEXT, calm());
        let mut all = Vec::new();
        let mut buf = [0; 5];
        let mut ended = true;
        while !source.data.is_empty() {
            let done = poll_times(source.read(&mut buf), polls);
            ended &= done.is_some();
            let n = match done {
                Some(n) => n.unwrap(),
                None => block_on(source.read(&mut buf)).unwrap(),
            };
            all.extend_from_slice(&buf[..n]);
        }
        assert_eq!(all, TEXT);
        ended && polls > 3
    });
}

#[test]
fn read_to_end_loses_nothing() {
    at_every_await_point(|polls| {
        let mut source = Source::new(TEXT, bumpy());
        let mut all = Vec::new();
        let ended = poll_times(source.read_to_end(&mut all), polls).is_some();
        block_on(source.read_to_end(&mut all)).unwrap();
        assert_eq!(all, TEXT);
        ended
    });
}

#[test]
fn read_to_string_loses_no_whole_character() {
    at_every_await_point(|polls| {
        let mut source = Source::new(TEXT, bumpy());
        let mut all = String::from("kept ");
        let ended = poll_times(source.read_to_string(&mut all), polls).is_some();
        block_on(source.read_to_string(&mut all)).unwrap();
        assert_eq!(all.as_bytes(), [b"kept ", TEXT].concat());
        ended
    });
    at_every_await_point(|polls| {
        let text = "a€b€c€d€e€f";
        let mut source = Source::new(text, bumpy());
        let mut all = String::new();
        let ended = poll_times(source.read_to_string(&mut all), polls).is_some();
        assert!(text.starts_with(&all));
        ended
    });
}

#[test]
fn read_until_and_read_line_lose_nothing() {
    at_every_await_point(|polls| {
        let mut source = BufReader::with_capacity(4, Source::new(TEXT, bumpy()));
        let mut line = Vec::new();
        let ended = poll_times(source.read_until(b'f', &mut line), polls).is_some();
        if !ended {
            block_on(source.read_until(b'f', &mut line)).unwrap();
        }
        assert_eq!(line, b"one\ntwo and more\n\nf");
        ended
    });
    at_every_await_point(|polls| {
        let mut source = BufReader::with_capacity(4, Source::new(&TEXT[4..], bumpy()));
        let mut line = String::from("so: ");
        let ended = poll_times(source.read_line(&mut line), polls).is_some();
        if !ended {
            block_on(source.read_line(&mut line)).unwrap();
        }
        assert_eq!(line, "so: two and more\n");
        ended
    });
}

#[test]
fn lines_and_segments_lose_nothing() {
    let expected: Vec<_> = str::from_utf8(TEXT).unwrap().lines().collect();
    at_every_await_point(|polls| {
        let mut lines = BufReader::with_capacity(4, Source::new(TEXT, bumpy())).lines();
        let mut segments = BufReader::with_capacity(4, Source::new(TEXT, bumpy())).split(b'\n');
        let (mut all, mut ended) = (Vec::new(), true);
        loop {
            let line = match poll_times(lines.next_line(), polls) {
                Some(line) => line,
                None => {
                    ended = false;
                    block_on(lines.next_line())
                }
            };
            let segment = match poll_times(segments.next_segment(), polls) {
                Some(segment) => segment,
                None => block_on(segments.next_segment()),
            };
            let (line, segment) = (line.unwrap(), segment.unwrap());
            assert_eq!(line.as_deref().map(str::as_bytes), segment.as_deref());
            match line {
                Some(line) => all.push(line),
                None => break,
            }
        }
        assert_eq!(all, expected);
        ended
    });
}

#[test]
fn write_all_buf_writes_each_byte_once() {
    at_every_await_point(|polls| {
        let mut sink = Drain::new(bumpy());
        let mut rest = TEXT;
        let ended = poll_times(sink.write_all_buf(&mut rest), polls).is_some();
        block_on(sink.write_all_buf(&mut rest)).unwrap();
        assert_eq!(sink.data, TEXT);
        ended
    });
}

#[test]
fn a_buffered_writer_loses_nothing() {
    at_every_await_point(|polls| {
        let mut sink = BufWriter::with_capacity(8, Drain::new(bumpy()));
        let (mut rest, mut ended) = (TEXT, true);
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(5)];
            let n = match poll_times(sink.write(piece), polls) {
                Some(n) => n.unwrap(),
                None => {
                    ended = false;
                    block_on(sink.write(piece)).unwrap()
                }
            };
            rest = &rest[n..];
            ended &= poll_times(sink.flush(), polls).is_some();
        }
        ended &= poll_times(sink.shutdown(), polls).is_some();
        block_on(sink.shutdown()).unwrap();
        assert_eq!(sink.get_ref().data, TEXT);
        ended
    });
}

#[test]
fn copy_buf_loses_nothing_and_copy_keeps_the_order() {
    at_every_await_point(|polls| {
        let mut source = BufReader::with_capacity(6, Source::new(TEXT, bumpy()));
        let mut sink = Drain::new(bumpy());
        let ended = poll_times(copy_buf(&mut source, &mut sink), polls).is_some();
        block_on(copy_buf(&mut source, &mut sink)).unwrap();
        assert_eq!(sink.data, TEXT);
        ended
    });
    at_every_await_point(|polls| {
        let mut source = Source::new(TEXT, bumpy());
        let mut sink = Drain::new(bumpy());
        let ended = poll_times(copy(&mut source, &mut sink), polls).is_some();
        assert!(TEXT.starts_with(&sink.data));
        assert!(sink.data.len() + source.data.len() <= TEXT.len());
        ended
    });
}

/// What is not safe to drop has moved a part that nobody knows; that part is the front, and the rest is there for the next.
#[test]
fn what_is_read_or_written_whole_keeps_the_order() {
    at_every_await_point(|polls| {
        let mut source = Source::new(TEXT, calm());
        let mut buf = [0; 20];
        let ended = poll_times(source.read_exact(&mut buf), polls).is_some();
        let left = source.data.len();
        assert!(TEXT.ends_with(&source.data) && (left == TEXT.len() - 20 || !ended));
        let taken = TEXT.len() - left;
        assert_eq!(buf[..taken], TEXT[..taken]);
        ended
    });
    at_every_await_point(|polls| {
        let mut sink = Drain::new(calm());
        let ended = poll_times(sink.write_all(TEXT), polls).is_some();
        assert!(TEXT.starts_with(&sink.data) && (sink.data.len() == TEXT.len() || !ended));
        ended
    });
    at_every_await_point(|polls| {
        let mut source = Source::new(TEXT, calm());
        let ended = poll_times(source.read_u64(), polls).is_some();
        assert!(TEXT.ends_with(&source.data) && TEXT.len() - source.data.len() <= 8);
        let mut sink = Drain::new(calm());
        let number = u64::from_be_bytes(*b"one two ");
        let written = poll_times(sink.write_u64(number), polls).is_some();
        assert!(b"one two ".starts_with(&sink.data));
        ended && written
    });
}

/// What moves something once has moved nothing if it is dropped.
#[test]
fn what_moves_a_piece_at_a_time_loses_nothing() {
    at_every_await_point(|polls| {
        let mut source = Source::new(TEXT, calm());
        let mut sink = Drain::new(calm());
        let (mut ended, mut rest) = (true, TEXT);
        let mut all = Vec::new();
        while !source.data.is_empty() {
            let mut piece = Vec::with_capacity(4);
            if poll_times(source.read_buf(&mut piece), polls).is_none() {
                ended = false;
                block_on(source.read_buf(&mut piece)).unwrap();
            }
            all.extend_from_slice(&piece);
        }
        assert_eq!(all, TEXT);
        while !rest.is_empty() {
            let slices = [IoSlice::new(&rest[..1]), IoSlice::new(&rest[1..])];
            let n = match poll_times(sink.write_vectored(&slices), polls) {
                Some(n) => n.unwrap(),
                None => {
                    ended = false;
                    let mut left = rest;
                    block_on(sink.write_buf(&mut left)).unwrap()
                }
            };
            rest = &rest[n..];
        }
        assert_eq!(sink.data, TEXT);
        ended && polls > 3
    });
    at_every_await_point(|polls| {
        let mut source = BufReader::with_capacity(4, Source::new(TEXT, calm()));
        let (mut all, mut ended) = (Vec::new(), true);
        loop {
            if poll_times(source.fill_buf(), polls).is_none() {
                ended = false;
            }
            let part = block_on(source.fill_buf()).unwrap().to_vec();
            if part.is_empty() {
                break;
            }
            source.consume(part.len());
            all.extend_from_slice(&part);
        }
        assert_eq!(all, TEXT);
        ended && polls > 3
    });
}

/// Each future that this crate gives, and a method that makes one: all are dropped above.
#[test]
fn every_future_is_dropped_above() {
    const FUTURES: &[(&str, &str)] = &[
        ("FillBuf", "fill_buf"),
        ("Read", "read"),
        ("ReadBufTo", "read_buf"),
        ("ReadExact", "read_exact"),
        ("ReadLine", "read_line"),
        ("ReadNumber", "read_u64"),
        ("ReadToEnd", "read_to_end"),
        ("ReadToString", "read_to_string"),
        ("ReadUntil", "read_until"),
        ("Seek", "seek"),
        ("Write", "write"),
        ("WriteAll", "write_all"),
        ("WriteAllBuf", "write_all_buf"),
        ("WriteBuf", "write_buf"),
        ("WriteNumber", "write_u64"),
        ("WriteVectored", "write_vectored"),
        ("copy", "copy"),
        ("copy_bidirectional", "copy_bidirectional_with_sizes"),
        (
            "copy_bidirectional_with_sizes",
            "copy_bidirectional_with_sizes",
        ),
        ("copy_buf", "copy_buf"),
        ("next_line", "next_line"),
        ("next_segment", "next_segment"),
        // It hands on the polls of another.
        ("Located", "poll_times"),
    ];
    let Some(found) = async_methods(env!("CARGO_MANIFEST_DIR")) else {
        return;
    };
    for method in &found {
        let name = method.split(' ').next_back().unwrap_or_default();
        let by = FUTURES.iter().find(|(future, _)| *future == name);
        let Some((_, by)) = by else {
            panic!("`{method}` is dropped in no test here");
        };
        assert!(
            include_str!("cancel.rs").contains(&format!("{by}(")),
            "{by}"
        );
    }
    assert!(found.len() >= FUTURES.len(), "{found:?}");
}

#[test]
fn copying_both_ways_keeps_the_order() {
    at_every_await_point(|polls| {
        let mut a = join(Source::new(TEXT, bumpy()), Drain::new(bumpy()));
        let mut b = join(Source::new(&TEXT[9..], bumpy()), Drain::new(bumpy()));
        let ended =
            poll_times(copy_bidirectional_with_sizes(&mut a, &mut b, 4, 9), polls).is_some();
        assert!(TEXT.starts_with(&b.writer().data));
        assert!(TEXT[9..].starts_with(&a.writer().data));
        assert_eq!(ended, a.writer().shut_down && b.writer().shut_down);
        ended
    });
}

#[test]
fn a_seek_that_was_dropped_disturbs_no_later_one() {
    at_every_await_point(|polls| {
        let mut file = SlowFile::new(TEXT);
        let ended = poll_times(file.seek(SeekFrom::Current(5)), polls).is_some();
        assert_eq!(block_on(file.seek(SeekFrom::Start(4))).unwrap(), 4);
        ended
    });
    at_every_await_point(|polls| {
        let file = SlowFile::new(TEXT);
        let mut file = BufReader::with_capacity(4, file);
        block_on(file.read_u8()).unwrap();
        let ended = poll_times(file.seek(SeekFrom::Current(5)), polls).is_some();
        block_on(file.seek(SeekFrom::Start(4))).unwrap();
        let mut word = [0; 3];
        block_on(file.read_exact(&mut word)).unwrap();
        assert_eq!(&word, b"two");
        assert_eq!(block_on(file.stream_position()).unwrap(), 7);
        ended
    });
}

#[test]
fn by_single_polls_everything_still_arrives() {
    let (mut here, mut there) = duplex(3);
    let mut rest = TEXT;
    let mut all = Vec::new();
    let mut buf = [0; 2];
    for _ in 0..POLLS_MAX {
        // Each future lives for one poll.
        let _ = poll_once(std::pin::pin!(here.write_all_buf(&mut rest)));
        if let std::task::Poll::Ready(n) = poll_once(std::pin::pin!(there.read(&mut buf))) {
            all.extend_from_slice(&buf[..n.unwrap()]);
        }
        if all.len() == TEXT.len() {
            break;
        }
    }
    assert_eq!(all, TEXT);
}
