//! Files from the page cache: random 4 KiB reads, small files whole, a large one in chunks.
//!
//! Each runtime reads as its users would: by position where it can, by seek and read where that is the API. `tokio-pread`
//! is the careful tokio user, who makes one hop to the blocking pool with `pread`.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::measure::Sample;

const BLOCK: usize = 4096;
const LARGE: u64 = 256 << 20;
const CHUNK: usize = 256 << 10;
const SMALL: usize = 1024;
const SMALL_FILES: usize = 2_000;
const READS: usize = 20_000;

/// The files of this module, made once and kept in the page cache.
fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join("blitz-bench-files");
    std::fs::create_dir_all(&folder).expect("a folder for the files to read");
    let large = folder.join("large");
    if std::fs::metadata(&large).map_or(0, |m| m.len()) != LARGE {
        let file = std::fs::File::create(&large).expect("the large file");
        let chunk: Vec<u8> = (0..CHUNK).map(|i| i as u8).collect();
        for at in (0..LARGE).step_by(CHUNK) {
            file.write_all_at(&chunk, at)
                .expect("room for the large file");
        }
    }
    let last = small(&folder, SMALL_FILES - 1);
    if !last.exists() {
        for i in 0..SMALL_FILES {
            std::fs::write(small(&folder, i), [i as u8; SMALL]).expect("room for a small file");
        }
    }
    folder
}

fn small(folder: &Path, i: usize) -> PathBuf {
    folder.join(format!("small-{i}"))
}

/// Reads everything once, so that the page cache has it.
fn warm(folder: &Path) {
    std::hint::black_box(std::fs::read(folder.join("large")).expect("the large file"));
}

/// A cheap random sequence of block offsets.
fn offsets(seed: u64) -> impl Iterator<Item = u64> + Send {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x % (LARGE / BLOCK as u64)) * BLOCK as u64
    })
}

fn per_op(started: Instant, ops: usize) -> Sample {
    Sample {
        value: started.elapsed().as_nanos() as f64 / 1e3 / ops as f64,
        ..Sample::default()
    }
}

