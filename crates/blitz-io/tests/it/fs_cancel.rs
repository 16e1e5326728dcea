//! Calls on files that are given up at each of their polls: nothing is left open, no buffer stays, and the next call works.

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use blitz_io::fs::{
    self, Advice, DirBuilder, FallocateMode, File, Mmap, MmapMut, OpenOptions, WriteBack,
};
use blitz_io::io::{AlignedBuf, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use blitz_io::task::yield_now;

use crate::child;
use crate::fs::with_dir;

/// The output of `future` if it is ready at one of its first `polls` polls; it is dropped after the last.
async fn for_polls<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Calls `call` again and again, given up after one poll, after two, and so on, until it ends by itself.
pub(crate) async fn at_each_poll<T>(mut call: impl AsyncFnMut() -> T) -> T {
    for polls in 1..10_000 {
        if let Some(output) = for_polls(call(), polls).await {
            return output;
        }
    }
    panic!("it never ends");
}

/// A name that nobody has had.
fn fresh(dir: &Path) -> std::path::PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    dir.join(format!("fresh-{}", NEXT.fetch_add(1, Relaxed)))
}

async fn all_are_given_up(dir: &Path) {
    let path = dir.join("file");
    let bytes: Vec<u8> = (0..100_000).map(|n| n as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    let is_whole = |got: &[u8]| got == bytes;

    // Names.
    at_each_poll(async || fs::create_dir(fresh(dir)).await)
        .await
        .unwrap();
    at_each_poll(async || fs::create_dir_all(fresh(dir).join("a/b")).await)
        .await
        .unwrap();
    let builder = DirBuilder::new();
    at_each_poll(async || builder.create(fresh(dir)).await)
        .await
        .unwrap();
    at_each_poll(async || fs::hard_link(&path, fresh(dir)).await)
        .await
        .unwrap();
    at_each_poll(async || fs::symlink(&path, fresh(dir)).await)
        .await
        .unwrap();
    at_each_poll(async || fs::copy(&path, fresh(dir)).await)
        .await
        .unwrap();
    at_each_poll(async || fs::canonicalize(&path).await)
        .await
        .unwrap();
    at_each_poll(async || fs::metadata(&path).await)
        .await
        .unwrap();
    at_each_poll(async || fs::symlink_metadata(&path).await)
        .await
        .unwrap();
    assert!(
        at_each_poll(async || fs::try_exists(&path).await)
            .await
            .unwrap()
    );
    let link = fresh(dir);
    fs::symlink("x", &link).await.unwrap();
    at_each_poll(async || fs::read_link(&link).await)
        .await
        .unwrap();
    let permissions = fs::metadata(&path).await.unwrap().permissions();
    at_each_poll(async || fs::set_permissions(&path, permissions.clone()).await)
        .await
        .unwrap();
    // Each makes what it then takes away, under a name of its own.
    at_each_poll(async || {
        let (from, to) = (fresh(dir), fresh(dir));
        std::fs::write(&from, "").unwrap();
        fs::rename(from, to).await
    })
    .await
    .unwrap();
    at_each_poll(async || {
        let path = fresh(dir);
        std::fs::write(&path, "").unwrap();
        fs::remove_file(path).await
    })
    .await
    .unwrap();
    at_each_poll(async || {
        let path = fresh(dir);
        std::fs::create_dir(&path).unwrap();
        fs::remove_dir(path).await
    })
    .await
    .unwrap();
    at_each_poll(async || {
        let path = fresh(dir);
        std::fs::create_dir(&path).unwrap();
        fs::remove_dir_all(path).await
    })
    .await
    .unwrap();

    // Whole files and directories.
    assert!(is_whole(
        &at_each_poll(async || fs::read(&path).await).await.unwrap()
    ));
    at_each_poll(async || fs::read_to_string("/proc/self/status").await)
        .await
        .unwrap();
    at_each_poll(async || fs::write(fresh(dir), &bytes).await)
        .await
        .unwrap();
    // One of its own: a call that was given up may take a name away late.
    let listed = fresh(dir);
    std::fs::create_dir(&listed).unwrap();
    for name in ["a", "b", "c", "d", "e", "f"] {
        std::fs::write(listed.join(name), "").unwrap();
    }
    let count = at_each_poll(async || {
        let mut entries = fs::read_dir(&listed).await.unwrap();
        let mut count = 0;
        while let Some(entry) = entries.next_entry().await.unwrap() {
            entry.file_type().await.unwrap();
            at_each_poll(async || entry.metadata().await).await.unwrap();
            count += 1;
        }
        count
    })
    .await;
    assert_eq!(count, 6);

    // Open files.
    at_each_poll(async || File::open(&path).await)
        .await
        .unwrap();
    at_each_poll(async || File::create(fresh(dir)).await)
        .await
        .unwrap();
    at_each_poll(async || File::create_new(fresh(dir)).await)
        .await
        .unwrap();
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let file = at_each_poll(async || options.open(&path).await)
        .await
        .unwrap();
    at_each_poll(async || file.metadata().await).await.unwrap();
    at_each_poll(async || file.sync_all().await).await.unwrap();
    at_each_poll(async || file.sync_data().await).await.unwrap();
    at_each_poll(async || file.set_len(100_000).await)
        .await
        .unwrap();
    at_each_poll(async || file.set_permissions(permissions.clone()).await)
        .await
        .unwrap();
    at_each_poll(async || file.set_modified(std::time::SystemTime::now()).await)
        .await
        .unwrap();
    let times = std::fs::FileTimes::new().set_modified(std::time::SystemTime::now());
    at_each_poll(async || file.set_times(times).await)
        .await
        .unwrap();
    at_each_poll(async || file.try_clone().await).await.unwrap();
    at_each_poll(async || file.fadvise(0, 0, Advice::WillNeed).await)
        .await
        .unwrap();
    at_each_poll(async || file.sync_file_range(0, 0, WriteBack::Whole).await)
        .await
        .unwrap();
    // (A file system may not have it.)
    let _ = at_each_poll(async || file.fallocate(FallocateMode::Allocate, 0, 100_000).await).await;
    let (read, got) =
        at_each_poll(async || file.read_at(Vec::with_capacity(100_000), 0).await).await;
    assert!(read.unwrap() == 100_000 && is_whole(&got));
    let parts = || vec![bytes[..50_000].to_vec(), bytes[50_000..].to_vec()];
    let (written, _) = at_each_poll(async || file.write_vectored_at(parts(), 0).await).await;
    assert_eq!(written.unwrap(), 100_000);
    let (written, _) = at_each_poll(async || file.write_at(bytes.clone(), 0).await).await;
    assert_eq!(written.unwrap(), 100_000);
    let rooms = || vec![Vec::with_capacity(60_000), Vec::with_capacity(60_000)];
    let (read, got) = at_each_poll(async || file.read_vectored_at(rooms(), 0).await).await;
    assert!(read.unwrap() == 100_000 && is_whole(&got.concat()));
    let to = File::create(fresh(dir)).await.unwrap();
    let copied = at_each_poll(async || file.copy_file_range(0, &to, 0, 1 << 30).await).await;
    assert_eq!(copied.unwrap(), 100_000);
    options.direct(true);
    if let Ok(direct) = options.open(&path).await {
        let block = || AlignedBuf::new(65_536);
        let (read, got) = at_each_poll(async || direct.read_at(block(), 0).await).await;
        assert!(got[..] == bytes[..read.unwrap()]);
    }
    at_each_poll(async || file.try_clone().await.unwrap().into_std().await).await;

    // In memory.
    // SAFETY: nobody changes the file meanwhile.
    let whole = at_each_poll(async || unsafe { Mmap::map(&file) }.await)
        .await
        .unwrap();
    at_each_poll(async || whole.load().await).await.unwrap();
    at_each_poll(async || whole.advise(Advice::WillNeed).await)
        .await
        .unwrap();
    assert!(is_whole(&whole));
    drop(whole);
    // SAFETY: as above.
    let whole = at_each_poll(async || unsafe { MmapMut::map(&file) }.await)
        .await
        .unwrap();
    at_each_poll(async || whole.flush().await).await.unwrap();
    at_each_poll(async || whole.flush_range(1, 5000).await)
        .await
        .unwrap();
    drop(whole);
    assert!(is_whole(
        &at_each_poll(async || MmapMut::copy_of(&file).await)
            .await
            .unwrap()
    ));

    // SAFETY: as above.
    let part = at_each_poll(async || unsafe { Mmap::map_range(&file, 1, 5000) }.await)
        .await
        .unwrap();
    assert!(part[..] == bytes[1..5001]);
    // SAFETY: as above.
    let part = at_each_poll(async || unsafe { MmapMut::map_range(&file, 1, 5000) }.await)
        .await
        .unwrap();
    assert!(part[..] == bytes[1..5001]);

    // Streams: what a dropped future took is the file's, and comes next.
    let mut file = file;
    file.rewind().await.unwrap();
    let mut got = Vec::new();
    let mut polls = 1;
    while got.len() < bytes.len() {
        let mut part = [0; 3_000];
        match for_polls(file.read(&mut part), polls).await {
            Some(count) => {
                got.extend_from_slice(&part[..count.unwrap()]);
                polls = 1;
            }
            None => polls += 1,
        }
    }
    assert!(is_whole(&got));
    let mut out = File::create(fresh(dir)).await.unwrap();
    at_each_poll(async || out.write(&bytes[..10]).await)
        .await
        .unwrap();
    at_each_poll(async || out.flush().await).await.unwrap();
    // Dropped with bytes that may not be written yet.
    out.write_all(&bytes).await.unwrap();
}

/// What a pool's thread or the kernel still holds is closed in a moment: until then others have their turn.
async fn until_open(descriptors: usize) {
    while child::open_descriptors() > descriptors {
        yield_now().await;
    }
}

#[test]
fn a_call_that_is_given_up_at_any_poll_leaves_nothing_open() {
    child::run("", "fs_cancel::given_up_in_a_child");
}

#[test]
#[ignore = "counts the process's descriptors: run in a child by a_call_that_is_given_up_at_any_poll_leaves_nothing_open"]
fn given_up_in_a_child() {
    for on_the_spot in [true, false] {
        fs::set_metadata_on_the_spot(on_the_spot);
        with_dir(async |dir| {
            // What is made once a runtime is there before.
            drop(fs::read("/proc/self/status").await);
            blitz_io::task::spawn_blocking(|| ()).await.unwrap();
            let before = child::open_descriptors();
            all_are_given_up(dir).await;
            until_open(before).await;
        });
    }
}

/// `EMFILE`, with the path; and all is well once some are closed.
#[test]
fn a_process_without_descriptors_is_told_so() {
    child::run("ulimit -n 96", "fs_cancel::without_descriptors");
}

#[test]
#[ignore = "run by a_process_without_descriptors_is_told_so, under its limit"]
fn without_descriptors() {
    with_dir(async |dir| {
        let path = dir.join("file");
        fs::write(&path, "text").await.unwrap();
        let file = File::open(&path).await.unwrap();
        let mut held = Vec::new();
        let error = loop {
            match File::open(&path).await {
                Ok(file) => held.push(file),
                Err(error) => break error,
            }
        };
        let is_told = |error: &std::io::Error| {
            let text = error.to_string();
            assert!(
                text.contains("file") && text.contains("os error 24"),
                "{text}"
            );
        };
        is_told(&error);
        is_told(&File::create(dir.join("file-2")).await.unwrap_err());
        is_told(&fs::read(&path).await.unwrap_err());
        is_told(&fs::write(&path, "other").await.unwrap_err());
        is_told(&fs::copy(&path, dir.join("file-3")).await.unwrap_err());
        let error = fs::read_dir(dir).await.unwrap_err();
        assert!(error.to_string().contains("os error 24"), "{error}");
        assert_eq!(file.try_clone().await.unwrap_err().raw_os_error(), Some(24));
        // What needs none works.
        fs::rename(&path, dir.join("file-4")).await.unwrap();
        let (read, _) = file.read_at(vec![0; 4], 0).await;
        assert_eq!(read.unwrap(), 4);
        drop(held);
        let mut again = None;
        while again.is_none() {
            again = File::open(dir.join("file-4")).await.ok();
            yield_now().await;
        }
        drop(fs::read_dir(dir).await.unwrap());
    });
}
