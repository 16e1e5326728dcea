//! The rows: what is measured, with whom.

/// What one cell measured.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Requests or MiB a second.
    pub rate: f64,
    /// CPU time of the client for each request, or for each MiB, in microseconds.
    pub cpu_us: f64,
    /// The most memory that it had, in KiB.
    pub memory_kib: f64,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Thirteen bytes, taken as a whole.
    Small,
    /// 100 MiB, taken as they come.
    Large,
}

/// Who may take part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Clients with one thread on the second processor; the server has the first.
    OneCore,
    /// Clients with a thread a processor, which they share with the server.
    AllCores,
    /// Load generators with one thread on the second processor.
    Generator,
}

pub struct Row {
    pub body: Body,
    pub at_once: usize,
    pub tls: bool,
    pub kind: Kind,
}

/// How many bytes the server sends for each.
pub const LARGE: u64 = 100 * 1024 * 1024;
pub const HELLO: &str = "Hello, World!";

impl Row {
    pub fn name(&self) -> String {
        let body = match self.body {
            Body::Small => "13 bytes",
            Body::Large => "100 MiB",
        };
        let way = if self.tls { "TLS" } else { "plain" };
        let kind = match self.kind {
            Kind::OneCore => "1 core",
            Kind::AllCores => "all cores",
            Kind::Generator => "load generators",
        };
        format!("{body}, {} at a time, {way}, {kind}", self.at_once)
    }

    pub fn path(&self) -> &'static str {
        match self.body {
            Body::Small => "/",
            Body::Large => "/large",
        }
    }

    pub fn takers(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Generator => &GENERATORS,
            _ => &CLIENTS,
        }
    }

    /// What rates and CPU times are per.
    pub fn unit(&self) -> &'static str {
        match self.body {
            Body::Small => "request",
            Body::Large => "MiB",
        }
    }
}

/// Every row, in the order of the table.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in [Kind::OneCore, Kind::AllCores] {
        for (body, at_once) in [
            (Body::Small, 1),
            (Body::Small, 64),
            (Body::Large, 1),
            (Body::Large, 64),
        ] {
            rows.extend([false, true].map(|tls| Row {
                body,
                at_once,
                tls,
                kind,
            }));
        }
    }
    rows.extend([false, true].map(|tls| Row {
        body: Body::Small,
        at_once: 64,
        tls,
        kind: Kind::Generator,
    }));
    rows
}

/// Ratios are against the first.
pub const CLIENTS: [&str; 5] = [
    "reqwest",
    "hyper-util",
    "go net/http",
    "blitz io_uring",
    "blitz epoll",
];

/// As above. h2load speaks HTTP/1.1 here, as the others.
pub const GENERATORS: [&str; 5] = [
    "wrk",
    "h2load",
    "oha",
    "blitz bench io_uring",
    "blitz bench epoll",
];

/// The back end that a name ends with, for those that have a choice.
pub fn driver(name: &str) -> Option<&'static str> {
    ["io_uring", "epoll"]
        .into_iter()
        .find(|driver| name.ends_with(driver))
}
