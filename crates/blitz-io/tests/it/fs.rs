//! Files: std's and tokio's behaviour on every back end, and nothing written that is lost in silence.

use std::io::{ErrorKind, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use blitz_io::fs::{self, Advice, File, OpenOptions};
use blitz_io::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use blitz_io::runtime::Runtime;

use crate::harness::{Flavor, GUARD, each_case, guarded, on_both, on_every, run};

/// A fifo at `path`.
pub(crate) fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo")
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

/// Calls `test` with a directory of its own, on every back end and flavour.
pub(crate) fn with_dir(test: impl AsyncFn(&Path)) {
    on_every(|runtime| {
        let dir = tempfile::tempdir().unwrap();
        run(runtime, test(dir.path()));
    });
}

#[test]
fn what_is_written_is_read_and_sought() {
    with_dir(async |dir| {
        let path = dir.join("a");
        let mut file = File::create_new(&path).await.unwrap();
        file.write_all(b"0123456789").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
        assert_eq!(file.seek(SeekFrom::Start(2)).await.unwrap(), 2);
        let mut four = [0; 4];
        file.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"2345");
        assert_eq!(file.seek(SeekFrom::Current(-1)).await.unwrap(), 5);
        file.write_all(b"xy").await.unwrap();
        assert_eq!(file.seek(SeekFrom::End(-4)).await.unwrap(), 6);
        let mut rest = String::new();
        file.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "y789");
        assert_eq!(
            file.read(&mut four).await.unwrap(),
            0,
            "the end stays the end"
        );
        file.rewind().await.unwrap();
        file.set_len(3).await.unwrap();
        rest.clear();
        file.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "012");
        file.sync_all().await.unwrap();
        file.sync_data().await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 3);
    });
}

#[test]
fn a_missing_file_is_named() {
    with_dir(async |dir| {
        let path = dir.join("not-there");
        let name = path.display().to_string();
        let errors = [
            File::open(&path).await.map(drop).unwrap_err(),
            fs::read(&path).await.map(drop).unwrap_err(),
            fs::read_to_string(&path).await.map(drop).unwrap_err(),
            fs::metadata(&path).await.map(drop).unwrap_err(),
            fs::symlink_metadata(&path).await.map(drop).unwrap_err(),
            fs::remove_file(&path).await.unwrap_err(),
            fs::remove_dir(&path).await.unwrap_err(),
            fs::remove_dir_all(&path).await.unwrap_err(),
            fs::rename(&path, dir.join("b")).await.unwrap_err(),
            fs::copy(&path, dir.join("b")).await.map(drop).unwrap_err(),
            fs::canonicalize(&path).await.map(drop).unwrap_err(),
            fs::read_link(&path).await.map(drop).unwrap_err(),
            OpenOptions::new()
                .write(true)
                .open(&path)
                .await
                .map(drop)
                .unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains(&name), "{error}");
        }
        assert!(!fs::try_exists(&path).await.unwrap());
    });
}

