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
