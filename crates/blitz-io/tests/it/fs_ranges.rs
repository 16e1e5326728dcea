//! What files can beyond tokio's: several buffers at a position, direct I/O, room, advice, copies within the kernel.

use std::io::{ErrorKind, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use blitz_io::fs::{self, Advice, FallocateMode, File, OpenOptions, WriteBack};
use blitz_io::io::{AlignedBuf, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, IoBuf};

use crate::fs::with_dir;

async fn scratch(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    options.open(path).await.unwrap()
}

/// Whether the file system, or the system, lacks it; said once, so that nobody takes it for tested.
fn is_lacking(what: &str, done: &std::io::Result<()>) -> bool {
    let lacks = done
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::Unsupported);
    if lacks {
        eprintln!("{what} is not supported here: not tested");
    }
    lacks
}

#[test]
fn several_buffers_are_one_transfer() {
    with_dir(async |dir| {
        let file = scratch(&dir.join("a")).await;
        let (written, back) = file
            .write_vectored_at(vec![b"0123".to_vec(), Vec::new(), b"456789".to_vec()], 5)
            .await;
        assert_eq!(
            (written.unwrap(), back.concat()),
            (10, b"0123456789".to_vec())
        );
        let room = |len| Vec::with_capacity(len);
        let (read, buffers) = file
            .read_vectored_at(vec![room(3), room(0), room(4)], 5)
            .await;
        assert_eq!(read.unwrap(), 7);
        assert_eq!(buffers, [&b"012"[..], b"", b"3456"]);
        // Short at the end: the last buffer that gets something gets a part, those behind it nothing.
        let (read, buffers) = file
            .read_vectored_at(vec![room(2), room(8), vec![7; 3]], 11)
            .await;
        assert_eq!(read.unwrap(), 4);
        assert_eq!(buffers, [&b"67"[..], b"89", &[7; 3]]);
        let (read, buffers) = file.read_vectored_at(vec![room(8)], 15).await;
        assert_eq!(
            (read.unwrap(), buffers.concat().len()),
            (0, 0),
            "behind the end"
        );
        let (none, _) = file.read_vectored_at(Vec::<Vec<u8>>::new(), 0).await;
        assert_eq!(none.unwrap(), 0);
        let (none, _) = file.write_vectored_at(Vec::<Vec<u8>>::new(), 0).await;
        assert_eq!(none.unwrap(), 0);
        let parts = vec![b"abcdef".to_vec().slice(1..3), b"xyz".to_vec().slice(2..)];
        let (written, _) = file.write_vectored_at(parts, 0).await;
        assert_eq!(written.unwrap(), 3);
        assert_eq!(
            fs::read(dir.join("a")).await.unwrap(),
            b"bcz\0\x000123456789"
        );
        let mut file = file;
        assert_eq!(file.stream_position().await.unwrap(), 0);
    });
}

