//! The second build: this source with the drop-in crate in tokio's place.
//!
//! The manifest, with whole paths, goes into a folder under the target folder, so that the build has a lock file of its own
//! beside it (`facade.lock` here) and a target folder of its own. All that is in both lock files has to be there
//! in the same versions: what is compared is tokio and what stands in for it, nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Which of the two builds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// This program as it is.
    Tokio,
    /// With `compat/tokio`.
    Facade,
}

/// Where the program stands that has the drop-in crate; builds it first.
///
/// # Errors
/// When it does not build, or the two builds differ in more than they should.
pub fn facade() -> Result<PathBuf, String> {
    if cfg!(debug_assertions) {
        return Err("this build is not optimized: run with --release".to_owned());
    }
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    // TARGET/release/bench-web
    let target = this.parent().and_then(Path::parent);
    let folder = target.ok_or("no target folder")?.join("facade");
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let manifest = with_whole_paths(&read(&home.join("Cargo.toml"))?, home);
    write_if_new(&folder.join("Cargo.toml"), &manifest)?;
    // Made from the first build's where there is none: so are the versions the same.
    let (first, kept) = (read(&home.join("Cargo.lock"))?, home.join("facade.lock"));
    let lock = if kept.exists() {
        read(&kept)?
    } else {
        without_tokio(&first)
    };
    write_if_new(&folder.join("Cargo.lock"), &lock)?;
    build(&folder, &home.join("../../compat/tokio"))?;
    let second = read(&folder.join("Cargo.lock"))?;
    same_but_for_tokio(&packages(&first), &packages(&second))?;
    write_if_new(&kept, &second)?;
    Ok(folder.join("target/release/bench-web"))
}

fn build(folder: &Path, facade: &Path) -> Result<(), String> {
    let facade = facade
        .canonicalize()
        .map_err(|error| format!("{}: {error}", facade.display()))?;
    eprintln!("building the same with {}", facade.display());
    let status = Command::new("cargo")
        .args(["build", "--release", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.join("target"))
        .arg("--config")
        .arg(format!("patch.crates-io.tokio.path={facade:?}"))
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!(
            "the build with the drop-in crate ended with {status}"
        ))
    }
}

/// The manifest as it has to be in another folder.
fn with_whole_paths(manifest: &str, home: &Path) -> String {
    manifest.replace("path = \"", &format!("path = \"{}/", home.display()))
}

/// A lock file that leaves open which tokio it is: cargo keeps to the one that it finds there, whatever the patch offers.
fn without_tokio(lock: &str) -> String {
    let entries = lock.split("\n\n");
    let others = entries.filter(|entry| !entry.starts_with("[[package]]\nname = \"tokio\"\n"));
    others.collect::<Vec<_>>().join("\n\n")
}

/// Name and version of all that a lock file has.
fn packages(lock: &str) -> BTreeSet<(&str, &str)> {
    let (mut all, mut name) = (BTreeSet::new(), "");
    for line in lock.lines() {
        if let Some(said) = quoted(line, "name = ") {
            name = said;
        } else if let Some(version) = quoted(line, "version = ") {
            all.insert((name, version));
        }
    }
    all
}

fn quoted<'a>(line: &'a str, before: &str) -> Option<&'a str> {
    let value = line.strip_prefix(before)?;
    value.strip_prefix('"')?.strip_suffix('"')
}

/// Whether tokio alone is another one.
fn same_but_for_tokio(
    first: &BTreeSet<(&str, &str)>,
    second: &BTreeSet<(&str, &str)>,
) -> Result<(), String> {
    let versions = |of: &BTreeSet<(&str, &str)>, name: &str| -> Vec<String> {
        let those = of.iter().filter(|package| package.0 == name);
        those.map(|package| package.1.to_owned()).collect()
    };
    let (ours, theirs) = (versions(second, "tokio"), versions(first, "tokio"));
    if !matches!(&ours[..], [one] if one.contains("+blitz."))
        || theirs.iter().any(|one| one.contains("+blitz."))
    {
        return Err(format!(
            "under tokio's name the first build has {theirs:?}, the second {ours:?}"
        ));
    }
    let is_other = |(name, version): &&(&str, &str)| {
        *name != "tokio"
            && !second.contains(&(*name, *version))
            && second.iter().any(|package| package.0 == *name)
    };
    let other: Vec<_> = first.iter().filter(is_other).collect();
    if other.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "the second build has other versions of {other:?}: delete facade.lock, and it is made anew"
        ))
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// Writes a file unless it says so already: cargo looks at the time of the last change.
fn write_if_new(path: &Path, text: &str) -> Result<(), String> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    std::fs::write(path, text)
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [(&str, &str); 3] = [("hyper", "1.0.0"), ("mio", "1.0.0"), ("tokio", "1.54.1")];

    #[test]
    fn a_lock_file_is_read() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n";
        let wanted = BTreeSet::from([("a", "1.2.3"), ("b", "0.1.0")]);
        assert_eq!(packages(lock), wanted);
    }

    #[test]
    fn builds_that_differ_in_more_than_tokio_are_found() {
        let first = BTreeSet::from(FIRST);
        let ours = ("tokio", "1.54.1+blitz.0.1.0");
        let good = BTreeSet::from([FIRST[0], ours, ("blitz-io", "0.1.0")]);
        assert_eq!(same_but_for_tokio(&first, &good), Ok(()));
        let newer = BTreeSet::from([("hyper", "1.1.0"), ours]);
        assert!(same_but_for_tokio(&first, &newer).is_err());
        assert!(same_but_for_tokio(&first, &first).is_err());
        let both = BTreeSet::from([FIRST[0], FIRST[2], ours]);
        assert!(same_but_for_tokio(&first, &both).is_err());
    }

    #[test]
    fn tokio_is_taken_out_of_a_lock_file_and_nothing_else() {
        let entry = |name| format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"");
        let lock = [entry("hyper"), entry("tokio"), entry("tokio-util")].join("\n\n");
        let wanted = [entry("hyper"), entry("tokio-util")].join("\n\n");
        assert_eq!(without_tokio(&lock), wanted);
    }

    #[test]
    fn paths_become_whole() {
        let manifest = "[[bin]]\npath = \"src/main.rs\"\n";
        let whole = with_whole_paths(manifest, Path::new("/a"));
        assert_eq!(whole, "[[bin]]\npath = \"/a/src/main.rs\"\n");
    }
}
