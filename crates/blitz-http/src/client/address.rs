//! Addresses that were given as text.
//!
//! Reading one costs about as much as all else that the client does for a small request, and a program asks the same few again and again:
//! each thread remembers what the last ones were.

use std::cell::RefCell;
use url::{ParseError, Url};

/// So many are remembered.
const KEPT: usize = 8;
/// Longer ones are not.
const LEN_MAX: usize = 512;

struct Seen {
    kept: Vec<(String, Url)>,
    /// The one that goes next.
    oldest: usize,
}

thread_local! {
    static SEEN: RefCell<Seen> = const {
        RefCell::new(Seen { kept: Vec::new(), oldest: 0 })
    };
}

/// What `text` says.
pub(super) fn parse(text: &str) -> Result<Url, ParseError> {
    // Neither memory for long nor passwords longer than they are needed.
    if text.len() > LEN_MAX || text.contains('@') {
        return Url::parse(text);
    }
    let seen = SEEN.try_with(|seen| {
        let mut seen = seen.borrow_mut();
        let known = seen.kept.iter().find(|(known, _)| known == text);
        if let Some((_, url)) = known {
            return Ok(url.clone());
        }
        let url = Url::parse(text)?;
        let entry = (text.to_owned(), url.clone());
        if seen.kept.len() < KEPT {
            seen.kept.push(entry);
        } else {
            let oldest = seen.oldest;
            seen.kept[oldest] = entry;
            seen.oldest = (oldest + 1) % KEPT;
        }
        Ok(url)
    });
    // A thread that is ending remembers nothing.
    seen.unwrap_or_else(|_| Url::parse(text))
}

#[cfg(test)]
mod tests {
    use super::{KEPT, LEN_MAX, SEEN, parse};
    use url::Url;

    #[test]
    fn what_is_remembered_is_what_would_be_read() {
        let long = format!("http://a/{}", "x".repeat(LEN_MAX));
        let mut texts = vec!["http://b/?q=1", "HTTP://B:80/", &long, "http://u:p@c/"];
        let many: Vec<String> = (0..3 * KEPT).map(|n| format!("http://d/{n}")).collect();
        texts.extend(many.iter().map(String::as_str));
        for _ in 0..3 {
            for text in &texts {
                assert_eq!(parse(text), Url::parse(text));
                assert_eq!(parse(text), Url::parse(text));
            }
            assert_eq!(parse("no address"), Url::parse("no address"));
        }
        SEEN.with(|seen| {
            let seen = seen.borrow();
            assert_eq!(seen.kept.len(), KEPT);
            let secret = |text: &str| text.len() > LEN_MAX || text.contains('@');
            assert!(!seen.kept.iter().any(|(text, _)| secret(text)));
        });
    }
}