/// (`u64::MAX` was taken for the file's own position, and moved it.)
#[test]
fn an_offset_that_no_file_has_is_refused() {
    with_dir(async |dir| {
        let mut file = scratch(&dir.join("a")).await;
        file.write_all(b"0123456789").await.unwrap();
        file.seek(SeekFrom::Start(3)).await.unwrap();
        for offset in [u64::MAX, 1 << 63] {
            let (read, buffer) = file.read_at(Vec::with_capacity(4), offset).await;
            assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert!(buffer.is_empty() && buffer.capacity() == 4);
            let (written, buffer) = file.write_at("new", offset).await;
            assert_eq!(written.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(buffer, "new");
            let (read, buffers) = file.read_vectored_at(vec![vec![1]], offset).await;
            assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(buffers, [[1]]);
            let (written, _) = file.write_vectored_at(vec!["a", "b"], offset).await;
            assert_eq!(written.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        // The longest there can be is the system's to judge.
        let (read, _) = file
            .read_at(Vec::with_capacity(4), i64::MAX as u64 - 4)
            .await;
        assert!(read.is_ok_and(|count| count == 0));
        assert_eq!(file.stream_position().await.unwrap(), 3);
        assert_eq!(fs::read(dir.join("a")).await.unwrap(), b"0123456789");
    });
}

#[test]
fn no_more_buffers_are_used_than_one_call_takes() {
    with_dir(async |dir| {
        let file = scratch(&dir.join("a")).await;
        let (written, back) = file.write_vectored_at(vec!["x"; 3_000], 0).await;
        assert_eq!((written.unwrap(), back.len()), (1_024, 3_000));
        let rooms: Vec<Vec<u8>> = (0..3_000).map(|_| Vec::with_capacity(1)).collect();
        let (read, back) = file.read_vectored_at(rooms, 0).await;
        assert_eq!((read.unwrap(), back.concat().len()), (1_024, 1_024));
    });
}

#[test]
fn a_refused_transfer_gives_its_buffers_back() {
    with_dir(async |dir| {
        fs::write(dir.join("a"), "text").await.unwrap();
        let reads = File::open(dir.join("a")).await.unwrap();
        let (refused, back) = reads.write_vectored_at(vec!["ab", "c"], 0).await;
        assert!(refused.is_err());
        assert_eq!(back, ["ab", "c"]);
        let writes = OpenOptions::new()
            .write(true)
            .open(dir.join("a"))
            .await
            .unwrap();
        let (refused, back) = writes.read_vectored_at(vec![vec![1; 5]], 0).await;
        assert!(refused.is_err());
        assert_eq!(back, [[1; 5]]);
    });
}

#[test]
fn what_is_direct_is_aligned_or_says_how() {
    with_dir(async |dir| {
        let path = dir.join("a");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).direct(true);
        let file = match options.open(&path).await {
            Ok(file) => file,
            Err(error) => {
                assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::InvalidInput | ErrorKind::Unsupported
                    ),
                    "{error}"
                );
                eprintln!("no direct I/O on {}: {error}", dir.display());
                return;
            }
        };
        let mut block = AlignedBuf::new(8192);
        block.resize(8192, 3);
        block[4096] = 4;
        let (written, mut block) = file.write_at(block, 4096).await;
        assert_eq!(written.unwrap(), 8192);
        file.sync_data().await.unwrap();
        block.clear();
        let (read, block) = file.read_at(block, 8192).await;
        assert_eq!((read.unwrap(), block.len(), block[0]), (4096, 4096, 4));
        // Several aligned ones.
        let blocks = vec![AlignedBuf::new(4096), AlignedBuf::new(4096)];
        let (read, blocks) = file.read_vectored_at(blocks, 4096).await;
        assert_eq!((read.unwrap(), blocks[0][0], blocks[1][0]), (8192, 3, 4));

        if let Some(asked) = file.direct_alignment() {
            assert!(asked.memory.is_power_of_two() && asked.offset.is_power_of_two());
            assert!(asked.offset <= 4096, "our buffer is enough");
        }
        let (odd, _) = file.write_at(vec![1; 100], 3).await;
        let Err(odd) = odd else {
            eprintln!("this file system takes direct transfers of any kind");
            return;
        };
        let (odd_read, back) = file.read_at(Vec::with_capacity(100), 4096).await;
        assert_eq!(back.capacity(), 100);
        let (odd_parts, _) = file
            .write_vectored_at(vec![AlignedBuf::new(4096), AlignedBuf::new(1)], 7)
            .await;
        for (error, place) in [(odd, "offset 3"), (odd_read.unwrap_err(), "offset 4096")] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let text = error.to_string();
            assert!(
                text.contains(place) && text.contains("AlignedBuf"),
                "{text}"
            );
        }
        // (An empty transfer is not looked at.)
        assert!(odd_parts.is_ok_and(|count| count == 0));
        // The streams have memory of their own.
        let mut file = file;
        file.seek(SeekFrom::Start(4096)).await.unwrap();
        let refused = file.read(&mut [0; 10]).await.unwrap_err();
        assert!(refused.to_string().contains("read_at"), "{refused}");
        let mut clone = file.try_clone().await.unwrap();
        let refused = match clone.write(b"odd").await {
            Ok(_) => clone.flush().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(refused.to_string().contains("write_at"), "{refused}");
        // By its flag it is known, too, and in a file that std has opened.
        let std = file.into_std().await;
        let file = File::from_std(std);
        let (odd, _) = file.read_at(Vec::with_capacity(100), 4096).await;
        assert!(odd.unwrap_err().to_string().contains("AlignedBuf"));
    });
}

