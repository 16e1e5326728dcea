//! Autobahn's test suite against both ends of the WebSocket: the examples `websocket_echo` and `websocket_client`, at default limits.
//!
//! The suite is a program for Python 2.7, which this finds by `--python`, by `PYTHON27`, on the path, or among pyenv's; pip gets it into `target/autobahn`.
//! Without such a Python, or where pip has no way to the suite, that is said and nothing is judged. The summary goes into
//! `docs/websocket.md` with `--report`.

use crate::{Outcome, run};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SUITE: &str = "autobahntestsuite==25.10.1";
/// How we are called in the reports.
const AGENT: &str = "blitz-io";
const HOUR: Duration = Duration::from_secs(3600);
/// No case takes longer than this; the longest ones send 16 MiB in pieces of 64 bytes.
const CASE_MAX: Duration = Duration::from_secs(900);
const START: Duration = Duration::from_secs(60);
const MARKS: [&str; 2] = ["<!-- autobahn -->", "<!-- /autobahn -->"];

struct Options {
    python: Option<PathBuf>,
    cases: Vec<String>,
    /// Where the two programs are, if none are to be built.
    programs: Option<PathBuf>,
    report: bool,
}

/// Runs the command.
pub(crate) fn main(root: &Path, words: &[String]) -> Outcome {
    let options = parse(words)?;
    let Some(python) = options.python.clone().or_else(python) else {
        println!(
            "skipped: Autobahn's test suite needs Python 2.7, and none was found (--python PATH names one; PYTHON27, the path and pyenv were looked at)"
        );
        return Ok(());
    };
    let folder = root.join("target/autobahn");
    let Some(suite) = install(&python, &folder)? else {
        return Ok(());
    };
    let examples = match &options.programs {
        Some(folder) => folder.clone(),
        None => build(root)?,
    };
    let echo = examples.join("websocket_echo");
    let client = examples.join("websocket_client");
    // Nearly all of the time is the suite's own, on one core for each end.
    let (server, client) = std::thread::scope(|scope| {
        let server = scope.spawn(|| judge_server(&suite, &echo, &folder, &options.cases));
        let client = judge_client(&suite, &client, &folder, &options.cases);
        let server = server.join();
        let server = server.unwrap_or_else(|_| Err("the server's judge panicked".to_owned()));
        server.and_then(|server| Ok((server, client?)))
    })?;
    let mut text = String::from(
        "| end | cases | OK | informational | non-strict | failed |\n|---|---|---|---|---|---|\n",
    );
    for (name, summary) in [("server", &server), ("client", &client)] {
        text += &summary.row(name);
    }
    print!("{text}");
    for (name, summary) in [("server", &server), ("client", &client)] {
        for (case, how) in &summary.others {
            println!("{name} {case}: {how}");
        }
    }
    println!("the reports are in {}", folder.join("reports").display());
    if options.report {
        write(&root.join("docs/websocket.md"), &text)?;
    }
    match server.failed() + client.failed() {
        0 => Ok(()),
        failed => Err(format!("{failed} cases failed")),
    }
}

/// Builds both programs, and says where they are.
fn build(root: &Path) -> Result<PathBuf, String> {
    println!("building the examples");
    let mut words = vec!["build", "--release", "-p", "blitz-cli"];
    for example in ["websocket_echo", "websocket_client"] {
        words.extend(["--example", example]);
    }
    run::output(root, "cargo", &words)?;
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/examples"))
}

fn parse(words: &[String]) -> Result<Options, String> {
    let mut options = Options {
        python: None,
        cases: vec!["*".to_owned()],
        programs: None,
        report: false,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or(format!("{word} wants a value behind it"))
        };
        match word.as_str() {
            "--python" => options.python = Some(value()?.into()),
            "--cases" => options.cases = value()?.split(',').map(str::to_owned).collect(),
            "--programs" => options.programs = Some(value()?.into()),
            "--report" => options.report = true,
            other => {
                return Err(format!(
                    "unknown option {other}: --python, --cases, --programs, --report"
                ));
            }
        }
    }
    Ok(options)
}

/// A Python 2.7, if there is one.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("PYTHON27").map(PathBuf::from);
    let path = ["python2.7", "python2"].map(PathBuf::from);
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let versions = std::fs::read_dir(home.join(".pyenv/versions"));
    // Where there is no pyenv there is nothing to be found.
    let versions = versions.into_iter().flatten().flatten();
    let pyenv = versions.map(|version| version.path().join("bin/python2.7"));
    named.into_iter().chain(path).chain(pyenv).find(|python| {
        let says = Command::new(python)
            .args(["-c", "import sys; print(sys.version_info[:2] == (2, 7))"])
            .output();
        says.is_ok_and(|says| says.status.success() && says.stdout.starts_with(b"True"))
    })
}

/// The suite, as it is started.
struct Suite {
    python: PathBuf,
    modules: PathBuf,
}

