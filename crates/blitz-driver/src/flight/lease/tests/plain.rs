//! What one thread can see of pool and views.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;

use crate::flight::{BufferPool, BufferView};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn filled(pool: &BufferPool, bytes: &[u8]) -> BufferView {
    let mut lease = pool.try_lease().expect("a buffer is free");
    lease.as_mut_slice()[..bytes.len()].copy_from_slice(bytes);
    lease.freeze(bytes.len())
}

#[test]
fn views_split_share_and_go_home_with_the_last() {
    let pool = BufferPool::new(1, 16);
    let mut view = filled(&pool, b"0123456789");
    let tail = view.split_off(6);
    let head = view.split_to(2);
    let twin = tail.clone();
    assert_eq!(
        (&*head, &*view, &*tail, &*twin),
        (&b"01"[..], &b"2345"[..], &b"6789"[..], &b"6789"[..])
    );
    view.advance(4);
    assert!(view.is_empty());
    drop((view, head, tail));
    assert_eq!(pool.in_use(), 1);
    assert!(pool.try_lease().is_none());
    drop(twin);
    assert_eq!(pool.in_use(), 0);
    assert!(pool.try_lease().is_some());
}

#[test]
fn bytes_are_the_same_bytes_and_may_be_dropped_elsewhere() {
    let pool = BufferPool::new(2, 16);
    let view = filled(&pool, b"payload");
    let address = view.as_ptr();
    let bytes = Bytes::from(view);
    assert_eq!(bytes.as_ptr(), address);
    let part = bytes.slice(3..);
    drop(bytes);
    std::thread::spawn(move || assert_eq!(&*part, b"load"))
        .join()
        .unwrap();
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn an_empty_view_holds_no_buffer() {
    let pool = BufferPool::new(1, 16);
    let view = filled(&pool, b"");
    assert!(view.is_empty());
    assert_eq!(pool.in_use(), 0);
    drop(view);
}

#[test]
fn waiters_are_served_in_line_and_a_leaver_passes_its_turn() {
    let pool = BufferPool::new(1, 16);
    let held = pool.try_lease().unwrap();
    let counts = [(); 3].map(|()| Arc::new(Count::default()));
    let [first, second, third] = counts.clone().map(Waker::from);
    let mut a = Box::pin(pool.lease());
    let mut b = Box::pin(pool.lease());
    let mut c = pin!(pool.lease());
    assert!(
        a.as_mut()
            .poll(&mut Context::from_waker(&first))
            .is_pending()
    );
    assert!(
        b.as_mut()
            .poll(&mut Context::from_waker(&second))
            .is_pending()
    );
    assert!(
        c.as_mut()
            .poll(&mut Context::from_waker(&third))
            .is_pending()
    );
    drop(b);
    drop(held);
    let woken = || counts.each_ref().map(|count| count.0.load(SeqCst));
    assert_eq!(woken(), [1, 0, 0]);
    drop(a); // woken, but never looks: the next in line is told
    assert_eq!(woken(), [1, 0, 1]);
    assert!(matches!(
        c.as_mut().poll(&mut Context::from_waker(&third)),
        Poll::Ready(_)
    ));
    assert_eq!(pool.in_use(), 0);
}

#[test]
#[should_panic(expected = "split_to(3) of 2 bytes")]
fn splitting_beyond_the_end_panics() {
    let pool = BufferPool::new(1, 16);
    filled(&pool, b"ab").split_to(3);
}
