//! The scratch packages: where the published tests come from, and how they become one package.
//!
//! All files of a crate's `tests/` become modules of one test target, because linking two hundred
//! programs costs many times what compiling them does. A file that says `crate::` means itself, so that is
//! rewritten to its module; nothing else of it changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The crates whose tests are taken, with the version of tokio that is the measure.
const CRATES: [(&str, &str); 4] = [
    ("tokio", "=1.54.1"),
    ("tokio-stream", "=0.1.19"),
    ("tokio-util", "=0.7.20"),
    ("tokio-test", "=0.4.6"),
];

/// Tests that run once more on what blitz-io has of the same names under its own: by what name, the crate that they are of, and
/// their files.
const OURS: [(&str, &str, Wanted); 2] = [
    // (That some futures are not `Unpin` is no promise of ours: they are.)
    (
        "blitz-stream",
        "tokio-stream",
        Wanted::AllBut(&["async_send_sync"]),
    ),
    (
        "blitz-sync",
        "tokio-util",
        Wanted::Only(&["sync_cancellation_token", "task_tracker"]),
    ),
];

/// What those names are in the tests, and at home.
const AT_HOME: [(&str, &str); 3] = [
    ("tokio_stream::", "blitz_io::stream::"),
    ("tokio_util::sync::", "blitz_io::sync::"),
    ("tokio_util::task::", "blitz_io::task::"),
];

/// Which files of a crate's tests are taken.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    AllBut(&'static [&'static str]),
    Only(&'static [&'static str]),
}

impl Wanted {
    fn wants(self, file: &str) -> bool {
        match self {
            Self::AllBut(files) => !files.contains(&file),
            Self::Only(files) => files.contains(&file),
        }
    }
}

/// Files of `tests/` that hold no tests.
const NO_TESTS: [&str; 1] = ["_require_full"];

/// What stands behind the name tokio.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// tokio itself.
    Tokio,
    /// `compat/tokio`.
    Blitz,
}

impl Runtime {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::Blitz => "blitz",
        }
    }
}

/// One crate's registry copy.
pub(crate) struct Published {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// Its folder of tests.
    pub(crate) tests: PathBuf,
    /// Which of them.
    pub(crate) wanted: Wanted,
    /// Whether they run on what stands in blitz-io under its own names.
    pub(crate) is_ours: bool,
}

/// The files of each crate that will be compiled, by the name of its test target.
pub(crate) type Files = BTreeMap<String, Vec<String>>;

/// The target that holds the tests of the crate `name`.
pub(crate) fn target_of(name: &str) -> String {
    format!("tests_{}", name.replace('-', "_"))
}

/// The crate whose tests `target` holds.
pub(crate) fn crate_of(target: &str) -> String {
    target.trim_start_matches("tests_").replace('_', "-")
}

/// Has cargo fetch the crates, and finds their copies.
///
/// # Errors
/// When cargo fails, or a crate was published without its tests.
pub(crate) fn published(scratch: &Path) -> Result<Vec<Published>, String> {
    let folder = scratch.join("published");
    make(&folder.join("src"))?;
    write_if_new(&folder.join("src/lib.rs"), "")?;
    let mut manifest =
        "[workspace]\n[package]\nname = \"published\"\nversion = \"0.0.0\"\n[dependencies]\n"
            .to_owned();
    for (name, version) in CRATES {
        manifest += &format!("{name} = \"{version}\"\n");
    }
    write_if_new(&folder.join("Cargo.toml"), &manifest)?;
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err("the published crates could not be fetched".to_owned());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let packages: Vec<&Value> = packages.collect();
    let theirs = CRATES
        .iter()
        .map(|(name, _)| (*name, *name, Wanted::AllBut(&NO_TESTS)));
    theirs
        .chain(OURS)
        .map(|(name, of, wanted)| {
            let package = packages
                .iter()
                .find(|package| package["name"] == of)
                .ok_or(format!("cargo metadata does not know {of}"))?;
            let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
            let tests = manifest.with_file_name("tests");
            if !tests.is_dir() {
                return Err(format!("the registry's copy of {of} holds no tests"));
            }
            Ok(Published {
                name,
                version: package["version"].as_str().unwrap_or_default().to_owned(),
                tests,
                wanted,
                is_ours: name != of,
            })
        })
        .collect()
}

