//! Test programs: built by cargo, found in what it prints, run one after the other with a time limit.

use crate::run::{self, End};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A test program that cargo has built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// `blitz-driver/it`: the package and the target, which is `lib` for the tests inside the library.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) path: PathBuf,
    /// The package's folder, where cargo would run it.
    pub(crate) folder: PathBuf,
}

/// Runs `cargo`, which is told to build tests and to print JSON, and gives the programs that hold tests.
///
/// # Errors
/// What the compiler says, when it does not build.
pub(crate) fn build(mut cargo: Command) -> Result<Vec<Program>, String> {
    let output = cargo
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    let mut programs = Vec::new();
    let mut words = String::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        words.push_str(message["message"]["rendered"].as_str().unwrap_or_default());
        programs.extend(program(&message));
    }
    if output.status.success() {
        return Ok(programs);
    }
    let more = String::from_utf8_lossy(&output.stderr);
    Err(format!("{words}{more}"))
}

fn program(message: &Value) -> Option<Program> {
    if message["profile"]["test"] != true {
        return None;
    }
    let path = PathBuf::from(message["executable"].as_str()?);
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let folder = manifest.parent()?.to_owned();
    let package = folder.file_name()?.to_string_lossy().into_owned();
    let target = &message["target"];
    let is_lib = target["kind"]
        .as_array()
        .is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib"));
    let name = if is_lib {
        "lib"
    } else {
        target["name"].as_str()?
    };
    Some(Program {
        name: format!("{package}/{name}"),
        path,
        folder,
    })
}

/// How a run of test programs is set up.
#[derive(Debug, Default)]
pub(crate) struct Setting {
    /// What starts a program, where the machine cannot by itself; its words come before the program's path.
    pub(crate) runner: Vec<String>,
    /// Variables that the programs see.
    pub(crate) env: Vec<(&'static str, String)>,
    /// `(program, filter, reason)`: tests that cannot work in this setting.
    pub(crate) without: &'static [(&'static str, &'static str, &'static str)],
    /// How long one program may take.
    pub(crate) limit: Duration,
    /// Where what each program writes is kept.
    pub(crate) logs: PathBuf,
}

/// What the tests of one program came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) counts: Counts,
    pub(crate) seconds: u64,
    /// Empty, or what went wrong.
    pub(crate) failure: String,
}

impl Row {
    pub(crate) fn is_good(&self) -> bool {
        self.failure.is_empty()
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Row {
            name,
            counts,
            seconds,
            ..
        } = self;
        write!(
            f,
            "{name:<24} {:>5} passed {:>3} failed {:>4} left out {seconds:>5} s",
            counts.passed, counts.failed, counts.left_out
        )?;
        if self.failure.is_empty() {
            Ok(())
        } else {
            write!(f, "   <- {}", self.failure)
        }
    }
}

/// Runs `programs` one after the other, prints a row for each and the output of those that fail.
///
/// # Errors
/// When a program cannot be started at all.
pub(crate) fn run(programs: &[Program], setting: &Setting) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for program in programs {
        let row = run_one(program, setting)?;
        println!("  {row}");
        rows.push(row);
    }
    Ok(rows)
}

fn run_one(program: &Program, setting: &Setting) -> Result<Row, String> {
    let mut words = setting.runner.iter();
    let mut command = match words.next() {
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(&program.path);
            command
        }
        None => Command::new(&program.path),
    };
    command.current_dir(&program.folder);
    command.envs(setting.env.iter().map(|(name, value)| (*name, value)));
    for (name, filter, _) in setting.without {
        if *name == program.name {
            command.args(["--skip", filter]);
        }
    }
    let begun = Instant::now();
    let (end, output) = run::limited(&mut command, setting.limit)?;
    let mut counts = Counts::default();
    counts.add(&output);
    let failure = match end {
        End::Passed if counts.results > 0 => String::new(),
        End::Passed => "it says nothing of tests".to_owned(),
        End::Failed => "failed".to_owned(),
        End::TimedOut => format!("not done within {} s", setting.limit.as_secs()),
    };
    let log = setting
        .logs
        .join(format!("{}.log", program.name.replace('/', "-")));
    run::keep(&log, &output)?;
    if !failure.is_empty() {
        println!("{}", run::tail(&output, 60));
        println!("    all of it: {}", log.display());
    }
    Ok(Row {
        name: program.name.clone(),
        counts,
        seconds: begun.elapsed().as_secs(),
        failure,
    })
}

/// How many tests a test program says it ran.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Ignored, or left out by a filter.
    pub(crate) left_out: usize,
    /// How often it summed up.
    pub(crate) results: usize,
}

impl Counts {
    /// Reads the lines `test result: ok. 3 passed; 0 failed; …`.
    pub(crate) fn add(&mut self, output: &str) {
        for line in output
            .lines()
            .filter(|line| line.starts_with("test result:"))
        {
            self.results += 1;
            let mut before = "";
            let mut number = 0;
            for word in line.split_whitespace() {
                match word {
                    "passed;" => self.passed += number,
                    "failed;" => self.failed += number,
                    "ignored;" => self.left_out += number,
                    "out;" if before == "filtered" => self.left_out += number,
                    _ => {}
                }
                number = word.parse().unwrap_or(number);
                before = word;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_test_program_are_counted() {
        let mut counts = Counts::default();
        counts.add("running 3 tests\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s\n");
        counts.add("test result: FAILED. 2 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s");
        let wanted = Counts {
            passed: 5,
            failed: 5,
            left_out: 3,
            results: 2,
        };
        assert_eq!(counts, wanted);
    }

    #[test]
    fn programs_are_found_in_what_cargo_prints() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/a/blitz-core/Cargo.toml","target":{"kind":["lib"],"name":"blitz_core"},"profile":{"test":true},"executable":"/t/blitz_core-1"}"#;
        let message: Value = serde_json::from_str(line).expect("this is JSON");
        let found = program(&message).expect("a program");
        assert_eq!(found.name, "blitz-core/lib");
        assert_eq!(found.folder, Path::new("/a/blitz-core"));
        let line = line.replace("\"test\":true", "\"test\":false");
        let message: Value = serde_json::from_str(&line).expect("this is JSON");
        assert_eq!(program(&message), None);
    }

    #[test]
    fn a_program_that_ran_no_test_has_not_passed() {
        let program = Program {
            name: "a/it".to_owned(),
            path: PathBuf::from("true"),
            folder: std::env::temp_dir(),
        };
        let setting = Setting {
            limit: Duration::from_secs(60),
            logs: std::env::temp_dir().join(format!("xtask-programs-{}", std::process::id())),
            ..Setting::default()
        };
        let row = run_one(&program, &setting).expect("`true` is there");
        assert!(!row.is_good(), "{row}");
        std::fs::remove_dir_all(&setting.logs).expect("the log was kept there");
    }
}
