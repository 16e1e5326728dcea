//! What holds however the bytes come and go in pieces.

use std::io::IoSlice;

use blitz_io_traits::{
    AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufStream, BufWriter, ErrorKind, copy,
    copy_bidirectional_with_sizes, copy_buf, duplex, join, simplex,
};
use bytes::{Buf, Bytes};
use proptest::prelude::*;

use crate::script::{Drain, Plan, Source, block_on, bytes, calm_plans, plans, text};

proptest! {
    #[test]
    fn read_to_end_reads_all(data in bytes(), plan in plans(), room in 0_usize..100) {
        let mut all = Vec::with_capacity(room);
        let n = block_on(Source::new(data.clone(), plan).read_to_end(&mut all)).unwrap();
        prop_assert_eq!(n, data.len());
        prop_assert_eq!(all, data);
    }

    #[test]
    fn read_to_string_reads_all_or_keeps_what_was(data in bytes(), plan in plans()) {
        let mut all = String::from("before ");
        let answer = block_on(Source::new(data.clone(), plan).read_to_string(&mut all));
        match str::from_utf8(&data) {
            Ok(data) => prop_assert_eq!(all, format!("before {data}")),
            Err(_) => {
                prop_assert_eq!(answer.unwrap_err().kind(), ErrorKind::InvalidData);
                prop_assert_eq!(all, "before ");
            }
        }
    }

    #[test]
    fn read_exact_reads_so_many_or_tells_of_the_end(data in bytes(), plan in plans(), len in 0_usize..400) {
        let mut buf = vec![0; len];
        let answer = block_on(Source::new(data.clone(), plan).read_exact(&mut buf));
        if len <= data.len() {
            prop_assert_eq!(answer.unwrap(), len);
            prop_assert_eq!(&buf[..], &data[..len]);
        } else {
            prop_assert_eq!(answer.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn numbers_come_back(plan in plans(), other in plans(), a: u8, b: i16, c: u32, d: i64, e: u128, f: f64) {
        let mut bytes = Drain::new(other);
        block_on(async {
            bytes.write_u8(a).await?;
            bytes.write_i16_le(b).await?;
            bytes.write_u32(c).await?;
            bytes.write_i64_le(d).await?;
            bytes.write_u128(e).await?;
            bytes.write_f64(f).await?;
            let mut source = Source::new(bytes.data, plan);
            assert_eq!(source.read_u8().await?, a);
            assert_eq!(source.read_i16_le().await?, b);
            assert_eq!(source.read_u32().await?, c);
            assert_eq!(source.read_i64_le().await?, d);
            assert_eq!(source.read_u128().await?, e);
            assert_eq!(source.read_f64().await?.to_bits(), f.to_bits());
            std::io::Result::Ok(())
        }).unwrap();
    }

    #[test]
    fn lines_are_those_of_std(data in text(), plan in plans(), room in 1_usize..20) {
        let mut lines = BufReader::with_capacity(room, Source::new(data.as_str(), plan)).lines();
        let mut all = Vec::new();
        while let Some(line) = block_on(lines.next_line()).unwrap() {
            all.push(line);
        }
        let expected: Vec<_> = data.lines().collect();
        prop_assert_eq!(all, expected);
    }

    #[test]
    fn read_line_gives_the_text_back_whole(data in text(), plan in plans(), room in 1_usize..20) {
        let mut source = BufReader::with_capacity(room, Source::new(data.as_str(), plan));
        let mut all = String::new();
        loop {
            let before = all.len();
            let n = block_on(source.read_line(&mut all)).unwrap();
            prop_assert_eq!(n, all.len() - before);
            if n == 0 {
                break;
            }
            prop_assert!(all.ends_with('\n') || all.len() == data.len());
        }
        prop_assert_eq!(all, data);
    }

    #[test]
    fn segments_are_those_of_std(data in bytes(), plan in plans(), room in 1_usize..20) {
        let mut segments = BufReader::with_capacity(room, Source::new(data.clone(), plan)).split(b'a');
        let mut all = Vec::new();
        while let Some(segment) = block_on(segments.next_segment()).unwrap() {
            all.push(segment);
        }
        let mut expected: Vec<_> = data.split(|&b| b == b'a').collect();
        // What ends with the byte has no empty segment behind it.
        expected.pop_if(|last| last.is_empty());
        prop_assert_eq!(all, expected);
    }

    #[test]
    fn a_buffered_reader_changes_no_byte(
        data in bytes(), plan in plans(), room in 1_usize..20, reads in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let mut source = BufReader::with_capacity(room, Source::new(data.clone(), plan));
        let mut all = Vec::new();
        for len in reads.iter().cycle().take(2_000) {
            let mut buf = vec![0; *len];
            match block_on(source.read(&mut buf)) {
                Ok(0) => break,
                Ok(n) => all.extend_from_slice(&buf[..n]),
                Err(err) => prop_assert_eq!(err.kind(), ErrorKind::Interrupted),
            }
        }
        prop_assert_eq!(all, data);
    }

    #[test]
    fn take_ends_at_the_limit_and_leaves_the_rest(data in bytes(), plan in plans(), limit in 0_u64..400, room in 1_usize..20) {
        let cut = data.len().min(limit as usize);
        let mut taken = Vec::new();
        let mut take = Source::new(data.clone(), plan.clone()).take(limit);
        block_on(take.read_to_end(&mut taken)).unwrap();
        prop_assert_eq!(&taken, &data[..cut]);
        prop_assert_eq!(&take.get_ref().data, &data[cut..]);
        prop_assert_eq!(take.limit(), limit - cut as u64);

        // The same by the buffered face.
        taken.clear();
        let mut take = BufReader::with_capacity(room, Source::new(data.clone(), plan)).take(limit);
        block_on(take.read_until(0, &mut Vec::new())).unwrap();
        block_on(take.read_to_end(&mut taken)).unwrap();
        let mut rest = Vec::new();
        block_on(take.into_inner().read_to_end(&mut rest)).unwrap();
        prop_assert_eq!(rest, &data[cut..]);
    }

    #[test]
    fn a_chain_is_one_and_then_the_other(
        one in bytes(), two in bytes(), plan in calm_plans(), other in calm_plans(), room in 1_usize..20, empty_reads: bool,
    ) {
        let whole = [one.clone(), two.clone()].concat();
        let mut chain = Source::new(one.clone(), plan.clone()).chain(Source::new(two.clone(), other.clone()));
        let mut all = Vec::new();
        loop {
            if empty_reads {
                // A read without room says nothing about the end.
                let _ = block_on(chain.read(&mut []));
            }
            if block_on(chain.read_buf(&mut all)).unwrap() == 0 {
                break;
            }
        }
        prop_assert_eq!(&all, &whole);

        let first = BufReader::with_capacity(room, Source::new(one, plan));
        let mut chain = first.chain(BufReader::new(Source::new(two, other)));
        all.clear();
        while block_on(chain.read_until(b'\n', &mut all)).unwrap() > 0 {}
        prop_assert_eq!(all, whole);
    }

    #[test]
    fn write_all_writes_all(data in bytes(), plan in plans(), vectored: bool) {
        let mut sink = Drain::new(plan.clone());
        sink.vectored = vectored;
        block_on(sink.write_all(&data)).unwrap();
        prop_assert_eq!(&sink.data, &data);

        let mut sink = Drain::new(plan);
        sink.vectored = vectored;
        let (head, tail) = data.split_at(data.len() / 3);
        let mut pieces = Bytes::copy_from_slice(head).chain(tail);
        block_on(sink.write_all_buf(&mut pieces)).unwrap();
        prop_assert!(!pieces.has_remaining());
        prop_assert_eq!(sink.data, data);
    }

    #[test]
    fn a_buffered_writer_changes_no_byte(
        pieces in prop::collection::vec(bytes(), 0..12), plan in calm_plans(), room in 0_usize..64,
        vectored: bool, in_slices: bool,
    ) {
        let mut sink = Drain::new(plan);
        sink.vectored = vectored;
        let mut sink = BufWriter::with_capacity(room, sink);
        for piece in &pieces {
            let mut rest = &piece[..];
            while !rest.is_empty() {
                let n = if in_slices {
                    let (head, tail) = rest.split_at(rest.len() / 2);
                    block_on(sink.write_vectored(&[IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(tail)])).unwrap()
                } else {
                    block_on(sink.write(rest)).unwrap()
                };
                prop_assert!(n > 0);
                prop_assert!(sink.buffer().len() <= room);
                rest = &rest[n..];
            }
        }
        let written = [&sink.get_ref().data, sink.buffer()].concat();
        prop_assert_eq!(written, pieces.concat());
        block_on(sink.shutdown()).unwrap();
        prop_assert_eq!(sink.get_ref().flushed, pieces.concat().len());
        prop_assert!(sink.get_ref().shut_down);
    }

    #[test]
    fn copies_carry_all_and_flush(data in bytes(), plan in plans(), other in plans(), room in 1_usize..20) {
        let mut sink = Drain::new(other.clone());
        let n = block_on(copy(&mut Source::new(data.clone(), plan.clone()), &mut sink)).unwrap();
        prop_assert_eq!((n as usize, sink.flushed), (data.len(), data.len()));
        prop_assert_eq!(&sink.data, &data);

        let mut sink = Drain::new(other);
        let mut source = BufReader::with_capacity(room, Source::new(data.clone(), plan));
        let n = block_on(copy_buf(&mut source, &mut sink)).unwrap();
        prop_assert_eq!((n as usize, sink.flushed), (data.len(), data.len()));
        prop_assert_eq!(sink.data, data);
    }

    #[test]
    fn a_copy_writes_what_came_before_an_error(data in bytes(), plan in plans(), other in plans()) {
        let mut source = Source::new(data.clone(), plan);
        source.last = Some(ErrorKind::ConnectionReset);
        let mut sink = Drain::new(other);
        let err = block_on(copy(&mut source, &mut sink)).unwrap_err();
        prop_assert_eq!(err.kind(), ErrorKind::ConnectionReset);
        prop_assert_eq!(sink.data, data);
    }

    #[test]
    fn copying_both_ways_carries_all_and_shuts_down(
        left in bytes(), right in bytes(), plans in prop::array::uniform4(plans()), rooms in (1_usize..40, 1_usize..40),
    ) {
        let [one, two, three, four] = plans;
        let mut a = join(Source::new(left.clone(), one), Drain::new(two));
        let mut b = join(Source::new(right.clone(), three), Drain::new(four));
        let copied = block_on(copy_bidirectional_with_sizes(&mut a, &mut b, rooms.0, rooms.1)).unwrap();
        prop_assert_eq!(copied, (left.len() as u64, right.len() as u64));
        prop_assert_eq!(&b.writer().data, &left);
        prop_assert_eq!(&a.writer().data, &right);
        prop_assert!(a.writer().shut_down && b.writer().shut_down);
    }

    #[test]
    fn pipes_carry_all_through_any_room(data in bytes(), room in 1_usize..40, pieces in 1_usize..50) {
        let (mut here, mut there) = duplex(room);
        let (mut out, mut into) = simplex(room);
        let send = async {
            for piece in data.chunks(pieces) {
                here.write_all(piece).await.unwrap();
            }
            drop(here);
        };
        let pass = async {
            copy(&mut there, &mut into).await.unwrap();
            into.shutdown().await.unwrap();
        };
        let mut all = Vec::new();
        block_on(async { futures::join!(send, pass, out.read_to_end(&mut all)) }).2.unwrap();
        prop_assert_eq!(all, data);
    }

    #[test]
    fn a_stream_keeps_its_buffers_when_their_order_changes(data in bytes(), room in 2_usize..40) {
        let inner = BufReader::with_capacity(room, join(Source::new(data.clone(), Plan::smooth()), Drain::new(Plan::smooth())));
        let mut outer = BufWriter::with_capacity(room, inner);
        block_on(outer.write_all(b"x")).unwrap();
        block_on(outer.fill_buf()).unwrap();
        let mut stream = BufStream::from(outer);
        let mut all = Vec::new();
        block_on(stream.read_to_end(&mut all)).unwrap();
        block_on(stream.flush()).unwrap();
        prop_assert_eq!(all, data);
        prop_assert_eq!(&stream.get_ref().writer().data, b"x");
    }
}
