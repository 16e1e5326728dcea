//! Operations on names.

use std::ffi::CString;
use std::fs::File;
use std::io;

use blitz_sys::completion::{Opcode, Sqe};
use blitz_sys::file::{self, AT_FDCWD, AT_REMOVEDIR, Statx, open_flags};

use super::op::{Op, Request};
use crate::flight::Outcome;
use crate::shared::Handle;

/// Opens `path` with the flags and, if it is created, the mode of `open(2)`; closed on exec.
///
/// A file that was opened for a dropped future is closed.
pub fn open(handle: &Handle, path: CString, flags: i32, mode: u32) -> Op<Open> {
    Op::new(handle, Open { path, flags, mode })
}

/// What [`open`] owns.
pub struct Open {
    path: CString,
    flags: i32,
    mode: u32,
}

// SAFETY: the entry names the path's bytes, which stand on the heap and are ours.
unsafe impl Request for Open {
    type Output = io::Result<File>;
    const OPCODE: Opcode = Opcode::OPENAT;

    fn entry(&mut self) -> Sqe {
        let flags = self.flags | open_flags::O_CLOEXEC | open_flags::O_LARGEFILE;
        Sqe::openat(AT_FDCWD, self.path.as_ptr().cast(), flags, self.mode)
    }

    fn call(&mut self) -> i32 {
        file::open(&self.path, self.flags, self.mode)
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        let number = outcome.and_then(Outcome::check)?;
        // SAFETY: the kernel made the descriptor for this operation, and nobody else has seen it.
        Ok(unsafe { file::adopt(number as i32) })
    }

    fn orphan(self, outcome: Outcome) {
        drop(self.finish(Ok(outcome)));
    }
}

/// Asks for the basic facts about `path`; of the link itself if `is_link`.
pub fn stat(handle: &Handle, path: CString, is_link: bool) -> Op<Stat> {
    Op::new(
        handle,
        Stat {
            path,
            is_link,
            out: Box::new(Statx::zeroed()),
        },
    )
}

/// What [`stat`] owns.
pub struct Stat {
    path: CString,
    is_link: bool,
    out: Box<Statx>,
}

impl Stat {
    const fn flags(&self) -> i32 {
        if self.is_link {
            file::AT_SYMLINK_NOFOLLOW
        } else {
            0
        }
    }
}

// SAFETY: the entry names the path's bytes and the boxed answer, both on the heap and ours.
unsafe impl Request for Stat {
    type Output = io::Result<Statx>;
    const OPCODE: Opcode = Opcode::STATX;

    fn entry(&mut self) -> Sqe {
        let out: *mut Statx = &mut *self.out;
        Sqe::statx(
            AT_FDCWD,
            self.path.as_ptr().cast(),
            self.flags(),
            file::STATX_BASIC,
            out.cast(),
        )
    }

    fn call(&mut self) -> i32 {
        let out: *mut Statx = &mut *self.out;
        // SAFETY: `Statx` is what the call writes.
        unsafe { file::statx(AT_FDCWD, &self.path, self.flags(), out.cast()) }
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        outcome.and_then(Outcome::check)?;
        Ok(*self.out)
    }
}

/// Gives the file `from` the name `to`, with the flags of `renameat2(2)`.
pub fn rename(handle: &Handle, from: CString, to: CString, flags: u32) -> Op<Rename> {
    Op::new(handle, Rename { from, to, flags })
}

/// What [`rename`] owns.
pub struct Rename {
    from: CString,
    to: CString,
    flags: u32,
}

// SAFETY: the entry names the paths' bytes, which stand on the heap and are ours.
unsafe impl Request for Rename {
    type Output = io::Result<()>;
    const OPCODE: Opcode = Opcode::RENAMEAT;

    fn entry(&mut self) -> Sqe {
        let (from, to) = (self.from.as_ptr().cast(), self.to.as_ptr().cast());
        Sqe::renameat(AT_FDCWD, from, AT_FDCWD, to, self.flags)
    }

