//! `xtask conformance`: runs the workspace in `conformance/`, from wherever it is called.
//!
//! Without `programs` it is the runner of tokio's own tests, which gets the arguments; with it the
//! tests of the programs of the ecosystem run, all of them or those of the packages that are named, on both back
//! ends. It is a workspace of its own, because there the name tokio stands for the drop-in crate.

use crate::Outcome;
use std::path::Path;
use std::process::Command;

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    let manifest = root.join("conformance/Cargo.toml");
    let cargo = |what: &str| {
        let mut command = Command::new("cargo");
        command
            .args([what, "--manifest-path"])
            .arg(&manifest)
            .current_dir(root);
        command
    };
    let Some(("programs", packages)) = args.split_first().map(|(first, rest)| (&**first, rest))
    else {
        let mut runner = cargo("run");
        runner.args(["-q", "-p", "conformance", "--"]).args(args);
        return run(&mut runner);
    };
    for driver in ["io_uring", "epoll"] {
        let mut programs = cargo("test");
        programs
            .arg("--no-fail-fast")
            .env("BLITZ_IO_DRIVER", driver);
        if packages.is_empty() {
            programs.args(["--workspace", "--exclude", "conformance"]);
        }
        for package in packages {
            programs.args(["-p", package]);
        }
        println!("the programs on {driver}");
        run(&mut programs)?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Outcome {
    let status = command
        .status()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the conformance workspace ended with {status}"))
    }
}
