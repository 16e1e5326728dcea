//! What files have on Unix alone.

use std::io;
use std::path::Path;

use blitz_sys::file::open_with;

use super::OpenOptions;
use super::error::at;
use super::job::on_pool;

impl OpenOptions {
    /// The permissions of a file that is made, before the process's mask; 0o666 unless set.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        open_with(&mut self.std, Some(mode), None);
        self.mode = mode;
        self
    }

    /// Further flags of `open(2)`, but not those of the options above.
    pub fn custom_flags(&mut self, flags: i32) -> &mut Self {
        open_with(&mut self.std, None, Some(flags));
        self.custom_flags = flags;
        self
    }
}

/// Makes the symbolic link `link`, which points to `original`.
///
/// # Cancel safety
/// Not safe: a dropped call goes on.
///
/// # Errors
/// Those of `symlink(2)`, with the new path.
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    let call = move || {
        at(
            std::os::unix::fs::symlink(&original, &link),
            "make the link",
            &link,
        )
    };
    on_pool("fs::symlink", call).await
}
