//! Runs tests, each in a process of its own and with a time limit.
//!
//! Some of the tests measure time, and several run at once: one that fails runs once more, alone and with more time, when all others are
//! done. If it passes then it counts as passed, and the page names it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Options;
use crate::compile::Built;
use crate::suite;

/// So many times as long has a test that runs once more, alone.
const ALONE: u32 = 5;

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// Failed among others and passed alone.
    PassedAlone,
    /// With the first words of the panic.
    Failed(String),
    Hung,
    /// Its file does not compile.
    LeftOut(String),
}

impl Outcome {
    pub(crate) fn is_passed(&self) -> bool {
        matches!(self, Self::Passed | Self::PassedAlone)
    }

    pub(crate) fn words(&self) -> String {
        match self {
            Self::Passed => "passed".to_owned(),
            Self::PassedAlone => "passed when it ran alone".to_owned(),
            Self::Failed(words) => format!("failed: {words}"),
            Self::Hung => "hung".to_owned(),
            Self::LeftOut(words) => format!("does not compile: {words}"),
        }
    }
}

/// How all tests ended, by `crate file::test`, and the files by `crate file` that were left out.
pub(crate) struct Outcomes {
    pub(crate) tests: BTreeMap<String, Outcome>,
    pub(crate) left_out: BTreeMap<String, String>,
    /// All files, by `crate file`: some have no test on this system.
    pub(crate) files: Vec<String>,
}

impl Outcomes {
    /// How `test` ended here; a test whose file was left out is known from the other runtime alone.
    pub(crate) fn of(&self, test: &str) -> Option<Outcome> {
        if let Some(outcome) = self.tests.get(test) {
            return Some(outcome.clone());
        }
        let file = file_of(test);
        self.left_out
            .get(file)
            .map(|words| Outcome::LeftOut(words.clone()))
    }
}

/// `crate file` of `crate file::test`.
pub(crate) fn file_of(test: &str) -> &str {
    test.split_once("::").map_or(test, |(file, _)| file)
}

struct Test {
    /// `crate file::test`.
    name: String,
    program: PathBuf,
    /// The name that the program knows.
    inside: String,
}

/// Runs the wanted tests of `built`, on `driver` if it has a choice.
///
/// # Errors
/// When a program cannot be started, or a log not be written.
pub(crate) fn all(
    built: &Built,
    driver: Option<&str>,
    options: &Options,
    logs: &Path,
) -> Result<Outcomes, String> {
    // Logs of an earlier run would be taken for this one's; if there are none, there is nothing to remove.
    let _ = fs::remove_dir_all(logs);
    fs::create_dir_all(logs).map_err(|error| format!("{}: {error}", logs.display()))?;
    let tests = tests_of(built, &|name| options.wants(name))?;
    println!(
        "running {} tests on {}",
        tests.len(),
        driver.unwrap_or("tokio")
    );
    let begun = Instant::now();
    let log_of =
        |test: &Test| logs.join(format!("{}.log", test.name.replace([' ', ':', '/'], "_")));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                // ORDERING: each number is taken once; nothing else hangs on it.
                while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = one(test, built, driver, options.timeout, &log_of(test));
                    done.lock().expect("no holder panics").push((test, outcome));
                }
            });
        }
    });
    let mut outcomes = BTreeMap::new();
    for (test, outcome) in done.into_inner().expect("no holder panics") {
        let mut outcome = outcome?;
        if !outcome.is_passed() {
            let again = one(test, built, driver, options.timeout * ALONE, &log_of(test))?;
            outcome = if again.is_passed() {
                Outcome::PassedAlone
            } else {
                again
            };
        }
        if outcome.is_passed() {
            fs::remove_file(log_of(test)).map_err(|error| format!("{}: {error}", test.name))?;
        }
        outcomes.insert(test.name.clone(), outcome);
    }
    println!("    done in {} s", begun.elapsed().as_secs());
    let mut files = Vec::new();
    for (target, names) in &built.files {
        files.extend(
            names
                .iter()
                .map(|file| format!("{} {file}", suite::crate_of(target))),
        );
    }
    Ok(Outcomes {
        tests: outcomes,
        left_out: built.left_out.clone(),
        files,
    })
}

