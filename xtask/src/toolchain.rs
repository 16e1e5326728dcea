//! Which of this machine's Rust toolchains can build for a target.
//!
//! The best has std for it; the next best has std's sources, from which cargo builds it once for each target folder.

use crate::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A toolchain, by the name that rustup knows it by; without a name it is the one in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toolchain {
    name: Option<String>,
}

/// Where std comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Std {
    /// It came with the toolchain, or by `rustup target add`.
    Ready(Toolchain),
    /// It is built from the toolchain's sources.
    Sources(Toolchain),
}

impl Toolchain {
    pub(crate) const CURRENT: Toolchain = Toolchain { name: None };

    /// The one in use, then every other that rustup lists.
    fn all() -> Vec<Toolchain> {
        let list = Command::new("rustup").args(["toolchain", "list"]).output();
        // Without rustup there is one toolchain.
        let list = list.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        );
        let others = list
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .map(|name| Toolchain {
                name: Some(name.to_owned()),
            });
        std::iter::once(Toolchain::CURRENT).chain(others).collect()
    }

    /// `cargo` or `rustc` of this toolchain.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if let Some(name) = &self.name {
            command.arg(format!("+{name}"));
        }
        command
    }

    /// What `rustc` answers, without the end of the line.
    pub(crate) fn rustc(&self, args: &[&str]) -> Result<String, String> {
        let words = run::bytes(self.command("rustc").args(args))?;
        Ok(String::from_utf8_lossy(&words).trim_end().to_owned())
    }

    fn has_std(&self, target: &str) -> bool {
        let folder = self.rustc(&["--print", "target-libdir", "--target", target]);
        folder.is_ok_and(|folder| holds(Path::new(&folder), "libstd-"))
    }

    fn has_sources(&self) -> bool {
        let root = self.rustc(&["--print", "sysroot"]);
        root.is_ok_and(|root| {
            Path::new(&root)
                .join("lib/rustlib/src/rust/library/Cargo.lock")
                .is_file()
        })
    }

    /// The library of sanitizer `short` (`asan`, `tsan`, `lsan`) for `target`, where rustup's toolchains have it.
    pub(crate) fn has_sanitizer(&self, target: &str, short: &str) -> bool {
        let folder = self.rustc(&["--print", "target-libdir", "--target", target]);
        let Ok(folder) = folder else { return false };
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .any(|name| name.ends_with(&format!("_rt.{short}.a")))
    }
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or("the toolchain in use"))
    }
}

fn holds(folder: &Path, prefix: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| PathBuf::from(entry.file_name()))
        .any(|name| name.to_string_lossy().starts_with(prefix))
}

/// The toolchain to build for `target` with.
///
/// # Errors
/// When none can, and then how to get one that does.
pub(crate) fn for_target(target: &str) -> Result<Std, String> {
    let all = Toolchain::all();
    if let Some(found) = all.iter().find(|one| one.has_std(target)) {
        return Ok(Std::Ready(found.clone()));
    }
    with_sources().map(Std::Sources).map_err(|_| {
        format!(
            "no toolchain has std for {target}, nor std's sources to build it from: `rustup target add {target}`, \
             or `rustup component add rust-src`, or link a distribution's toolchain that has the sources \
             (Debian: packages rustc-web cargo-web rust-web-src, then `rustup toolchain link web /usr`)"
        )
    })
}

/// A toolchain from whose sources std can be built.
///
/// # Errors
/// When there is none, and how to get one.
pub(crate) fn with_sources() -> Result<Toolchain, String> {
    let found = Toolchain::all().into_iter().find(Toolchain::has_sources);
    found.ok_or_else(|| {
        "no toolchain has std's sources: `rustup component add rust-src`, or link a distribution's toolchain that \
         has them (Debian: packages rustc-web cargo-web rust-web-src, then `rustup toolchain link web /usr`)"
            .to_owned()
    })
}

/// Whether the toolchain in use has std for `target`, so that nothing has to be built or installed.
pub(crate) fn is_ready(target: &str) -> bool {
    Toolchain::CURRENT.has_std(target)
}

impl Std {
    /// cargo, with the flags it takes to build `parts` of std (`std`, or `std,test`) where it is not ready.
    pub(crate) fn cargo(&self, verb: &str, parts: &str) -> Command {
        match self {
            Std::Ready(toolchain) => {
                let mut cargo = toolchain.command("cargo");
                cargo.arg(verb);
                cargo
            }
            Std::Sources(toolchain) => {
                let mut cargo = toolchain.command("cargo");
                // The flag is not stable yet; with this variable a stable compiler takes it.
                cargo
                    .args([verb, &format!("-Zbuild-std={parts}")])
                    .env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
        }
    }
}

impl std::fmt::Display for Std {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Std::Ready(toolchain) => write!(f, "std of {toolchain}"),
            Std::Sources(toolchain) => write!(f, "std built from the sources of {toolchain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toolchain_in_use_has_std_for_this_machine() {
        let words = Toolchain::CURRENT.rustc(&["-vV"]).expect("rustc is there");
        let host = words
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .expect("rustc names its host");
        assert!(is_ready(host));
        assert_eq!(for_target(host), Ok(Std::Ready(Toolchain::CURRENT)));
        assert!(!is_ready("no-such-target"));
    }

    #[test]
    fn the_unstable_flag_is_used_where_std_is_built_alone() {
        let words = |std: Std| format!("{:?}", std.cargo("check", "std"));
        assert!(!words(Std::Ready(Toolchain::CURRENT)).contains("build-std"));
        assert!(words(Std::Sources(Toolchain::CURRENT)).contains("-Zbuild-std=std"));
    }
}
