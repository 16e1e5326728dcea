//! Those who wait for a connection of one key, in the order in which they came, and the dials that are under way for them.
//!
//! The first waiters are covered by a dial each; `uncovered` is the first who is not. It is kept by a mark in the line, which moves by
//! one step for each who comes or goes: looking for it anew each time would be quadratic in a burst.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::task::Waker;

/// What somebody wants who asks for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Wants {
    /// One that there is, or that a task of the pool makes.
    Any,
    /// One that there is, or a place for one of its own making.
    AnyOrPlace,
    /// A place for one of its own making: none that there is will do.
    Place,
}

impl Wants {
    /// It makes its connection itself, if one is to be made.
    pub(super) fn makes(self) -> bool {
        self != Wants::Any
    }
}

#[derive(Debug)]
struct Waiter {
    waker: Option<Waker>,
    wants: Wants,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    waiters: BTreeMap<u64, Waiter>,
    dials: usize,
    /// How many stand before the mark.
    covered: usize,
    /// The first who is not covered; none if all are.
    mark: Option<u64>,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn dials(&self) -> usize {
        self.dials
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.waiters.first_key_value().map(|(number, _)| *number)
    }

    /// What the first waiter wants.
    pub(super) fn first_wants(&self) -> Option<Wants> {
        self.waiters
            .first_key_value()
            .map(|(_, waiter)| waiter.wants)
    }

    /// Whether a waiter makes its connection itself.
    pub(super) fn makes(&self, number: u64) -> bool {
        let waiter = self.waiters.get(&number);
        waiter.is_some_and(|waiter| waiter.wants.makes())
    }

    /// The first waiter for whom no dial is under way.
    pub(super) fn uncovered(&self) -> Option<u64> {
        self.mark
    }

    pub(super) fn waker_mut(&mut self, number: u64) -> Option<&mut Option<Waker>> {
        self.waiters
            .get_mut(&number)
            .map(|waiter| &mut waiter.waker)
    }

    /// One comes, at the end of the line or at a place that it had before.
    pub(super) fn insert(&mut self, number: u64, wants: Wants) {
        let is_last = self
            .waiters
            .last_key_value()
            .is_none_or(|(last, _)| *last < number);
        let waiter = Waiter { waker: None, wants };
        self.waiters.insert(number, waiter);
        match self.mark {
            Some(mark) if mark < number => {}
            None if is_last => self.mark = Some(number),
            _ => self.covered += 1,
        }
        self.balance();
    }

    /// One goes.
    pub(super) fn remove(&mut self, number: u64) -> Option<Option<Waker>> {
        let waker = self.waiters.remove(&number)?.waker;
        match self.mark {
            Some(mark) if mark == number => self.mark = self.after(number),
            Some(mark) if mark < number => {}
            _ => self.covered -= 1,
        }
        self.balance();
        Some(waker)
    }

    pub(super) fn pop_first(&mut self) -> Option<(u64, Option<Waker>)> {
        let number = self.first()?;
        self.remove(number).map(|waker| (number, waker))
    }

    pub(super) fn dial_begins(&mut self) {
        self.dials += 1;
        self.balance();
    }

    pub(super) fn dial_ends(&mut self) {
        self.dials -= 1;
        self.balance();
    }

    fn after(&self, number: u64) -> Option<u64> {
        let mut behind = self.waiters.range((Excluded(number), Unbounded));
        behind.next().map(|(number, _)| *number)
    }

    fn balance(&mut self) {
        while self.covered < self.dials
            && let Some(mark) = self.mark
        {
            self.covered += 1;
            self.mark = self.after(mark);
        }
        while self.covered > self.dials {
            let before = match self.mark {
                Some(mark) => self.waiters.range(..mark).next_back(),
                None => self.waiters.last_key_value(),
            };
            self.mark = before.map(|(number, _)| *number);
            self.covered -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Move {
        Come,
        ComeBack(u64),
        Go(u64),
        Serve,
        DialBegins,
        DialEnds,
    }

    fn any_move() -> impl Strategy<Value = Move> {
        prop_oneof![
            3 => Just(Move::Come),
            1 => (0..40_u64).prop_map(Move::ComeBack),
            1 => (0..40_u64).prop_map(Move::Go),
            1 => Just(Move::Serve),
            2 => Just(Move::DialBegins),
            2 => Just(Move::DialEnds),
        ]
    }

    proptest! {
        #[test]
        fn the_mark_is_where_counting_finds_it(moves in proptest::collection::vec(any_move(), 0..80)) {
            let mut line = Line::default();
            let mut next = 40;
            for each in moves {
                match each {
                    Move::Come => {
                        next += 1;
                        line.insert(next, Wants::Any);
                    }
                    Move::ComeBack(number) if !line.waiters.contains_key(&number) => line.insert(number, Wants::Any),
                    Move::Go(number) => drop(line.remove(number)),
                    Move::Serve => drop(line.pop_first()),
                    Move::DialBegins => line.dial_begins(),
                    Move::DialEnds if line.dials() > 0 => line.dial_ends(),
                    Move::ComeBack(_) | Move::DialEnds => {}
                }
                let counted = line.waiters.keys().nth(line.dials()).copied();
                prop_assert_eq!(line.uncovered(), counted);
                prop_assert_eq!(line.covered, line.dials().min(line.len()));
            }
        }
    }
}
