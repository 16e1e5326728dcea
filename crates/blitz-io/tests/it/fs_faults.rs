//! Files whose runtime, disk or neighbours fail them: buffers come back, and nothing is lost in silence.

use std::io::ErrorKind;
use std::sync::Arc;

use blitz_io::fs::{File, OpenOptions};
use blitz_io::io::AsyncWriteExt;

use crate::fs::{make_fifo, with_dir};
use crate::harness::run;

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
        let writer = OpenOptions::new().write(true).open(&path).await.unwrap();
        let mut writer = writer;
        let mut taken = 0;
        // Until the pipe is full, and a write under way.
        loop {
            let mut write = std::pin::pin!(writer.write(&[7; 4096]));
            match futures::poll!(write.as_mut()) {
                std::task::Poll::Ready(n) => taken += n.unwrap(),
                std::task::Poll::Pending => break,
            }
        }
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
