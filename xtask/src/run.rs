//! Child processes with a time limit.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Passed,
    Failed,
    TimedOut,
}

/// What a child writes, as far as it has come.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// Reads `pipe` to its end, in a thread of its own.
    fn collect<R: Read + Send + 'static>(&self, mut pipe: R) -> JoinHandle<()> {
        let written = self.clone();
        std::thread::spawn(move || {
            let mut part = [0; 8192];
            // A pipe that breaks gives what came before; the exit status says how it ended.
            while let Ok(len @ 1..) = pipe.read(&mut part) {
                let mut all = written.0.lock().unwrap_or_else(PoisonError::into_inner);
                all.extend_from_slice(&part[..len]);
            }
        })
    }

    fn text(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// Runs `command`, its output collected, and kills it after `limit`; then what it wrote so far is given.
///
/// # Errors
/// When the program cannot be started.
pub(crate) fn limited(command: &mut Command, limit: Duration) -> Result<(End, String), String> {
    limited_until(command, limit, &[])
}

/// The same; it has failed, and is killed, as soon as its output has one of `words`.
///
/// # Errors
/// When the program cannot be started.
pub(crate) fn limited_until(
    command: &mut Command,
    limit: Duration,
    words: &[&str],
) -> Result<(End, String), String> {
    let name = format!("{:?}", command.get_program());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    let (out, err) = (Written::default(), Written::default());
    let readers = [
        child.stdout.take().map(|pipe| out.collect(pipe)),
        child.stderr.take().map(|pipe| err.collect(pipe)),
    ];
    let begun = Instant::now();
    let end = loop {
        match child
            .try_wait()
            .map_err(|error| format!("cannot wait for {name}: {error}"))?
        {
            Some(status) if status.success() => break End::Passed,
            Some(_) => break End::Failed,
            None => {
                let is_over = begun.elapsed() > limit;
                let said = |word: &&str| out.text().contains(word) || err.text().contains(word);
                if is_over || words.iter().any(said) {
                    // It may have ended in between: then there is nothing to kill.
                    let _ = child.kill();
                    let _ = child.wait();
                    // Its own children may hold the pipes open: the readers are not waited for.
                    let end = if is_over { End::TimedOut } else { End::Failed };
                    return Ok((end, out.text() + &err.text()));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    };
    for reader in readers.into_iter().flatten() {
        // A reader that panicked has left what it read.
        let _ = reader.join();
    }
    Ok((end, out.text() + &err.text()))
}

/// Runs a program in `folder` and gives its standard output.
///
/// # Errors
/// When it cannot be started or fails; the message carries its error output.
pub(crate) fn output(folder: &Path, program: &str, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder);
    Ok(String::from_utf8_lossy(&bytes(&mut command)?).into_owned())
}

/// Runs `command` and gives its standard output as it is.
///
/// # Errors
/// When it cannot be started or fails; the message carries its error output.
pub(crate) fn bytes(command: &mut Command) -> Result<Vec<u8>, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let result = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    if result.status.success() {
        return Ok(result.stdout);
    }
    let args: Vec<_> = command
        .get_args()
        .map(|arg| arg.to_string_lossy())
        .collect();
    let words = String::from_utf8_lossy(&result.stderr);
    Err(format!("{program} {} failed: {words}", args.join(" ")))
}

/// The last `lines` of `text`, each set in from the left.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    let skipped = all.len().saturating_sub(lines);
    all.iter()
        .skip(skipped)
        .fold(String::new(), |mut words, line| {
            words.push_str("    | ");
            words.push_str(line);
            words.push('\n');
            words
        })
}

/// Keeps `text` in the file `path`, whose folder is made.
pub(crate) fn keep(path: &Path, text: &str) -> Result<(), String> {
    let cannot = |error| format!("{} cannot be written: {error}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    std::fs::write(path, text).map_err(cannot)
}

/// Whether a program of this name is on the path.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_runs_too_long_is_ended_and_its_words_are_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; exec sleep 600"]);
        let (end, words) = limited(&mut command, Duration::from_secs(3)).expect("sh is there");
        assert_eq!(end, End::TimedOut);
        assert_eq!(words, "begun\n");
    }

    #[test]
    fn a_child_that_says_the_word_is_waited_for_no_longer() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one FAILED; exec sleep 600"]);
        let limit = Duration::from_secs(300);
        let ended = limited_until(&mut command, limit, &["FAILED"]);
        let (end, words) = ended.expect("sh is there");
        assert_eq!(end, End::Failed);
        assert_eq!(words, "one FAILED\n");
    }

    #[test]
    fn a_tail_is_the_end() {
        assert_eq!(tail("a\nb\nc", 2), "    | b\n    | c\n");
    }
}
