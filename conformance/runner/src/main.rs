//! Runs the tests that tokio and its companions publish with their crates, on blitz-io under tokio's name and on tokio.
//!
//! The tests are taken from the registry's copies and never kept here. A scratch package holds them once
//! for each runtime; every test runs in a process of its own with a time limit. On blitz-io they run on
//! both back ends. A whole run writes `docs/conformance.md`; a test that is not passed and has no line in
//! `suite/reasons.txt` fails the command.
//!
//! - `suite` makes the scratch packages, `compile` builds them and leaves out what does not compile,
//! - `run` runs tests, on epoll where `refused` has the kernel refuse rings, `reasons` reads the table, `verdict` compares, `report` writes the page.

mod compile;
mod reasons;
mod refused;
mod report;
mod run;
mod suite;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use run::Outcomes;
use suite::Runtime;

const USAGE: &str =
    "usage: conformance [--tenth] [--only PART] [--driver io_uring|epoll] [--no-baseline] \
                     [--timeout SECONDS] [--jobs N] [--keep-locks]
  --tenth        a fixed tenth of the tests, without tokio beside it; writes no page
  --only PART    tests whose `crate file::test` has PART in it; writes no page
  --driver NAME  one back end of blitz-io instead of both (where io_uring is refused: epoll); writes no page
  --no-baseline  without tokio beside it; writes no page
  --timeout N    seconds that a test may take (60)
  --jobs N       tests at once (twice the processors)
  --keep-locks   keeps the versions that were used in suite/*.lock";

/// What the command line asks for.
struct Options {
    tenth: bool,
    only: Option<String>,
    driver: Option<String>,
    baseline: bool,
    timeout: Duration,
    jobs: usize,
    keep_locks: bool,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let mut options = Self {
            tenth: false,
            only: None,
            driver: None,
            baseline: true,
            timeout: Duration::from_secs(60),
            jobs: 2 * processors,
            keep_locks: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} wants a value"));
            match arg.as_str() {
                "--tenth" => {
                    options.tenth = true;
                    options.baseline = false;
                }
                "--no-baseline" => options.baseline = false,
                "--keep-locks" => options.keep_locks = true,
                "--only" => options.only = Some(value()?),
                "--driver" => options.driver = Some(value()?),
                "--timeout" => options.timeout = Duration::from_secs(number(&value()?)?),
                "--jobs" => {
                    options.jobs = number(&value()?)?
                        .try_into()
                        .map_err(|_| "too many jobs".to_owned())?;
                }
                "--help" => return Err("Runs the tests that tokio publishes.".to_owned()),
                other => return Err(format!("{other} is not known")),
            }
        }
        Ok(options)
    }

    /// Whether the run covers everything, so that its page would be whole.
    fn is_whole(&self) -> bool {
        self.baseline && !self.tenth && self.only.is_none() && self.driver.is_none()
    }

    fn drivers(&self) -> Vec<String> {
        match &self.driver {
            Some(one) => vec![one.clone()],
            None => vec!["io_uring".to_owned(), "epoll".to_owned()],
        }
    }

    fn wants(&self, name: &str) -> bool {
        (!self.tenth || is_of_the_tenth(name))
            && self.only.as_ref().is_none_or(|part| name.contains(part))
    }
}

fn number(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{text}` is no number of at least one")),
    }
}

/// The rule of the fixed tenth: the FNV-1a hash of `crate file::test` is divisible by ten.
fn is_of_the_tenth(name: &str) -> bool {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.is_multiple_of(10)
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match conform(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("conformance: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Builds, runs, compares and reports; answers whether every test is passed or explained.
fn conform(options: &Options) -> Result<bool, String> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the runner stands in conformance/")
        .to_owned();
    let reasons = reasons::Reasons::read(&home.join("suite/reasons.txt"))?;
    let scratch = scratch(&home);
    let published = suite::published(&scratch)?;
    let mut tokio = None;
    if options.baseline {
        let built = prepare(options, &home, &scratch, &published, Runtime::Tokio)?;
        tokio = Some(run::all(
            &built,
            None,
            options,
            &scratch.join("logs/tokio"),
        )?);
    }
    let built = prepare(options, &home, &scratch, &published, Runtime::Blitz)?;
    let mut ours: Vec<(String, Outcomes)> = Vec::new();
    for driver in options.drivers() {
        let logs = scratch.join("logs").join(&driver);
        // On a thread of its own, which may be refused for good what the others have.
        let outcomes = std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                if driver == "epoll" {
                    refused::refuse_rings()?;
                }
                run::all(&built, Some(&driver), options, &logs)
            });
            run.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        ours.push((driver, outcomes));
    }
    let verdict = verdict::compare(tokio.as_ref(), &ours, &reasons, &|name| options.wants(name));
    print!("{}", verdict.summary(&scratch.join("logs")));
    let stale = if options.is_whole() && ours.len() == 2 {
        let page = home.join("../docs/conformance.md");
        let text = report::page(&published, &verdict, tokio.as_ref(), &ours);
        std::fs::write(&page, text)
            .map_err(|error| format!("{} cannot be written: {error}", page.display()))?;
        println!("docs/conformance.md is written");
        verdict.stale(&reasons)
    } else {
        Vec::new()
    };
    for line in &stale {
        println!("no test needs this reason any more: {line}");
    }
    Ok(verdict.is_explained() && stale.is_empty())
}

/// Writes and builds the scratch package of one runtime.
fn prepare(
    options: &Options,
    home: &Path,
    scratch: &Path,
    published: &[suite::Published],
    runtime: Runtime,
) -> Result<compile::Built, String> {
    let folder = scratch.join(runtime.name());
    let files = suite::write(&folder, home, published, runtime)?;
    let built = compile::build(&folder, &scratch.join("target"), files, runtime)?;
    if options.keep_locks {
        suite::keep_lock(&folder, home, runtime)?;
    }
    Ok(built)
}

/// Where the scratch packages, their build and the logs go: beside this program's own build.
fn scratch(home: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(home.join("target"), PathBuf::from);
    let target = std::path::absolute(&target).unwrap_or(target);
    target.join("conformance-suite")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenth_is_a_tenth() {
        let chosen = (0..10_000)
            .filter(|n| is_of_the_tenth(&format!("tokio file::test_{n}")))
            .count();
        assert!((800..1200).contains(&chosen), "{chosen}");
    }

    #[test]
    fn a_part_of_a_run_writes_no_page() {
        let options = |words: &[&str]| Options::parse(words.iter().map(|word| (*word).to_owned()));
        assert!(options(&[]).unwrap().is_whole());
        assert!(
            options(&["--jobs", "3", "--timeout", "5"])
                .unwrap()
                .is_whole()
        );
        for part in [
            &["--tenth"][..],
            &["--only", "x"],
            &["--driver", "epoll"],
            &["--no-baseline"],
        ] {
            assert!(!options(part).unwrap().is_whole(), "{part:?}");
        }
        assert!(options(&["--jobs"]).is_err());
        assert!(options(&["--jobs", "0"]).is_err());
        assert!(options(&["--what"]).is_err());
    }
}
