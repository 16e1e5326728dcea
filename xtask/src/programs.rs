//! Test programs: built by cargo, found in what it prints, run one after the other with a time limit.
//!
//! The tests of one module share a process, and no others do: where one hangs or ends its process, what the rest found is known.

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

/// How long a program may take to list its tests.
const LIST_LIMIT: Duration = Duration::from_secs(120);

/// Tests of a program that share a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The module that they stand in: `net_udp`.
    pub(crate) name: String,
    /// Their names; none if the program lists no tests, and then it is started as it is, to say so.
    pub(crate) tests: Vec<String>,
}

/// What is run of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) groups: Vec<Group>,
    /// How many of its tests are not run.
    pub(crate) left_out: usize,
}

impl Program {
    /// Those of its tests that `wants` wants, by module.
    ///
    /// # Errors
    /// When it cannot be started, or does not list them.
    pub(crate) fn chosen(
        &self,
        runner: &[String],
        wants: impl Fn(&str) -> bool,
    ) -> Result<Chosen, String> {
        let mut command = self.command(runner);
        command.args(["--list", "--format", "terse"]);
        match run::limited(&mut command, LIST_LIMIT)? {
            (End::Passed, list) => Ok(grouped(&list, wants)),
            (_, words) => Err(format!("{} lists no tests: {words}", self.name)),
        }
    }

    fn command(&self, runner: &[String]) -> Command {
        let mut words = runner.iter();
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(&self.path);
                command
            }
            None => Command::new(&self.path),
        };
        command.current_dir(&self.folder);
        command
    }
}

/// What a program lists, `net_udp::a: test` a line, sorted by name.
fn grouped(list: &str, wants: impl Fn(&str) -> bool) -> Chosen {
    let (mut groups, mut left_out) = (Vec::<Group>::new(), 0);
    for test in list.lines().filter_map(|line| line.strip_suffix(": test")) {
        if !wants(test) {
            left_out += 1;
            continue;
        }
        let name = test.split("::").next().unwrap_or(test);
        match groups.last_mut().filter(|group| group.name == name) {
            Some(group) => group.tests.push(test.to_owned()),
            None => groups.push(Group {
                name: name.to_owned(),
                tests: vec![test.to_owned()],
            }),
        }
    }
    if groups.is_empty() && left_out == 0 {
        groups.push(Group {
            name: "all".to_owned(),
            tests: Vec::new(),
        });
    }
    Chosen { groups, left_out }
}

/// What stands before `--` in `args`, and behind it.
pub(crate) fn split(args: &[String]) -> (&[String], &[String]) {
    match args.iter().position(|arg| arg == "--") {
        Some(end) => (&args[..end], &args[end + 1..]),
        None => (args, &[]),
    }
}

/// Whether `test` of `program` is wanted: one of `filters`, if there are any, is a part of `blitz-io/it::net_udp::a`.
pub(crate) fn passes(filters: &[String], program: &str, test: &str) -> bool {
    let name = format!("{program}::{test}");
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
}

/// Those of `crates` that `filters` can choose from, so that no others are built: where each filter begins with a crate's name and a
/// stroke, as `blitz-io/it::net_udp`, these, else all.
pub(crate) fn crates<'a>(crates: &[&'a str], filters: &[String]) -> Vec<&'a str> {
    let chosen_by = |filter: &String| {
        let (name, _) = filter.split_once('/')?;
        crates.iter().copied().find(|known| *known == name)
    };
    let chosen: Option<Vec<_>> = filters.iter().map(chosen_by).collect();
    match chosen {
        Some(chosen) if !chosen.is_empty() => {
            let mut known = crates.to_vec();
            known.retain(|name| chosen.contains(name));
            known
        }
        _ => crates.to_vec(),
    }
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
    /// See [`passes`].
    pub(crate) filters: Vec<String>,
    /// How long the tests of one module may take.
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

/// Runs `programs` one after the other, prints a row for each and the output of what fails.
///
/// # Errors
/// When a program cannot be started at all, or no test passes the filters.
pub(crate) fn run(programs: &[Program], setting: &Setting) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for program in programs {
        let wants = |test: &str| {
            let mut without = setting.without.iter();
            passes(&setting.filters, &program.name, test)
                && !without.any(|(name, filter, _)| *name == program.name && test.contains(filter))
        };
        let chosen = program.chosen(&setting.runner, wants)?;
        if chosen.groups.is_empty() {
            continue;
        }
        let row = run_one(program, &chosen, setting)?;
        println!("  {row}");
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(format!(
            "no test has any of {:?} in its name",
            setting.filters
        ));
    }
    Ok(rows)
}

