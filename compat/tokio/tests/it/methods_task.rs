//! Methods, constants and variants of `tokio::{task, time}`.

#[test]
fn they_are_there() {
    methods! {
        tokio::task::AbortHandle: abort is_finished id;
        tokio::task::Builder<'static>: new name;
        tokio::task::JoinError: is_cancelled is_panic into_panic try_into_panic id;
        tokio::task::JoinHandle<u8>: abort is_finished abort_handle id;
        tokio::task::JoinSet<u8>: new len is_empty build_task join_next join_next_with_id try_join_next
            try_join_next_with_id shutdown join_all abort_all detach_all poll_join_next poll_join_next_with_id;
        tokio::task::LocalKey<u8>: get try_get;
        tokio::task::LocalSet: new enter id unhandled_panic;
        tokio::task::coop::RestoreOnPending: made_progress;
        tokio::task::futures::TaskLocalFuture<u8, std::future::Ready<u8>>: take_value;
        tokio::task::join_set::Builder<'static, u8>: name;
        tokio::task::join_set::JoinSet<u8>: new len is_empty build_task join_next join_next_with_id try_join_next
            try_join_next_with_id shutdown join_all abort_all detach_all poll_join_next poll_join_next_with_id;
        tokio::time::Instant: now from_std into_std duration_since checked_duration_since saturating_duration_since
            elapsed checked_add checked_sub;
        tokio::time::Interval: tick poll_tick reset reset_immediately reset_after reset_at missed_tick_behavior
            set_missed_tick_behavior period;
        tokio::time::MissedTickBehavior: Burst Delay Skip;
        tokio::time::Sleep: deadline is_elapsed reset;
        tokio::time::Timeout<std::future::Ready<u8>>: get_ref get_mut into_inner;
        tokio::time::error::Error: shutdown is_shutdown at_capacity is_at_capacity invalid is_invalid;
    }
}
