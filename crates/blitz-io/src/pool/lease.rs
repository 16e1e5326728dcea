//! A connection that somebody has.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::manage::{Manager, OnReturn};
use super::metrics::{CloseReason, ns};
use super::shared::Shared;
use super::state::{Entered, Member, Wants};
use crate::time::{Instant, timeout};

/// A connection on its way through someone's hands. Dropped with a connection in it, it closes that: only [`give_back`](Self::give_back)
/// says that it is in order.
pub(super) struct Slot<M: Manager> {
    shared: Arc<Shared<M>>,
    key: Arc<M::Key>,
    member: Option<Member<M::Connection>>,
    holder: Option<u64>,
    /// It was idle, and a task looks at it.
    is_checked: bool,
    reason: CloseReason,
}

const GONE: &str = "a slot is used until its connection goes";

impl<M: Manager> Slot<M> {
    pub(super) fn held(
        shared: Arc<Shared<M>>,
        key: Arc<M::Key>,
        member: Member<M::Connection>,
        holder: u64,
    ) -> Self {
        Self {
            shared,
            key,
            member: Some(member),
            holder: Some(holder),
            is_checked: false,
            reason: CloseReason::CheckFailed,
        }
    }

    pub(super) fn checked(
        shared: Arc<Shared<M>>,
        key: Arc<M::Key>,
        member: Member<M::Connection>,
    ) -> Self {
        Self {
            shared,
            key,
            member: Some(member),
            holder: None,
            is_checked: true,
            reason: CloseReason::CheckFailed,
        }
    }

    pub(super) fn member(&self) -> &Member<M::Connection> {
        self.member.as_ref().expect(GONE)
    }

    pub(super) fn parts(&mut self) -> (Arc<M::Key>, &mut M::Connection) {
        let member = self.member.as_mut().expect(GONE);
        (Arc::clone(&self.key), &mut member.connection)
    }

    /// It works now.
    pub(super) fn seen(&mut self, now: Instant) {
        self.member.as_mut().expect(GONE).seen = now;
    }

    /// Asks the peer.
    pub(super) async fn check(&mut self, shared: &Shared<M>) -> bool {
        let (key, connection) = self.parts();
        let check = shared.manager.check(&key, connection);
        matches!(timeout(shared.times.check, check).await, Ok(Ok(())))
    }

    /// Whether it may be handed out, by the look that does not wait.
    pub(super) fn is_usable(&mut self, shared: &Shared<M>) -> bool {
        let (key, connection) = self.parts();
        let is_usable = shared.manager.is_usable(&key, connection);
        if !is_usable {
            self.reason = CloseReason::Broken;
        }
        is_usable
    }

    /// It is in order, and the next may have it.
    pub(super) fn give_back(&mut self, now: Instant) {
        let Some(member) = self.member.take() else {
            return;
        };
        let (key, holder, is_checked) = (&self.key, self.holder, self.is_checked);
        let used = self.shared.with(|state, work| {
            if is_checked {
                state.checked(key);
            }
            let holder = holder.and_then(|holder| state.holders.remove(&holder));
            state.give_back(key, member, now, work);
            holder
        });
        if let Some(holder) = used {
            let took = now.duration_since(holder.since);
            self.shared.took.usage.record(ns(took));
        }
    }

    /// The same after somebody has used it.
    pub(super) fn come_back(&mut self, now: Instant) {
        if let Some(member) = &mut self.member {
            member.seen = now;
            member.idle_since = now;
        }
        self.give_back(now);
    }

    /// It is no good: another is wanted, at the place in the line that `again` is.
    pub(super) fn exchange(
        mut self,
        wants: Wants,
        again: u64,
        place: (Instant, &'static Location<'static>, u64),
    ) -> Entered<M::Key, M::Connection> {
        let member = self.member.take().expect(GONE);
        let (key, holder, reason) = (&self.key, self.holder, self.reason);
        self.shared.with(|state, work| {
            if let Some(holder) = holder {
                state.holders.remove(&holder);
            }
            state.exchange(key, (member.connection, reason), wants, again, place, work)
        })
    }

