//! Files as memory: sent from, received into, and what becomes of them when the file is cut.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use blitz_io::fs::{self, Advice, File, Mmap, MmapMut, OpenOptions};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, IoBuf};
use blitz_io::net::{TcpListener, TcpStream};

use crate::fs::with_dir;

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

async fn both_ways(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    options.open(path).await.unwrap()
}

async fn map(file: &File) -> Mmap {
    // SAFETY: each test has its file for itself, and does not touch what it has cut off.
    unsafe { Mmap::map(file) }.await.unwrap()
}

async fn map_mut(file: &File) -> MmapMut {
    // SAFETY: as above.
    unsafe { MmapMut::map(file) }.await.unwrap()
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (one, other) = futures::join!(TcpStream::connect(address), listener.accept());
    (one.unwrap(), other.unwrap().0)
}

#[test]
fn a_map_is_the_files_content_and_shared() {
    with_dir(async |dir| {
        let mut file = both_ways(&dir.join("a")).await;
        // Taken, perhaps not carried out: the map has it.
        file.write_all(&pattern(100_000)).await.unwrap();
        let whole = map(&file).await;
        assert!(whole[..] == pattern(100_000));
        whole.advise(Advice::Sequential).await.unwrap();
        whole.advise(Advice::DontNeed).await.unwrap();
        whole.load().await.unwrap();
        let clone = whole.clone();
        drop((whole, file));
        assert!(
            clone.as_ref() == pattern(100_000),
            "it outlives the file's handle"
        );
        assert_eq!(format!("{clone:?}"), "Mmap { len: 100000 }");

        let file = File::open(dir.join("a")).await.unwrap();
        // SAFETY: as above.
        let range = unsafe { Mmap::map_range(&file, 5_001, 7) }.await.unwrap();
        assert_eq!(range[..], pattern(6_000)[5_001..5_008]);
        range.load().await.unwrap();
        // SAFETY: as above.
        let behind = unsafe { Mmap::map_range(&file, 99_999, 2) }.await;
        let error = behind.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("100000"), "{error}");
        // SAFETY: as above.
        let far = unsafe { Mmap::map_range(&file, u64::MAX, 2) }.await;
        assert_eq!(far.unwrap_err().kind(), ErrorKind::InvalidInput);
        // SAFETY: as above.
        let reads = unsafe { MmapMut::map(&file) }.await;
        assert_eq!(reads.unwrap_err().kind(), ErrorKind::PermissionDenied);

        let empty = both_ways(&dir.join("empty")).await;
        let empty = map(&empty).await;
        assert!(empty.is_empty());
        empty.load().await.unwrap();
        let folder = File::open(dir).await.unwrap();
        // SAFETY: as above.
        assert!(unsafe { Mmap::map(&folder) }.await.is_err());
    });
}

#[test]
fn what_is_written_to_a_map_is_written_to_its_file() {
    with_dir(async |dir| {
        let path = dir.join("a");
        fs::write(&path, pattern(20_000)).await.unwrap();
        let file = both_ways(&path).await;
        let mut whole = map_mut(&file).await;
        whole[..5].copy_from_slice(b"hello");
        whole.as_mut()[19_999] = 255;
        assert_eq!(fs::read(&path).await.unwrap()[..6], *b"hello\x05");
        whole.flush().await.unwrap();
        whole.flush_range(4_097, 10).await.unwrap();
        whole.flush_range(20_000, 0).await.unwrap();
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            drop(whole.flush_range(19_999, 2));
        }));
        assert!(panic.is_err());
        let frozen = whole.freeze();
        assert_eq!((frozen[0], frozen[19_999]), (b'h', 255));
        drop(frozen);
        // SAFETY: as above.
        let mut part = unsafe { MmapMut::map_range(&file, 10_000, 3) }
            .await
            .unwrap();
        part.copy_from_slice(b"abc");
        drop(part);
        assert_eq!(
            fs::read(&path).await.unwrap()[9_999..10_004],
            [9_999_usize % 251, 97, 98, 99, 10_003 % 251].map(|n| n as u8)
        );
    });
}

#[test]
fn sockets_send_from_maps_and_receive_into_them() {
    with_dir(async |dir| {
        const LEN: usize = 3 << 20;
        fs::write(dir.join("from"), pattern(LEN)).await.unwrap();
        let from = File::open(dir.join("from")).await.unwrap();
        let from = map(&from).await;
        let to_file = both_ways(&dir.join("to")).await;
        to_file.set_len(LEN as u64).await.unwrap();
        let (sender, receiver) = sockets().await;
        let sending = async {
            let (sent, _) = sender.write_all_owned(from.clone().slice(..LEN / 2)).await;
            sent.unwrap();
            let mut rest = from.clone().slice(LEN / 2..);
            while rest.bytes_init() > 0 {
                let (sent, part) = sender.write_owned(rest).await;
                let at = part.begin() + sent.unwrap();
                rest = part.into_inner().slice(at..);
            }
        };
        let receiving = async {
            let mut to = map_mut(&to_file).await;
            let mut at = 0;
            while at < LEN {
                let (got, part) = receiver.read_owned(to.slice(at..)).await;
                to = part.into_inner();
                let got = got.unwrap();
                assert_ne!(got, 0);
                at += got;
            }
            to.flush().await.unwrap();
        };
        futures::join!(sending, receiving);
        assert!(fs::read(dir.join("to")).await.unwrap() == pattern(LEN));
        // And files, at positions.
        let third = both_ways(&dir.join("third")).await;
        let (written, _) = third.write_at(from.clone().slice(10..1_010), 5).await;
        assert_eq!(written.unwrap(), 1_000);
        let parts = vec![from.clone().slice(..10), from.clone().slice(20..30)];
        let (written, _) = third.write_vectored_at(parts, 0).await;
        assert_eq!(written.unwrap(), 20);
        let memory = MmapMut::anonymous(100).unwrap();
        let (read, memory) = third.read_at(memory, 10).await;
        assert_eq!((read.unwrap(), &memory[..10]), (100, &pattern(30)[20..]));
    });
}

