//! The `blitz` command: a server of files, a load generator, demonstrations of blitz-io that a newcomer can run at once, and tools
//! that look at machines and programs.
//!
//! [`args`] reads the command line, [`serve`] serves files, [`mod@bench`] asks a server and measures, [`demo`] holds the demonstrations,
//! [`doctor`] looks at the machine, [`top`] and [`dump`] look at a running program through [`client`].
#![forbid(unsafe_code)]

mod args;
mod bench;
#[cfg(unix)]
mod client;
mod demo;
mod doctor;
#[cfg(unix)]
mod dump;
mod histogram;
mod output;
mod serve;
mod stop;
#[cfg(unix)]
mod top;

use std::process::ExitCode;

const HELP: &str = "\
The command of blitz-io, an async runtime with tokio's API on io_uring.

usage: blitz COMMAND [OPTIONS]

  serve [DIR]   serves the files of a directory over HTTP, and shows the runtime at work in the browser
  bench URL     asks an HTTP server as often as it can, or at a constant rate, and tells how long the answers took
  demo echo     starts an echo server in a child process, drives it, and reports
  demo soak     the same for minutes, watching memory, descriptors and tasks
  doctor        says what this machine offers, what blitz-io does here, and what to do about it
  top SOCKET    shows a running program's workers, rings and tasks, drawn again each second
  dump SOCKET   lists a running program's tasks and what each waits for
  capabilities  says which back end runs here, with which features, and why
  help          this text; `blitz demo echo --help` tells the options of one command

BLITZ_IO_DRIVER=io_uring|epoll in the environment forces a back end; BLITZ_IO_INSPECT=PATH lets a program be read.
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["serve", ref rest @ ..] => serve::main(rest),
        ["bench", ref rest @ ..] => bench::main(rest),
        ["demo", "echo", ref rest @ ..] => demo::echo(rest),
        ["demo", "soak", ref rest @ ..] => demo::soak(rest),
        ["doctor", ref rest @ ..] => doctor::main(rest),
        #[cfg(unix)]
        ["top", ref rest @ ..] => top::main(rest),
        #[cfg(unix)]
        ["dump", ref rest @ ..] => dump::main(rest),
        [doctor::TRIAL_COMMAND] => doctor::trial(),
        ["capabilities"] => demo::capabilities(),
        [demo::SERVER_COMMAND, ref rest @ ..] => demo::server(rest),
        [] | ["help" | "--help" | "-h"] | ["demo", "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        ["--version" | "-V"] => {
            println!("blitz {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        ["demo"] => Err("which demo? `blitz demo echo` or `blitz demo soak`".to_owned()),
        ["demo", other, ..] => Err(format!(
            "no demo is called `{other}`: there are `echo` and `soak`"
        )),
        [other, ..] => Err(format!(
            "no command is called `{other}`; `blitz help` lists them"
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("blitz: {why}");
            ExitCode::FAILURE
        }
    }
}
