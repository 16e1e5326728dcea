//! The rows: what is measured, with whom.

use crate::ask::{Ask, Load};

/// What one cell measured.
#[derive(Clone, Copy, Default)]
pub struct Sample {
    /// The row's own figure.
    pub value: f64,
    /// CPU time of the server for each request, in microseconds.
    pub cpu_us: f64,
    /// Its memory at the end, in KiB.
    pub memory_kib: f64,
    /// Allocations for each request and their bytes, of the servers that can tell.
    pub allocations: Option<(f64, f64)>,
}

pub enum Kind {
    /// Requests a second.
    Rate(Load, usize),
    /// KiB for each of so many connections that have been answered and wait.
    Idle(usize),
    /// KiB that the server has grown by for each of so many connections that asked and were reset, over rounds.
    Reset(usize),
}

pub struct Row {
    pub name: &'static str,
    pub kind: Kind,
}

const fn rate(
    name: &'static str,
    workers: usize,
    ask: Ask,
    connections: usize,
    depth: usize,
) -> Row {
    let load = Load {
        ask,
        connections,
        depth,
    };
    Row {
        name,
        kind: Kind::Rate(load, workers),
    }
}

pub const ROWS: [Row; 14] = [
    rate("plain, 1 connection, 1 core", 1, Ask::Plain, 1, 1),
    rate("plain, 64 connections, 1 core", 1, Ask::Plain, 64, 1),
    rate("plain, 512 connections, 1 core", 1, Ask::Plain, 512, 1),
    rate(
        "plain, 64 connections, 16 together, 1 core",
        1,
        Ask::Plain,
        64,
        16,
    ),
    rate("json, 64 connections, 1 core", 1, Ask::Json, 64, 1),
    rate(
        "1 KiB of fields, 64 connections, 1 core",
        1,
        Ask::Browser,
        64,
        1,
    ),
    rate(
        "no two alike, 64 connections, 1 core",
        1,
        Ask::Traced,
        64,
        1,
    ),
    rate(
        "no two alike, 64 connections, 16 together, 1 core",
        1,
        Ask::Traced,
        64,
        16,
    ),
    rate(
        "10 KiB both ways, 64 connections, 1 core",
        1,
        Ask::Body,
        64,
        1,
    ),
    rate("plain, 64 connections, 2 cores", 2, Ask::Plain, 64, 1),
    rate("plain, 512 connections, 2 cores", 2, Ask::Plain, 512, 1),
    rate(
        "plain, 64 connections, 16 together, 2 cores",
        2,
        Ask::Plain,
        64,
        16,
    ),
    Row {
        name: "idle, 10,000 connections",
        kind: Kind::Idle(10_000),
    },
    Row {
        name: "reset, 1,000 connections, 20 times",
        kind: Kind::Reset(1_000),
    },
];

/// The row's servers; the first is the one that ratios are against.
pub const SERVERS: [&str; 15] = [
    "hyper",
    "axum",
    "actix-web",
    "ntex",
    "xitca-web",
    "may_minihttp",
    "nginx",
    "go net/http",
    "fasthttp",
    "blitz",
    "blitz-ct",
    "blitz-tpc",
    "blitz-leased",
    "raw-epoll",
    "raw-ring",
];

impl Row {
    /// Whether the server has what the row measures.
    pub fn has(&self, server: &str) -> bool {
        match &self.kind {
            // nginx has no handler that gives a body back.
            Kind::Rate(load, _) if load.ask == Ask::Body && server == "nginx" => false,
            // What it is there for.
            Kind::Rate(load, workers) if matches!(server, "blitz-leased" | "raw-ring") => {
                *workers == 1 && load.ask == Ask::Plain
            }
            _ if matches!(server, "blitz-leased" | "raw-ring") => false,
            Kind::Rate(_, workers) => *workers == 1 || server != "blitz-ct",
            _ => true,
        }
    }
}
