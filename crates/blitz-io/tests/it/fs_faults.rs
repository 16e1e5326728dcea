//! Files whose runtime, disk or neighbours fail them: buffers come back, and nothing is lost in silence.

use std::io::ErrorKind;
use std::sync::Arc;

use blitz_io::fs::{self, FallocateMode, File, OpenOptions};
use blitz_io::io::AsyncWriteExt;
use blitz_io::net::unix::pipe;

use crate::fs::{SmallDisk, make_fifo, with_dir};
use crate::harness::{on_every, run};

#[test]
fn the_buffer_comes_back_from_a_runtime_that_has_shut_down() {
    for runtime in crate::harness::every_runtime() {
        // Not to be read on the spot: it takes the ring or the pool.
        let file = run(&runtime, File::open("/proc/self/status")).unwrap();
        let handle = runtime.handle().clone();
        runtime.shutdown_timeout(crate::harness::GUARD);
        let (read, buffer) = handle.block_on(file.read_at(Vec::with_capacity(100), 0));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Other);
        assert!(buffer.is_empty() && buffer.capacity() >= 100);
    }
}

/// A waker that needs the file's lock when it is dropped.
struct LooksAtTheFile(std::sync::Weak<File>);

impl std::task::Wake for LooksAtTheFile {
    fn wake(self: Arc<Self>) {}
}

impl Drop for LooksAtTheFile {
    fn drop(&mut self) {
        if let Some(file) = self.0.upgrade() {
            assert_ne!(file.max_buf_size(), 0);
        }
    }
}

