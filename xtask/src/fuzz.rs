//! `xtask fuzz`: the fuzz targets, one after the other, each for some seconds.
//!
//! They need cargo-fuzz and a toolchain with the address sanitizer; the toolchain in use does where `RUSTC_BOOTSTRAP` lets it take
//! the flags. Where either is missing that is said, and nothing fails: the same checks run over the seeds in
//! `cargo test -p blitz-http-proto`.

use crate::Outcome;
use crate::run::{self, End};
use crate::toolchain::Toolchain;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const TARGETS: [&str; 9] = [
    "requests",
    "chunks",
    "responses",
    "events",
    "proxies",
    "json",
    "websocket",
    "websocket_handshake",
    "websocket_deflate",
];
const SECONDS: u64 = 30;
/// Time to build a target, beside what it runs for.
const BUILDING: Duration = Duration::from_secs(600);

pub(crate) fn main(root: &Path, args: &[String]) -> Outcome {
    let (mut seconds, mut wanted) = (SECONDS, Vec::new());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--seconds" {
            let number = rest.next().and_then(|number| number.parse().ok());
            seconds = number.ok_or("--seconds takes a number")?;
        } else if TARGETS.contains(&arg.as_str()) {
            wanted.push(arg.as_str());
        } else {
            return Err(format!(
                "no target is called `{arg}`: {}",
                TARGETS.join(" ")
            ));
        }
    }
    if wanted.is_empty() {
        wanted = TARGETS.to_vec();
    }
    if let Some(missing) = missing()? {
        println!("fuzz: skipped, {missing}");
        return Ok(());
    }
    for target in wanted {
        let mut cargo = Toolchain::CURRENT.command("cargo");
        cargo
            .args(["fuzz", "run", target])
            .args([format!("corpus/{target}"), format!("seeds/{target}")])
            .args(["--", &format!("-max_total_time={seconds}")])
            .args(["-dict=http.dict", "-max_len=4096", "-print_final_stats=1"])
            .current_dir(root.join("fuzz"))
            .env("RUSTC_BOOTSTRAP", "1");
        make_folder(&root.join("fuzz/corpus").join(target))?;
        let (end, words) = run::limited(&mut cargo, BUILDING + Duration::from_secs(seconds))?;
        match end {
            End::Passed => {
                let runs = words
                    .lines()
                    .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
                    .map_or("?", str::trim);
                println!("fuzz: {target} held for {seconds} s, {runs} inputs");
            }
            _ => {
                return Err(format!(
                    "{target} failed; what failed stands in fuzz/artifacts/{target}\n{}",
                    run::tail(&words, 40)
                ));
            }
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> Outcome {
    std::fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// What is missing to fuzz here, if anything is.
fn missing() -> Result<Option<&'static str>, String> {
    let there = Command::new("cargo").args(["fuzz", "--version"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        return Ok(Some(
            "cargo-fuzz is not installed: `cargo install --locked cargo-fuzz`",
        ));
    }
    let host = Toolchain::CURRENT.rustc(&["--print", "host-tuple"])?;
    if !Toolchain::CURRENT.has_sanitizer(&host, "asan") {
        return Ok(Some(
            "the toolchain in use has no address sanitizer; rustup's have",
        ));
    }
    Ok(None)
}