impl Suite {
    fn command(&self, words: &[&str]) -> Command {
        // What pip puts aside is a place of modules only when it is called one: namespaces need that.
        const START: &str = "import os, site; site.addsitedir(os.environ['AUTOBAHN_MODULES']); \
                             from autobahntestsuite import wstest; wstest.run()";
        let mut command = Command::new(&self.python);
        command
            .args(["-c", START])
            .args(words)
            .env("AUTOBAHN_MODULES", &self.modules);
        command
    }
}

/// Gets the suite, once. Nothing if that cannot be had.
fn install(python: &Path, folder: &Path) -> Result<Option<Suite>, String> {
    let modules = folder.join("modules");
    let done = folder.join("installed");
    if std::fs::read_to_string(&done).is_ok_and(|known| known == SUITE) {
        return Ok(Some(Suite {
            python: python.to_owned(),
            modules,
        }));
    }
    println!("getting {SUITE} by pip");
    let told = |error: std::io::Error| format!("cannot write to {}: {error}", folder.display());
    if modules.exists() {
        std::fs::remove_dir_all(&modules).map_err(told)?;
    }
    std::fs::create_dir_all(folder).map_err(told)?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--target"])
        .arg(&modules)
        .arg(SUITE);
    let (end, said) = run::limited(&mut pip, HOUR)?;
    if end != run::End::Passed {
        println!("skipped: pip cannot get {SUITE}:\n{said}");
        return Ok(None);
    }
    std::fs::write(&done, SUITE).map_err(told)?;
    Ok(Some(Suite {
        python: python.to_owned(),
        modules,
    }))
}

/// What a run found.
#[derive(Default)]
struct Summary {
    counts: BTreeMap<String, usize>,
    /// What is neither OK nor informational.
    others: Vec<(String, String)>,
}

impl Summary {
    fn read(reports: &Path) -> Result<Summary, String> {
        let file = reports.join("index.json");
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("no report in {}: {error}", file.display()))?;
        let all: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let agents = all.as_object().ok_or("a report without agents")?;
        let mut summary = Summary::default();
        for cases in agents.values() {
            let cases = cases.as_object().ok_or("a report without cases")?;
            for (case, result) in cases {
                let how = result["behavior"].as_str().unwrap_or("?");
                let close = result["behaviorClose"].as_str().unwrap_or("?");
                let fine = |how: &str| ["OK", "INFORMATIONAL"].contains(&how);
                // A case whose messages were right and whose close was not counts by its close.
                let counts = if fine(how) && !fine(close) {
                    close
                } else {
                    how
                };
                *summary.counts.entry(counts.to_owned()).or_default() += 1;
                if !fine(how) || !fine(close) {
                    let how = format!("{how}, close {close}");
                    summary.others.push((case.clone(), how));
                }
            }
        }
        if summary.counts.is_empty() {
            return Err("no case was run".to_owned());
        }
        Ok(summary)
    }

    fn count(&self, how: &str) -> usize {
        self.counts.get(how).copied().unwrap_or_default()
    }

    fn all(&self) -> usize {
        self.counts.values().sum()
    }

    fn failed(&self) -> usize {
        self.all() - self.count("OK") - self.count("INFORMATIONAL") - self.count("NON-STRICT")
    }

    fn row(&self, name: &str) -> String {
        format!(
            "| {name} | {} | {} | {} | {} | {} |\n",
            self.all(),
            self.count("OK"),
            self.count("INFORMATIONAL"),
            self.count("NON-STRICT"),
            self.failed()
        )
    }
}

/// A child that ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn started(command: &mut Command) -> Result<Running, String> {
    let child = command.stdin(Stdio::null()).spawn();
    let name = command.get_program().to_owned();
    child
        .map(Running)
        .map_err(|error| format!("cannot start {}: {error}", name.display()))
}

/// An empty folder for the reports of one end, and the file that says what to do.
fn prepare(folder: &Path, end: &str, mut spec: Value) -> Result<(PathBuf, PathBuf), String> {
    let reports = folder.join("reports").join(end);
    let told = |error: std::io::Error| format!("cannot write to {}: {error}", folder.display());
    if reports.exists() {
        std::fs::remove_dir_all(&reports).map_err(told)?;
    }
    std::fs::create_dir_all(&reports).map_err(told)?;
    spec["outdir"] = json!(reports);
    let file = folder.join(format!("{end}.json"));
    std::fs::write(&file, spec.to_string()).map_err(told)?;
    Ok((reports, file))
}

fn judge_server(
    suite: &Suite,
    program: &Path,
    folder: &Path,
    cases: &[String],
) -> Result<Summary, String> {
    let mut command = Command::new(program);
    command
        .args(["--addr", "127.0.0.1:0"])
        .stdout(Stdio::piped());
    let mut server = started(&mut command)?;
    let mut line = String::new();
    let output = server.0.stdout.take().ok_or("its output is not piped")?;
    let read = BufReader::new(output).read_line(&mut line);
    read.map_err(|error| error.to_string())?;
    let addr = line.trim().strip_prefix("listening on ");
    let addr = addr.ok_or_else(|| format!("the server says {line:?}"))?;
    println!("the server, on {addr}");
    let spec = json!({
        "options": {"failByDrop": false},
        "servers": [{"agent": AGENT, "url": format!("ws://{addr}")}],
        "cases": cases, "exclude-cases": [], "exclude-agent-cases": {},
    });
    let (reports, file) = prepare(folder, "server", spec)?;
    let mut command = suite.command(&["-m", "fuzzingclient", "-s"]);
    let (end, said) = run::limited(command.arg(file), 3 * HOUR)?;
    if end != run::End::Passed {
        return Err(format!("the suite ended badly ({end:?}):\n{said}"));
    }
    Summary::read(&reports)
}

