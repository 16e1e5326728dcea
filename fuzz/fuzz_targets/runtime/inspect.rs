//! Where the reader of requests stands in blitz-io: it is private there, and its visibility names this path.

#[allow(dead_code, reason = "words for a handler, here only made")]
#[path = "../../../crates/blitz-io/src/runtime/inspect/json/read.rs"]
mod read;

/// What is read came from the line.
pub fn check(line: &[u8]) {
    if let Ok(fields) = read::object(line) {
        // An escape is longer than what it stands for.
        let text: usize = fields.iter().map(|(key, _)| key.len()).sum();
        assert!(text <= line.len());
        assert!(std::str::from_utf8(line).is_ok());
    }
}
