//! Properties of what reads clients' words: whatever they are, nothing of them leads out, is longer than the file, or panics.

use super::codings::{QUICK, SMALL, Wishes};
use super::conditions::Validators;
use super::path::taken_apart;
use super::ranges::{Asked, asked};
use http::header::{ACCEPT_ENCODING, HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use std::path::Component;
use std::time::{Duration, UNIX_EPOCH};

fn one(name: HeaderName, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
    headers
}

proptest! {
    #[test]
    fn a_path_names_what_is_below_or_nothing(path in "/([a-c./%0-9eEfF\\\\\u{e4}-]|%2[eEfF]|\\.\\./|%00){0,20}", dotfiles: bool) {
        if let Ok(wanted) = taken_apart(&path, dotfiles) {
            prop_assert!(wanted.path.components().all(|part| matches!(part, Component::Normal(_))), "{wanted:?}");
            let names = path.trim_matches('/').split('/').filter(|name| !name.is_empty()).count();
            prop_assert_eq!(wanted.path.components().count(), names);
        }
    }

    #[test]
    fn ranges_stay_within_the_file(field in "(bytes=)?([0-9]{0,21}-?[0-9]{0,21}[ ,]{0,2}){0,20}", len in prop_oneof![0..50u64, any::<u64>()]) {
        let inside = |range: &std::ops::Range<u64>| range.start < range.end && range.end <= len;
        match asked(field.as_bytes(), len) {
            Asked::One(range) => prop_assert!(inside(&range)),
            Asked::Many(ranges) => {
                prop_assert!(ranges.len() > 1 && ranges.iter().all(inside));
                prop_assert!(ranges.iter().map(|range| range.end - range.start).sum::<u64>() <= len);
            }
            Asked::Whole | Asked::Nothing => {}
        }
    }

    #[test]
    fn what_is_wanted_least_comes_last(field in "((br|zstd|gzip|identity|\\*|x)(;q=(0|1|0\\.[0-9]{0,4}|y))?, ?){0,6}") {
        let wishes = Wishes::of(&one(ACCEPT_ENCODING, &field));
        for order in [SMALL, QUICK] {
            let wanted: Vec<_> = wishes.wanted(order).collect();
            prop_assert!(wanted.iter().all(|coding| field.contains(coding.name()) || field.contains('*')), "{field}: {wanted:?}");
        }
    }

    #[test]
    fn conditions_never_fail_to_be_judged(value in "\\PC{0,40}|(W/)?\"[a-z0-9.,-]{0,12}\"(, ?(W/)?\"[^\"]{0,5}\"?){0,3}") {
        let at = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let validators = Validators::new(5, Some(at), None, false, at + Duration::from_secs(9));
        for name in [IF_MATCH, IF_NONE_MATCH, IF_RANGE] {
            let headers = one(name, &value);
            let _judged = (validators.judge(&headers), validators.allows_range(&headers));
        }
        // Its own tag is found wherever it stands in a list that is one.
        let listed = format!("\"x\", {}, \"y\"", validators.etag());
        prop_assert_eq!(validators.judge(&one(IF_NONE_MATCH, &listed)), super::conditions::Outcome::NotModified);
    }
}
