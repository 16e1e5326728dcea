//! `cost`: what is always on, in counted instructions: the same program with it and without it, under callgrind.
//!
//! The tracked files are copied, built, then [bared](edits) of what the runtime keeps of itself, and built again. An edit that finds
//! nothing to change fails, so this follows the code or says that it does not.

mod edits;
mod guest;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Outcome;
use edits::{METRICS, PARTS, Part};
use guest::Guest;

/// The rows of `crates/blitz-io/benches/instructions.rs`, and how many rounds are counted.
const ROWS: [(&str, u64); 6] = [
    ("spawn", 10_000),
    ("burst", 10_000),
    ("yield", 10_000),
    ("wake", 10_000),
    ("timeout", 10_000),
    ("echo", 1_000),
];

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    let has = |option: &str| args.iter().any(|arg| arg == option);
    let wanted: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let rows: Vec<_> = ROWS
        .into_iter()
        .filter(|(row, _)| wanted.is_empty() || wanted.iter().any(|wanted| wanted == row))
        .collect();
    let with_kernel = has("--with-kernel");
    let guest = with_kernel.then(|| Guest::new(root)).transpose()?;
    let place = root.join("target").join("cost");
    let tree = place.join("tree");
    let mut variants = vec![
        ("with", Vec::new()),
        ("without metrics and hooks", METRICS.to_vec()),
        ("without all", PARTS.to_vec()),
    ];
    if has("--parts") {
        variants.extend(PARTS.iter().map(|part| (part.0, vec![*part])));
    }
    let mut programs = Vec::new();
    for (name, parts) in &variants {
        copy(root, &tree)?;
        for part in parts {
            take_out(&tree, part)?;
        }
        let program = place.join(name.replace(' ', "-"));
        // The next one is built to the same place.
        fs::copy(build(&tree, &place, with_kernel)?, &program)
            .map_err(|error| format!("cannot keep {program:?}: {error}"))?;
        programs.push(program);
    }
    let counts = match guest {
        Some(guest) => guest.count(&programs, &rows)?,
        None => programs
            .iter()
            .map(|program| rows.iter().map(|row| per_round(program, *row)).collect())
            .collect::<Result<Vec<_>, _>>()?,
    };
    let names = variants.iter().map(|(name, _)| *name);
    print_table(&names.zip(counts).collect::<Vec<_>>(), &rows);
    Ok(())
}

fn print_table(figures: &[(&str, Vec<f64>)], rows: &[(&str, u64)]) {
    let (with, without, parts) = (&figures[0].1, &figures[1..3], &figures[3..]);
    print!("{:10} {:>9}", "row", "with");
    for (name, _) in without {
        print!(" {name:>34}");
    }
    for (part, _) in parts {
        print!(" {part:>18}");
    }
    println!();
    for (at, (row, _)) in rows.iter().enumerate() {
        print!("{row:10} {:9.1}", with[at]);
        for (_, counts) in without {
            let more = (with[at] / counts[at] - 1.0) * 100.0;
            print!(" {:25.1} {more:6.2} %", counts[at]);
        }
        for (_, counts) in parts {
            print!(" {:18.1}", with[at] - counts[at]);
        }
        println!();
    }
}

/// The tracked files, as they are now.
fn copy(root: &Path, tree: &Path) -> Outcome {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cannot run git: {error}"))?;
    for name in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
        let (from, to) = (root.join(name), tree.join(name));
        let Ok(new) = fs::read(&from) else {
            // Deleted, and not committed yet.
            continue;
        };
        // What is as it was keeps its time, so that it is not built again.
        if fs::read(&to).is_ok_and(|old| old == new) {
            continue;
        }
        let folder = to.parent().unwrap_or(tree);
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {folder:?}: {error}"))?;
        fs::write(&to, new).map_err(|error| format!("cannot write {to:?}: {error}"))?;
    }
    Ok(())
}

fn take_out(tree: &Path, (_, files): &Part) -> Outcome {
    for (file, edits) in *files {
        let path = tree.join(file);
        let mut text =
            fs::read_to_string(&path).map_err(|error| format!("cannot read {path:?}: {error}"))?;
        for edit in *edits {
            text = edit.apply(&text).map_err(|what| {
                format!("{file}: {what}; the code has changed, so must xtask/src/cost/edits.rs")
            })?;
        }
        fs::write(&path, text).map_err(|error| format!("cannot write {path:?}: {error}"))?;
    }
    Ok(())
}

/// Builds the program, linked statically for a guest.
fn build(tree: &Path, place: &Path, for_guest: bool) -> Result<String, String> {
    let mut cargo = Command::new(env!("CARGO"));
    // What is taken out leaves things behind that nobody uses.
    let mut flags = "--cap-lints allow";
    if for_guest {
        // Without the above: cargo has to hear which kinds of crates cannot be linked so.
        flags = "-C target-feature=+crt-static";
        // With a target named, build scripts and macros are not linked statically too.
        cargo.args(["--config", "build.target='x86_64-unknown-linux-gnu'"]);
    }
    let output = cargo
        .args(["build", "--release", "-p", "blitz-io", "--bench"])
        .args(["instructions", "--message-format=json-render-diagnostics"])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", place.join("build"))
        .env("RUSTFLAGS", flags)
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let built = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "instructions")
        .find_map(|message| message["executable"].as_str().map(str::to_owned));
    built.ok_or_else(|| "cargo built no program".to_owned())
}

/// The instructions of a round, the kernel's not counted.
fn per_round(program: &Path, (row, rounds): (&str, u64)) -> Result<f64, String> {
    let (once, twice) = (
        count(program, row, rounds)?,
        count(program, row, 2 * rounds)?,
    );
    Ok(twice.saturating_sub(once) as f64 / rounds as f64)
}

/// The instructions of one run.
fn count(program: &Path, row: &str, rounds: u64) -> Result<u64, String> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([row, &rounds.to_string()])
        .env("BLITZ_IO_DRIVER", "epoll")
        .output()
        .map_err(|error| format!("cannot run valgrind, which counts: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told.lines().find_map(|line| line.split_once("Collected :"));
    collected
        .and_then(|(_, count)| count.trim().parse().ok())
        .ok_or_else(|| format!("valgrind counted nothing: {told}"))
}
