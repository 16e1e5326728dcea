//! Files: opened, read, written and named without holding a thread up.
//!
//! Each operation takes the first of three ways that is open to it:
//!
//! 1. *On the spot*, where the kernel promises not to wait for a disk (`RWF_NOWAIT`, `RESOLVE_CACHED`): a read from
//!    the page cache costs a system call and no task switch. Small metadata calls are made on the spot, too;
//!    [`set_metadata_on_the_spot`] sends them to the pool, which network file systems may need.
//! 2. *The ring*, where the driver is io_uring: the operation owns its buffer until the kernel is done. (Not where a `current_thread` runtime is
//!    entered from another thread than its own, by [`Handle::block_on`](crate::runtime::Handle::block_on) say: nobody may turn its ring.)
//! 3. *The blocking pool*, as everywhere else.
//!
//! An error of an operation on a path says which path.
//!
//! Beyond tokio's, files have transfers at a position with owned buffers ([`File::read_at`] and its kin), also past the page cache
//! ([`OpenOptions::direct`]), room that is reserved ([`File::fallocate`]), copies within the kernel ([`File::copy_file_range`]), and
//! stand in memory as buffers ([`Mmap`]).

mod dirs;
mod error;
mod file;
mod job;
mod mapped;
mod names;
mod open_options;
mod read_dir;
#[cfg(unix)]
mod unix;
mod whole;

pub use blitz_sys::file::{Advice, DirectAlignment, FallocateMode, WriteBack};
pub use dirs::{DirBuilder, create_dir, create_dir_all, remove_dir, remove_dir_all};
pub use file::File;
pub use mapped::{Mmap, MmapMut};
pub use names::{
    canonicalize, hard_link, metadata, read_link, remove_file, rename, set_metadata_on_the_spot,
    set_permissions, symlink_metadata, try_exists,
};
pub use open_options::OpenOptions;
pub use read_dir::{DirEntry, ReadDir, read_dir};
#[doc(no_inline)]
pub use std::fs::FileTimes;
#[cfg(unix)]
pub use unix::symlink;
pub use whole::{copy, read, read_to_string, write};
