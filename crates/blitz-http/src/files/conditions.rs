//! Conditional requests (RFC 9110 section 13): whether what a client has, or wants to replace, is what there is.

use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file that was changed so recently may be changed again without its time showing it.
const SETTLED: Duration = Duration::from_secs(2);

/// What tells one state of a file from another.
#[derive(Clone, Debug)]
pub(super) struct Validators {
    /// What stands between the quotes.
    tag: String,
    weak: bool,
    /// The last change, in seconds since 1970, and whether a second change since would show.
    modified: Option<(u64, bool)>,
}

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Proceed,
    NotModified,
    Failed,
}

impl Validators {
    /// Of a file of `len` bytes; `coding` is what it is compressed by, `weak` says that its bytes may differ from time to time.
    pub(super) fn new(
        len: u64,
        modified: Option<SystemTime>,
        coding: Option<&str>,
        weak: bool,
        now: SystemTime,
    ) -> Validators {
        let settled =
            modified.is_some_and(|at| now.duration_since(at).is_ok_and(|age| age >= SETTLED));
        let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let mut tag = match since {
            Some(since) => format!("{:x}.{:x}-{len:x}", since.as_secs(), since.subsec_nanos()),
            None => format!("{len:x}"),
        };
        if let Some(coding) = coding {
            tag.push('-');
            tag.push_str(coding);
        }
        // A time that has not come is no time of a change (section 8.8.2.1).
        let latest = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Validators {
            tag,
            weak: weak || !settled,
            modified: since.map(|since| (since.as_secs().min(latest), settled)),
        }
    }

    /// The `ETag` field.
    pub(super) fn etag(&self) -> String {
        let weak = if self.weak { "W/" } else { "" };
        format!("{weak}\"{}\"", self.tag)
    }

    /// The `Last-Modified` field, in seconds since 1970.
    pub(super) fn modified(&self) -> Option<u64> {
        self.modified.map(|(second, _)| second)
    }

    /// The conditions of a GET or HEAD request, in the order of section 13.2.2.
    pub(super) fn judge(&self, headers: &HeaderMap) -> Outcome {
        if headers.contains_key(IF_MATCH) {
            if !self.is_listed(headers, &IF_MATCH, true) {
                return Outcome::Failed;
            }
        } else if let (Some(since), Some(modified)) =
            (date(headers, &IF_UNMODIFIED_SINCE), self.modified())
            && modified > since
        {
            return Outcome::Failed;
        }
        if headers.contains_key(IF_NONE_MATCH) {
            if self.is_listed(headers, &IF_NONE_MATCH, false) {
                return Outcome::NotModified;
            }
        } else if let (Some(since), Some(modified)) =
            (date(headers, &IF_MODIFIED_SINCE), self.modified())
            && modified <= since
        {
            return Outcome::NotModified;
        }
        Outcome::Proceed
    }

    /// Whether a range that was asked for is of this state (section 13.1.5); so without `If-Range`.
    pub(super) fn allows_range(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(IF_RANGE) else {
            return true;
        };
        let value = value.as_bytes().trim_ascii();
        if value.starts_with(b"\"") || value.starts_with(b"W/") {
            return !self.weak && value == self.etag().as_bytes();
        }
        match (date(headers, &IF_RANGE), self.modified) {
            (Some(date), Some((modified, settled))) => settled && date == modified,
            _ => false,
        }
    }

    /// Whether a list of tags has this one, or is `*`. By the strong comparison no weak tag is like another.
    fn is_listed(&self, headers: &HeaderMap, name: &HeaderName, strong: bool) -> bool {
        headers.get_all(name).iter().any(|value| {
            let value = value.as_bytes().trim_ascii();
            value == b"*"
                || tags(value).any(|(weak, tag)| {
                    tag == self.tag.as_bytes() && !(strong && (weak || self.weak))
                })
        })
    }
}

/// The tags of a list, each with whether it is weak; up to what is none.
fn tags(mut list: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    std::iter::from_fn(move || {
        list = list.trim_ascii_start();
        while let Some(rest) = list.strip_prefix(b",") {
            list = rest.trim_ascii_start();
        }
        let (weak, rest) = match list.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, list),
        };
        let rest = rest.strip_prefix(b"\"")?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        list = &rest[end + 1..];
        Some((weak, &rest[..end]))
    })
}

