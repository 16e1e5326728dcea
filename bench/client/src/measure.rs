//! Measuring: in each round every client once, in turn, so that a slow minute of the machine hits all alike.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::generators::Generators;
use crate::rows::{self, Body, Kind, Row, Sample};
use crate::server::{self, Server};
use crate::table::Results;
use crate::{Options, machine};

/// How long a client runs before it is measured, in seconds, once it is at it.
const WARM: &str = "0.4";

/// Runs the chosen rows.
pub fn measure(options: &Options) -> Result<(), String> {
    machine::raise_descriptor_limit();
    let server = server::choose(options.server.as_deref())?;
    let is_chosen = |name: &str| {
        let only = options.only.as_ref();
        only.is_none_or(|only| only.iter().any(|one| one == name))
    };
    let wanted = |row: &Row| {
        let part = options.row.as_ref();
        part.is_none_or(|part| row.name().contains(part.as_str()))
    };
    let rows: Vec<Row> = rows::rows().into_iter().filter(wanted).collect();
    let mut go = None;
    let mut generators = None;
    let mut results = Results::default();
    for row in &rows {
        let is_generators = row.kind == Kind::Generator;
        if is_generators && generators.is_none() {
            generators = Some(Generators::find(is_chosen));
        } else if !is_generators && go.is_none() && is_chosen("go net/http") {
            let built = go_client();
            if let Err(why) = &built {
                eprintln!("go net/http is left out: {why}");
            }
            go = Some(built);
        }
        let takers: Vec<&str> = row
            .takers()
            .iter()
            .copied()
            .filter(|name| is_chosen(name))
            .filter(|name| *name != "go net/http" || matches!(go, Some(Ok(_))))
            .filter(|name| {
                let found = generators.as_ref();
                !is_generators || found.is_some_and(|found| found.is_there(name))
            })
            .collect();
        if takers.is_empty() {
            continue;
        }
        let workers = match row.kind {
            Kind::AllCores => processors(),
            Kind::OneCore | Kind::Generator => 1,
        };
        let running = Server::start(server, workers)?;
        for round in 0..options.rounds {
            for name in &takers {
                eprint!("\r\x1b[K{} · {name} · round {}", row.name(), round + 1);
                let sample = match (&generators, &go) {
                    (Some(found), _) if is_generators => {
                        found.run(name, &running.url(row), row.at_once, options.seconds)
                    }
                    (_, Some(Ok(program))) if *name == "go net/http" => {
                        cell(row, name, &running, options.seconds, Some(program))
                    }
                    _ => cell(row, name, &running, options.seconds, None),
                };
                match sample {
                    Ok(sample) => results.add(&row.name(), name, sample),
                    Err(why) => eprintln!("\r\x1b[K{} · {name}: {why}", row.name()),
                }
            }
        }
        eprint!("\r\x1b[K");
        results.print_row(row);
    }
    if options.keep {
        results.keep(server);
    }
    Ok(())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A client in a process of its own.
fn cell(
    row: &Row,
    name: &str,
    server: &Server,
    seconds: f64,
    program: Option<&PathBuf>,
) -> Result<Sample, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let threads = match row.kind {
        Kind::AllCores => processors(),
        _ => 1,
    };
    let mut command = Command::new(program.unwrap_or(&this));
    if program.is_none() {
        command.args(["client", name]);
    }
    command
        .arg(server.url(row))
        .arg(server.root())
        .arg(row.at_once.to_string());
    if program.is_none() {
        command.arg(threads.to_string());
    } else {
        command.env("GOMAXPROCS", threads.to_string());
    }
    command.args([WARM, &seconds.to_string()]);
    if let Some(driver) = rows::driver(name) {
        command.env("BLITZ_IO_DRIVER", driver);
    }
    if threads == 1 {
        machine::pin_child(&mut command, 1);
    }
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.trim().to_owned());
    }
    read(row, &output.stdout)
}

fn read(row: &Row, line: &[u8]) -> Result<Sample, String> {
    let said: serde_json::Value =
        serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let number = |name: &str| said[name].as_f64().ok_or(format!("no {name} in {said}"));
    let count = match row.body {
        Body::Small => number("requests")?,
        Body::Large => number("bytes")? / (1 << 20) as f64,
    };
    if count == 0.0 {
        return Err("nothing was answered".to_owned());
    }
    Ok(Sample {
        rate: count / number("seconds")?,
        cpu_us: number("cpu_us")? / count,
        memory_kib: number("memory_kib")?,
    })
}

/// Builds Go's client; returns where it is.
fn go_client() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = program.with_file_name("go-client");
    let build = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(&source)
        // Without modules nothing is loaded from the net.
        .env("GO111MODULE", "off")
        .output()
        .map_err(|_| "go is not installed".to_owned())?;
    if build.status.success() {
        Ok(program)
    } else {
        let why = String::from_utf8_lossy(&build.stderr);
        Err(format!("go cannot build it: {}", why.trim()))
    }
}
