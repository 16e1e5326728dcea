//! What the tasks of a set give.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::wraps;
use crate::task::{JoinError, JoinSet};

/// What the tasks of a set give, in the order in which they end; ends when there is none left.
///
/// Dropped, it aborts them, as the set does.
///
/// # Examples
/// ```
/// use blitz_io::stream::{StreamExt, wrappers::JoinSetStream};
/// use blitz_io::task::JoinSet;
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), blitz_io::task::JoinError> {
/// let set: JoinSet<_> = (1..4).map(|number| async move { number }).collect();
/// let sum = JoinSetStream::new(set).fold(Ok(0), |sum, one| Ok(sum? + one?)).await?;
/// assert_eq!(sum, 6);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct JoinSetStream<T> {
    inner: JoinSet<T>,
}

wraps! { [T] JoinSetStream<T>, of JoinSet<T>; }

impl<T: 'static> Stream for JoinSetStream<T> {
    type Item = Result<T, JoinError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_join_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.inner.len(), Some(self.inner.len()))
    }
}