/// A date, in seconds since 1970; a field that is none, or stands twice, counts for nothing.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut values = headers.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let at = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    Some(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const AT: u64 = 784_111_777;
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn settled() -> Validators {
        Validators::new(16, Some(at(AT)), None, false, at(AT + 100))
    }

    fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        map
    }

    #[test]
    fn conditions_are_judged_in_their_order() {
        use Outcome::{Failed, NotModified, Proceed};
        let tag = settled().etag();
        let listed = format!("\"x,y\", {tag}");
        let weak = format!("W/{tag}");
        let cases: &[(&[(&str, &str)], Outcome)] = &[
            (&[], Proceed),
            (&[("if-none-match", &tag)], NotModified),
            (&[("if-none-match", &weak)], NotModified),
            (&[("if-none-match", &listed)], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"other\"")], Proceed),
            (&[("if-none-match", "nonsense")], Proceed),
            (&[("if-modified-since", DATE)], NotModified),
            (&[("if-modified-since", AFTER)], NotModified),
            (&[("if-modified-since", BEFORE)], Proceed),
            (&[("if-modified-since", "yesterday")], Proceed),
            (
                &[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")],
                NotModified,
            ),
            (
                &[("if-modified-since", "Sun Nov  6 08:49:37 1994")],
                NotModified,
            ),
            // A tag goes before a date.
            (
                &[("if-none-match", "\"other\""), ("if-modified-since", AFTER)],
                Proceed,
            ),
            (&[("if-match", &tag)], Proceed),
            (&[("if-match", "*")], Proceed),
            (&[("if-match", &weak)], Failed),
            (&[("if-match", "\"other\"")], Failed),
            (
                &[("if-match", "\"other\""), ("if-none-match", &tag)],
                Failed,
            ),
            (
                &[("if-match", &tag), ("if-unmodified-since", BEFORE)],
                Proceed,
            ),
            (&[("if-unmodified-since", BEFORE)], Failed),
            (&[("if-unmodified-since", DATE)], Proceed),
            (
                &[("if-unmodified-since", DATE), ("if-none-match", &tag)],
                NotModified,
            ),
            (&[("if-match", "\"a\""), ("if-match", &tag)], Proceed),
        ];
        for (fields, outcome) in cases {
            assert_eq!(settled().judge(&map(fields)), *outcome, "{fields:?}");
        }
    }

    #[test]
    fn a_range_is_given_of_the_same_state_only() {
        let validators = settled();
        let tag = validators.etag();
        let allows = |value: &str| validators.allows_range(&map(&[("if-range", value)]));
        assert!(validators.allows_range(&HeaderMap::new()));
        assert!(allows(&tag) && allows(DATE));
        assert!(!allows(&format!("W/{tag}")) && !allows("\"other\""));
        assert!(!allows(BEFORE) && !allows(AFTER) && !allows("yesterday"));
    }

    #[test]
    fn what_was_changed_a_moment_ago_has_weak_validators() {
        let fresh = Validators::new(16, Some(at(AT)), None, false, at(AT + 1));
        assert!(fresh.etag().starts_with("W/\""));
        assert!(!fresh.allows_range(&map(&[("if-range", &fresh.etag())])));
        assert!(!fresh.allows_range(&map(&[("if-range", DATE)])));
        assert_eq!(
            fresh.judge(&map(&[("if-match", &fresh.etag())])),
            Outcome::Failed
        );
        assert_eq!(
            fresh.judge(&map(&[("if-none-match", &fresh.etag())])),
            Outcome::NotModified
        );
        // A time that has not come.
        let future = Validators::new(16, Some(at(AT + 50)), None, false, at(AT));
        assert_eq!(future.modified(), Some(AT));
        assert!(future.etag().starts_with("W/"));
        let none = Validators::new(16, None, Some("br"), true, at(AT));
        assert_eq!(
            (none.etag().as_str(), none.modified()),
            ("W/\"10-br\"", None)
        );
    }
}
