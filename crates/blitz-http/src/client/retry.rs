//! Trying again: only what may be said twice, only so often, and never so much that a server in trouble gets more of it.

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

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
    /// The longest wait, `Retry-After` included: where the server asks for more, its answer is the answer. 10 s.
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
        let asked = headers.and_then(|headers| {
            let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?;
            seconds.trim().parse().ok().map(Duration::from_secs)
        });
        match asked {
            Some(asked) if asked > self.wait_max => None,
            Some(asked) => Some(wait.max(asked)),
            None => Some(wait),
        }
    }
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
    use super::{Budget, RetryPolicy};
    use http::HeaderMap;
    use http::header::RETRY_AFTER;
    use std::time::Duration;

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
