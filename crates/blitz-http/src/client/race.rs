//! The first of several addresses that answers (RFC 8305 §5).

use blitz_io::time::{Instant, Sleep, sleep_until};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Connects to the addresses in their order: the next one gets its chance when the one before has failed, or has said nothing for
/// `stagger`. The first connection wins, and the other attempts are dropped.
pub(super) async fn first<F, T>(
    addresses: Vec<SocketAddr>,
    stagger: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<(T, SocketAddr)>
where
    F: Future<Output = io::Result<T>>,
{
    if let [address] = addresses[..] {
        return Ok((connect(address).await?, address));
    }
    let mut race = Race {
        going: Vec::new(),
        timer: None,
        failed: None,
    };
    let mut next = addresses.into_iter();
    poll_fn(|cx| {
        let mut start = race.going.is_empty();
        loop {
            if start && let Some(address) = next.next() {
                race.going.push((address, Box::pin(connect(address))));
                race.set_timer(stagger);
            }
            match race.poll(cx) {
                Poll::Ready(Ok(won)) => return Poll::Ready(Ok(won)),
                Poll::Ready(Err(())) => start = true,
                Poll::Pending if next.len() > 0 && race.is_late(cx) => start = true,
                Poll::Pending => return Poll::Pending,
            }
            if race.going.is_empty() && next.len() == 0 {
                let failed = race.failed.take();
                return Poll::Ready(Err(
                    failed.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())
                ));
            }
        }
    })
    .await
}

struct Race<F> {
    going: Vec<(SocketAddr, Pin<Box<F>>)>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Why the first one failed that did: it was the preferred one.
    failed: Option<io::Error>,
}

impl<F, T> Race<F>
where
    F: Future<Output = io::Result<T>>,
{
    fn set_timer(&mut self, stagger: Duration) {
        let Some(at) = Instant::now().checked_add(stagger) else {
            self.timer = None;
            return;
        };
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(at),
            None => self.timer = Some(Box::pin(sleep_until(at))),
        }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let timer = self.timer.as_mut();
        timer.is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
    }

    /// An error: one of them failed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(T, SocketAddr), ()>> {
        let mut failed = false;
        let mut at = 0;
        while let Some((address, attempt)) = self.going.get_mut(at) {
            match attempt.as_mut().poll(cx) {
                Poll::Pending => at += 1,
                Poll::Ready(Ok(stream)) => return Poll::Ready(Ok((stream, *address))),
                Poll::Ready(Err(error)) => {
                    self.going.remove(at);
                    self.failed.get_or_insert(error);
                    failed = true;
                }
            }
        }
        if failed || self.going.is_empty() {
            Poll::Ready(Err(()))
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use super::first;
    use blitz_io::time::{Instant, sleep};
    use std::io;
    use std::net::SocketAddr;
    use std::time::Duration;

    /// An address whose port says after how many milliseconds it answers; an even one refuses.
    async fn connect(address: SocketAddr) -> io::Result<u16> {
        sleep(Duration::from_millis(u64::from(address.port()))).await;
        if address.port().is_multiple_of(2) {
            Err(io::ErrorKind::ConnectionRefused.into())
        } else {
            Ok(address.port())
        }
    }

    /// Who wins, after how many milliseconds.
    fn race(ports: &[u16]) -> (io::Result<u16>, u128) {
        let runtime = blitz_io::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let addresses = ports
                .iter()
                .map(|port| SocketAddr::from(([127, 0, 0, 1], *port)));
            let begun = Instant::now();
            let won = first(addresses.collect(), Duration::from_millis(250), connect).await;
            (won.map(|(port, _)| port), begun.elapsed().as_millis())
        })
    }

    #[test]
    fn the_next_address_gets_its_chance_in_time() {
        let won = |(won, ms): (io::Result<u16>, u128)| (won.expect("a winner"), ms);
        assert_eq!(won(race(&[11, 1])), (11, 11));
        assert_eq!(
            won(race(&[9999, 51])),
            (51, 301),
            "a silent one costs its quarter of a second"
        );
        assert_eq!(
            won(race(&[20, 51])),
            (51, 71),
            "one that refuses costs no more than that"
        );
        assert_eq!(won(race(&[9999, 8888, 1])), (1, 501));
        assert_eq!(
            won(race(&[301, 9999])),
            (301, 301),
            "the slow one goes on meanwhile"
        );
        let (none, ms) = race(&[20, 40]);
        assert_eq!(
            (none.expect_err("none").kind(), ms),
            (io::ErrorKind::ConnectionRefused, 60)
        );
        assert!(race(&[]).0.is_err());
    }
}
