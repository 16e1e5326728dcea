//! The rows: which server is asked for what, with how many workers, over how many connections.

use crate::ask::{Ask, Load};
use crate::builds::Build;

/// What stands behind tokio's name, and on which back end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    pub name: &'static str,
    pub build: Build,
    /// For `BLITZ_IO_DRIVER`.
    pub driver: Option<&'static str>,
}

/// The first is the one that ratios are against.
pub const VARIANTS: [Variant; 3] = [
    Variant {
        name: "tokio",
        build: Build::Tokio,
        driver: None,
    },
    Variant {
        name: "blitz-io_uring",
        build: Build::Facade,
        driver: Some("io_uring"),
    },
    Variant {
        name: "blitz-epoll",
        build: Build::Facade,
        driver: Some("epoll"),
    },
];

pub const SERVERS: [&str; 2] = ["hyper", "axum"];
const WORKERS: [usize; 2] = [1, 2];
const CONNECTIONS: [usize; 6] = [1, 16, 64, 512, 4096, 10_000];

pub struct Row {
    pub name: String,
    pub server: &'static str,
    pub workers: usize,
    pub load: Load,
}

/// All of them, in the order in which they are measured.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for server in SERVERS {
        for (what, ask) in [("plain", Ask::Plain), ("json", Ask::Json)] {
            for workers in WORKERS {
                for connections in CONNECTIONS {
                    let name = format!(
                        "{server} {what}, {}, {}",
                        many(workers, "worker"),
                        many(connections, "connection")
                    );
                    rows.push(Row {
                        name,
                        server,
                        workers,
                        load: Load {
                            ask,
                            connections,
                            depth: 1,
                        },
                    });
                }
            }
        }
    }
    rows
}

fn many(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// What one cell measured.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Requests a second.
    pub rate: f64,
    /// CPU time of the server for each request, in microseconds.
    pub cpu_us: f64,
    /// Its memory with all connections open, in KiB.
    pub memory_kib: f64,
}
