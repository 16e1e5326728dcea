//! `xtask patched`: the line that the README gives for `[patch.crates-io]`, tried by a program outside of this tree.
//!
//! The program stands in `target/patched` as a crate of its own, with the README's line for its manifest, in which this
//! repository's address becomes that of this clone: so cargo finds `compat/tokio` as it would for a user, by git, and takes
//! what was committed last. hyper runs on it, over real sockets, on each back end.

use std::path::Path;
use std::process::Command;

use crate::{Outcome, run};

const PROGRAM: &str = include_str!("program.rs");

/// What the program depends on, as its author would write it.
const MANIFEST: &str = r#"[package]
name = "patched"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
http-body-util = "0.1"
hyper = { version = "1", features = ["client", "http1", "server"] }
hyper-util = { version = "0.1", features = ["http1", "http2", "server-auto", "tokio"] }
tokio = { version = "1", features = ["full"] }
"#;

pub(crate) fn main(root: &Path) -> Outcome {
    let readme = run::output(root, "git", &["show", "HEAD:README.md"])?;
    let patch = patch_of(&readme)?;
    let address = format!("file://{}", root.display());
    let here = with_address(&patch, &address)?;
    let folder = root.join(crate::loom::target(root)).join("patched");
    run::keep(&folder.join("src/main.rs"), PROGRAM)?;
    run::keep(&folder.join("Cargo.toml"), &format!("{MANIFEST}\n{here}"))?;
    // The versions that are tested here, where the program has the same crates.
    run::keep(
        &folder.join("Cargo.lock"),
        &run::output(root, "git", &["show", "HEAD:Cargo.lock"])?,
    )?;
    let tree = run::output(&folder, "cargo", &["tree", "-q", "-e", "normal"])?;
    let seen = only_ours(&tree)?;
    println!("the program and its crates have {seen}");
    cargo(&folder, &["build", "-q"])?;
    let program = folder.join("target/debug/patched");
    for backend in ["io_uring", "epoll"] {
        let mut command = Command::new(&program);
        let output = run::bytes(command.env("BLITZ_IO_DRIVER", backend));
        match output.as_deref() {
            Ok(b"hello, /there\n") => println!("{backend}: answered"),
            Err(why) if backend == "io_uring" && is_refused(why) => {
                println!("io_uring: skipped, it is refused here");
            }
            other => return Err(format!("{backend}: {other:?}")),
        }
    }
    Ok(())
}

/// The one `[patch.crates-io]` block of the README, as it stands there.
fn patch_of(readme: &str) -> Result<String, String> {
    let blocks: Vec<&str> = readme
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|block| block.starts_with("[patch.crates-io]"))
        .collect();
    match blocks[..] {
        [block] => Ok(block.to_owned()),
        _ => Err(format!(
            "README.md has {} blocks with a patch",
            blocks.len()
        )),
    }
}

/// The block with another address for the repository.
fn with_address(patch: &str, address: &str) -> Result<String, String> {
    let (before, rest) = patch
        .split_once("git = \"")
        .ok_or("the README's patch names no git repository")?;
    let (_, after) = rest
        .split_once('"')
        .ok_or("the README's patch has an address without an end")?;
    Ok(format!("{before}git = \"{address}\"{after}"))
}

/// The facade's name and version, if no other tokio is in the tree.
fn only_ours(tree: &str) -> Result<String, String> {
    let named = |line: &str| {
        let at = line.find("tokio v")?;
        // `hyper-tokio v1` would be another crate.
        let alone = !line[..at].ends_with(['-', '_']);
        let mut words = line[at..].split(' ');
        alone.then(|| format!("tokio {}", words.nth(1).unwrap_or_default()))
    };
    let mut all: Vec<String> = tree.lines().filter_map(named).collect();
    all.sort();
    all.dedup();
    match &all[..] {
        [one] if one.contains("+blitz.") => Ok(one.clone()),
        _ => Err(format!("the patch left {all:?} in the graph")),
    }
}

/// Whether a program failed because there is no io_uring.
fn is_refused(why: &str) -> bool {
    why.contains("io_uring")
}

fn cargo(folder: &Path, args: &[&str]) -> Outcome {
    let mut command = Command::new("cargo");
    command
        .args(args)
        .current_dir(folder)
        // Its own: the same crates are built from another source.
        .env("CARGO_TARGET_DIR", folder.join("target"));
    run::bytes(&mut command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "[patch.crates-io]\ntokio = { git = \"https://a/b\" }\n";

    #[test]
    fn the_readmes_block_is_found_and_is_the_only_one() {
        let readme = format!("# Name\n```toml\n[other]\n```\ntext\n```toml\n{BLOCK}```\n");
        assert_eq!(patch_of(&readme).as_deref(), Ok(BLOCK));
        assert!(patch_of("# Name\n").is_err());
        assert!(patch_of(&format!("{readme}{readme}")).is_err());
    }

    #[test]
    fn only_the_address_is_replaced() {
        let here = with_address(BLOCK, "file:///here").expect("an address");
        assert_eq!(
            here,
            "[patch.crates-io]\ntokio = { git = \"file:///here\" }\n"
        );
        assert!(with_address("tokio = { path = \"a\" }", "x").is_err());
    }

    #[test]
    fn another_tokio_is_found() {
        let ours =
            "a v1.0.0\n├── tokio v1.54.1+blitz.0.1.0 (file:///here)\n├── tokio-util v0.7.20\n";
        assert_eq!(only_ours(ours).as_deref(), Ok("tokio v1.54.1+blitz.0.1.0"));
        assert!(only_ours(&format!("{ours}├── tokio v1.54.1\n")).is_err());
        assert!(only_ours("a v1.0.0\n").is_err());
    }
}