#[test]
fn room_is_reserved_given_back_and_zeroed() {
    with_dir(async |dir| {
        let path = dir.join("a");
        let mut file = scratch(&path).await;
        let reserved = file.fallocate(FallocateMode::Allocate, 0, 10_000).await;
        if is_lacking("fallocate", &reserved) {
            return;
        }
        reserved.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 10_000);
        let kept = file.fallocate(FallocateMode::KeepSize, 0, 1 << 20).await;
        if !is_lacking("keeping the length", &kept) {
            kept.unwrap();
            let facts = file.metadata().await.unwrap();
            assert_eq!(facts.len(), 10_000);
            assert!(facts.blocks() * 512 >= 1 << 20);
        }
        let content: Vec<u8> = (0..20_000).map(|n| n as u8 | 1).collect();
        // Taken, perhaps not carried out: it is before the hole is made.
        file.write_all(&content).await.unwrap();
        let punched = file.fallocate(FallocateMode::PunchHole, 4096, 8192).await;
        if !is_lacking("punching holes", &punched) {
            punched.unwrap();
            let mut expected = content.clone();
            expected[4096..12_288].fill(0);
            assert!(fs::read(&path).await.unwrap() == expected);
        }
        let zeroed = file.fallocate(FallocateMode::ZeroRange, 19_990, 100).await;
        if !is_lacking("zeroing", &zeroed) {
            zeroed.unwrap();
            let bytes = fs::read(&path).await.unwrap();
            assert_eq!((bytes.len(), bytes[19_989]), (20_090, content[19_989]));
            assert!(bytes[19_990..].iter().all(|byte| *byte == 0));
        }
        let zeroed = file
            .fallocate(FallocateMode::ZeroRangeKeepSize, 0, 1 << 20)
            .await;
        if !is_lacking("zeroing within the length", &zeroed) {
            zeroed.unwrap();
            let bytes = fs::read(&path).await.unwrap();
            assert!(bytes.len() < 1 << 20 && bytes.iter().all(|byte| *byte == 0));
        }
        let senseless = file.fallocate(FallocateMode::Allocate, 0, 0).await;
        assert_eq!(senseless.unwrap_err().kind(), ErrorKind::InvalidInput);
        let too_far = file
            .fallocate(FallocateMode::Allocate, i64::MAX as u64, 1 << 20)
            .await;
        let kind = too_far.unwrap_err().kind();
        assert!(
            matches!(kind, ErrorKind::FileTooLarge | ErrorKind::InvalidInput),
            "{kind}"
        );
    });
}

#[test]
fn ranges_move_when_one_is_taken_out_or_put_in() {
    with_dir(async |dir| {
        let path = dir.join("a");
        // Whole blocks of any common file system.
        const BLOCK: usize = 65_536;
        let content: Vec<u8> = [1_u8, 2, 3].iter().flat_map(|n| vec![*n; BLOCK]).collect();
        fs::write(&path, &content).await.unwrap();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .await
            .unwrap();
        // What was read ahead is not given from memory after it.
        let mut first = [0; 1];
        file.read_exact(&mut first).await.unwrap();
        let block = BLOCK as u64;
        let taken = file
            .fallocate(FallocateMode::CollapseRange, block, block)
            .await;
        if taken
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::InvalidInput)
            || is_lacking("taking ranges out", &taken)
        {
            return;
        }
        taken.unwrap();
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).await.unwrap();
        assert!(rest[..BLOCK - 1].iter().all(|byte| *byte == 1));
        assert!(rest[BLOCK - 1..].iter().all(|byte| *byte == 3));
        let put = file
            .fallocate(FallocateMode::InsertRange, block, block)
            .await;
        if !is_lacking("putting ranges in", &put) {
            put.unwrap();
            let bytes = fs::read(&path).await.unwrap();
            assert_eq!([bytes[0], bytes[BLOCK], bytes[2 * BLOCK]], [1, 0, 3]);
        }
    });
}