fn run_one(program: &Program, chosen: &Chosen, setting: &Setting) -> Result<Row, String> {
    let mut counts = Counts {
        left_out: chosen.left_out,
        ..Counts::default()
    };
    let log = setting
        .logs
        .join(format!("{}.log", program.name.replace('/', "-")));
    let (mut all, mut failures) = (String::new(), Vec::new());
    let begun = Instant::now();
    for Group { name, tests } in &chosen.groups {
        let mut command = program.command(&setting.runner);
        command.envs(setting.env.iter().map(|(name, value)| (*name, value)));
        command.arg("--exact").args(tests);
        let (end, output) = run::limited(&mut command, setting.limit)?;
        let mut of_group = Counts::default();
        of_group.add(&output);
        let failure = match end {
            End::Passed if of_group.results > 0 => None,
            End::Passed => Some("says nothing of tests".to_owned()),
            End::Failed => Some("failed".to_owned()),
            End::TimedOut => Some(format!("was not done within {} s", setting.limit.as_secs())),
        };
        if let Some(why) = failure {
            println!("{}", run::tail(&output, 60));
            println!("    all of it: {}", log.display());
            failures.push(format!("{name} {why}"));
        }
        counts.join(of_group);
        all.push_str(&output);
    }
    run::keep(&log, &all)?;
    Ok(Row {
        name: program.name.clone(),
        counts,
        seconds: begun.elapsed().as_secs(),
        failure: failures.join(", "),
    })
}

/// How many tests a test program says it ran.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Ignored, or not asked for.
    pub(crate) left_out: usize,
    /// How often it summed up.
    pub(crate) results: usize,
}

impl Counts {
    /// Reads the lines `test result: ok. 3 passed; 0 failed; …`; what was filtered out was not meant.
    pub(crate) fn add(&mut self, output: &str) {
        for line in output
            .lines()
            .filter(|line| line.starts_with("test result:"))
        {
            self.results += 1;
            let mut number = 0;
            for word in line.split_whitespace() {
                match word {
                    "passed;" => self.passed += number,
                    "failed;" => self.failed += number,
                    "ignored;" => self.left_out += number,
                    _ => {}
                }
                number = word.parse().unwrap_or(number);
            }
        }
    }

    /// Adds those of another part of the same program.
    pub(crate) fn join(&mut self, more: Self) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.left_out += more.left_out;
        self.results += more.results;
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
            left_out: 1,
            results: 2,
        };
        assert_eq!(counts, wanted);
        counts.join(wanted);
        assert_eq!((counts.passed, counts.results), (10, 4));
    }

    #[test]
    fn the_tests_of_a_module_are_a_group() {
        let list = "alone: test\nnet::a: test\nnet::b::c: test\nnet::d: benchmark\ntime::e: test\n";
        let chosen = grouped(list, |test| test != "net::a");
        let group = |name: &str, tests: &[&str]| Group {
            name: name.to_owned(),
            tests: tests.iter().map(|test| (*test).to_owned()).collect(),
        };
        assert_eq!(chosen.left_out, 1);
        assert_eq!(
            chosen.groups,
            [
                group("alone", &["alone"]),
                group("net", &["net::b::c"]),
                group("time", &["time::e"])
            ]
        );
        // What lists none is asked, what has none that is wanted is not.
        assert_eq!(grouped("", |_| true).groups, [group("all", &[])]);
        assert!(grouped(list, |_| false).groups.is_empty());
    }

    #[test]
    fn a_filter_is_part_of_a_programs_or_a_tests_name() {
        let passes = |filter: &str| passes(&[filter.to_owned()], "blitz-io/it", "net::a");
        assert!(passes("blitz-io/") && passes("it::net") && passes("::a"));
        assert!(!passes("blitz-sys"));
        assert!(super::passes(&[], "blitz-io/it", "net::a"));
        let args = ["6.1", "--", "net"].map(str::to_owned);
        assert_eq!(split(&args), (&args[..1], &args[2..]));
        assert_eq!(split(&args[..1]), (&args[..1], &[][..]));
    }

    #[test]
    fn filters_that_name_their_crates_build_these_alone() {
        let chosen = |filters: &[&str]| {
            let filters: Vec<_> = filters.iter().map(|&filter| filter.to_owned()).collect();
            crates(&["a", "b", "c"], &filters)
        };
        assert_eq!(chosen(&["c/", "a/it::x", "a/lib"]), ["a", "c"]);
        // A part of a name may stand in any of them, and what is not known chooses none.
        assert_eq!(chosen(&["a/", "net"]), ["a", "b", "c"]);
        assert_eq!(chosen(&["a/", "bb/"]), ["a", "b", "c"]);
        assert_eq!(chosen(&[]), ["a", "b", "c"]);
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
        let chosen = program.chosen(&[], |_| true).expect("`true` is there");
        let row = run_one(&program, &chosen, &setting).expect("`true` is there");
        assert!(!row.is_good(), "{row}");
        std::fs::remove_dir_all(&setting.logs).expect("the log was kept there");
    }
}