#[test]
fn options_make_the_file_that_they_say() {
    with_dir(async |dir| {
        let path = dir.join("a");
        let open = |options: &mut OpenOptions| {
            let (options, path) = (options.clone(), path.clone());
            async move { options.open(path).await }
        };
        let nothing = open(&mut OpenOptions::new()).await.unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::InvalidInput);
        let senseless = open(OpenOptions::new().read(true).create(true))
            .await
            .unwrap_err();
        assert_eq!(senseless.kind(), ErrorKind::InvalidInput);
        let mut file = open(OpenOptions::new().write(true).create_new(true).mode(0o600))
            .await
            .unwrap();
        file.write_all(b"one").await.unwrap();
        file.flush().await.unwrap();
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(&path).await.unwrap().permissions().mode() & 0o777,
            0o600
        );
        let again = open(OpenOptions::new().write(true).create_new(true))
            .await
            .unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        let mut file = open(OpenOptions::new().append(true)).await.unwrap();
        file.write_all(b"two").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), b"onetwo");
        open(OpenOptions::new().write(true).truncate(true))
            .await
            .unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), b"");
        let mut std = std::fs::OpenOptions::new();
        std.read(true);
        open(&mut OpenOptions::from(std)).await.unwrap();
        let directory = OpenOptions::new().write(true).open(dir).await.unwrap_err();
        assert_eq!(directory.kind(), ErrorKind::IsADirectory);
        let zero = File::open("a\0b").await.unwrap_err();
        assert_eq!(zero.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn whole_files_and_names() {
    with_dir(async |dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        for size in [0, 1, 4095, 4096, 300_000, 3_000_001] {
            let bytes: Vec<u8> = (0..size).map(|n| n as u8).collect();
            fs::write(&a, &bytes).await.unwrap();
            assert!(fs::read(&a).await.unwrap() == bytes);
        }
        fs::write(&a, "text").await.unwrap();
        assert_eq!(fs::read_to_string(&a).await.unwrap(), "text");
        fs::write(&b, [0xff]).await.unwrap();
        assert_eq!(
            fs::read_to_string(&b).await.unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        assert_eq!(fs::copy(&a, &b).await.unwrap(), 4);
        fs::remove_file(&a).await.unwrap();
        fs::rename(&b, &a).await.unwrap();
        assert!(fs::try_exists(&a).await.unwrap() && !fs::try_exists(&b).await.unwrap());
        fs::hard_link(&a, &b).await.unwrap();
        fs::remove_file(&b).await.unwrap();
        fs::symlink(&a, &b).await.unwrap();
        assert_eq!(fs::read_link(&b).await.unwrap(), a);
        assert!(fs::symlink_metadata(&b).await.unwrap().is_symlink());
        assert!(fs::metadata(&b).await.unwrap().is_file());
        assert_eq!(
            fs::canonicalize(&b).await.unwrap(),
            a.canonicalize().unwrap()
        );
        let deep = dir.join("x/y/z");
        fs::create_dir_all(&deep).await.unwrap();
        fs::create_dir(deep.join("w")).await.unwrap();
        assert_eq!(
            fs::remove_dir(&deep).await.unwrap_err().kind(),
            ErrorKind::DirectoryNotEmpty
        );
        fs::remove_dir_all(dir.join("x")).await.unwrap();
        let read_only = {
            let mut permissions = fs::metadata(&a).await.unwrap().permissions();
            permissions.set_readonly(true);
            permissions
        };
        fs::set_permissions(&a, read_only).await.unwrap();
        assert!(fs::metadata(&a).await.unwrap().permissions().readonly());
    });
}

#[test]
fn special_files_are_read_to_their_end() {
    with_dir(async |_| {
        assert!(!fs::read("/proc/self/status").await.unwrap().is_empty());
        let mut zeros = [1; 100];
        File::open("/dev/zero")
            .await
            .unwrap()
            .read_exact(&mut zeros)
            .await
            .unwrap();
        assert_eq!(zeros, [0; 100]);
        assert_eq!(fs::read("/dev/null").await.unwrap(), b"");
    });
}

#[test]
fn a_fifo_waits_for_its_peer_and_stops_nobody_else() {
    on_both(|runtime| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        make_fifo(&path);
        run(runtime, async {
            let reader = {
                let path = path.clone();
                blitz_io::spawn(async move {
                    let mut text = String::new();
                    File::open(path)
                        .await
                        .unwrap()
                        .read_to_string(&mut text)
                        .await
                        .unwrap();
                    text
                })
            };
            for _ in 0..100 {
                blitz_io::task::yield_now().await;
            }
            assert!(!reader.is_finished());
            let mut writer = OpenOptions::new().write(true).open(&path).await.unwrap();
            writer.write_all(b"first").await.unwrap();
            writer.flush().await.unwrap();
            writer.write_all(b" second").await.unwrap();
            writer.flush().await.unwrap();
            drop(writer);
            assert_eq!(reader.await.unwrap(), "first second");
        });
    });
}

#[test]
fn positioned_operations_move_nothing() {
    with_dir(async |dir| {
        let file = Arc::new(File::create_new(dir.join("a")).await.unwrap());
        let tasks: Vec<_> = (0..64_u64)
            .map(|n| {
                let file = Arc::clone(&file);
                blitz_io::spawn(async move {
                    let (written, _) = file.write_at(vec![n as u8; 1000], n * 1000).await;
                    written.unwrap()
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 1000);
        }
        for n in (0..64_u64).rev() {
            let (read, buffer) = file.read_at(Vec::with_capacity(1000), n * 1000).await;
            assert_eq!(read.unwrap(), 1000);
            assert!(buffer.iter().all(|byte| *byte == n as u8));
        }
        let (read, buffer) = file.read_at(vec![9; 8], 64_000).await;
        assert_eq!(
            (read.unwrap(), &buffer[..]),
            (0, &[9; 8][..]),
            "nothing was read, and the bytes are as they were"
        );
        let mut file = Arc::into_inner(file).unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 0);
    });
}

#[test]
fn a_dropped_file_is_written_to_its_end() {
    on_every(|runtime: &Runtime| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let bytes: Vec<u8> = (0..1_000_000).map(|n| n as u8).collect();
        run(runtime, async {
            let mut file = File::create(&path).await.unwrap();
            // Taken, perhaps not carried out.
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let n = file.write(rest).await.unwrap();
                rest = &rest[n..];
            }
        });
        let begun = std::time::Instant::now();
        while std::fs::metadata(&path).unwrap().len() < 1_000_000 {
            assert!(
                begun.elapsed() < crate::harness::GUARD,
                "the bytes never came"
            );
            run(runtime, blitz_io::task::yield_now());
        }
        assert!(std::fs::read(&path).unwrap() == bytes);
    });
}

