//! How urgent a task is, and the lane it waits in.

use std::fmt;

/// How urgent a task is beside the others of its runtime.
///
/// Whenever a worker chooses what to poll next it takes a task of the greatest priority that waits. A lesser one that waits
/// for long has its turn all the same: see `runtime::Builder::priority_aging`. A poll is never interrupted.
///
/// The more urgent is the greater: `Priority::Critical > Priority::Low`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Work that nobody waits for: it has what the others leave.
    Low,
    /// What tasks are unless somebody says otherwise.
    #[default]
    Normal,
    /// Ahead of what is normal.
    High,
    /// For few and short polls that somebody waits for at once: a wake gets an idle worker to its feet, and whichever worker is
    /// done with its poll first takes the task.
    Critical,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// Its place in [`ALL`](Self::ALL).
    pub(crate) const fn place(self) -> usize {
        Self::Critical as usize - self as usize
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        })
    }
}

/// Where a task waits for its poll. The smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Lane {
    /// Critical, and not polled yet: ahead of everything.
    Urgent,
    Critical,
    High,
    Normal,
    Low,
}

impl Lane {
    /// How many there are.
    pub(crate) const COUNT: usize = 5;
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Urgent,
        Self::Critical,
        Self::High,
        Self::Normal,
        Self::Low,
    ];

    /// The lane of this number, or of the last one.
    #[inline]
    pub(crate) const fn of_number(number: usize) -> Self {
        match number {
            0 => Self::Urgent,
            1 => Self::Critical,
            2 => Self::High,
            3 => Self::Normal,
            _ => Self::Low,
        }
    }

    #[inline]
    pub(crate) const fn number(self) -> usize {
        self as usize
    }

    pub(crate) const fn priority(self) -> Priority {
        match self {
            Self::Urgent | Self::Critical => Priority::Critical,
            Self::High => Priority::High,
            Self::Normal => Priority::Normal,
            Self::Low => Priority::Low,
        }
    }
}

impl From<Priority> for Lane {
    #[inline]
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Critical => Self::Critical,
            Priority::High => Self::High,
            Priority::Normal => Self::Normal,
            Priority::Low => Self::Low,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn lanes_and_priorities_lead_to_each_other() {
        for (number, lane) in Lane::ALL.into_iter().enumerate() {
            assert_eq!((lane.number(), Lane::of_number(number)), (number, lane));
            assert!(lane.number() < 8, "the state word has three bits for it");
        }
        for priority in Priority::ALL {
            assert_eq!(Lane::from(priority).priority(), priority);
        }
        assert_eq!(Priority::ALL.map(Priority::place), [0, 1, 2, 3]);
        assert!(Priority::ALL.is_sorted_by(|a, b| a > b));
        assert!(Lane::ALL.is_sorted());
        assert_eq!(Priority::default(), Priority::Normal);
        assert_eq!(format!("{:>8}|", Priority::High), "    high|");
    }
}
