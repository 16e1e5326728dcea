//! `xtask cross`: the runtime on other machines than this one, as far as this one can show it.
//!
//! Where a target's programs can be linked and run (under qemu's user mode, or natively), its tests run; elsewhere the
//! runtime crates are type-checked. `--quick` type-checks alone, for every target whose std the toolchain in use has
//! already, and says which it left out: it needs nothing to be installed.

mod targets;
mod unwinder;

use crate::Outcome;
use crate::loom::target as target_folder;
use crate::programs::{self, Setting};
use crate::run;
use crate::toolchain::{self, Std, Toolchain};
use std::path::Path;
use std::time::{Duration, Instant};
use targets::{Does, How, RUNTIME, TARGETS, Target};

const LIMIT: Duration = Duration::from_secs(1800);

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    if args == ["--quick"] {
        return quick(root);
    }
    let (names, filters) = programs::split(args);
    let mut bad = Vec::new();
    for target in chosen(names)? {
        println!("\n{} ({}): {}", target.name, target.triple, target.shows);
        let outcome = match &target.does {
            Does::Run(how) => tests(root, target, how, filters),
            Does::Check => toolchain::for_target(target.triple)
                .and_then(|std| check(root, target.triple, &std)),
        };
        if let Err(why) = outcome {
            println!("{why}");
            bad.push(target.name);
        }
    }
    if bad.is_empty() {
        Ok(())
    } else {
        Err(format!("not clean: {}", bad.join(" ")))
    }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Target>, String> {
    if names.is_empty() || names == ["all"] {
        return Ok(TARGETS.iter().collect());
    }
    let find = |name: &String| {
        let found = TARGETS.iter().find(|target| target.name == name);
        found.ok_or_else(|| {
            let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            format!(
                "no target is called `{name}`; these are known: {} all",
                known.join(" ")
            )
        })
    };
    names.iter().map(find).collect()
}

/// Type-checks what needs no std but those that are there.
fn quick(root: &Path) -> Outcome {
    let mut bad = Vec::new();
    for target in &TARGETS {
        if !toolchain::is_ready(target.triple) {
            let triple = target.triple;
            println!("{triple}: skipped, its std is not installed (rustup target add {triple})");
            continue;
        }
        let std = Std::Ready(Toolchain::CURRENT);
        if let Err(why) = check(root, target.triple, &std) {
            println!("{why}");
            bad.push(target.name);
        }
    }
    if bad.is_empty() {
        Ok(())
    } else {
        Err(format!("these do not type-check: {}", bad.join(" ")))
    }
}

fn check(root: &Path, triple: &str, std: &Std) -> Outcome {
    let begun = Instant::now();
    let mut cargo = std.cargo("check", "std");
    cargo
        .args(["--quiet", "--lib", "--target", triple])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", target_folder(root).join("cross"))
        .env("RUSTFLAGS", "-D warnings");
    for name in RUNTIME {
        cargo.args(["-p", name]);
    }
    run::bytes(&mut cargo)?;
    println!(
        "{triple}: {} crates type-check with {std}, {} s",
        RUNTIME.len(),
        begun.elapsed().as_secs()
    );
    Ok(())
}

fn tests(root: &Path, target: &Target, how: &How, filters: &[String]) -> Outcome {
    let tools = how.runner.first().into_iter().chain([&how.linker]);
    for tool in tools {
        if !run::is_there(tool) {
            return Err(format!(
                "{tool} is missing: apt-get install {}",
                how.packages
            ));
        }
    }
    let std = toolchain::for_target(target.triple)?;
    println!("  with {std}");
    let folder = target_folder(root).join("cross");
    let variable = |what: &str| {
        let triple = target.triple.to_uppercase().replace('-', "_");
        format!("CARGO_TARGET_{triple}_{what}")
    };
    let mut cargo = std.cargo("test", "std,test");
    cargo
        // Nothing is said of targets: then examples are built to be run, as the command's tests do, and not to be tested.
        .args(["--no-run", "--message-format=json"])
        .args(["--target", target.triple])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", &folder)
        // Tests of stacks look for lines, whatever is set for other builds.
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .env(variable("LINKER"), how.linker);
    match (&std, target.triple.ends_with("-musl")) {
        (Std::Sources(_), true) => {
            let flags = unwinder::flags(&folder)?;
            cargo.env(variable("RUSTFLAGS"), flags);
        }
        // It brings what a program begins with, to stand anywhere in memory: `musl-gcc`, which still compiles what is C, adds a
        // loader to such a program, and it crashes at its start.
        (Std::Ready(_), true) => {
            cargo.env(variable("LINKER"), "cc");
        }
        (_, false) => {}
    }
    for name in programs::crates(how.crates, filters) {
        cargo.args(["-p", name]);
    }
    let programs = programs::build(cargo)?;
    let runner: Vec<String> = how.runner.iter().map(|word| (*word).to_owned()).collect();
    // What starts a test program starts the programs that it starts, too.
    let mut env = vec![("BLITZ_TEST_RUNNER", runner.join(" "))];
    if !runner.is_empty() {
        env.push(("BLITZ_TEST_PATIENCE", "10".to_owned()));
    }
    let setting = Setting {
        env,
        runner,
        without: how.without,
        filters: filters.to_vec(),
        limit: LIMIT,
        logs: folder.join("logs").join(target.name),
    };
    for (program, filter, reason) in how.without {
        println!("  without {program} {filter}: {reason}");
    }
    let rows = programs::run(&programs, &setting)?;
    match rows.iter().filter(|row| !row.is_good()).count() {
        0 => Ok(()),
        bad => Err(format!("{bad} of {} test programs failed", rows.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_targets_are_named_back() {
        assert!(chosen(&["vax".to_owned()]).is_err());
        let all = chosen(&[]).expect("all are known");
        assert_eq!(all.len(), TARGETS.len());
        let one = chosen(&["freebsd".to_owned()]).expect("it is known");
        assert_eq!(one[0].triple, "x86_64-unknown-freebsd");
    }
}
