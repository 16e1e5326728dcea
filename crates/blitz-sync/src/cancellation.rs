//! A token by which many are told that it is over, and those who depend on them.

use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::{Pin, pin};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_core::list::{Links, List, Node};
use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use blitz_core::primitive::sync::atomic::{AtomicBool, AtomicUsize};

use crate::notify::{Notify, Wait};

/// What a token's clones share: its place in the tree, and who waits for it.
struct Shared {
    is_cancelled: AtomicBool,
    waiters: Notify,
    /// How many tokens there are. The last to go takes the place out of the tree.
    tokens: AtomicUsize,
    /// One lock for a whole tree.
    tree: Arc<Mutex<()>>,
    links: Links<Shared>,
    kin: UnsafeCell<Kin>,
}

/// A place's neighbours. Touched under the tree's lock.
struct Kin {
    /// There as long as this place is among its children.
    parent: Option<NonNull<Shared>>,
    children: List<InTree>,
}

/// A parent's children. Each list has a share of its members.
struct InTree;

// SAFETY: an `Arc`'s value stays where it is; `links` is always the same field.
unsafe impl Node for InTree {
    type Handle = Arc<Shared>;
    type Target = Shared;

    fn into_raw(handle: Arc<Shared>) -> NonNull<Shared> {
        // SAFETY: an `Arc` is not null.
        unsafe { NonNull::new_unchecked(Arc::into_raw(handle).cast_mut()) }
    }

    unsafe fn from_raw(node: NonNull<Shared>) -> Arc<Shared> {
        // SAFETY: it came from `into_raw`, as the caller says.
        unsafe { Arc::from_raw(node.as_ptr()) }
    }

    unsafe fn links(node: NonNull<Shared>) -> NonNull<Links<Shared>> {
        // SAFETY: the node is valid, as the caller says.
        let links = unsafe { &raw mut (*node.as_ptr()).links };
        // SAFETY: the address of a field of a valid node.
        unsafe { NonNull::new_unchecked(links) }
    }
}

// SAFETY: kin are touched under the lock of the tree, whose places are all of this type; the rest is atomic.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn new(tree: Arc<Mutex<()>>, is_cancelled: bool) -> Arc<Self> {
        Arc::new(Self {
            is_cancelled: AtomicBool::new(is_cancelled),
            waiters: Notify::new(),
            tokens: AtomicUsize::new(1),
            tree,
            links: Links::new(),
            kin: UnsafeCell::new(Kin {
                parent: None,
                children: List::new(),
            }),
        })
    }

    #[inline]
    fn is_cancelled(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `mark`: what was done before the cancel is seen after.
        self.is_cancelled.load(Acquire)
    }

    /// Under the tree's lock, which the caller keeps longer than what it is given.
    #[expect(clippy::mut_from_ref, reason = "the lock of the tree is held")]
    fn kin_locked(&self) -> &mut Kin {
        // SAFETY: the lock is held, and no function here keeps this over another call of it for the same place.
        unsafe { &mut *self.kin.get() }
    }

    /// Puts `child` under this place. Under the lock.
    fn adopt_locked(&self, child: Arc<Self>) {
        child.kin_locked().parent = Some(NonNull::from(self));
        self.kin_locked().children.push_back(child);
    }

    /// Takes this place from among its parent's children, if it has one. Under the lock.
    fn depart_locked(self: &Arc<Self>) -> Option<Arc<Self>> {
        let parent = self.kin_locked().parent.take()?;
        // The `Arc`'s own pointer, which the list makes an `Arc` of again: one made of a reference would not reach its counts.
        let place = NonNull::new(Arc::as_ptr(self).cast_mut())?;
        // SAFETY: as long as we were its child, it was there; see `leave`.
        let siblings = &mut unsafe { parent.as_ref() }.kin_locked().children;
        // SAFETY: we are in that list, and valid.
        unsafe { siblings.remove(place) }
    }

    /// Under the lock. Nobody depends on this place afterwards; its children are the caller's to mark.
    fn mark_locked(&self, dependents: &mut Vec<Arc<Self>>) {
        // ORDERING: Release pairs with the Acquire in `is_cancelled`.
        self.is_cancelled.store(true, Release);
        while let Some(child) = self.kin_locked().children.pop_front() {
            child.kin_locked().parent = None;
            dependents.push(child);
        }
    }

    fn cancel(self: &Arc<Self>) {
        // Before the lock: dropped after it.
        let mut dependents = Vec::new();
        let place;
        {
            let _tree = self.tree.lock();
            if self.is_cancelled() {
                return;
            }
            place = self.depart_locked();
            self.mark_locked(&mut dependents);
            let mut at = 0;
            while let Some(dependent) = dependents.get(at).cloned() {
                dependent.mark_locked(&mut dependents);
                at += 1;
            }
        }
        self.waiters.notify_waiters();
        for dependent in &dependents {
            dependent.waiters.notify_waiters();
        }
        drop(place);
    }

    /// The last token is gone: the children go to the parent, or each for itself.
    fn leave(self: &Arc<Self>) {
        let place;
        {
            let _tree = self.tree.lock();
            if self.is_cancelled() {
                // Its place was taken out by that.
                return;
            }
            let parent = self.kin_locked().parent;
            place = self.depart_locked();
            while let Some(child) = self.kin_locked().children.pop_front() {
                match parent {
                    // SAFETY: we were its child until now, so it has not left, and we hold the lock.
                    Some(parent) => unsafe { parent.as_ref() }.adopt_locked(child),
                    None => child.kin_locked().parent = None,
                }
            }
        }
        drop(place);
    }
}

