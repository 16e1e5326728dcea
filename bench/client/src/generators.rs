//! Load generators, each with one thread, measured from its start to its end: what they spend is their CPU time for each answer that they
//! report.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::rows::{GENERATORS, Sample, driver};
use crate::{machine, tally};

/// Those that there are.
pub struct Generators {
    there: BTreeSet<&'static str>,
    blitz: PathBuf,
}

/// What a generator reports.
struct Done {
    answers: f64,
    seconds: f64,
}

impl Generators {
    /// Looks for those that are wanted, and builds ours. What is missing is said.
    pub fn find(is_wanted: impl Fn(&str) -> bool) -> Generators {
        let mut found = Generators {
            there: BTreeSet::new(),
            blitz: PathBuf::new(),
        };
        for name in GENERATORS.into_iter().filter(|name| is_wanted(name)) {
            let is_there = match name {
                "wrk" | "h2load" | "oha" => is_installed(name),
                _ if found.blitz.as_os_str().is_empty() => {
                    blitz().map(|program| found.blitz = program)
                }
                _ => Ok(()),
            };
            match is_there {
                Ok(()) => drop(found.there.insert(name)),
                Err(why) => eprintln!("{name} is left out: {why}"),
            }
        }
        found
    }

    pub fn is_there(&self, name: &str) -> bool {
        self.there.contains(name)
    }

    /// Has one ask for so long, on the second processor.
    pub fn run(
        &self,
        name: &str,
        url: &str,
        connections: usize,
        seconds: f64,
    ) -> Result<Sample, String> {
        // wrk takes whole seconds, and starting counts: none is asked for less.
        let seconds = seconds.ceil().max(2.0).to_string();
        let connections = connections.to_string();
        let mut command = match name {
            "wrk" => {
                let mut command = Command::new("wrk");
                command.args(["-t1", "-c", &connections, "-d", &seconds, url]);
                command
            }
            "h2load" => {
                let mut command = Command::new("h2load");
                command.args(["--h1", "-t1", "-c", &connections, "-D", &seconds, url]);
                command
            }
            "oha" => {
                let mut command = Command::new("oha");
                let time = format!("{seconds}s");
                command.args(["--no-tui", "--output-format", "json", "--insecure"]);
                command.args(["-c", &connections, "-z", &time, url]);
                command
            }
            _ => {
                let mut command = Command::new(&self.blitz);
                let time = format!("{seconds}s");
                command.args(["bench", url, "--workers", "1", "--json"]);
                command.args(["-c", &connections, "--duration", &time]);
                if url.starts_with("https") {
                    command.arg("--insecure");
                }
                command
            }
        };
        if let Some(driver) = driver(name) {
            command.env("BLITZ_IO_DRIVER", driver);
        }
        machine::pin_child(&mut command, 1);
        let (text, usage) = spent(&mut command)?;
        let done = match name {
            "wrk" => of_wrk(&text),
            "h2load" => of_h2load(&text),
            "oha" => of_oha(&text),
            _ => of_blitz(&text),
        };
        let done = done.ok_or_else(|| format!("it said {text:?}"))?;
        if done.answers == 0.0 {
            return Err("nothing was answered".to_owned());
        }
        Ok(Sample {
            rate: done.answers / done.seconds,
            cpu_us: tally::time_us(&usage) / done.answers,
            memory_kib: usage.ru_maxrss as f64,
        })
    }
}

/// Runs it; returns what it said, and what it has used until its end.
fn spent(command: &mut Command) -> Result<(String, libc::rusage), String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = child
        .stdout
        .as_mut()
        .map(|out| out.read_to_string(&mut text));
    // SAFETY: an all-zero rusage is one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let (process, mut status) = (child.id() as i32, 0);
    // SAFETY: a plain system call; nobody else waits for this child, and `child` is not asked for anything afterwards.
    let ended = unsafe { libc::wait4(process, &mut status, 0, &mut usage) };
    if ended != process || !matches!(read, Some(Ok(_))) {
        return Err("what it said is lost".to_owned());
    }
    if status != 0 {
        return Err(format!("it ended with status {status}: {text}"));
    }
    Ok((text, usage))
}

