//! No directory to open from: everything is refused.

use std::ffi::CStr;
use std::fs::File;
use std::io;

use super::{Names, Purpose};

pub(super) fn open(_: &File, _: &CStr, _: Purpose) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn open_now(_: &File, _: &CStr, _: Purpose) -> Option<io::Result<File>> {
    None
}

pub(super) fn names(_: &File, _: usize) -> io::Result<Names> {
    Err(io::ErrorKind::Unsupported.into())
}