#[test]
fn a_runtimes_end_loses_nothing_that_was_taken() {
    for runtime in crate::harness::every_runtime() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let file = run(&runtime, async {
            let mut file = File::create(&path).await.unwrap();
            assert_eq!(file.write(b"the last words").await.unwrap(), 14);
            file
        });
        drop(file);
        drop(runtime);
        assert_eq!(std::fs::read(&path).unwrap(), b"the last words");
    }
}

#[test]
fn a_full_disk_is_reported_and_its_bytes_are_kept_for_a_retry() {
    with_dir(async |_| {
        let mut full = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .await
            .unwrap();
        // It may be taken before it fails: then the flush says so, each time, and never that all is well.
        if full.write(b"lost?").await.is_ok() {
            for _ in 0..3 {
                assert_eq!(
                    full.flush().await.unwrap_err().kind(),
                    ErrorKind::StorageFull
                );
            }
            assert_eq!(
                full.write(b"more").await.unwrap_err().kind(),
                ErrorKind::StorageFull
            );
            assert_eq!(
                full.sync_all().await.unwrap_err().kind(),
                ErrorKind::StorageFull
            );
        }
    });
}

#[test]
fn a_file_opened_for_reading_refuses_writes_and_goes_on() {
    with_dir(async |dir| {
        fs::write(dir.join("a"), "text").await.unwrap();
        let mut file = File::open(dir.join("a")).await.unwrap();
        let refused = match file.write(b"x").await {
            Ok(_) => file.flush().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(refused.raw_os_error().is_some(), "{refused}");
        let mut text = String::new();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "text");
    });
}

#[test]
fn one_operation_takes_no_more_than_is_set() {
    with_dir(async |dir| {
        let mut file = File::create_new(dir.join("a")).await.unwrap();
        assert_eq!(file.max_buf_size(), 2 * 1024 * 1024);
        file.set_max_buf_size(1000);
        assert_eq!(file.write(&[7; 5000]).await.unwrap(), 1000);
        file.write_all(&[7; 4000]).await.unwrap();
        file.rewind().await.unwrap();
        assert!(file.read(&mut [0; 5000]).await.unwrap() <= 1000);
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).await.unwrap();
        assert!(rest.iter().all(|byte| *byte == 7));
    });
}

#[test]
fn clones_share_the_position_and_std_takes_over() {
    with_dir(async |dir| {
        fs::write(dir.join("a"), "0123456789").await.unwrap();
        let mut file = File::open(dir.join("a")).await.unwrap();
        let mut clone = file.try_clone().await.unwrap();
        let mut two = [0; 2];
        file.read_exact(&mut two).await.unwrap();
        clone.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"23");
        let mut std = file.into_std().await;
        std::io::Read::read_exact(&mut std, &mut two).unwrap();
        assert_eq!(&two, b"45");
        let std = File::from_std(std).try_into_std().unwrap();
        drop(std);
        clone.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"67");
    });
}

#[test]
fn a_cancelled_read_loses_no_byte() {
    on_both(|runtime| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        make_fifo(&path);
        run(runtime, async {
            let opened = {
                let path = path.clone();
                blitz_io::spawn(async move { File::open(path).await.unwrap() })
            };
            let mut writer = OpenOptions::new().write(true).open(&path).await.unwrap();
            let mut reader = opened.await.unwrap();
            let mut got = Vec::new();
            for n in 0..200_u8 {
                let mut buffer = [0; 16];
                {
                    // Polled once, so that it is under way, and dropped.
                    let mut read = std::pin::pin!(reader.read(&mut buffer));
                    let polled =
                        std::future::poll_fn(|cx| std::task::Poll::Ready(read.as_mut().poll(cx)))
                            .await;
                    if let std::task::Poll::Ready(count) = polled {
                        got.extend_from_slice(&buffer[..count.unwrap()]);
                    }
                }
                writer.write_all(&[n]).await.unwrap();
                writer.flush().await.unwrap();
                if n % 3 == 0 {
                    let count = reader.read(&mut buffer).await.unwrap();
                    got.extend_from_slice(&buffer[..count]);
                }
            }
            drop(writer);
            reader.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, (0..200).collect::<Vec<u8>>());
        });
    });
}