/// The rows, for a runtime whose file opens by `$open`, reads by position with `$read_at` and reads a whole file with `$whole`.
macro_rules! rows {
    ($rt:ident, $row:expr, open $open:expr, read_at $read_at:expr, whole $whole:expr, chunks $chunks:expr) => {{
        use crate::rt::$rt::{run, spawn};
        let folder = folder();
        warm(&folder);
        match $row {
            "random_read_1" => run(async move {
                let mut file = $open(folder.join("large")).await;
                let mut buffer = vec![0; BLOCK];
                let started = Instant::now();
                for offset in offsets(7).take(READS) {
                    (file, buffer) = $read_at(file, buffer, offset).await;
                }
                per_op(started, READS)
            }),
            "random_read_32" => run(async move {
                let started = Instant::now();
                let tasks: Vec<_> = (0..32)
                    .map(|i| {
                        let path = folder.join("large");
                        spawn(async move {
                            let mut file = $open(path).await;
                            let mut buffer = vec![0; BLOCK];
                            for offset in offsets(i + 1).take(READS / 8) {
                                (file, buffer) = $read_at(file, buffer, offset).await;
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    let _ = task.await;
                }
                per_op(started, READS / 8 * 32)
            }),
            "small_files_1" => run(async move {
                let started = Instant::now();
                for i in 0..SMALL_FILES {
                    assert_eq!($whole(small(&folder, i)).await.len(), SMALL);
                }
                per_op(started, SMALL_FILES)
            }),
            "small_files_64" => run(async move {
                let folder = Arc::new(folder);
                let started = Instant::now();
                let tasks: Vec<_> = (0..64)
                    .map(|lane| {
                        let folder = Arc::clone(&folder);
                        spawn(async move {
                            for i in (lane..SMALL_FILES).step_by(64) {
                                assert_eq!($whole(small(&folder, i)).await.len(), SMALL);
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    let _ = task.await;
                }
                per_op(started, SMALL_FILES)
            }),
            "large_file" => run(async move {
                let file = $open(folder.join("large")).await;
                let started = Instant::now();
                assert_eq!($chunks(file).await, LARGE);
                per_op(started, (LARGE / CHUNK as u64) as usize)
            }),
            other => panic!("no row {other}"),
        }
    }};
}

/// Chunk by chunk by position, for the runtimes whose files read so.
macro_rules! chunks_by_position {
    ($read_at:expr) => {
        |mut file| async move {
            let mut buffer = vec![0; CHUNK];
            let mut at = 0;
            while at < LARGE {
                (file, buffer) = $read_at(file, buffer, at).await;
                at += CHUNK as u64;
            }
            drop(file);
            at
        }
    };
}

async fn tokio_seek_read(
    mut file: tokio::fs::File,
    mut buffer: Vec<u8>,
    offset: u64,
) -> (tokio::fs::File, Vec<u8>) {
    use tokio::io::{AsyncReadExt, AsyncSeekExt};
    file.seek(std::io::SeekFrom::Start(offset))
        .await
        .expect("seek");
    file.read_exact(&mut buffer).await.expect("read");
    (file, buffer)
}

async fn tokio_pread(
    file: Arc<std::fs::File>,
    mut buffer: Vec<u8>,
    offset: u64,
) -> (Arc<std::fs::File>, Vec<u8>) {
    tokio::task::spawn_blocking(move || {
        file.read_exact_at(&mut buffer, offset).expect("read");
        (file, buffer)
    })
    .await
    .expect("no panic")
}

async fn blitz_read_at(
    file: blitz_io::fs::File,
    buffer: Vec<u8>,
    offset: u64,
) -> (blitz_io::fs::File, Vec<u8>) {
    let len = buffer.len();
    let (result, buffer) = file.read_at(buffer, offset).await;
    assert_eq!(result.expect("read"), len);
    (file, buffer)
}

async fn monoio_read_at(
    file: monoio::fs::File,
    buffer: Vec<u8>,
    offset: u64,
) -> (monoio::fs::File, Vec<u8>) {
    let (result, buffer) = file.read_exact_at(buffer, offset).await;
    result.expect("read");
    (file, buffer)
}

async fn glommio_read_at(
    file: glommio::io::BufferedFile,
    buffer: Vec<u8>,
    offset: u64,
) -> (glommio::io::BufferedFile, Vec<u8>) {
    // Its result is a buffer of its own.
    let result = file.read_at(offset, buffer.len()).await.expect("read");
    assert_eq!(result.len(), buffer.len());
    (file, buffer)
}

async fn compio_read_at(
    file: compio::fs::File,
    buffer: Vec<u8>,
    offset: u64,
) -> (compio::fs::File, Vec<u8>) {
    use compio::io::AsyncReadAtExt;
    let compio::buf::BufResult(result, buffer) = file.read_exact_at(buffer, offset).await;
    result.expect("read");
    (file, buffer)
}

async fn smol_seek_read(
    mut file: smol::fs::File,
    mut buffer: Vec<u8>,
    offset: u64,
) -> (smol::fs::File, Vec<u8>) {
    use smol::io::{AsyncReadExt, AsyncSeekExt};
    file.seek(std::io::SeekFrom::Start(offset))
        .await
        .expect("seek");
    file.read_exact(&mut buffer).await.expect("read");
    (file, buffer)
}

async fn monoio_whole(path: PathBuf) -> Vec<u8> {
    let file = monoio::fs::File::open(path).await.expect("open");
    let (result, mut buffer) = file.read_at(Vec::with_capacity(2 * SMALL), 0).await;
    buffer.truncate(result.expect("read"));
    file.close().await.expect("close");
    buffer
}

async fn glommio_whole(path: PathBuf) -> Vec<u8> {
    let file = glommio::io::BufferedFile::open(path).await.expect("open");
    let result = file.read_at(0, 2 * SMALL).await.expect("read").to_vec();
    file.close().await.expect("close");
    result
}

macro_rules! tokio_chunks {
    ($root:ident) => {
        |mut file: $root::fs::File| async move {
            use $root::io::AsyncReadExt;
            let (mut buffer, mut total) = (vec![0; CHUNK], 0);
            loop {
                match file.read(&mut buffer).await.expect("read") {
                    0 => return total,
                    n => total += n as u64,
                }
            }
        }
    };
}

pub fn run(row: &str, runtime: &str) -> Sample {
    match runtime {
        "tokio-mt" => rows!(tokio_mt, row,
            open |path| async { tokio::fs::File::open(path).await.expect("open") },
            read_at tokio_seek_read,
            whole |path| async { tokio::fs::read(path).await.expect("read") },
            chunks tokio_chunks!(tokio)),
        "tokio-pread" => rows!(tokio_mt, row,
            open |path| async { Arc::new(std::fs::File::open(path).expect("open")) },
            read_at tokio_pread,
            whole |path| async { tokio::fs::read(path).await.expect("read") },
            chunks chunks_by_position!(tokio_pread)),
        "blitz-mt" => rows!(blitz_mt, row,
            open |path| async { blitz_io::fs::File::open(path).await.expect("open") },
            read_at blitz_read_at,
            whole |path| async { blitz_io::fs::read(path).await.expect("read") },
            chunks tokio_chunks!(blitz_io)),
        "blitz-ct" => rows!(blitz_ct, row,
            open |path| async { blitz_io::fs::File::open(path).await.expect("open") },
            read_at blitz_read_at,
            whole |path| async { blitz_io::fs::read(path).await.expect("read") },
            chunks tokio_chunks!(blitz_io)),
        "monoio" => rows!(monoio, row,
            open |path| async { monoio::fs::File::open(path).await.expect("open") },
            read_at monoio_read_at,
            whole monoio_whole,
            chunks chunks_by_position!(monoio_read_at)),
        "glommio" => rows!(glommio, row,
            open |path| async { glommio::io::BufferedFile::open(path).await.expect("open") },
            read_at glommio_read_at,
            whole glommio_whole,
            chunks chunks_by_position!(glommio_read_at)),
        "compio" => rows!(compio, row,
            open |path| async { compio::fs::File::open(path).await.expect("open") },
            read_at compio_read_at,
            whole |path| async { compio::fs::read(path).await.expect("read") },
            chunks chunks_by_position!(compio_read_at)),
        "smol" => rows!(smol, row,
        open |path| async { smol::fs::File::open(path).await.expect("open") },
        read_at smol_seek_read,
        whole |path| async { smol::fs::read(path).await.expect("read") },
        chunks |mut file: smol::fs::File| async move {
            use smol::io::AsyncReadExt;
            let (mut buffer, mut total) = (vec![0; CHUNK], 0);
            loop {
                match file.read(&mut buffer).await.expect("read") {
                    0 => return total,
                    n => total += n as u64,
                }
            }
        }),
        "raw-ring" => raw_ring(row),
        other => panic!("no runtime {other}"),
    }
}

/// Random blocks, each looked at whole: read into a buffer, or where they lie in a map of the file.
pub fn summed(runtime: &str) -> Sample {
    let folder = folder();
    warm(&folder);
    let path = folder.join("large");
    let sum = |block: &[u8]| block.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    match runtime {
        "tokio-pread" => crate::rt::tokio_mt::run(async move {
            let mut file = Arc::new(std::fs::File::open(path).expect("open"));
            let (mut buffer, mut total) = (vec![0; BLOCK], 0);
            let started = Instant::now();
            for offset in offsets(7).take(READS) {
                (file, buffer) = tokio_pread(file, buffer, offset).await;
                total += sum(&buffer);
            }
            std::hint::black_box(total);
            per_op(started, READS)
        }),
        "blitz-mt" => crate::rt::blitz_mt::run(async move {
            let mut file = blitz_io::fs::File::open(path).await.expect("open");
            let (mut buffer, mut total) = (vec![0; BLOCK], 0);
            let started = Instant::now();
            for offset in offsets(7).take(READS) {
                (file, buffer) = blitz_read_at(file, buffer, offset).await;
                total += sum(&buffer);
            }
            std::hint::black_box(total);
            per_op(started, READS)
        }),
        "blitz-mapped" => crate::rt::blitz_mt::run(async move {
            let file = blitz_io::fs::File::open(path).await.expect("open");
            let mut total = 0;
            let started = Instant::now();
            // Mapping it and bringing its pages into the address space are part of the price.
            // SAFETY: the file is this program's, written before, and not again.
            let map = unsafe { blitz_io::fs::Mmap::map(&file) }
                .await
                .expect("map");
            for offset in offsets(7).take(READS) {
                total += sum(&map[offset as usize..offset as usize + BLOCK]);
            }
            std::hint::black_box(total);
            per_op(started, READS)
        }),
        other => panic!("no runtime {other}"),
    }
}

/// The floor: the ring without a runtime.
fn raw_ring(row: &str) -> Sample {
    use io_uring::{IoUring, opcode, types};
    use std::os::fd::AsRawFd;

    let folder = folder();
    warm(&folder);
    let file = std::fs::File::open(folder.join("large")).expect("open");
    let depth = if row == "random_read_32" { 32 } else { 1 };
    let reads = if depth == 32 { READS / 8 * 32 } else { READS };
    let mut ring = IoUring::builder()
        .setup_coop_taskrun()
        .build(64)
        .expect("a ring");
    let mut buffers = vec![vec![0u8; BLOCK]; depth];
    let mut offsets = offsets(7);
    let mut push = |ring: &mut IoUring, slot: usize| {
        let read = opcode::Read::new(
            types::Fd(file.as_raw_fd()),
            buffers[slot].as_mut_ptr(),
            BLOCK as u32,
        )
        .offset(offsets.next().expect("endless"))
        .build()
        .user_data(slot as u64);
        // SAFETY: the buffer lives until the end of this function, where nothing is in flight any more.
        unsafe { ring.submission().push(&read) }.expect("room");
    };
    let started = Instant::now();
    for slot in 0..depth {
        push(&mut ring, slot);
    }
    let (mut done, mut sent) = (0, depth);
    while done < reads {
        ring.submit_and_wait(1).expect("enter");
        let slots: Vec<usize> = ring
            .completion()
            .map(|cqe| {
                assert_eq!(cqe.result(), BLOCK as i32);
                cqe.user_data() as usize
            })
            .collect();
        done += slots.len();
        for slot in slots {
            if sent < reads {
                push(&mut ring, slot);
                sent += 1;
            }
        }
    }
    per_op(started, reads)
}
