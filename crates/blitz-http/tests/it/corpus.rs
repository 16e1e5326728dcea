//! The corpus of what is malformed and ambiguous, over a connection: the status that it gets, and nothing after it.

use crate::harness::connect;
use crate::notation::cases;
use blitz_http::{Request, Router};

fn anything() -> Router {
    Router::new().fallback(|request: Request| async move {
        let bytes = request.into_body().collect().await?;
        Ok::<_, blitz_http::Error>(bytes.len().to_string())
    })
}

async fn check(text: &str, before: &str) {
    let mut wrong = Vec::new();
    for case in cases(text) {
        let answers = connect(anything())
            .ask([before.as_bytes(), &case.bytes].concat())
            .await;
        let statuses: Vec<&str> = answers
            .split("HTTP/1.1 ")
            .skip(1)
            .map(|answer| answer.split(' ').next().unwrap_or_default())
            .filter(|status| *status != "100")
            .collect();
        let last = statuses.last().copied().unwrap_or_default();
        let fits = match case.expected.split_once(' ') {
            Some((_, count)) => {
                count.parse() == Ok(statuses.len())
                    && statuses.iter().all(|status| status.starts_with('2'))
            }
            // The connection ended before the message did.
            None if case.expected == "wait" => last == "400",
            None => last == case.expected && answers.contains("connection: close\r\n"),
        };
        if !fits {
            wrong.push(format!(
                "{}: {statuses:?}, not {}",
                case.name, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[blitz_io::test(start_paused = true)]
async fn each_framing_gets_its_answer() {
    check(
        include_str!("../../../blitz-http-proto/tests/corpus/framing.txt"),
        "",
    )
    .await;
}

#[blitz_io::test(start_paused = true)]
async fn each_line_gets_its_answer() {
    check(
        include_str!("../../../blitz-http-proto/tests/corpus/lines.txt"),
        "",
    )
    .await;
}

#[blitz_io::test(start_paused = true)]
async fn each_chunk_gets_its_answer() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(
        include_str!("../../../blitz-http-proto/tests/corpus/chunks.txt"),
        head,
    )
    .await;
}
