//! A task that lets others go first.

use std::pin::Pin;
use std::task::{Context, Poll};

use blitz_core::budget;

/// Lets the other tasks of this worker run, then goes on.
///
/// The task goes to the back of the queue. A worker that is never without tasks still looks at its sockets and timers at its
/// own interval, and not at each yield.
///
/// # Cancel safety
/// Safe: nothing is lost.
///
/// # Examples
/// ```
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// blitz_io::spawn(async { println!("first") });
/// blitz_io::task::yield_now().await;
/// println!("second");
/// # }
/// ```
pub async fn yield_now() {
    YieldNow { yielded: false }.await;
}

struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        if budget::stops_at_leaf(cx) {
            return Poll::Pending;
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
