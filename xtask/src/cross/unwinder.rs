//! What musl's programs need when std is built from its sources: a library that unwinds.
//!
//! The std that rustup installs brings its own. gcc's, which a cross linker would take, calls a function of glibc,
//! and then each panic ends the process; LLVM's needs one name of glibc, which is added here.

use crate::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const MISSING: &str = "\
#include <stdarg.h>
#include <stdio.h>
int __fprintf_chk(FILE *file, int flag, const char *format, ...) {
    va_list args;
    (void)flag;
    va_start(args, format);
    int count = vfprintf(file, format, args);
    va_end(args);
    return count;
}
";

/// The compiler's flags for a musl program, with the library made ready in `folder`.
///
/// # Errors
/// When LLVM's library is not on this machine, or cannot be completed.
pub(super) fn flags(folder: &Path) -> Result<String, String> {
    let folder = folder.join("unwinder");
    let cannot = |error| format!("{} cannot be written: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(cannot)?;
    let folder = fs::canonicalize(&folder).map_err(cannot)?;
    let library = folder.join("libunwind.a");
    fs::copy(found()?, &library).map_err(cannot)?;
    let (source, object) = (folder.join("missing.c"), folder.join("missing.o"));
    fs::write(&source, MISSING).map_err(cannot)?;
    run::bytes(
        Command::new("musl-gcc")
            .args(["-O2", "-fPIC", "-c"])
            .arg(&source)
            .arg("-o")
            .arg(&object),
    )?;
    run::bytes(Command::new("ar").arg("r").arg(&library).arg(&object))?;
    Ok(format!(
        "-Clink-self-contained=no -Ctarget-feature=+crt-static -Crelocation-model=static -Lnative={}",
        folder.display()
    ))
}

/// LLVM's library, of the newest LLVM here.
fn found() -> Result<PathBuf, String> {
    let mut places: Vec<_> = fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm-"))
        .map(|entry| entry.path().join("lib/libunwind.a"))
        .filter(|path| path.is_file())
        .collect();
    places.sort();
    places
        .pop()
        .ok_or_else(|| "LLVM's libunwind.a is missing: apt-get install libunwind-22-dev".to_owned())
}
