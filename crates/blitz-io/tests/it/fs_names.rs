//! Every name of `tokio::fs` (1.54) under its name and with its signature: what does not compile here is missing.

use std::ffi::OsString;
use std::fs::{FileType, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::SystemTime;

use blitz_io::fs::{
    self, DirBuilder, DirEntry, File, FileTimes, OpenOptions, ReadDir, canonicalize, copy,
    create_dir, create_dir_all, hard_link, metadata, read, read_dir, read_link, read_to_string,
    remove_dir, remove_dir_all, remove_file, rename, set_permissions, symlink, symlink_metadata,
    try_exists, write,
};
use blitz_io::io::{AsyncRead, AsyncSeek, AsyncWrite};

/// That a call's future resolves to `T`, and may be sent to another thread.
fn resolves<T>(_future: impl Future<Output = T> + Send) {}

/// Never called: it is the compiler that looks.
#[allow(dead_code, reason = "only compiled")]
fn functions(path: &Path, permissions: Permissions) {
    resolves::<io::Result<PathBuf>>(canonicalize(path));
    resolves::<io::Result<u64>>(copy(path, path));
    resolves::<io::Result<()>>(create_dir(path));
    resolves::<io::Result<()>>(create_dir_all(path));
    resolves::<io::Result<()>>(hard_link(path, path));
    resolves::<io::Result<Metadata>>(metadata(path));
    resolves::<io::Result<Vec<u8>>>(read(path));
    resolves::<io::Result<ReadDir>>(read_dir(path));
    resolves::<io::Result<PathBuf>>(read_link(path));
    resolves::<io::Result<String>>(read_to_string(path));
    resolves::<io::Result<()>>(remove_dir(path));
    resolves::<io::Result<()>>(remove_dir_all(path));
    resolves::<io::Result<()>>(remove_file(path));
    resolves::<io::Result<()>>(rename(path, path));
    resolves::<io::Result<()>>(set_permissions(path, permissions));
    resolves::<io::Result<()>>(symlink(path, path));
    resolves::<io::Result<Metadata>>(symlink_metadata(path));
    resolves::<io::Result<bool>>(try_exists(path));
    resolves::<io::Result<()>>(write(path, "text"));
}

#[allow(dead_code, reason = "only compiled")]
fn builders(path: &Path) {
    let options: &mut OpenOptions = &mut OpenOptions::default();
    let set = options.read(true).write(true).append(true).truncate(true);
    let set = set
        .create(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(0);
    resolves::<io::Result<File>>(set.open(path));
    drop(OpenOptions::from(std::fs::OpenOptions::new()).clone());
    let builder: &mut DirBuilder = &mut DirBuilder::default();
    resolves::<io::Result<()>>(builder.recursive(true).mode(0o700).create(path));
    let _: fn() -> DirBuilder = DirBuilder::new;
}

#[allow(dead_code, reason = "only compiled")]
fn directories(entries: &mut ReadDir, entry: &DirEntry, cx: &mut Context<'_>) {
    let _: Poll<io::Result<Option<DirEntry>>> = entries.poll_next_entry(cx);
    resolves::<io::Result<Option<DirEntry>>>(entries.next_entry());
    let _: (PathBuf, OsString, u64) = (entry.path(), entry.file_name(), entry.ino());
    resolves::<io::Result<Metadata>>(entry.metadata());
    resolves::<io::Result<FileType>>(entry.file_type());
}

#[allow(dead_code, reason = "only compiled")]
fn files(path: &Path, mut file: File, permissions: Permissions) {
    resolves::<io::Result<File>>(File::open(path));
    resolves::<io::Result<File>>(File::create(path));
    resolves::<io::Result<File>>(File::create_new(path));
    let _: fn() -> OpenOptions = File::options;
    let _: fn(std::fs::File) -> File = File::from_std;
    resolves::<io::Result<()>>(file.sync_all());
    resolves::<io::Result<()>>(file.sync_data());
    resolves::<io::Result<()>>(file.set_len(1));
    resolves::<io::Result<Metadata>>(file.metadata());
    resolves::<io::Result<File>>(file.try_clone());
    resolves::<io::Result<()>>(file.set_permissions(permissions));
    resolves::<io::Result<()>>(file.set_times(FileTimes::new()));
    resolves::<io::Result<()>>(file.set_modified(SystemTime::now()));
    file.set_max_buf_size(file.max_buf_size());
    let _: fn(File) -> Result<std::fs::File, File> = File::try_into_std;
    resolves::<std::fs::File>(file.into_std());
}

/// What the types are, besides.
#[allow(dead_code, reason = "only compiled")]
fn traits() {
    use std::fmt::Debug;
    use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
    fn file<T>()
    where
        T: AsyncRead + AsyncWrite + AsyncSeek + Debug + Send + Sync + Unpin + 'static,
        T: From<std::fs::File> + From<OwnedFd> + AsFd + AsRawFd + FromRawFd,
    {
    }
    fn shared<T: Debug + Send + Sync + Unpin + 'static>() {}
    file::<fs::File>();
    shared::<ReadDir>();
    shared::<DirEntry>();
    shared::<DirBuilder>();
    shared::<OpenOptions>();
}