#[test]
fn advice_is_taken_for_ranges_of_any_length() {
    with_dir(async |dir| {
        let file = scratch(&dir.join("a")).await;
        file.set_len(1 << 20).await.unwrap();
        for advice in [
            Advice::Normal,
            Advice::Sequential,
            Advice::Random,
            Advice::WillNeed,
            Advice::DontNeed,
            Advice::NoReuse,
        ] {
            for len in [
                0,
                4096,
                u64::from(u32::MAX),
                u64::from(u32::MAX) + 1,
                1 << 40,
            ] {
                let done = file.fadvise(0, len, advice).await;
                if !is_lacking("advice", &done) {
                    done.unwrap();
                }
            }
        }
        let fifo = dir.join("fifo");
        crate::fs::make_fifo(&fifo);
        let mut options = OpenOptions::new();
        let fifo = options.read(true).write(true).open(&fifo).await.unwrap();
        let refused = fifo.fadvise(0, 0, Advice::Random).await;
        assert!(
            is_lacking("advice", &refused) || refused.unwrap_err().kind() == ErrorKind::NotSeekable
        );
    });
}

#[test]
fn ranges_are_brought_to_the_disk() {
    with_dir(async |dir| {
        let mut file = scratch(&dir.join("a")).await;
        for part in [WriteBack::Begin, WriteBack::Wait, WriteBack::Whole] {
            for len in [0, 4096, u64::from(u32::MAX) + 1] {
                file.write_all(&[1; 10_000]).await.unwrap();
                let done = file.sync_file_range(0, len, part).await;
                if !is_lacking("syncing ranges", &done) {
                    done.unwrap();
                }
            }
        }
        assert_eq!(file.metadata().await.unwrap().len(), 90_000);
        let fifo = dir.join("fifo");
        crate::fs::make_fifo(&fifo);
        let mut options = OpenOptions::new();
        let fifo = options.read(true).write(true).open(&fifo).await.unwrap();
        assert!(fifo.sync_file_range(0, 0, WriteBack::Whole).await.is_err());
    });
}

#[test]
fn ranges_are_copied_from_file_to_file() {
    with_dir(async |dir| {
        let content: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
        fs::write(dir.join("a"), &content).await.unwrap();
        let from = File::open(dir.join("a")).await.unwrap();
        let to = scratch(&dir.join("b")).await;
        assert_eq!(
            from.copy_file_range(3, &to, 0, 1 << 40).await.unwrap(),
            1_000_000
        );
        assert!(fs::read(dir.join("b")).await.unwrap() == content[3..]);
        assert_eq!(from.copy_file_range(10, &to, 20, 5).await.unwrap(), 5);
        assert_eq!(
            fs::read(dir.join("b")).await.unwrap()[20..25],
            content[10..15]
        );
        assert_eq!(from.copy_file_range(2_000_000, &to, 0, 5).await.unwrap(), 0);
        assert_eq!(from.copy_file_range(0, &to, 0, 0).await.unwrap(), 0);

        // What was taken and not carried out comes first.
        let mut both = scratch(&dir.join("c")).await;
        both.write_all(b"0123456789").await.unwrap();
        assert_eq!(both.copy_file_range(0, &both, 10, 10).await.unwrap(), 10);
        assert_eq!(
            fs::read(dir.join("c")).await.unwrap(),
            b"01234567890123456789"
        );
        let overlapping = both.copy_file_range(0, &both, 5, 10).await.unwrap_err();
        assert_eq!(overlapping.kind(), ErrorKind::InvalidInput);

        let refused = from.copy_file_range(0, &from, 1 << 30, 5).await;
        assert!(refused.is_err(), "it is opened for reading");
        let too_far = from.copy_file_range(u64::MAX, &to, 0, 5).await;
        assert!(too_far.is_err());

        // The kernel does not copy from there.
        let status = File::open("/proc/self/stat").await.unwrap();
        let to = scratch(&dir.join("d")).await;
        let copied = status.copy_file_range(0, &to, 0, 1 << 16).await.unwrap();
        assert_eq!(to.metadata().await.unwrap().len(), copied);
        assert!(copied > 10);
        let zeros = File::open("/dev/zero").await.unwrap();
        assert_eq!(
            zeros.copy_file_range(0, &to, 0, 700_000).await.unwrap(),
            700_000
        );
        assert!(fs::read(dir.join("d")).await.unwrap() == [0; 700_000]);
    });
}