fn judge_client(
    suite: &Suite,
    program: &Path,
    folder: &Path,
    cases: &[String],
) -> Result<Summary, String> {
    // A port that is free now; who takes it in between makes the start fail.
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let addr = listener.local_addr().map_err(|error| error.to_string())?;
    drop(listener);
    let spec = json!({
        "options": {"failByDrop": false}, "url": format!("ws://{addr}"),
        "cases": cases, "exclude-cases": [], "exclude-agent-cases": {},
    });
    let (reports, file) = prepare(folder, "client", spec)?;
    let mut command = suite.command(&["-m", "fuzzingserver", "-u", "0", "-s"]);
    let log = folder.join("server.log");
    let log = std::fs::File::create(&log).map_err(|error| error.to_string())?;
    let errors = log.try_clone().map_err(|error| error.to_string())?;
    let _server = started(command.arg(file).stdout(log).stderr(errors))?;
    let begun = Instant::now();
    while TcpStream::connect(addr).is_err() {
        if begun.elapsed() > START {
            return Err(format!(
                "the suite does not listen on {addr}; server.log may say why"
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let count: usize = first_message(&addr.to_string(), "/getCaseCount")?
        .parse()
        .map_err(|_| "no count of cases came")?;
    println!("the client, {count} cases");
    let asked = |path: &str| -> Result<(), String> {
        let url = format!("ws://{addr}{path}agent={AGENT}");
        let (end, said) = run::limited(Command::new(program).arg(url), CASE_MAX)?;
        match end {
            // A peer that breaks the rules is an error of the client, and what many cases are about.
            run::End::Passed | run::End::Failed => Ok(()),
            run::End::TimedOut => Err(format!("{path} did not end:\n{said}")),
        }
    };
    for case in 1..=count {
        asked(&format!("/runCase?case={case}&"))?;
    }
    asked("/updateReports?")?;
    Summary::read(&reports)
}

/// The first message that a server sends on a WebSocket, which is short.
fn first_message(addr: &str, path: &str) -> Result<String, String> {
    let told = |error: std::io::Error| format!("{path}: {error}");
    let mut stream = TcpStream::connect(addr).map_err(told)?;
    stream.set_read_timeout(Some(START)).map_err(told)?;
    let ask = format!(
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).map_err(told)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).map_err(told)? == 0 {
            return Err(format!("{path}: the suite hung up"));
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut head = [0; 2];
    stream.read_exact(&mut head).map_err(told)?;
    let mut text = vec![0; usize::from(head[1] & 0x7f)];
    stream.read_exact(&mut text).map_err(told)?;
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// Puts the summary between its marks.
fn write(file: &Path, summary: &str) -> Outcome {
    let told = |error: std::io::Error| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(told)?;
    let text = between(&text, summary).ok_or("docs/websocket.md has no place for the summary")?;
    std::fs::write(file, text).map_err(told)
}

fn between(text: &str, summary: &str) -> Option<String> {
    let (before, rest) = text.split_once(MARKS[0])?;
    let (_, behind) = rest.split_once(MARKS[1])?;
    let [begin, end] = MARKS;
    Some(format!("{before}{begin}\n{summary}{end}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_takes_the_place_of_the_last_one() {
        let text = format!("a\n{}\nold\n{}\nb\n", MARKS[0], MARKS[1]);
        let once = between(&text, "new\n").unwrap();
        assert_eq!(once, format!("a\n{}\nnew\n{}\nb\n", MARKS[0], MARKS[1]));
        assert_eq!(between(&once, "new\n").unwrap(), once);
        assert_eq!(between("no marks", "new\n"), None);
    }

    #[test]
    fn a_close_that_was_wrong_is_no_pass() {
        let folder = std::env::temp_dir().join(format!("xtask-autobahn-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let report = json!({AGENT: {
            "1.1.1": {"behavior": "OK", "behaviorClose": "OK"},
            "7.9.1": {"behavior": "OK", "behaviorClose": "WRONG CODE"},
            "6.4.1": {"behavior": "NON-STRICT", "behaviorClose": "OK"},
            "7.1.6": {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"},
            "2.1": {"behavior": "FAILED", "behaviorClose": "OK"},
        }});
        std::fs::write(folder.join("index.json"), report.to_string()).unwrap();
        let summary = Summary::read(&folder).unwrap();
        assert_eq!((summary.all(), summary.failed()), (5, 2));
        assert_eq!(summary.row("x"), "| x | 5 | 1 | 1 | 1 | 2 |\n");
        assert_eq!(summary.others.len(), 3);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
