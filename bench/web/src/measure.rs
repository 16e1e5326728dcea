//! Measuring: every cell in a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use crate::Options;
use crate::builds::{self, Build};
use crate::generator::Generator;
use crate::machine;
use crate::rows::{Row, Sample, VARIANTS, Variant, rows};
use crate::table::Results;

/// How long is asked before it counts.
const WARM: Duration = Duration::from_secs(1);

/// Descriptors that a process has beside its connections.
const OTHERS: u64 = 100;

/// Runs the chosen rows: in each round every variant once, in turn, so that a slow minute of the machine hits all alike.
pub fn measure(options: &Options) -> Result<ExitCode, String> {
    let variants = chosen(options)?;
    let rows: Vec<Row> = rows()
        .into_iter()
        .filter(|row| is_asked(options, row))
        .collect();
    if rows.is_empty() {
        return Err("no row has that in its name".to_owned());
    }
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let facade = builds::facade()?;
    let limit = machine::raise_descriptor_limit();
    let (mut results, mut failed) = (Results::default(), 0);
    for row in &rows {
        if limit < row.load.connections as u64 + OTHERS {
            println!(
                "\n{}\n  left out: a process may open {limit} files here",
                row.name
            );
            continue;
        }
        for round in 0..options.rounds {
            // Each is first in turn: what the one before leaves behind (warm caches, ports) hits all.
            for index in 0..variants.len() {
                let variant = variants[(index + round) % variants.len()];
                eprint!(
                    "\r\x1b[K{} · {} · round {}",
                    row.name,
                    variant.name,
                    round + 1
                );
                let program = match variant.build {
                    Build::Tokio => &this,
                    Build::Facade => &facade,
                };
                match cell(row, variant, program, options.seconds) {
                    Ok(sample) => results.add(&row.name, variant.name, sample),
                    Err(why) => {
                        failed += 1;
                        eprintln!("\r\x1b[K{} · {}: {why}", row.name, variant.name);
                    }
                }
            }
        }
        eprint!("\r\x1b[K");
        results.print_row(&row.name);
    }
    results.print_sum();
    if failed > 0 {
        eprintln!("{failed} cells were not measured");
    }
    if options.check {
        let is_good = results.check() && failed == 0;
        return Ok(if is_good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    if options.keep {
        results.keep()?;
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn is_asked(options: &Options, row: &Row) -> bool {
    let part = options.row.as_ref();
    part.is_none_or(|part| row.name.contains(part.as_str()))
}

fn chosen(options: &Options) -> Result<Vec<Variant>, String> {
    let Some(only) = &options.only else {
        return Ok(VARIANTS.to_vec());
    };
    let known = |name: &String| VARIANTS.into_iter().find(|variant| variant.name == name);
    let found = only.iter().map(|name| {
        known(name).ok_or_else(|| {
            format!(
                "{name} is none of {}",
                VARIANTS.map(|variant| variant.name).join(", ")
            )
        })
    });
    found.collect()
}

fn cell(row: &Row, variant: Variant, program: &Path, seconds: f64) -> Result<Sample, String> {
    let server = Server::start(row, variant, program)?;
    // In a thread of its own: where it runs is not where later servers do.
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            if row.workers == 1 {
                machine::pin(1);
            }
            ask(row, &server, seconds)
        });
        asking.join().expect("the load does not panic")
    })
}

fn ask(row: &Row, server: &Server, seconds: f64) -> Result<Sample, String> {
    let mut generator = Generator::connect(&row.load, server.addr)?;
    generator.run(WARM)?;
    let before = machine::usage(server.child.id());
    let done = generator.run(Duration::from_secs_f64(seconds))?;
    let after = machine::usage(server.child.id());
    if done.requests == 0.0 {
        return Err("nothing was answered".to_owned());
    }
    Ok(Sample {
        rate: done.requests / done.seconds,
        cpu_us: (after.cpu_us - before.cpu_us) / done.requests,
        memory_kib: after.memory_kib,
    })
}

/// A server in a process of its own.
struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    /// Starts it; alone on the first processor if it has one worker.
    fn start(row: &Row, variant: Variant, program: &Path) -> Result<Server, String> {
        let addr = machine::free_addr();
        let mut command = Command::new(program);
        command
            .args([
                "server",
                row.server,
                &row.workers.to_string(),
                &addr.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(driver) = variant.driver {
            command.env("BLITZ_IO_DRIVER", driver);
        }
        if row.workers == 1 {
            machine::pin_child(&mut command, 0);
        }
        let child = command.spawn().map_err(|error| error.to_string())?;
        let mut server = Server { child, addr };
        machine::wait_until_it_listens(&mut server.child, addr)?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
