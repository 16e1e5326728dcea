//! Servers of others that a test starts for itself: each in a folder of its own, ended when the test ends.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long a test waits for what must come.
pub const GUARD: Duration = Duration::from_secs(60);

/// A server that runs.
pub struct Server {
    pub folder: TempDir,
    _child: Child,
}

/// Starts `program`, if it is installed, with the arguments that `args` makes of the server's folder; else says what to
/// install and gives `None`.
pub fn start(program: &str, args: impl FnOnce(&str) -> Vec<String>) -> Option<Server> {
    let Some(path) = find(program) else {
        eprintln!("skipped: {program} is not installed (Debian's package has the same name)");
        return None;
    };
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let child = Command::new(path)
        .args(args(folder.path().to_str().expect("a plain path")))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
    Some(Server {
        folder,
        _child: child,
    })
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers stand where a user's path may not lead.
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Asks again until `ask` has an answer: a server of others tells nobody when it is ready.
pub async fn until<T, E: std::fmt::Display>(mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    let begun = std::time::Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) if begun.elapsed() > GUARD => panic!("the server does not answer: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