#[test]
fn many_share_one_flush() {
    with_dir(async |dir| {
        let mut file = File::create(dir.join("a")).await.unwrap();
        for _ in 0..50 {
            file.write_all(&[1; 10_000]).await.unwrap();
            let (a, b, c) = futures::join!(file.sync_all(), file.sync_data(), file.sync_all());
            for result in [a, b, c] {
                result.unwrap();
            }
        }
        assert_eq!(file.metadata().await.unwrap().len(), 500_000);
    });
}

/// A file system of 64 KiB, unmounted when it is dropped; `None` where this user may not mount.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(crate) fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=64k", "blitz-io-test"])
            .arg(dir.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .output();
    }
}

#[test]
fn what_a_full_disk_did_not_take_is_written_once_there_is_room() {
    on_every(|runtime| {
        let Some(disk) = SmallDisk::mount() else {
            eprintln!("no right to mount: nothing tested");
            return;
        };
        let (path, ballast) = (disk.path().join("a"), disk.path().join("ballast"));
        run(runtime, async {
            std::fs::write(&ballast, [0; 40_000]).unwrap();
            let bytes: Vec<u8> = (0..50_000).map(|n| n as u8).collect();
            let mut file = File::create(&path).await.unwrap();
            let mut taken = 0;
            let error = loop {
                assert!(taken < bytes.len(), "the disk is not full");
                match file.write(&bytes[taken..]).await {
                    Ok(n) => taken += n,
                    Err(error) => break error,
                }
                if let Err(error) = file.flush().await {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            // All that was taken and no more, however often it was asked for.
            std::fs::remove_file(&ballast).unwrap();
            file.flush().await.unwrap();
            assert!(std::fs::read(&path).unwrap() == bytes[..taken]);
            file.write_all(&bytes[taken..]).await.unwrap();
            file.flush().await.unwrap();
            assert!(std::fs::read(&path).unwrap() == bytes);
        });
    });
}

/// As on tokio: whoever enters a runtime of one thread from another may be the only one there, and nobody turns its ring.
#[test]
fn files_need_nobody_who_runs_the_runtime() {
    each_case(&[Flavor::CurrentThread], |case| {
        let runtime = case.runtime();
        let dir = tempfile::tempdir().unwrap();
        let work = async |name: &str| {
            let path = dir.path().join(name);
            let mut file = File::create_new(&path).await.unwrap();
            file.write_all(b"0123456789").await.unwrap();
            file.sync_all().await.unwrap();
            // Whatever the page cache has is read on the spot: now it has nothing, where the file system lets go of it.
            file.fadvise(0, 0, Advice::DontNeed).await.unwrap();
            file.rewind().await.unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "0123456789");
            file.set_len(3).await.unwrap();
            assert_eq!(file.read_at(vec![0; 4], 0).await.1[..3], *b"012");
            assert_eq!(file.write_at(b"xy".to_vec(), 1).await.0.unwrap(), 2);
            file.sync_data().await.unwrap();
            drop(file);
            assert_eq!(fs::read(&path).await.unwrap(), b"0xy");
            fs::create_dir(dir.path().join("sub")).await.unwrap();
            let moved = dir.path().join("sub/moved");
            fs::rename(&path, &moved).await.unwrap();
            fs::remove_file(&moved).await.unwrap();
            fs::remove_dir(dir.path().join("sub")).await.unwrap();
        };
        guarded(GUARD, || runtime.handle().block_on(work("by its handle")));
        let entered = runtime.enter();
        guarded(GUARD, || futures::executor::block_on(work("entered")));
        drop(entered);
        run(&runtime, work("by its thread"));
    });
}

#[test]
fn a_runtime_that_has_shut_down_serves_no_file() {
    for runtime in crate::harness::every_runtime() {
        let handle = runtime.handle().clone();
        runtime.shutdown_timeout(crate::harness::GUARD);
        let read = handle.block_on(fs::read_to_string("/proc/self/status"));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(
            handle.block_on(fs::metadata("/")).unwrap_err().kind(),
            ErrorKind::Other
        );
        assert_eq!(
            handle
                .block_on(fs::remove_file("/no/such/file"))
                .unwrap_err()
                .kind(),
            ErrorKind::Other
        );
    }
}

#[test]
fn without_a_runtime_the_panic_says_what_to_do() {
    let panic = std::panic::catch_unwind(|| {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = std::pin::pin!(File::open("/")).poll(&mut cx);
    });
    let panic = panic.unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(
        text.contains("fs::File::open") && text.contains("runtime.enter()"),
        "{text}"
    );
}