#[test]
fn a_dropped_operation_keeps_its_map_for_as_long_as_the_kernel_writes() {
    with_dir(async |dir| {
        let file = both_ways(&dir.join("a")).await;
        file.set_len(8_192).await.unwrap();
        let (mut sender, mut receiver) = sockets().await;
        for _ in 0..20 {
            let whole = map_mut(&file).await;
            let mut read = std::pin::pin!(receiver.read_owned(whole));
            assert!(futures::poll!(read.as_mut()).is_pending());
        }
        sender.write_all(b"ok").await.unwrap();
        sender.shutdown().await.unwrap();
        let mut got = Vec::new();
        receiver.read_to_end(&mut got).await.unwrap();
        // What was dropped last may have taken them before the kernel heard of it.
        assert!(got.is_empty() || got == b"ok", "{got:?}");
    });
}

#[test]
fn a_copy_is_this_programs_alone() {
    with_dir(async |dir| {
        let path = dir.join("a");
        let mut file = both_ways(&path).await;
        file.write_all(&pattern(3_000_000)).await.unwrap();
        let mut copy = MmapMut::copy_of(&file).await.unwrap();
        file.set_len(10).await.unwrap();
        assert!(
            copy[..] == pattern(3_000_000),
            "cut, and the copy is as it was"
        );
        copy[0] = 99;
        copy.flush().await.unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), pattern(10));
        let copy = copy.freeze();
        assert_eq!((copy[0], copy.len()), (99, 3_000_000));
        // The kernel says that this one has no length. (Those below `/proc/self` are made by some emulators, with one.)
        let status = File::open("/proc/version").await.unwrap();
        assert!(MmapMut::copy_of(&status).await.unwrap().is_empty());
        assert_eq!(MmapMut::anonymous(0).unwrap().len(), 0);
        // No slice may be so large; one byte less there is room for where words have 32 bits, below a kernel of 64.
        assert!(MmapMut::anonymous(usize::MAX / 2 + 1).is_err());
        let largest = MmapMut::anonymous(usize::MAX / 2);
        assert!(largest.is_err() || usize::BITS == 32);
    });
}

#[test]
fn an_operation_on_what_was_cut_off_is_an_error_and_no_signal() {
    with_dir(async |dir| {
        let path = dir.join("a");
        fs::write(&path, pattern(100_000)).await.unwrap();
        let file = both_ways(&path).await;
        let whole = map(&file).await;
        file.set_len(0).await.unwrap();
        let (sender, _receiver) = sockets().await;
        // `EFAULT`: of the kernel, which touches the bytes here.
        let fault = Some(14);
        let (sent, whole) = sender.write_owned(whole).await;
        assert_eq!(sent.unwrap_err().raw_os_error(), fault);
        let (written, whole) = both_ways(&dir.join("b")).await.write_at(whole, 0).await;
        assert_eq!(written.unwrap_err().raw_os_error(), fault);
        // Kernels before 5.14 say it by `SIGBUS`, as documented.
        if blitz_sys::map::Map::anonymous(1).unwrap().load().is_err() {
            eprintln!("skipped: a page that cannot be loaded ends the process here");
            return;
        }
        match whole.load().await {
            Err(error) => assert_eq!(error.raw_os_error(), fault),
            Ok(()) => panic!("it cannot be loaded"),
        }
    });
}

#[test]
fn who_touches_what_was_cut_off_is_ended() {
    let exe = std::env::current_exe().unwrap();
    let mut child = std::process::Command::new(exe);
    child.args([
        "--exact",
        "fs_mapped::touches_what_was_cut_off",
        "--ignored",
    ]);
    // Under a sanitizer too it ends by the signal.
    child.env("ASAN_OPTIONS", "handle_sigbus=0");
    if std::env::var_os("BLITZ_TEST_RUNNER").is_some() {
        eprintln!("under a runner its own end is not the program's: not tested");
        return;
    }
    let status = child.output().unwrap().status;
    // `SIGBUS`, on the one systems and the others.
    assert!(matches!(status.signal(), Some(7 | 10)), "{status}");
}

#[test]
#[ignore = "ends its process: run by who_touches_what_was_cut_off_is_ended"]
fn touches_what_was_cut_off() {
    with_dir(async |dir| {
        let path = dir.join("a");
        fs::write(&path, pattern(100_000)).await.unwrap();
        let file = both_ways(&path).await;
        let whole = map(&file).await;
        file.set_len(0).await.unwrap();
        // What the promise of `map` forbids, to see that the documentation is right.
        std::hint::black_box(whole[50_000]);
    });
}
