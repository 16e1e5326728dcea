//! The load of a row: by wrk, or by [`Generator`] where that is missing.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::ask::{Done, Load};
use crate::generator::Generator;
use crate::machine;

/// Asks for so long; with everything on the second processor if the server has the first.
pub fn run(load: &Load, addr: SocketAddr, time: Duration, alone: bool) -> Result<Done, String> {
    if wrk_is_there() {
        wrk(load, addr, time, alone)
    } else if !load.is_alike() {
        Err("wrk is not installed, which makes requests of which no two are alike".to_owned())
    } else {
        Generator::connect(load, addr)?.run(time)
    }
}

fn wrk(load: &Load, addr: SocketAddr, time: Duration, alone: bool) -> Result<Done, String> {
    let script = std::env::temp_dir().join(format!("bench-http-{}.lua", std::process::id()));
    std::fs::write(&script, load.script()).map_err(|error| error.to_string())?;
    let mut command = Command::new("wrk");
    command
        .arg(format!("-c{}", load.connections))
        .arg("-t1")
        // It takes whole seconds.
        .arg(format!("-d{}s", time.as_secs_f64().ceil().max(1.0)))
        .arg("-s")
        .arg(&script)
        .arg(format!("http://{addr}{}", load.path()))
        .stdin(Stdio::null());
    if alone {
        machine::pin_child(&mut command, 1);
    }
    let output = command.output().map_err(|error| error.to_string());
    // A file that is left behind is overwritten by the next run.
    let _ = std::fs::remove_file(&script);
    let text = String::from_utf8_lossy(&output?.stdout).into_owned();
    if let Some(line) = text.lines().find(|line| is_complaint(line)) {
        return Err(format!("wrk: {}", line.trim()));
    }
    read_wrk(&text).ok_or_else(|| format!("wrk said {text:?}"))
}

/// Whether something else than answers came.
fn is_complaint(line: &str) -> bool {
    line.contains("Non-2xx") || line.contains("Socket errors")
}

/// `12345 requests in 3.00s, 1.50MB read`.
fn read_wrk(text: &str) -> Option<Done> {
    let line = text.lines().find(|line| line.contains(" requests in "))?;
    let (requests, behind) = line.trim().split_once(" requests in ")?;
    let (seconds, _) = behind.split_once("s,")?;
    Some(Done {
        requests: requests.parse().ok()?,
        seconds: seconds.parse().ok()?,
    })
}

/// Whether wrk is installed; said once if not.
pub fn wrk_is_there() -> bool {
    static THERE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *THERE.get_or_init(|| {
        let found = Command::new("wrk")
            .arg("-v")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok();
        if !found {
            eprintln!("wrk is not installed: the load comes from this program");
        }
        found
    })
}
