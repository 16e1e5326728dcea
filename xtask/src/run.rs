//! Child processes with a time limit.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Passed,
    Failed,
    TimedOut,
}

/// Runs `command`, its output collected, and kills it after `limit`.
///
/// # Errors
/// When the program cannot be started.
pub(crate) fn limited(command: &mut Command, limit: Duration) -> Result<(End, String), String> {
    let name = format!("{:?}", command.get_program());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    let readers = [
        child
            .stdout
            .take()
            .map(|pipe| std::thread::spawn(move || drain(pipe))),
        child
            .stderr
            .take()
            .map(|pipe| std::thread::spawn(move || drain(pipe))),
    ];
    let begun = Instant::now();
    let end = loop {
        match child
            .try_wait()
            .map_err(|error| format!("cannot wait for {name}: {error}"))?
        {
            Some(status) if status.success() => break End::Passed,
            Some(_) => break End::Failed,
            None if begun.elapsed() > limit => {
                // It may have ended in between: then there is nothing to kill.
                let _ = child.kill();
                let _ = child.wait();
                return Ok((End::TimedOut, String::new()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let output = readers
        .into_iter()
        .flatten()
        .filter_map(|reader| reader.join().ok())
        .collect();
    Ok((end, output))
}

fn drain(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    // A pipe that breaks gives what came before; the exit status says how it ended.
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs a program in `folder` and gives its standard output.
///
/// # Errors
/// When it cannot be started or fails; the message carries its error output.
pub(crate) fn output(folder: &Path, program: &str, args: &[&str]) -> Result<String, String> {
    let result = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    if !result.status.success() {
        let words = String::from_utf8_lossy(&result.stderr);
        return Err(format!("{program} {} failed: {words}", args.join(" ")));
    }
    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}
