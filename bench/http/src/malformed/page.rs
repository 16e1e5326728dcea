//! The page, and what is wrong with a run.

use std::fmt::Write;
use std::io;

use crate::Row;
use crate::reasons::Reason;
use crate::talk::Outcome;

const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/http-conformance.md"
);

/// The others of a row, by name.
fn others(row: &Row) -> Vec<(&'static str, &Outcome)> {
    let nginx = row.nginx.as_ref().map(|outcome| ("nginx", outcome));
    [("hyper", &row.hyper)].into_iter().chain(nginx).collect()
}

/// Whether ours is what the corpus says: `ok N`, `wait` or a status.
fn is_as_expected(row: &Row) -> bool {
    let ours = &row.ours;
    match row.expected.strip_prefix("ok ") {
        Some(count) => ours.refused().is_none() && ours.taken().to_string() == count,
        None if row.expected == "wait" => ours.statuses.is_empty() && !ours.closed,
        // A response has nobody to be refused to.
        None if row.expected == "bad" => ours.statuses.is_empty(),
        None => {
            let last = ours.refused().map(|status| status.to_string());
            last.as_deref() == Some(&row.expected) && ours.closed
        }
    }
}

pub fn complaints(rows: &[Row], reasons: &[Reason]) -> Vec<String> {
    let mut all = Vec::new();
    let mut used = vec![false; reasons.len()];
    for row in rows {
        if !is_as_expected(row) {
            all.push(format!(
                "{}: blitz-http says {}, the corpus {}",
                row.name, row.ours, row.expected
            ));
        }
        for (server, outcome) in others(row) {
            if row.ours.means_the_same(outcome) {
                continue;
            }
            match reasons
                .iter()
                .position(|reason| reason.is_for(&row.name, server))
            {
                Some(at) => used[at] = true,
                None => all.push(format!(
                    "{}: {server} says {outcome}, blitz-http {}, and nothing says why",
                    row.name, row.ours
                )),
            }
        }
    }
    let has_nginx = rows.iter().any(|row| row.nginx.is_some());
    for (reason, used) in reasons.iter().zip(used) {
        if !used && (has_nginx || reason.server != "nginx") {
            all.push(format!(
                "a reason for {} of {} explains no difference",
                reason.names.join(", "),
                reason.server
            ));
        }
    }
    all
}

pub fn write(rows: &[Row], reasons: &[Reason], versions: &str) -> io::Result<()> {
    let mut text = String::new();
    let mut differences = [0, 0];
    for row in rows {
        for (count, (_, outcome)) in differences.iter_mut().zip(others(row)) {
            *count += usize::from(!row.ours.means_the_same(outcome));
        }
    }
    let [of_hyper, of_nginx] = differences;
    let count = rows.len();
    write!(
        text,
        "# HTTP/1.1: what is malformed, and who refuses it

Written by `cargo run --release --manifest-path bench/http/Cargo.toml --bin malformed`; do not edit.

Every message of the corpus (`crates/blitz-http-proto/tests/corpus`, where the bytes stand) goes to blitz-http, to {versions}, each on a
connection of its own. Each server takes every method and path, reads the body, and answers 200, to CONNECT 405; nginx stands before a
server that does. So what is refused, the server refused.

The messages `responses/` are responses to a GET, from a server that is scripted, to the clients of blitz-http and of hyper, and to nginx as a
proxy, whose own answer is read then. A response is taken with its status and all of its body, or refused.

Two of them differ where one takes what the other refuses, or where they find another number of requests or another body: that is what smuggling lives on.
By which status something is refused is no difference here; the table has it. Of {count} messages blitz-http answers all as RFC 9112 and
the corpus say; hyper differs in {of_hyper}, nginx in {of_nginx}.

## Why they differ

| messages | server | why |
|---|---|---|
"
    )
    .expect("a string grows");
    for reason in reasons {
        let names: Vec<String> = rows
            .iter()
            .filter(|row| reason.is_for(&row.name, &reason.server))
            .filter(|row| {
                let mut others = others(row).into_iter();
                others.any(|(server, outcome)| {
                    server == reason.server && !row.ours.means_the_same(outcome)
                })
            })
            .map(|row| format!("`{}`", row.name))
            .collect();
        writeln!(
            text,
            "| {} | {} | {} |",
            names.join(", "),
            reason.server,
            reason.why
        )
        .expect("a string grows");
    }
    text.push_str(
        "
## Every message

Statuses in their order; `closed` where the connection ended within a moment, `waits` where nothing came, `no HTTP/1` where what came was no
answer. What differs in its meaning is bold.

| message | blitz-http | hyper | nginx |
|---|---|---|---|
",
    );
    for row in rows {
        write!(text, "| `{}` | {} |", row.name, row.ours).expect("a string grows");
        for (_, outcome) in others(row) {
            if row.ours.means_the_same(outcome) {
                write!(text, " {outcome} |").expect("a string grows");
            } else {
                write!(text, " **{outcome}** |").expect("a string grows");
            }
        }
        text.push('\n');
    }
    std::fs::write(PAGE, text)
}
