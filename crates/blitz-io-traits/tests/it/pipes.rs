//! Pipes in memory: ends, errors, wakes, and that no foreign code runs under their lock.

use std::io::{ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use blitz_io_traits::{
    AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, SimplexStream, duplex, simplex,
};

use crate::script::{Count, block_on, poll_once, poll_times};

#[test]
fn a_dropped_end_is_the_end_after_what_was_written() {
    let (mut here, mut there) = duplex(64);
    block_on(here.write_all(b"last words")).unwrap();
    drop(here);
    let mut text = String::new();
    block_on(there.read_to_string(&mut text)).unwrap();
    assert_eq!(text, "last words");
    let refused = block_on(there.write(b"anyone?")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
    // Also for writes of nothing: the error tells more than their success.
    assert_eq!(
        block_on(there.write(b"")).unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

#[test]
fn a_shutdown_ends_one_direction() {
    let (mut here, mut there) = duplex(64);
    block_on(here.shutdown()).unwrap();
    assert_eq!(
        block_on(here.write(b"x")).unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    assert_eq!(block_on(there.read(&mut [0; 4])).unwrap(), 0);
    block_on(there.write_all(b"other way")).unwrap();
    assert_eq!(block_on(here.read(&mut [0; 64])).unwrap(), 9);
}

#[test]
fn calls_without_bytes_never_wait() {
    let (mut here, _there) = duplex(1);
    assert_eq!(poll_times(here.read(&mut []), 1).unwrap().unwrap(), 0);
    block_on(here.write_all(b"x")).unwrap();
    assert_eq!(poll_times(here.write(&[]), 1).unwrap().unwrap(), 0);
    let nothing = [IoSlice::new(&[]), IoSlice::new(&[])];
    assert_eq!(
        poll_times(here.write_vectored(&nothing), 1)
            .unwrap()
            .unwrap(),
        0
    );
}

#[test]
fn a_full_pipe_takes_what_fits() {
    let (mut here, mut there) = duplex(8);
    assert!(here.is_write_vectored());
    let slices = [
        IoSlice::new(b"abc"),
        IoSlice::new(b""),
        IoSlice::new(b"defghijk"),
    ];
    assert_eq!(block_on(here.write_vectored(&slices)).unwrap(), 8);
    assert!(poll_times(here.write(b"x"), 1).is_none());
    // Around the end of the ring.
    let mut buf = [0; 5];
    block_on(there.read_exact(&mut buf)).unwrap();
    assert_eq!(block_on(here.write(b"123456")).unwrap(), 5);
    let mut rest = [0; 16];
    let n = block_on(there.read(&mut rest)).unwrap();
    assert_eq!(&rest[..n], b"fgh12345");
}

#[test]
fn a_dropped_reader_fails_a_writer_that_waits() {
    let (mut here, there) = duplex(1);
    let (count, waker) = Count::new();
    let mut write = pin!(here.write_all(b"ab"));
    assert!(
        write
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(there);
    assert_eq!(count.get(), 1);
    match poll_once(write) {
        Poll::Ready(answer) => assert_eq!(answer.unwrap_err().kind(), ErrorKind::BrokenPipe),
        Poll::Pending => panic!("it waits for nobody"),
    }
}

#[test]
fn only_the_last_task_is_woken() {
    let (mut here, mut there) = duplex(8);
    let [(first, one), (second, two)] = [Count::new(), Count::new()];
    let mut buf = [0; 4];
    let mut read = pin!(there.read(&mut buf));
    assert!(
        read.as_mut()
            .poll(&mut Context::from_waker(&one))
            .is_pending()
    );
    assert!(
        read.as_mut()
            .poll(&mut Context::from_waker(&two))
            .is_pending()
    );
    block_on(here.write_all(b"x")).unwrap();
    assert_eq!((first.get(), second.get()), (0, 1));
}

#[test]
fn threads_at_both_ends_carry_all() {
    let (mut here, mut there) = duplex(7);
    let data: Vec<u8> = (0..100_000_u32).map(|n| (n >> 3) as u8).collect();
    let sent = data.clone();
    let sender = thread::spawn(move || block_on(here.write_all(&sent)));
    let mut all = Vec::new();
    block_on(there.read_to_end(&mut all)).unwrap();
    sender.join().unwrap().unwrap();
    assert_eq!(all, data);
}

#[test]
fn one_way_ends_by_shutdown_and_goes_on_after_unsplit() {
    let (mut reading, mut writing) = simplex(8);
    assert!(poll_times(reading.read(&mut [0; 4]), 1).is_none());
    block_on(writing.write_all(b"abc")).unwrap();
    let mut whole = reading.unsplit(writing);
    block_on(whole.shutdown()).unwrap();
    let mut text = String::new();
    block_on(whole.read_to_string(&mut text)).unwrap();
    assert_eq!(text, "abc");
    assert_eq!(
        block_on(whole.write(b"x")).unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

#[test]
#[should_panic(expected = "greater than zero")]
fn a_pipe_without_room_is_refused() {
    duplex(0);
}

#[test]
#[should_panic(expected = "greater than zero")]
fn a_one_way_pipe_without_room_is_refused() {
    SimplexStream::new_unsplit(0);
}

/// A waker that owns an end of the very pipe it waits at, and uses it when it is woken or dropped.
struct Owner(Mutex<Option<DuplexStream>>);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        if let Some(mut end) = self.0.lock().unwrap().take() {
            // Takes the pipe's lock; so does the drop that follows.
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut end).poll_write(&mut cx, b"w");
        }
    }
}

#[test]
fn wakes_and_drops_of_wakers_run_outside_the_lock() {
    // Woken by a write, a shutdown and a drop of the other end.
    let acts: [fn(&mut DuplexStream); 3] = [
        |end| assert!(poll_times(end.write(b"x"), 1).is_some()),
        |end| assert!(poll_times(end.shutdown(), 1).is_some()),
        |end| *end = duplex(1).0,
    ];
    for act in acts {
        let (mut here, mut there) = duplex(4);
        let (other, _keep) = duplex(4);
        let waker = Waker::from(Arc::new(Owner(Mutex::new(Some(other)))));
        let mut buf = [0; 4];
        let mut read = pin!(there.read(&mut buf));
        assert!(
            read.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        act(&mut here);
        assert!(poll_once(read).is_ready());
    }

    // Replaced: the waker that goes drops the other end of the same pipe.
    let (mut here, there) = duplex(4);
    let waker = Waker::from(Arc::new(Owner(Mutex::new(Some(there)))));
    let mut buf = [0; 4];
    let mut read = pin!(here.read(&mut buf));
    assert!(
        read.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(waker);
    assert!(poll_once(read.as_mut()).is_pending());
    assert!(poll_once(read).is_ready());
}
