//! The demonstrations: an echo server in a child process, and the load that drives it.
//!
//! [`serve`] is the child, [`child`] holds its end of the pipes and reads what the system knows about
//! it, [`load`] opens the connections and sends, and [`echo`](mod@echo) and [`soak`](mod@soak) are
//! the two commands over them.

mod child;
mod echo;
mod load;
mod serve;
mod soak;

pub(crate) use echo::main as echo;
pub(crate) use serve::main as server;
pub(crate) use soak::main as soak;

use std::io;
use std::time::Duration;

/// The hidden command by which this program starts itself as the server.
pub(crate) const SERVER_COMMAND: &str = "__serve-echo";

/// Descriptors that a process needs beside its connections: rings, pipes, libraries.
const SPARE_DESCRIPTORS: u64 = 64;

/// Raises the number of descriptors this process may open as far as it may, and says whether
/// `connections` fit.
///
/// # Errors
/// When they do not fit; the message says how many would.
pub(crate) fn make_room(connections: usize) -> Result<(), String> {
    let limit = match blitz_sys::limit::raise_open_files() {
        Ok(limit) => limit,
        // Where there is no such limit, opening them shows what is possible.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(()),
        Err(error) => return Err(format!("cannot raise the limit of open files: {error}")),
    };
    let needed = connections as u64 + SPARE_DESCRIPTORS;
    if needed > limit {
        return Err(format!(
            "{connections} connections need {needed} descriptors in each process, and this system allows {limit}: \
             ask for at most {} connections, or raise the hard limit (`ulimit -Hn`) first",
            limit.saturating_sub(SPARE_DESCRIPTORS)
        ));
    }
    Ok(())
}

/// The runtime that a demonstration, or a server, runs on.
pub(crate) fn runtime(workers: Option<usize>) -> Result<blitz_io::runtime::Runtime, String> {
    let mut builder = blitz_io::runtime::Builder::new_multi_thread();
    builder.enable_all();
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    builder
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))
}

/// `blitz capabilities`: what the driver found on this system.
pub(crate) fn capabilities() -> Result<(), String> {
    println!("{}", runtime(Some(1))?.handle().capabilities());
    Ok(())
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration with three digits and its unit: `183 µs`, `9.51 ms`.
pub(crate) fn short(duration: Duration) -> String {
    let us = duration.as_secs_f64() * 1e6;
    let (value, unit) = match us {
        us if us < 1e3 => (us, "µs"),
        us if us < 1e6 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    let digits = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_durations_short() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(short(Duration::from_nanos(183_400)), "183 µs");
        assert_eq!(short(Duration::from_micros(9_512)), "9.51 ms");
        assert_eq!(short(Duration::from_millis(12_340)), "12.3 s");
    }

    #[test]
    fn too_many_connections_are_refused_with_the_number_that_fits() {
        let error = make_room(usize::MAX / 2).expect_err("nobody has so many");
        assert!(error.contains("at most"), "{error}");
        assert_eq!(make_room(1), Ok(()));
    }
}
