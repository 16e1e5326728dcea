//! Trying again: only what may be said twice, only so often, and never so much that a server in trouble gets more of it.

use http::header::{DATE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

/// When and how often a request that failed is sent again.
///
/// What may be sent again: a request that nobody can have seen, because no connection came about; and one of a method that does the same
/// twice as once (RFC 9110 §9.2.2), when its connection failed before the response began or the server says that it was too busy. Its
/// body must be there still, so not streamed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Tries after the first one. 0: none but that for a kept connection that turned out to be closed.
    pub retries_max: u32,
    /// The wait before the first; each one after waits twice as long, and all are shortened by chance to between the half and the whole.
    /// 100 ms.
    pub wait: Duration,
    /// The longest wait, `Retry-After` included, be it seconds or a date: where the server asks for more, its answer is the answer. 10 s.
    pub wait_max: Duration,
    /// What retries may add to the load, in percent of the requests, beyond ten that are free. 20.
    pub extra_load_percent: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            retries_max: 0,
            wait: Duration::from_millis(100),
            wait_max: Duration::from_secs(10),
            extra_load_percent: 20,
        }
    }
}

impl RetryPolicy {
    /// So many tries after the first one.
    pub fn times(retries_max: u32) -> RetryPolicy {
        RetryPolicy {
            retries_max,
            ..RetryPolicy::default()
        }
    }

    /// The wait before retry number `retry`, which counts from zero; none where the server asks for too much.
    pub(super) fn wait_before(&self, retry: u32, headers: Option<&HeaderMap>) -> Option<Duration> {
        let doubled = self.wait.saturating_mul(1 << retry.min(20));
        let whole = doubled.min(self.wait_max);
        let wait = whole.mul_f64(0.5 + fastrand::f64() / 2.0);
        match headers.and_then(|headers| asked(headers, SystemTime::now())) {
            Some(asked) if asked > self.wait_max => None,
            Some(asked) => Some(wait.max(asked)),
            None => Some(wait),
        }
    }
}

/// How long the server wants to be left alone (RFC 9110 §10.2.3): seconds, or until a date, by its own clock where it tells that.
/// None where it says nothing, or nothing that can be read.
fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text(RETRY_AFTER)?;
    if !after.is_empty() && after.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than there is a number for are too many for anybody.
        return Some(Duration::from_secs(after.parse().unwrap_or(u64::MAX)));
    }
    let then = httpdate::parse_http_date(after).ok()?;
    let said = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    // What is over by now need not be waited for.
    Some(then.duration_since(said.unwrap_or(now)).unwrap_or_default())
}

/// Whether the same request twice does what it does once.
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

/// Whether the server says: not now.
pub(super) fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// What is left for retries: each request pays in, each retry takes out.
#[derive(Debug)]
pub(super) struct Budget(Mutex<u64>);

/// In hundredths of a retry.
const FREE: u64 = 1000;
const ONE: u64 = 100;

impl Budget {
    pub(super) fn new() -> Budget {
        Budget(Mutex::new(FREE))
    }

    pub(super) fn request(&self, policy: &RetryPolicy) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = (*left + u64::from(policy.extra_load_percent)).min(10 * FREE);
    }

    /// Whether there is one to be had.
    pub(super) fn retry(&self) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match left.checked_sub(ONE) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, RetryPolicy, asked};
    use http::HeaderMap;
    use http::header::{DATE, RETRY_AFTER};
    use std::time::{Duration, SystemTime};

    #[test]
    fn waits_double_and_the_server_is_heard() {
        let policy = RetryPolicy::times(5);
        for (retry, whole_ms) in [(0, 100), (1, 200), (2, 400), (9, 10_000), (40, 10_000)] {
            let wait = policy.wait_before(retry, None).expect("a wait");
            let whole = Duration::from_millis(whole_ms);
            assert!(wait <= whole && wait >= whole / 2, "{retry}: {wait:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().expect("a value"));
        let wait = policy.wait_before(0, Some(&headers));
        assert_eq!(wait, Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, "60".parse().expect("a value"));
        assert_eq!(policy.wait_before(0, Some(&headers)), None);
    }

    #[test]
    fn what_the_server_asks_for_is_seconds_or_a_date() {
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        let clock: SystemTime = httpdate::parse_http_date(now).expect("a date");
        let headers = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, after.parse().expect("a value"));
            if let Some(date) = date {
                headers.insert(DATE, date.parse().expect("a value"));
            }
            headers
        };
        let seconds = |n| Some(Duration::from_secs(n));
        for (after, date, wait) in [
            ("0", None, seconds(0)),
            (" 7 ", None, seconds(7)),
            ("99999999999999999999999", None, seconds(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", None, seconds(3)),
            // The forms of RFC 9110 §5.6.7 that nobody should send any more.
            ("Sunday, 06-Nov-94 08:50:37 GMT", None, seconds(60)),
            ("Sun Nov  6 08:49:39 1994", None, seconds(2)),
            // It is over.
            ("Sun, 06 Nov 1994 08:00:00 GMT", None, seconds(0)),
            // The server's clock is an hour ahead of ours, and counts.
            (
                "Sun, 06 Nov 1994 09:49:42 GMT",
                Some("Sun, 06 Nov 1994 09:49:37 GMT"),
                seconds(5),
            ),
            ("Sun, 06 Nov 1994 08:49:38 GMT", Some("today"), seconds(1)),
            ("-1", None, None),
            ("1.5", None, None),
            ("", None, None),
            ("soon", None, None),
        ] {
            assert_eq!(asked(&headers(after, date), clock), wait, "{after:?}");
        }
    }

    #[test]
    fn dates_too_far_away_are_not_waited_for() {
        let policy = RetryPolicy::times(5);
        for (seconds, waits) in [(4, true), (3600, false)] {
            let (now, mut headers) = (SystemTime::now(), HeaderMap::new());
            let date = |at| httpdate::fmt_http_date(at).parse().expect("a value");
            headers.insert(DATE, date(now));
            headers.insert(RETRY_AFTER, date(now + Duration::from_secs(seconds)));
            let wait = policy.wait_before(0, Some(&headers));
            assert_eq!(wait.is_some(), waits, "{seconds}: {wait:?}");
        }
    }

    #[test]
    fn retries_add_no_more_than_their_share() {
        let (budget, policy) = (Budget::new(), RetryPolicy::default());
        let mut retries = 0;
        for _ in 0..1000 {
            budget.request(&policy);
            retries += u32::from(budget.retry());
        }
        assert_eq!(retries, 200 + 10);
    }
}