    fn call(&mut self) -> i32 {
        file::rename(&self.from, &self.to, self.flags)
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        outcome.and_then(Outcome::check).map(drop)
    }
}

/// Removes the name `path`, or the empty directory if `is_dir`.
pub fn unlink(handle: &Handle, path: CString, is_dir: bool) -> Op<Unlink> {
    Op::new(handle, Unlink { path, is_dir })
}

/// What [`unlink`] owns.
pub struct Unlink {
    path: CString,
    is_dir: bool,
}

// SAFETY: the entry names the path's bytes, which stand on the heap and are ours.
unsafe impl Request for Unlink {
    type Output = io::Result<()>;
    const OPCODE: Opcode = Opcode::UNLINKAT;

    fn entry(&mut self) -> Sqe {
        let flags = if self.is_dir { AT_REMOVEDIR } else { 0 };
        Sqe::unlinkat(AT_FDCWD, self.path.as_ptr().cast(), flags)
    }

    fn call(&mut self) -> i32 {
        file::unlink(&self.path, self.is_dir)
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        outcome.and_then(Outcome::check).map(drop)
    }
}

/// Makes the directory `path`.
pub fn make_dir(handle: &Handle, path: CString, mode: u32) -> Op<MakeDir> {
    Op::new(handle, MakeDir { path, mode })
}

/// What [`make_dir`] owns.
pub struct MakeDir {
    path: CString,
    mode: u32,
}

// SAFETY: the entry names the path's bytes, which stand on the heap and are ours.
unsafe impl Request for MakeDir {
    type Output = io::Result<()>;
    const OPCODE: Opcode = Opcode::MKDIRAT;

    fn entry(&mut self) -> Sqe {
        Sqe::mkdirat(AT_FDCWD, self.path.as_ptr().cast(), self.mode)
    }

    fn call(&mut self) -> i32 {
        file::make_dir(&self.path, self.mode)
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        outcome.and_then(Outcome::check).map(drop)
    }
}

/// Gives the file `original` one more name, `new`; a symbolic link gets it itself.
pub fn link(handle: &Handle, original: CString, new: CString) -> Op<Link> {
    Op::new(handle, Link { original, new })
}

/// What [`link`] owns.
pub struct Link {
    original: CString,
    new: CString,
}

// SAFETY: the entry names the texts' bytes, which stand on the heap and are ours.
unsafe impl Request for Link {
    type Output = io::Result<()>;
    const OPCODE: Opcode = Opcode::LINKAT;

    fn entry(&mut self) -> Sqe {
        let (original, new) = (self.original.as_ptr().cast(), self.new.as_ptr().cast());
        Sqe::linkat(AT_FDCWD, original, AT_FDCWD, new, 0)
    }

    fn call(&mut self) -> i32 {
        file::link(&self.original, &self.new)
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        outcome.and_then(Outcome::check).map(drop)
    }
}

/// Makes the symbolic link `new`, which says `target`.
pub fn symlink(handle: &Handle, target: CString, new: CString) -> Op<Symlink> {
    Op::new(handle, Symlink { target, new })
}

/// What [`symlink`] owns.
pub struct Symlink {
    target: CString,
    new: CString,
}

// SAFETY: the entry names the texts' bytes, which stand on the heap and are ours.
unsafe impl Request for Symlink {
    type Output = io::Result<()>;
    const OPCODE: Opcode = Opcode::SYMLINKAT;

    fn entry(&mut self) -> Sqe {
        let (target, new) = (self.target.as_ptr().cast(), self.new.as_ptr().cast());
        Sqe::symlinkat(target, AT_FDCWD, new)
    }

    fn call(&mut self) -> i32 {
        file::symlink(&self.target, &self.new)
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        outcome.and_then(Outcome::check).map(drop)
    }
}
