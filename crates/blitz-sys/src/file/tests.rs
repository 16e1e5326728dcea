//! The calls against a real file.

use std::ffi::CString;

use super::*;
use crate::descriptor::{AsRawFd, FromRawFd, OwnedFd};

fn scratch() -> (CString, std::fs::File) {
    let path = std::env::temp_dir().join(format!(
        "blitz-sys-file-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let mut file = std::fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    file.write_all(b"0123456789").unwrap();
    (
        CString::new(path.into_os_string().into_encoded_bytes()).unwrap(),
        file,
    )
}

#[test]
fn reads_writes_and_cuts() {
    let (path, file) = scratch();
    let fd = file.as_raw_fd();
    let mut buffer = [0u8; 4];
    // SAFETY: four bytes.
    assert_eq!(unsafe { read(fd, buffer.as_mut_ptr(), 4, Some(8)) }, 2);
    assert_eq!(&buffer[..2], b"89");
    // SAFETY: two bytes.
    assert_eq!(unsafe { write(fd, b"ab".as_ptr(), 2, Some(0)) }, 2);
    // SAFETY: four bytes.
    let got = unsafe { now::read(fd, buffer.as_mut_ptr(), 4, Some(0)) };
    assert!(got == 4 && &buffer == b"ab23" || got == -errno::EOPNOTSUPP || got == -errno::EAGAIN);
    assert_eq!(truncate(fd, 3), 0);
    assert_eq!(sync(fd, true), 0);
    assert_eq!(sync(fd, false), 0);
    assert!(now::size(fd).is_none_or(|size| size == 3));
    assert_eq!(unlink(&path, false), 0);
    assert_eq!(unlink(&path, false), -errno::ENOENT);
}

#[test]
fn opens_what_is_cached_and_never_creates_on_the_spot() {
    let (path, _file) = scratch();
    let answer = now::open(&path, open_flags::O_RDONLY);
    assert!(answer >= 0 || answer == -errno::EAGAIN);
    if answer >= 0 {
        // SAFETY: the call made it for us.
        drop(unsafe { OwnedFd::from_raw_fd(answer) });
    }
    assert_eq!(
        now::open(&path, open_flags::O_WRONLY | open_flags::O_TRUNC),
        -errno::EAGAIN
    );
    assert_eq!(
        now::open(c"/nowhere/at/all", open_flags::O_RDONLY).signum(),
        -1
    );
    assert_eq!(unlink(&path, false), 0);
}

#[test]
fn several_buffers_are_one_transfer() {
    let (path, file) = scratch();
    let fd = file.as_raw_fd();
    let parts = Parts::new([(b"ab".as_ptr(), 2), (b"cde".as_ptr(), 3)]);
    // SAFETY: both are static.
    assert_eq!(unsafe { write_vectored(fd, &parts, 7) }, 5);
    let (mut front, mut back) = ([0u8; 4], [0u8; 20]);
    let parts = Parts::new([
        (front.as_mut_ptr().cast_const(), 4),
        (back.as_mut_ptr().cast_const(), 20),
    ]);
    // SAFETY: both arrays are so long, and ours.
    assert_eq!(unsafe { read_vectored(fd, &parts, 4) }, 8);
    assert_eq!((&front, &back[..4]), (b"456a", &b"bcde"[..]));
    // SAFETY: as above.
    let now = unsafe { now::read_vectored(fd, &parts, 8) };
    assert!([4, -errno::EOPNOTSUPP, -errno::EAGAIN].contains(&now));
    assert_eq!(unlink(&path, false), 0);
}

#[test]
fn links_are_made() {
    let (path, _file) = scratch();
    let mut other = path.clone().into_bytes();
    other.extend_from_slice(b"-link");
    let other = CString::new(other).unwrap();
    for make in [link, symlink] {
        assert_eq!(make(&path, &other), 0);
        assert_eq!(make(&path, &other), -libc::EEXIST);
        let answer = open(&other, open_flags::O_RDONLY, 0);
        assert!(answer >= 0);
        // SAFETY: the call made it for us.
        drop(unsafe { OwnedFd::from_raw_fd(answer) });
        assert_eq!(unlink(&other, false), 0);
    }
    assert_eq!(unlink(&path, false), 0);
}

#[cfg(linux)]
#[test]
fn words_are_the_systems_numbers() {
    use libc::*;
    let keep = FALLOC_FL_KEEP_SIZE;
    for (mode, flags) in [
        (FallocateMode::Allocate, 0),
        (FallocateMode::KeepSize, keep),
        (FallocateMode::PunchHole, FALLOC_FL_PUNCH_HOLE | keep),
        (FallocateMode::ZeroRange, FALLOC_FL_ZERO_RANGE),
        (
            FallocateMode::ZeroRangeKeepSize,
            FALLOC_FL_ZERO_RANGE | keep,
        ),
        (FallocateMode::CollapseRange, FALLOC_FL_COLLAPSE_RANGE),
        (FallocateMode::InsertRange, FALLOC_FL_INSERT_RANGE),
    ] {
        assert_eq!(mode.flags(), flags, "{mode:?}");
    }
    let (before, after) = (SYNC_FILE_RANGE_WAIT_BEFORE, SYNC_FILE_RANGE_WAIT_AFTER);
    assert_eq!(WriteBack::Begin.flags(), SYNC_FILE_RANGE_WRITE);
    assert_eq!(WriteBack::Wait.flags(), before);
    let whole = before | SYNC_FILE_RANGE_WRITE | after;
    assert_eq!(WriteBack::Whole.flags(), whole);
}

#[cfg(linux)]
#[test]
fn ranges_are_advised_and_copied_in_the_kernel() {
    let (path, file) = scratch();
    let fd = file.as_raw_fd();
    assert_eq!(advise(fd, 0, 0, Advice::Sequential), 0);
    let (pipe, _writer) = std::io::pipe().unwrap();
    assert_eq!(
        advise(pipe.as_raw_fd(), 0, 0, Advice::Random),
        -libc::ESPIPE
    );
    let copied = copy_range(fd, 2, fd, 10, 4);
    assert!([4, -errno::EOPNOTSUPP, -errno::ENOSYS, -libc::EXDEV].contains(&copied));
    if copied == 4 {
        assert_eq!(
            std::fs::read(path.to_str().unwrap()).unwrap(),
            b"01234567892345"
        );
    }
    assert!(!is_direct(fd));
    assert!(direct_alignment(fd).is_none_or(|told| told.offset.is_power_of_two()));
    assert_eq!(unlink(&path, false), 0);
}

#[test]
#[cfg(unix)]
fn what_may_wait_for_somebody_is_not_opened_alone() {
    let alone = |path: &str| opens_alone(&std::fs::metadata(path).unwrap());
    assert!(alone("/") && alone("/etc/passwd"));
    assert_eq!(alone("/dev/null"), cfg!(linux));
    assert_eq!(alone("/dev/urandom"), cfg!(linux));
    assert!(!alone("/dev/tty"));
}
