//! Opening: on the spot where no disk has to be waited for, else on a thread for calls that block.

use blitz_io::fs::File;
use blitz_sys::beneath::{Purpose, Root};
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A file or a directory.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<File>,
    pub(super) is_dir: bool,
    pub(super) len: u64,
    pub(super) modified: Option<SystemTime>,
}

/// Opens what stands at `path`. What is neither file nor directory is not found.
pub(super) async fn open(root: &Arc<Root>, path: &Path) -> io::Result<Opened> {
    let opened = match root.open_now(path, Purpose::Read) {
        Some(opened) => opened,
        None => {
            let (root, path) = (Arc::clone(root), path.to_owned());
            blitz_io::task::spawn_blocking(move || root.open(&path, Purpose::Read)).await?
        }
    };
    let file = opened?;
    // Of what is open already the kernel knows it.
    let metadata = file.metadata()?;
    let (is_dir, len, modified) = known(&metadata).ok_or(io::ErrorKind::NotFound)?;
    Ok(Opened {
        file: Arc::new(File::from_std(file)),
        is_dir,
        len,
        modified,
    })
}

/// Whether it is a directory, its length, and its last change; `None` for what is neither directory nor file.
pub(super) fn known(metadata: &Metadata) -> Option<(bool, u64, Option<SystemTime>)> {
    let is_dir = metadata.is_dir();
    // A system without times has none.
    (is_dir || metadata.is_file()).then(|| (is_dir, metadata.len(), metadata.modified().ok()))
}

/// The name with something behind it.
pub(super) fn with_extension(path: &Path, extension: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(extension);
    name.into()
}