/// Writes the scratch package of `runtime` into `folder`, tests included.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn write(
    folder: &Path,
    home: &Path,
    published: &[Published],
    runtime: Runtime,
) -> Result<Files, String> {
    let mut files = Files::new();
    make(&folder.join("src"))?;
    write_if_new(&folder.join("src/lib.rs"), "")?;
    let mut manifest = read(&home.join("suite/manifest.toml"))?;
    let tokio = published.iter().find(|krate| krate.name == "tokio");
    let tokio = tokio
        .map(|krate| krate.version.as_str())
        .unwrap_or_default();
    manifest += &format!(
        "tokio = {{ version = \"{tokio}\", features = [\"full\", \"io-uring\", \"taskdump\", \"test-util\", \"tracing\"] }}\n"
    );
    let path = |of: &str| {
        let path = home.join("..").join(of);
        let path = path.canonicalize();
        path.map_err(|error| format!("{of}: {error}"))
    };
    if runtime == Runtime::Blitz {
        manifest += &format!(
            "blitz-io = {{ path = {:?}, default-features = false }}\n",
            path("crates/blitz-io")?
        );
    }
    for krate in published {
        let target = target_of(krate.name);
        manifest +=
            &format!("\n[[test]]\nname = \"{target}\"\npath = \"tests/{target}/main.rs\"\n");
        let is_at_home = krate.is_ours && runtime == Runtime::Blitz;
        let tests = copy(krate, &folder.join("tests").join(&target), is_at_home)?;
        files.insert(target, tests);
    }
    if runtime == Runtime::Blitz {
        let facade = path("compat/tokio")?;
        manifest += &format!("\n[patch.crates-io]\ntokio = {{ path = {facade:?} }}\n");
    }
    write_if_new(&folder.join("Cargo.toml"), &manifest)?;
    let lock = folder.join("Cargo.lock");
    let kept = kept_lock(home, runtime);
    if !lock.exists() && kept.exists() {
        fs::copy(&kept, &lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    }
    Ok(files)
}

/// Keeps the versions that a run has used.
pub(crate) fn keep_lock(folder: &Path, home: &Path, runtime: Runtime) -> Result<(), String> {
    let kept = kept_lock(home, runtime);
    fs::copy(folder.join("Cargo.lock"), &kept)
        .map(drop)
        .map_err(|error| format!("{} cannot be written: {error}", kept.display()))
}

fn kept_lock(home: &Path, runtime: Runtime) -> PathBuf {
    home.join(format!("suite/{}.lock", runtime.name()))
}

/// Writes the root of a test target that has `files` as modules.
pub(crate) fn write_root(folder: &Path, target: &str, files: &[String]) -> Result<(), String> {
    let mut root = "#![allow(warnings)]\n".to_owned();
    for file in files {
        root += &format!("#[path = \"{file}.rs\"]\nmod {file};\n");
    }
    write_if_new(&folder.join("tests").join(target).join("main.rs"), &root)
}

/// Copies a crate's tests, with the names that they have at home if they are for that; answers the names of the files, without
/// their ending.
fn copy(krate: &Published, to: &Path, is_at_home: bool) -> Result<Vec<String>, String> {
    let from = &krate.tests;
    make(to)?;
    let mut files = Vec::new();
    let entries = fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))?;
    for entry in entries {
        let path = entry
            .map_err(|error| format!("{}: {error}", from.display()))?
            .path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            copy_as_it_is(&path, &to.join(&name))?;
        } else if let Some(module) = name.strip_suffix(".rs") {
            if !krate.wanted.wants(module) {
                continue;
            }
            let mut text = rooted_at(&read(&path)?, module);
            if is_at_home {
                text = at_home(&text);
            }
            write_if_new(&to.join(&name), &text)?;
            files.push(module.to_owned());
        }
    }
    files.sort();
    Ok(files)
}

fn copy_as_it_is(from: &Path, to: &Path) -> Result<(), String> {
    make(to)?;
    let entries = fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))?;
    for entry in entries {
        let path = entry
            .map_err(|error| format!("{}: {error}", from.display()))?
            .path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            copy_as_it_is(&path, &to.join(name))?;
        } else {
            write_if_new(&to.join(name), &read(&path)?)?;
        }
    }
    Ok(())
}

/// `text` with each `crate::` that starts a path led to `module`.
fn rooted_at(text: &str, module: &str) -> String {
    let mut rewritten = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("crate::") {
        let (before, found) = rest.split_at(at);
        rewritten += before;
        // `$crate::` is a macro's own; `my_crate::` another name.
        let continues = before
            .chars()
            .next_back()
            .is_some_and(|c| c == '$' || c == '_' || c.is_alphanumeric());
        rewritten += "crate::";
        if !continues {
            rewritten += module;
            rewritten += "::";
        }
        rest = &found["crate::".len()..];
    }
    rewritten + rest
}

/// `text` with the names that stand in blitz-io as they are there.
fn at_home(text: &str) -> String {
    let named = |text: String, (theirs, ours): &(&str, &str)| text.replace(theirs, ours);
    AT_HOME.iter().fold(text.to_owned(), named)
}

fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder)
        .map_err(|error| format!("{} cannot be made: {error}", folder.display()))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// Writes a file unless it says so already: cargo looks at the time of the last change.
fn write_if_new(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_from_the_root_is_led_to_the_module() {
        assert_eq!(
            rooted_at(
                "use crate::support::x; $crate::y!(); other_crate::z",
                "file"
            ),
            "use crate::file::support::x; $crate::y!(); other_crate::z"
        );
        assert_eq!(rooted_at("crate::a", "m"), "crate::m::a");
        assert_eq!(rooted_at("", "m"), "");
    }

    #[test]
    fn names_are_those_at_home() {
        assert_eq!(
            at_home(
                "use tokio_stream::{self as stream}; use tokio_util::sync::X; use tokio_util::io::Y;"
            ),
            "use blitz_io::stream::{self as stream}; use blitz_io::sync::X; use tokio_util::io::Y;"
        );
    }

    #[test]
    fn a_target_names_its_crate() {
        assert_eq!(crate_of(&target_of("tokio-util")), "tokio-util");
        assert_eq!(crate_of(&target_of("tokio")), "tokio");
    }
}
