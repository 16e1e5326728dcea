//! The halves of a stream under two threads, under wakes that poll at once, and after a panic.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use blitz_io_traits::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex, simplex, split,
};

use crate::script::{Count, block_on, poll_once};

#[test]
fn two_threads_carry_all_both_ways() {
    let (here, there) = duplex(16);
    let data: Vec<u8> = (0..50_000_u32).map(|n| n as u8).collect();
    let sides = [here, there].map(|stream| {
        let (mut reading, mut writing) = split(stream);
        let sent = data.clone();
        let sender = thread::spawn(move || {
            block_on(async {
                writing.write_all(&sent).await?;
                writing.shutdown().await?;
                io::Result::Ok(writing)
            })
        });
        let receiver = thread::spawn(move || {
            let mut all = Vec::new();
            block_on(reading.read_to_end(&mut all)).map(|_| (all, reading))
        });
        (sender, receiver)
    });
    for (sender, receiver) in sides {
        let writing = sender.join().unwrap().unwrap();
        let (all, reading) = receiver.join().unwrap().unwrap();
        assert_eq!(all, data);
        reading.unsplit(writing);
    }
}

/// Says on one barrier that a read is inside, and stays there until another lets it out.
struct Slow {
    entered: Arc<Barrier>,
    leave: Arc<Barrier>,
}

impl AsyncRead for Slow {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.entered.wait();
        self.leave.wait();
        buf.put_slice(b"r");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Slow {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_half_that_finds_the_other_inside_waits_without_its_thread() {
    let [entered, leave] = [(); 2].map(|()| Arc::new(Barrier::new(2)));
    let (mut reading, mut writing) = split(Slow {
        entered: Arc::clone(&entered),
        leave: Arc::clone(&leave),
    });
    let reader = thread::spawn(move || block_on(reading.read_u8()));
    entered.wait();

    let (count, waker) = Count::new();
    let mut write = pin!(writing.write_all(b"w"));
    assert!(
        write
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert_eq!(count.get(), 0);

    leave.wait();
    assert_eq!(reader.join().unwrap().unwrap(), b'r');
    assert_eq!(count.get(), 1, "whoever came out wakes whoever waits");
    assert!(poll_once(write).is_ready());
}

/// A task that is polled within its own wake, as some executors do.
struct PolledByWake(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Wake for PolledByWake {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        // Taken out, so that a wake within the poll finds nothing to poll.
        let task = self.0.lock().unwrap().take();
        if let Some(mut task) = task
            && task
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        {
            *self.0.lock().unwrap() = Some(task);
        }
    }
}

#[test]
fn a_wake_that_polls_the_other_half_does_not_deadlock() {
    let (mut reading, mut writing) = simplex(4);
    let all = Arc::new(Mutex::new(Vec::new()));
    let reader = {
        let all = Arc::clone(&all);
        async move {
            let mut buf = [0; 4];
            loop {
                let n = reading.read(&mut buf).await.unwrap();
                all.lock().unwrap().extend_from_slice(&buf[..n]);
            }
        }
    };
    let task = Arc::new(PolledByWake(Mutex::new(Some(Box::pin(reader)))));
    Arc::clone(&task).wake();
    // The write wakes the reader from within the lock of the halves.
    block_on(writing.write_all(b"abcd")).unwrap();
    assert_eq!(*all.lock().unwrap(), b"abcd");
    // The stream has the waker that has the task that has the stream.
    let reader = task.0.lock().unwrap().take();
    drop(reader);
}

#[test]
fn a_panic_inside_leaves_the_other_half_usable() {
    struct Panics;
    impl AsyncRead for Panics {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            panic!("on purpose");
        }
    }
    let (mut reading, mut writing) = split(blitz_io_traits::join(Panics, Vec::new()));
    let panicked = catch_unwind(AssertUnwindSafe(|| block_on(reading.read_u8())));
    assert!(panicked.is_err());
    block_on(writing.write_all(b"still here")).unwrap();
    assert_eq!(reading.unsplit(writing).writer(), b"still here");
}
