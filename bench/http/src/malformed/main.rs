//! What is malformed or ambiguous, sent to blitz-http, to hyper and to nginx: do they mean the same? Requests to the servers, and responses to
//! the clients, of which nginx is one as a proxy.
//!
//! `cargo run --release --bin malformed` sends every message of `crates/blitz-http-proto/tests/corpus`, writes
//! `docs/http-conformance.md`, and fails where blitz-http does something else than the corpus says, where another server
//! differs and `reasons.txt` beside this file does not say why, and where it explains what is no difference.

mod clients;
#[path = "../../../../crates/blitz-http-proto/tests/it/notation.rs"]
mod notation;
mod page;
mod reasons;
mod servers;
mod talk;

use std::process::ExitCode;
use std::sync::Mutex;

use servers::Servers;
use talk::Outcome;

const CORPUS: [(&str, &str, &str); 3] = [
    (
        "framing",
        "",
        include_str!("../../../../crates/blitz-http-proto/tests/corpus/framing.txt"),
    ),
    (
        "lines",
        "",
        include_str!("../../../../crates/blitz-http-proto/tests/corpus/lines.txt"),
    ),
    (
        "chunks",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        include_str!("../../../../crates/blitz-http-proto/tests/corpus/chunks.txt"),
    ),
];

const RESPONSES: &str =
    include_str!("../../../../crates/blitz-http-proto/tests/corpus/responses.txt");

/// What stands behind an answer is not the answer's: a client that keeps connections does not use this one again, which another test holds.
const BEHIND: &str = "unsolicited";

/// A message, and what each server made of it.
pub struct Row {
    /// `file/name`.
    pub name: String,
    /// What the corpus says.
    pub expected: String,
    pub ours: Outcome,
    pub hyper: Outcome,
    /// None where nginx is not installed.
    pub nginx: Option<Outcome>,
}

fn main() -> ExitCode {
    let responses: Vec<_> = notation::cases(RESPONSES)
        .into_iter()
        .filter(|case| case.name != BEHIND)
        .collect();
    let scripted = clients::scripted(responses.iter().map(|case| case.bytes.clone()).collect());
    let servers = match Servers::start(scripted) {
        Ok(servers) => servers,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let mut cases = Vec::new();
    for (file, before, text) in CORPUS {
        for case in notation::cases(text) {
            let bytes = [before.as_bytes(), &case.bytes].concat();
            cases.push((format!("{file}/{}", case.name), case.expected, bytes));
        }
    }
    cases.reverse();
    let count = cases.len();
    let (cases, rows) = (Mutex::new(cases), Mutex::new(Vec::new()));
    // Most of the time goes into waiting for what does not come.
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let case = cases.lock().expect("no panic").pop();
                    let Some((name, expected, bytes)) = case else {
                        return;
                    };
                    let row = Row {
                        ours: talk::send(servers.ours, &bytes),
                        hyper: talk::send(servers.hyper, &bytes),
                        nginx: servers.nginx.map(|addr| talk::send(addr, &bytes)),
                        name,
                        expected,
                    };
                    rows.lock().expect("no panic").push(row);
                }
            });
        }
    });
    let mut rows = rows.into_inner().expect("no panic");
    let count = count + responses.len();
    rows.extend(responses.into_iter().enumerate().map(|(number, case)| {
        Row {
            name: format!("responses/{}", case.name),
            expected: case.expected,
            ours: clients::ours(scripted, number),
            hyper: clients::hyper(scripted, number),
            nginx: servers
                .nginx_of_answers
                .map(|addr| clients::nginx(addr, number)),
        }
    }));
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let reasons = reasons::read(include_str!("reasons.txt"));
    let complaints = page::complaints(&rows, &reasons);
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    if servers.nginx.is_none() {
        eprintln!("nginx is not installed: its column is left out, and the page is left as it is");
    } else if let Err(error) = page::write(&rows, &reasons, &servers.versions) {
        eprintln!("the page cannot be written: {error}");
        return ExitCode::FAILURE;
    }
    println!("{count} messages, {} complaints", complaints.len());
    if complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