/// Tells many tasks that it is over, and those that depend on them.
///
/// Clones are the same token. A [child](Self::child_token) is cancelled with its parent, and may be cancelled alone; whoever
/// holds a token can cancel it, and nobody can take that back.
///
/// Names and semantics are those of `tokio_util::sync::CancellationToken`.
///
/// # Examples
/// ```
/// use blitz_sync::CancellationToken;
/// # futures::executor::block_on(async {
/// let server = CancellationToken::new();
/// let connection = server.child_token();
/// let request = connection.child_token();
///
/// connection.cancel();
/// request.cancelled().await;
/// assert!(!server.is_cancelled());
/// # });
/// ```
pub struct CancellationToken {
    shared: Arc<Shared>,
}

impl UnwindSafe for CancellationToken {}
impl RefUnwindSafe for CancellationToken {}

impl CancellationToken {
    /// A token that depends on no other.
    pub fn new() -> Self {
        Self {
            shared: Shared::new(Arc::new(Mutex::new(())), false),
        }
    }

    /// A token that is cancelled with this one, and may be cancelled alone. Of a cancelled token it is a cancelled one.
    pub fn child_token(&self) -> Self {
        let child = Shared::new(Arc::clone(&self.shared.tree), false);
        {
            let _tree = self.shared.tree.lock();
            if self.shared.is_cancelled() {
                // ORDERING: Relaxed: nobody else has it yet.
                child.is_cancelled.store(true, Relaxed);
            } else {
                self.shared.adopt_locked(Arc::clone(&child));
            }
        }
        Self { shared: child }
    }

    /// Cancels this token and all that depend on it, and lets go on who waits for that. A second time it does nothing.
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    /// Whether it was cancelled, itself or with another that it depends on.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.shared.is_cancelled()
    }

    /// Waits until the token is cancelled. Ready at once if it was before.
    ///
    /// # Cancel safety
    /// Safe: waiting takes nothing.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        WaitForCancellationFuture {
            wait: Wait::new(Waiters(self)),
        }
    }

    /// The same, with a future that keeps the token instead of borrowing it.
    ///
    /// # Cancel safety
    /// Safe: waiting takes nothing.
    pub fn cancelled_owned(self) -> WaitForCancellationFutureOwned {
        WaitForCancellationFutureOwned {
            wait: Wait::new(Waiters(self)),
        }
    }

    /// Runs `future` until it is ready, or the token is cancelled; then the answer is `None`, and `future` is dropped.
    ///
    /// A token that is cancelled comes first: `future` is not polled then.
    ///
    /// # Cancel safety
    /// That of `future`.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::CancellationToken;
    /// # futures::executor::block_on(async {
    /// let token = CancellationToken::new();
    /// assert_eq!(token.run_until_cancelled(async { 7 }).await, Some(7));
    /// token.cancel();
    /// assert_eq!(token.run_until_cancelled(async { 7 }).await, None);
    /// # });
    /// ```
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        if self.is_cancelled() {
            // Not even pinned.
            return None;
        }
        let mut future = pin!(future);
        let mut cancelled = pin!(self.cancelled());
        std::future::poll_fn(|cx| {
            if cancelled.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// The same, with a future that keeps the token instead of borrowing it.
    ///
    /// # Cancel safety
    /// That of `future`.
    pub async fn run_until_cancelled_owned<F: Future>(self, future: F) -> Option<F::Output> {
        self.run_until_cancelled(future).await
    }

    /// A guard that cancels the token when it is dropped, unless it is [disarmed](DropGuard::disarm).
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// drop(token.clone().drop_guard().disarm());
    /// assert!(!token.is_cancelled());
    /// drop(token.clone().drop_guard());
    /// assert!(token.is_cancelled());
    /// ```
    pub fn drop_guard(self) -> DropGuard {
        DropGuard { token: Some(self) }
    }

    /// The same with a guard that borrows the token.
    pub fn drop_guard_ref(&self) -> DropGuardRef<'_> {
        DropGuardRef { token: Some(self) }
    }
}