fn tests_of(built: &Built, wants: &dyn Fn(&str) -> bool) -> Result<Vec<Test>, String> {
    let mut tests = Vec::new();
    for (target, program) in &built.programs {
        let Some(krate) = built
            .files
            .contains_key(target)
            .then(|| suite::crate_of(target))
        else {
            continue;
        };
        let output = Command::new(program)
            .arg("--list")
            .current_dir(&built.folder)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Some(inside) = line.strip_suffix(": test") else {
                continue;
            };
            let name = format!("{krate} {inside}");
            if wants(&name) {
                tests.push(Test {
                    name,
                    program: program.clone(),
                    inside: inside.to_owned(),
                });
            }
        }
    }
    Ok(tests)
}

/// Runs one test; its words go to `log`.
fn one(
    test: &Test,
    built: &Built,
    driver: Option<&str>,
    limit: Duration,
    log: &Path,
) -> Result<Outcome, String> {
    let told = |error: std::io::Error| format!("{}: {error}", test.name);
    let out = File::create(log).map_err(told)?;
    let err = out.try_clone().map_err(told)?;
    let mut command = Command::new(&test.program);
    command
        .args(["--exact", &test.inside, "--test-threads", "1"])
        .current_dir(&built.folder)
        .env("CARGO_MANIFEST_DIR", &built.folder)
        .env_remove("RUST_BACKTRACE")
        .env_remove("BLITZ_IO_DRIVER")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    if let Some(driver) = driver {
        command.env("BLITZ_IO_DRIVER", driver);
    }
    let status = limited(&mut command, limit).map_err(told)?;
    let text = fs::read(log).map_err(told)?;
    let text = String::from_utf8_lossy(&text);
    Ok(match status {
        None => Outcome::Hung,
        // A test that runs none is no test that passes.
        Some(status) if status.success() && text.contains("test result: ok. 1 passed") => {
            Outcome::Passed
        }
        Some(status) => Outcome::Failed(why(&text, status)),
    })
}

/// Runs `command` in a process group of its own; `None` if it had to be killed after `limit`.
fn limited(command: &mut Command, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn()?;
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > limit {
            // With its children, which may have been told to outlive it.
            Command::new("kill")
                .args(["-KILL", "--", &format!("-{}", child.id())])
                .status()?;
            // It may have ended by itself in between.
            let _ = child.kill();
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(25));
    }
}

/// The first words of the panic in a test's log, or how the process ended.
fn why(text: &str, status: ExitStatus) -> String {
    let mut lines = text
        .lines()
        .skip_while(|line| !line.contains(" panicked at "));
    match (lines.next(), lines.next()) {
        (Some(_), Some(words)) => words.chars().take(160).collect(),
        _ => {
            let error = text.lines().find(|line| line.starts_with("Error: "));
            error.map_or_else(
                || status.to_string(),
                |line| line.chars().take(160).collect(),
            )
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000"]);
        assert!(
            limited(&mut command, Duration::from_millis(50))
                .unwrap()
                .is_none()
        );
        assert!(
            limited(&mut Command::new("true"), Duration::from_secs(60))
                .unwrap()
                .unwrap()
                .success()
        );
    }

    #[test]
    fn the_words_of_a_panic_are_found() {
        let status = Command::new("false").status().unwrap();
        let text =
            "thread 'x' (7) panicked at tests/a.rs:1:2:\nassertion failed: a\nnote: run with\n";
        assert_eq!(why(text, status), "assertion failed: a");
        assert_eq!(why("Error: Elapsed\n", status), "Error: Elapsed");
        assert_eq!(why("nothing", status), "exit status: 1");
    }

    #[test]
    fn a_test_of_a_file_that_was_left_out_is_not_passed() {
        let left_out = BTreeMap::from([("tokio net".to_owned(), "E0001: x".to_owned())]);
        let outcomes = Outcomes {
            tests: BTreeMap::new(),
            left_out,
            files: Vec::new(),
        };
        assert_eq!(
            outcomes.of("tokio net::a"),
            Some(Outcome::LeftOut("E0001: x".to_owned()))
        );
        assert_eq!(outcomes.of("tokio network::a"), None);
    }
}
