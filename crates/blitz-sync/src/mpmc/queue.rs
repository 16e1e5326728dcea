//! The two kinds of queue, as one.

use super::list::List;
use super::ring::Ring;
use crate::races;

/// What a receiver found.
pub(super) enum Found<T> {
    Value(T),
    Nothing,
    /// The queue is closed, and everything was taken.
    End,
}

/// Why a value was not taken; it comes back.
pub(super) enum Refused<T> {
    Full(T),
    Closed(T),
}

/// A queue of many senders and many receivers.
pub(super) enum Queue<T> {
    Bounded(Ring<T>),
    Unbounded(List<T>),
}

impl<T> Queue<T> {
    #[inline]
    pub(super) fn push_at_once(&self, value: T) -> Result<(), T> {
        match self {
            Self::Bounded(ring) => ring.push_at_once(value),
            Self::Unbounded(list) => list.push_at_once(value),
        }
    }

    #[inline]
    pub(super) fn pop_at_once(&self) -> Option<T> {
        match self {
            Self::Bounded(ring) => ring.pop_at_once(),
            Self::Unbounded(list) => list.pop_at_once(),
        }
    }

    pub(super) fn push(&self, value: T) -> Result<(), Refused<T>> {
        match self {
            Self::Bounded(ring) => ring.push(value),
            Self::Unbounded(list) => list.push(value).map_err(Refused::Closed),
        }
    }

    pub(super) fn displace(&self, value: T) -> Result<Option<T>, T> {
        match self {
            Self::Bounded(ring) => ring.displace(value),
            Self::Unbounded(list) => list.push(value).map(|()| None),
        }
    }

    pub(super) fn pop(&self) -> Found<T> {
        match self {
            Self::Bounded(ring) => ring.pop(),
            Self::Unbounded(list) => list.pop(),
        }
    }

    pub(super) fn close(&self) -> bool {
        match self {
            Self::Bounded(ring) => ring.close(),
            Self::Unbounded(list) => list.close(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Bounded(ring) => ring.is_closed(),
            Self::Unbounded(list) => list.is_closed(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Bounded(ring) => ring.is_empty(),
            Self::Unbounded(list) => list.is_empty(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Bounded(ring) => ring.is_full(),
            Self::Unbounded(_) => false,
        }
    }

    /// A figure that grows with each value that is sent.
    pub(super) fn sent(&self) -> usize {
        match self {
            Self::Bounded(ring) => ring.sent(),
            Self::Unbounded(list) => list.sent(),
        }
    }

    /// A figure that grows with each value that is received, where somebody may wait for that.
    pub(super) fn received(&self) -> usize {
        match self {
            Self::Bounded(ring) => ring.received(),
            Self::Unbounded(_) => 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bounded(ring) => ring.len(),
            Self::Unbounded(list) => list.len(),
        }
    }

    /// So many values are enough for one side to get ahead: who waits for more may wait for a side that has no room left, or no value.
    pub(super) fn enough(&self) -> usize {
        match self {
            Self::Bounded(ring) => ring.bound() / 2,
            Self::Unbounded(_) => races::NO_END,
        }
    }

    /// How many values it holds at most.
    #[inline]
    pub(super) fn bound(&self) -> Option<usize> {
        match self {
            Self::Bounded(ring) => Some(ring.bound()),
            Self::Unbounded(_) => None,
        }
    }
}