    fn close(&mut self, reason: CloseReason) {
        if let Some(member) = self.member.take() {
            let place = (self.holder, self.is_checked);
            self.shared
                .discard(&self.key, member.connection, reason, place);
        }
    }
}

impl<M: Manager> Drop for Slot<M> {
    fn drop(&mut self) {
        self.close(self.reason);
    }
}

/// A connection that is its holder's until this is dropped; then it goes back to its [`Pool`](super::Pool).
///
/// What was in the middle of an exchange must not go back as if it were in order: [`Manager::on_return`] looks at it, or the holder
/// [discards](Self::discard) it. If the thread panics, it is closed.
///
/// # Examples
/// ```
/// use blitz_io::pool::{Connect, Manager, Pool};
/// # struct Numbers;
/// # impl Manager for Numbers {
/// #     type Key = ();
/// #     type Connection = Vec<u8>;
/// #     type Error = std::io::Error;
/// # }
/// # impl Connect for Numbers {
/// #     async fn connect(&self, _: &()) -> Result<Vec<u8>, std::io::Error> { Ok(Vec::new()) }
/// # }
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder(Numbers).build();
/// let mut lease = pool.get().await?;
/// lease.push(1);
/// drop(lease);
/// let lease = pool.get().await?;
/// assert_eq!((&**lease, lease.uses()), (&[1][..], 2));
/// lease.discard();
/// assert_eq!(pool.get().await?.uses(), 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "the connection goes back at once"]
pub struct Lease<M: Manager> {
    slot: Slot<M>,
}

impl<M: Manager> Lease<M> {
    pub(super) fn new(mut slot: Slot<M>) -> Self {
        slot.reason = CloseReason::Broken;
        slot.member.as_mut().expect(GONE).uses += 1;
        Self { slot }
    }

    /// Whom it leads to.
    pub fn key(&self) -> &M::Key {
        &self.slot.key
    }

    /// How often it was handed out, this time included: 1 if it is new.
    pub fn uses(&self) -> u64 {
        self.slot.member().uses
    }

    /// How long ago it was made.
    pub fn age(&self) -> Duration {
        self.slot.member().born.elapsed()
    }

    /// Closes it: nobody shall have it any more.
    pub fn discard(mut self) {
        self.slot.close(CloseReason::Broken);
    }

    /// Takes it out of the pool, which may make another in its place.
    pub fn detach(mut self) -> M::Connection {
        let slot = &mut self.slot;
        let member = slot.member.take().expect(GONE);
        let (key, holder) = (&slot.key, slot.holder);
        slot.shared.with(|state, work| {
            if let Some(holder) = holder {
                state.holders.remove(&holder);
            }
            state.gone(key, CloseReason::Detached, work);
        });
        member.connection
    }

    /// Waits until the pool is closed and has waited for this connection for as long as it was told to.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn revoked(&self) {
        self.slot.shared.revoked.cancelled().await;
    }
}

impl<M: Manager> Deref for Lease<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        &self.slot.member().connection
    }
}

impl<M: Manager> DerefMut for Lease<M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        &mut self.slot.member.as_mut().expect(GONE).connection
    }
}

impl<M: Manager> Drop for Lease<M> {
    fn drop(&mut self) {
        if self.slot.member.is_none() || thread::panicking() {
            return;
        }
        let shared = Arc::clone(&self.slot.shared);
        let (key, connection) = self.slot.parts();
        match shared.manager.on_return(&key, connection) {
            OnReturn::Keep => self.slot.come_back(Instant::now()),
            // The slot closes it.
            OnReturn::Discard => {}
            OnReturn::Reset => {
                let member = self.slot.member.take().expect(GONE);
                let holder = self.slot.holder.expect("a lease has a holder");
                shared.reset(Slot::held(Arc::clone(&shared), key, member, holder));
            }
        }
    }
}

/// Without the connection, which need not know how.
impl<M: Manager> fmt::Debug for Lease<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("uses", &self.slot.member.as_ref().map(|member| member.uses))
            .finish_non_exhaustive()
    }
}
