//! Paths that have no names in them, found at once.

use super::tree::Leaf;

/// Paths, by their lengths: few are of the same.
#[derive(Clone, Default)]
pub(super) struct Exact {
    by_length: Vec<Vec<(Box<str>, Leaf)>>,
}

/// Longer ones are found segment by segment.
const LENGTH_MAX: usize = 256;

impl Exact {
    /// This is what stands at the end of `path` now.
    pub(super) fn set(&mut self, path: &str, leaf: &Leaf) {
        if path.len() > LENGTH_MAX {
            return;
        }
        if self.by_length.len() <= path.len() {
            self.by_length.resize_with(path.len() + 1, Vec::new);
        }
        let alike = &mut self.by_length[path.len()];
        match alike.iter_mut().find(|(known, _)| **known == *path) {
            Some((_, known)) => known.clone_from(leaf),
            None => alike.push((path.into(), leaf.clone())),
        }
    }

    #[inline]
    pub(super) fn find(&self, path: &str) -> Option<&Leaf> {
        let alike = self.by_length.get(path.len())?;
        let (_, leaf) = alike.iter().find(|(known, _)| **known == *path)?;
        Some(leaf)
    }

    /// Where a path is found: its length, and its place among those of the same.
    pub(super) fn place(&self, path: &str) -> Option<(usize, usize)> {
        let mut alike = self.by_length.get(path.len())?.iter();
        let at = alike.position(|(known, _)| **known == *path)?;
        Some((path.len(), at))
    }

    #[inline]
    pub(super) fn at(&self, (length, at): (usize, usize)) -> Option<&Leaf> {
        let (_, leaf) = self.by_length.get(length)?.get(at)?;
        Some(leaf)
    }
}