impl Default for CancellationToken {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for CancellationToken {
    fn clone(&self) -> Self {
        // ORDERING: Relaxed: whoever clones has a token, so the count is not zero.
        self.shared.tokens.fetch_add(1, Relaxed);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for CancellationToken {
    fn drop(&mut self) {
        // ORDERING: Relaxed: who is the last is a matter of the count alone; all else is under the tree's lock, in which those
        // who went before were before.
        if self.shared.tokens.fetch_sub(1, Relaxed) == 1 {
            self.shared.leave();
        }
    }
}

/// Clones of one token are equal: cancelling one cancels the other. A token and its child are not.
impl PartialEq for CancellationToken {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for CancellationToken {}

impl Hash for CancellationToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        ptr::from_ref::<Shared>(&self.shared).hash(state);
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

/// The waiters of a token, however it is held on to.
struct Waiters<T>(T);

impl Deref for Waiters<&CancellationToken> {
    type Target = Notify;

    fn deref(&self) -> &Notify {
        &self.0.shared.waiters
    }
}

impl Deref for Waiters<CancellationToken> {
    type Target = Notify;

    fn deref(&self) -> &Notify {
        &self.0.shared.waiters
    }
}

pin_project_lite::pin_project! {
    /// The future of [`CancellationToken::cancelled`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct WaitForCancellationFuture<'a> {
        #[pin]
        wait: Wait<Waiters<&'a CancellationToken>>,
    }
}

pin_project_lite::pin_project! {
    /// The future of [`CancellationToken::cancelled_owned`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct WaitForCancellationFutureOwned {
        #[pin]
        wait: Wait<Waiters<CancellationToken>>,
    }
}

macro_rules! wait {
    ($(($($lifetime:lifetime)?) $name:ty),*) => {$(
        impl$(<$lifetime>)? Future for $name {
            type Output = ();

            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
                let wait = self.project().wait;
                // The wait was made before this look: a cancel after it ends the wait.
                if wait.holder().0.is_cancelled() {
                    return Poll::Ready(());
                }
                wait.poll(cx)
            }
        }

        impl$(<$lifetime>)? fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("is_cancelled", &self.wait.holder().0.is_cancelled())
                    .finish_non_exhaustive()
            }
        }
    )*};
}

wait!(('a) WaitForCancellationFuture<'a>, () WaitForCancellationFutureOwned);

/// Cancels a token when it is dropped; see [`CancellationToken::drop_guard`].
#[derive(Debug)]
#[must_use = "dropped at once, it cancels its token"]
pub struct DropGuard {
    /// There until it is disarmed.
    token: Option<CancellationToken>,
}

impl DropGuard {
    /// The token that it cancels.
    pub fn token(&self) -> &CancellationToken {
        self.token
            .as_ref()
            .expect("a guard has its token until it goes")
    }

    /// The token, which is not cancelled by this.
    pub fn disarm(mut self) -> CancellationToken {
        self.token.take().expect("a guard has its token until now")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}

/// Cancels a token when it is dropped; see [`CancellationToken::drop_guard_ref`].
#[derive(Debug)]
#[must_use = "dropped at once, it cancels its token"]
pub struct DropGuardRef<'a> {
    /// There until it is disarmed.
    token: Option<&'a CancellationToken>,
}

impl<'a> DropGuardRef<'a> {
    /// The token that it cancels.
    pub fn token(&self) -> &CancellationToken {
        self.token.expect("a guard has its token until it goes")
    }

    /// The token, which is not cancelled by this.
    pub fn disarm(mut self) -> &'a CancellationToken {
        self.token.take().expect("a guard has its token until now")
    }
}

impl Drop for DropGuardRef<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            token.cancel();
        }
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<CancellationToken>();
    shared::<WaitForCancellationFuture<'_>>();
    shared::<WaitForCancellationFutureOwned>();
    shared::<DropGuard>();
};

#[cfg(all(test, loom))]
#[path = "tests/loom_cancellation.rs"]
mod models;
