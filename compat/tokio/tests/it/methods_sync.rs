//! Methods, constants and variants of `tokio::sync`.

#[test]
fn they_are_there() {
    methods! {
        tokio::sync::Barrier: new wait;
        tokio::sync::BarrierWaitResult: is_leader;
        tokio::sync::Mutex<u8>: new const_new lock blocking_lock blocking_lock_owned lock_owned try_lock get_mut
            try_lock_owned into_inner;
        tokio::sync::MutexGuard<'static, u8>: mutex;
        tokio::sync::Notify: new const_new notified notified_owned notify_one notify_last notify_waiters;
        tokio::sync::OnceCell<u8>: new const_new new_with const_new_with initialized get get_mut set into_inner take;
        tokio::sync::OwnedMutexGuard<u8>: mutex;
        tokio::sync::OwnedRwLockMappedWriteGuard<u8, u8>: rwlock;
        tokio::sync::OwnedRwLockReadGuard<u8, u8>: rwlock;
        tokio::sync::OwnedRwLockWriteGuard<u8>: into_mapped downgrade rwlock;
        tokio::sync::OwnedSemaphorePermit: forget merge split semaphore num_permits;
        tokio::sync::RwLock<u8>: new with_max_readers const_new const_with_max_readers read blocking_read read_owned
            try_read try_read_owned write blocking_write write_owned try_write try_write_owned get_mut into_inner;
        tokio::sync::RwLockWriteGuard<'static, u8>: into_mapped downgrade;
        tokio::sync::Semaphore: MAX_PERMITS new const_new available_permits add_permits forget_permits acquire
            acquire_many try_acquire try_acquire_many blocking_acquire blocking_acquire_many acquire_owned
            acquire_many_owned try_acquire_owned try_acquire_many_owned blocking_acquire_owned
            blocking_acquire_many_owned close is_closed;
        tokio::sync::SemaphorePermit<'static>: forget merge split semaphore num_permits;
        tokio::sync::SetError<u8>: AlreadyInitializedError InitializingError is_already_init_err is_initializing_err;
        tokio::sync::SetOnce<u8>: new const_new new_with const_new_with initialized get set into_inner wait;
        tokio::sync::TryAcquireError: Closed NoPermits;
        tokio::sync::broadcast::Receiver<u8>: len is_empty same_channel sender_strong_count sender_weak_count
            is_closed resubscribe recv try_recv blocking_recv;
        tokio::sync::broadcast::Sender<u8>: new send subscribe downgrade len is_empty receiver_count same_channel
            closed strong_count weak_count;
        tokio::sync::broadcast::WeakSender<u8>: upgrade strong_count weak_count;
        tokio::sync::broadcast::error::RecvError: Closed Lagged;
        tokio::sync::broadcast::error::TryRecvError: Empty Closed Lagged;
        tokio::sync::futures::Notified<'static>: enable;
        tokio::sync::futures::OwnedNotified: enable;
        tokio::sync::mpsc::OwnedPermit<u8>: send release same_channel same_channel_as_sender;
        tokio::sync::mpsc::Permit<'static, u8>: send;
        tokio::sync::mpsc::Receiver<u8>: recv recv_many try_recv blocking_recv blocking_recv_many close is_closed
            is_empty len capacity max_capacity poll_recv poll_recv_many sender_strong_count sender_weak_count;
        tokio::sync::mpsc::Sender<u8>: send closed try_send send_timeout blocking_send is_closed reserve reserve_many
            reserve_owned try_reserve try_reserve_many try_reserve_owned same_channel capacity downgrade max_capacity
            strong_count weak_count;
        tokio::sync::mpsc::UnboundedReceiver<u8>: recv recv_many try_recv blocking_recv blocking_recv_many close
            is_closed is_empty len poll_recv poll_recv_many sender_strong_count sender_weak_count;
        tokio::sync::mpsc::UnboundedSender<u8>: send closed is_closed same_channel downgrade strong_count weak_count;
        tokio::sync::mpsc::WeakSender<u8>: upgrade strong_count weak_count;
        tokio::sync::mpsc::WeakUnboundedSender<u8>: upgrade strong_count weak_count;
        tokio::sync::mpsc::error::SendTimeoutError<u8>: Timeout Closed into_inner;
        tokio::sync::mpsc::error::TryRecvError: Empty Disconnected;
        tokio::sync::mpsc::error::TrySendError<u8>: Full Closed into_inner;
        tokio::sync::oneshot::Receiver<u8>: close is_terminated is_empty try_recv blocking_recv;
        tokio::sync::oneshot::Sender<u8>: send closed is_closed poll_closed;
        tokio::sync::oneshot::error::TryRecvError: Empty Closed;
        tokio::sync::watch::Receiver<u8>: borrow borrow_and_update has_changed is_closed mark_changed mark_unchanged
            changed same_channel;
        tokio::sync::watch::Ref<'static, u8>: has_changed;
        tokio::sync::watch::Sender<u8>: new send send_replace borrow is_closed closed subscribe receiver_count
            sender_count same_channel;
    }
}