#[test]
fn no_waker_is_called_or_dropped_under_the_files_lock() {
    use std::task::{Context, Waker};
    with_dir(async |dir| {
        let path = dir.join("fifo");
        make_fifo(&path);
        let mut reader = std::fs::File::options()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let mut writer = OpenOptions::new().write(true).open(&path).await.unwrap();
        let filler = pipe::OpenOptions::new().open_sender(&path).unwrap();
        filler.writable().await.unwrap();
        // Until the pipe is full: the write that the file takes after that is under way until somebody reads.
        let mut taken = 0;
        while let Ok(len) = filler.try_write(&[7; 4096]) {
            taken += len;
        }
        drop(filler);
        taken += writer.write(&[7; 4096]).await.unwrap();
        let file = Arc::new(writer);
        for _ in 0..3 {
            let waker = Waker::from(Arc::new(LooksAtTheFile(Arc::downgrade(&file))));
            let mut sync = std::pin::pin!(file.sync_all());
            assert!(
                sync.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        let drain = std::thread::spawn(move || {
            let mut all = vec![0; taken];
            std::io::Read::read_exact(&mut reader, &mut all).unwrap();
            (reader, all)
        });
        // A pipe has nothing to sync: what counts is that the call ends.
        assert!(file.sync_all().await.is_err());
        let (_reader, all) = drain.join().unwrap();
        assert!(all.iter().all(|byte| *byte == 7));
    });
}

/// `RLIMIT_FSIZE`, whose signal is ignored: a write beyond it is cut short, and the next one fails.
#[test]
fn a_limit_on_file_sizes_loses_nothing_in_silence() {
    // In blocks of 512 bytes.
    let said = crate::child::run("trap '' XFSZ; ulimit -f 8", "fs_faults::under_a_size_limit");
    let lost = "are lost";
    // Once for each runtime, by the file that was dropped without a flush, if a write was taken that could not be made.
    for line in said.lines().filter(|line| line.contains(lost)) {
        assert!(line.contains("File too large"), "{line}");
    }
}

#[test]
#[ignore = "run by a_limit_on_file_sizes_loses_nothing_in_silence, under its limit"]
fn under_a_size_limit() {
    const LIMIT: usize = 8 * 512;
    with_dir(async |dir| {
        let path = dir.join("a");
        let mut file = File::create(&path).await.unwrap();
        let bytes: Vec<u8> = (0..3 * LIMIT).map(|n| n as u8).collect();
        let mut taken = 0;
        let error = loop {
            assert!(taken < bytes.len(), "there is no limit");
            let end = bytes.len().min(taken + 1_000);
            match file.write(&bytes[taken..end]).await {
                Ok(n) => taken += n,
                Err(error) => break error,
            }
            if let Err(error) = file.flush().await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(std::fs::read(&path).unwrap() == bytes[..LIMIT]);
        // Taken and not there: that is what the error was about.
        assert!(taken >= LIMIT);
        // The file is at the limit: every further write says so, at once or at its flush.
        let again = match file.write(b"more").await {
            Ok(_) => file.flush().await,
            Err(error) => Err(error),
        };
        assert_eq!(again.unwrap_err().kind(), ErrorKind::FileTooLarge);
        // Positioned writes have their own answer.
        let (written, _) = file.write_at(vec![1; 100], LIMIT as u64).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(file.metadata().await.unwrap().len(), LIMIT as u64);
    });
}

/// What a write has left of `bytes` when it fails: each count is of bytes that are there.
async fn until_refused(file: &File, bytes: &[u8]) -> (usize, std::io::Error) {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let parts: Vec<Vec<u8>> = rest.chunks(3_000).map(<[u8]>::to_vec).collect();
        let (written, back) = file.write_vectored_at(parts, at as u64).await;
        assert!(back.concat() == rest, "the buffers come back");
        match written {
            Ok(count) => at += count,
            Err(error) => return (at, error),
        }
        assert!(at < bytes.len(), "there is no end");
    }
}

#[test]
fn every_way_to_write_says_that_the_disk_is_full() {
    on_every(|runtime| {
        let Some(disk) = SmallDisk::mount() else {
            eprintln!("no right to mount: nothing tested");
            return;
        };
        let (elsewhere, bytes) = (tempfile::tempdir().unwrap(), vec![7; 200_000]);
        let source = elsewhere.path().join("source");
        std::fs::write(&source, &bytes).unwrap();
        run(runtime, async {
            let path = disk.path().join("a");
            // Cut first: a process that was forked and has not begun its program has the file open yet, and so its room.
            let remove = async || {
                std::fs::write(&path, "").unwrap();
                fs::remove_file(&path).await.unwrap();
            };
            let written = fs::write(&path, &bytes).await.unwrap_err();
            assert_eq!(written.kind(), ErrorKind::StorageFull);
            remove().await;
            let copied = fs::copy(&source, &path).await.unwrap_err();
            assert_eq!(copied.kind(), ErrorKind::StorageFull);
            remove().await;

            let file = File::create(&path).await.unwrap();
            let (len, error) = until_refused(&file, &bytes).await;
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            assert!(std::fs::read(&path).unwrap() == bytes[..len]);
            assert!(len > 30_000);
            remove().await;
            drop(file);

            let file = File::create(&path).await.unwrap();
            let source = File::open(&source).await.unwrap();
            let mut copied = 0;
            let error = loop {
                let rest = 200_000 - copied;
                match source.copy_file_range(copied, &file, copied, rest).await {
                    Ok(count) => copied += count,
                    Err(error) => break error,
                }
                assert!(copied < 200_000);
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            assert!(std::fs::read(&path).unwrap() == bytes[..copied as usize]);
            remove().await;
            drop(file);

            let file = File::create(&path).await.unwrap();
            let reserved = file.fallocate(FallocateMode::Allocate, 0, 200_000).await;
            let kind = reserved.unwrap_err().kind();
            assert!(matches!(
                kind,
                ErrorKind::StorageFull | ErrorKind::Unsupported
            ));
            // What is reserved is there whatever others write.
            if kind == ErrorKind::StorageFull {
                file.fallocate(FallocateMode::Allocate, 0, 20_000)
                    .await
                    .unwrap();
                assert!(fs::write(disk.path().join("b"), &bytes).await.is_err());
                let (written, _) = file.write_at(vec![1; 20_000], 0).await;
                assert_eq!(written.unwrap(), 20_000);
            }
        });
    });
}

#[test]
fn every_way_to_write_says_that_a_file_may_not_be_so_large() {
    crate::child::run(
        "trap '' XFSZ; ulimit -f 8",
        "fs_faults::every_way_under_a_size_limit",
    );
}

#[test]
#[ignore = "run by every_way_to_write_says_that_a_file_may_not_be_so_large, under its limit"]
fn every_way_under_a_size_limit() {
    const LIMIT: usize = 8 * 512;
    with_dir(async |dir| {
        let too_large = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        let path = dir.join("a");
        let bytes = vec![7; 3 * LIMIT];
        too_large(fs::write(&path, &bytes).await.unwrap_err());
        let file = File::create(&path).await.unwrap();
        let (len, error) = until_refused(&file, &bytes).await;
        too_large(error);
        assert_eq!(len, LIMIT);
        assert!(std::fs::read(&path).unwrap() == bytes[..LIMIT]);
        too_large(file.set_len(LIMIT as u64 + 1).await.unwrap_err());
        let zeros = File::open("/dev/zero").await.unwrap();
        let copied = zeros.copy_file_range(0, &file, 0, 3 * LIMIT as u64).await;
        assert_eq!(copied.unwrap(), LIMIT as u64);
        let more = zeros.copy_file_range(0, &file, LIMIT as u64, 1).await;
        too_large(more.unwrap_err());
        let reserved = file
            .fallocate(FallocateMode::Allocate, 0, 2 * LIMIT as u64)
            .await;
        let kind = reserved.unwrap_err().kind();
        assert!(
            matches!(kind, ErrorKind::FileTooLarge | ErrorKind::Unsupported),
            "{kind}"
        );
        assert_eq!(file.metadata().await.unwrap().len(), LIMIT as u64);
    });
}