fn is_installed(name: &str) -> Result<(), String> {
    let version = if name == "wrk" { "-v" } else { "--version" };
    let started = Command::new(name)
        .arg(version)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let hint = match name {
        "h2load" => " (Debian has it in nghttp2-client)",
        "oha" => " (`cargo install oha`)",
        _ => "",
    };
    started
        .map(drop)
        .map_err(|_| format!("it is not installed{hint}"))
}

/// Builds the command of this tree; returns where it is.
fn blitz() -> Result<PathBuf, String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let built = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--package",
            "blitz-cli",
            "--bin",
            "blitz",
        ])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(&manifest)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    let text = String::from_utf8_lossy(&built.stdout);
    let program = text.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_ours = line["target"]["name"] == "blitz";
        line["executable"]
            .as_str()
            .filter(|_| is_ours)
            .map(PathBuf::from)
    });
    program.ok_or_else(|| "cargo does not build it".to_owned())
}

/// `12345 requests in 3.00s, 1.50MB read`, and a line where something else came than answers.
fn of_wrk(text: &str) -> Option<Done> {
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return None;
    }
    let line = text.lines().find(|line| line.contains(" requests in "))?;
    let (answers, behind) = line.trim().split_once(" requests in ")?;
    let (seconds, _) = behind.split_once("s,")?;
    Some(Done {
        answers: answers.parse().ok()?,
        seconds: seconds.parse().ok()?,
    })
}

/// `finished in 3.00s, 1234.50 req/s, …` and `status codes: 3703 2xx, 0 3xx, …`.
fn of_h2load(text: &str) -> Option<Done> {
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let rate = line("finished in ")?.split(", ").nth(1)?;
    let rate: f64 = rate.strip_suffix(" req/s")?.parse().ok()?;
    let codes = line("status codes: ")?;
    let answers: f64 = codes.split_once(" 2xx")?.0.parse().ok()?;
    // It counts what came in the time that it was told, which its first line may exceed.
    Some(Done {
        answers,
        seconds: answers / rate,
    })
}

fn of_oha(text: &str) -> Option<Done> {
    let said: serde_json::Value = serde_json::from_str(text).ok()?;
    let codes = said["statusCodeDistribution"].as_object()?;
    Some(Done {
        answers: codes.get("200")?.as_f64().filter(|_| codes.len() == 1)?,
        seconds: said["summary"]["total"].as_f64()?,
    })
}

fn of_blitz(text: &str) -> Option<Done> {
    let said: serde_json::Value = serde_json::from_str(text).ok()?;
    let rate = said["rate"].as_f64()?;
    let answers = said["answers"].as_f64()?;
    (said["errors"] == 0).then_some(Done {
        answers,
        seconds: answers / rate,
    })
}

#[cfg(test)]
mod tests {
    use super::{Done, of_blitz, of_h2load, of_oha, of_wrk};

    #[test]
    fn reports_are_read() {
        let is = |done: Option<Done>| {
            let done = done.expect("a report");
            (done.answers, done.seconds.round())
        };
        let wrk = "Running 2s test @ http://a/\n  1 threads and 64 connections\n  8000 requests in 2.00s, 1.2MB read\nRequests/sec:   4000.00\n";
        assert_eq!(is(of_wrk(wrk)), (8000.0, 2.0));
        assert!(of_wrk(&format!("{wrk}  Non-2xx or 3xx responses: 1\n")).is_none());
        let h2load = "progress: 100% of clients started\n\nfinished in 2.00s, 4000.00 req/s, 1.21MB/s\nrequests: 8000 total, 8064 started, 8000 done, 8000 succeeded, 0 failed, 0 errored, 0 timeout\nstatus codes: 8000 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        assert_eq!(is(of_h2load(h2load)), (8000.0, 2.0));
        let oha = r#"{"summary":{"successRate":1.0,"total":2.0,"requestsPerSec":4000.0},"statusCodeDistribution":{"200":8000}}"#;
        assert_eq!(is(of_oha(oha)), (8000.0, 2.0));
        assert!(of_oha(&oha.replace("8000}", "7999,\"500\":1}")).is_none());
        let blitz = r#"{"answers":8000,"errors":0,"rate":4000.0}"#;
        assert_eq!(is(of_blitz(blitz)), (8000.0, 2.0));
    }
}
