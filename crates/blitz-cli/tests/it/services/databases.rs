//! `pool_postgres` against PostgreSQL and Redis themselves, where they are installed: each test has servers of its own, on sockets in a
//! folder of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::{GUARD, backends, command};

/// A program of the system, wherever its packages put it.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    // Debian has PostgreSQL's by version, the newest last.
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    let mut programs = folders.into_iter().map(|folder| folder.join(name));
    programs.find(|program| program.is_file())
}

/// Whom PostgreSQL runs as, which will not be root: the user that its package made.
fn owner(folder: &Path) -> Option<(u32, u32)> {
    let us = fs::metadata(folder).expect("it is ours").uid();
    if us != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut numbers = line.split(':').skip(2);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A server, ended when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts it, and waits until its socket answers.
    fn start(command: &mut Command, is_ready: impl Fn() -> bool) -> Self {
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut running = Self(child);
        let begun = Instant::now();
        while !is_ready() {
            if let Some(status) = running.0.try_wait().expect("it is a child") {
                let mut said = String::new();
                let stderr = running.0.stderr.as_mut().expect("it is piped");
                // What it said before it ended is all there is.
                let _ = std::io::Read::read_to_string(stderr, &mut said);
                panic!("{command:?} ended with {status}: {said}");
            }
            assert!(begun.elapsed() < GUARD, "{command:?} is not ready");
            std::thread::yield_now();
        }
        running
    }
}

fn postgres(folder: &Path) -> Option<(Running, String)> {
    let (initdb, postgres) = (find("initdb")?, find("postgres")?);
    let owner = owner(folder);
    let is_root = fs::metadata(folder).expect("it is ours").uid() == 0;
    if is_root && owner.is_none() {
        return None;
    }
    let as_owner = |program: &Path| {
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .env_remove("LC_ALL")
            .env("LANG", "C");
        if let Some((user, group)) = owner {
            command.uid(user).gid(group);
        }
        command
    };
    if let Some((user, group)) = owner {
        chown(folder, Some(user), Some(group)).expect("root may");
    }
    let data = folder.join("data");
    let made = as_owner(&initdb)
        .args([
            "--auth=trust",
            "--username=postgres",
            "--no-sync",
            "--no-instructions",
            "-D",
        ])
        .arg(&data)
        .output()
        .expect("it starts");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let socket = folder.join(".s.PGSQL.5432");
    let mut command = as_owner(&postgres);
    command
        .args(["-F", "-h", "", "-c", "max_connections=20", "-k"])
        .arg(folder)
        .arg("-D")
        .arg(&data);
    // It listens before it serves; the eighth line of this file says which (`PM_STATUS_READY`).
    let is_ready = || {
        let told = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        told.lines()
            .nth(7)
            .is_some_and(|line| line.trim() == "ready")
    };
    let running = Running::start(&mut command, is_ready);
    Some((running, socket.display().to_string()))
}

fn redis(folder: &Path) -> Option<(Running, String)> {
    let socket = folder.join("redis.sock");
    let mut command = Command::new(find("redis-server")?);
    command
        .current_dir(folder)
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&socket);
    let running = Running::start(&mut command, || UnixStream::connect(&socket).is_ok());
    Some((running, socket.display().to_string()))
}

#[test]
fn pool_postgres_shares_out_the_connections_of_real_servers() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let postgres = postgres(folders[0].path());
    let redis = redis(folders[1].path());
    let mut words = vec!["--pool", "5", "--tasks", "40", "--rounds", "10"];
    for (option, package, server) in [
        ("--postgres", "postgresql", &postgres),
        ("--redis", "redis-server", &redis),
    ] {
        match server {
            Some((_, address)) => words.extend([option, address]),
            None => eprintln!(
                "skipped in part: {package} is not installed (as Debian's package of that name is)"
            ),
        }
    }
    if postgres.is_none() && redis.is_none() {
        return;
    }
    for backend in backends() {
        let output = command(backend, "pool_postgres", &words)
            .output()
            .expect("it starts");
        let (said, error) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "on {backend}: {said}{error}");
        if postgres.is_some() {
            assert!(said.contains("postgres: 400 answers over"), "{said}");
            assert!(said.contains("left open was rolled back"), "{said}");
            assert!(
                said.contains("were ended by the server, and replaced"),
                "{said}"
            );
        }
        if redis.is_some() {
            assert!(said.contains("redis: 400 answers over"), "{said}");
            assert!(
                said.contains("redis: nobody got the answer to another's question"),
                "{said}"
            );
        }
        assert!(said.contains("closed, 0 left out"), "{said}");
    }
}

#[test]
fn pool_postgres_says_why_there_is_no_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let nobody = folder.path().join("nobody.sock").display().to_string();
    let output = command(
        backends()[0],
        "pool_postgres",
        &["--redis", &nobody, "--tasks", "1", "--wait", "1"],
    )
    .output()
    .expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        error.contains("TimedOut") && error.contains("NotFound"),
        "{error}"
    );
}
