//! One connection after the other: requests go out when they are due, answers come in, and each is counted.
//!
//! It costs a write and a read a request, one look at the clock for all that a read brings, and no allocation: the requests' bytes are made
//! once, and the buffer, the queue and the two timers stay.

use super::answers::Answers;
use super::tally::Failure;
use super::target::of_transfer;
use super::worker::Worker;
use blitz_io::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use blitz_io::time::{Sleep, sleep, sleep_until};
use bytes::Buf;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What a read may bring at first, and at most once it is seen that more comes.
pub(super) const BUFFER: usize = 16 * 1024;
pub(super) const BUFFER_MAX: usize = 256 * 1024;
/// How long somebody waits who could not connect, at first and at most: a closed loop would do nothing else.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// The requests that a connection has to do with. What is left when it is dropped was not answered.
pub(super) struct Flight {
    worker: Rc<Worker>,
    /// Those that were begun, in their order.
    begun: VecDeque<Begun>,
    /// When the next is due, which was taken and not begun.
    next: Option<u64>,
}

impl Flight {
    pub(super) fn new(worker: &Rc<Worker>) -> Flight {
        Flight {
            worker: Rc::clone(worker),
            begun: VecDeque::new(),
            next: None,
        }
    }

    /// Begins the next.
    fn begin(&mut self, now_ns: u64) {
        let next = self.next.take().map(|due_ns| Begun {
            due_ns,
            at_ns: now_ns,
        });
        self.begun.extend(next);
    }

    /// All that were begun have failed.
    fn fail(&mut self, failure: Failure, words: &str) {
        for one in self.begun.drain(..) {
            self.worker.failed(failure, words, Some(one.due_ns));
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.worker.left(self.begun.drain(..).map(|one| one.due_ns));
        self.worker.left(self.next);
    }
}

/// When a request was due and when it was begun, in nanoseconds: its latency counts from the one, its patience from the other.
#[derive(Clone, Copy, Debug)]
struct Begun {
    due_ns: u64,
    at_ns: u64,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There are no more requests.
    Done,
    /// The server has closed it, or it was for one request: those in flight go on on the next.
    Over,
    /// Those in flight have failed.
    Failed,
}

/// Sends requests until there are no more, on one connection after the other, beginning with `first`.
pub(super) async fn drive<S, F>(worker: Rc<Worker>, first: Option<S>, open: impl Fn() -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<S, (Failure, String)>>,
{
    let mut answers = match worker.target.is_socket() {
        true => Answers::of_socket(),
        false => Answers::new(worker.target.method.clone()),
    };
    let mut flight = Flight::new(&worker);
    let mut connection = first;
    let mut pause = PAUSE;
    loop {
        if flight.begun.is_empty() {
            // Nobody connects for nothing; and what is due now waits for the connection.
            let Some(start) = flight.next.or_else(|| worker.take()) else {
                return;
            };
            flight.next = Some(start);
            if !worker.target.keep_alive {
                worker.until(start).await;
                flight.begin(worker.now());
            }
        }
        let opened = match connection.take() {
            Some(open) => Ok(open),
            None => open().await.inspect(|_| worker.connected()),
        };
        match opened {
            Ok(mut io) => {
                pause = PAUSE;
                answers.restart();
                if exchange(&worker, &mut io, &mut answers, &mut flight).await == End::Done {
                    return;
                }
            }
            Err((failure, words)) => {
                if let Some(start) = flight.next {
                    // It could not even be begun; in an open loop it fails when it is due.
                    worker.until(start).await;
                    flight.begin(worker.now());
                }
                flight.fail(failure, &words);
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Lets requests and answers go over `io`, those of `flight` first.
pub(super) async fn exchange<S>(
    worker: &Worker,
    io: &mut S,
    answers: &mut Answers,
    flight: &mut Flight,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut exchange = Exchange {
        unsent: flight.begun.len() * worker.target.request_len,
        may_begin: worker.target.keep_alive,
        unflushed: false,
        served: 0,
        now_ns: worker.now(),
        worker,
        io,
        answers,
        flight,
        due: None,
        patience: None,
    };
    poll_fn(|cx| exchange.poll(cx)).await
}

struct Exchange<'a, S> {
    worker: &'a Worker,
    io: &'a mut S,
    answers: &'a mut Answers,
    flight: &'a mut Flight,
    /// Bytes that are still to be written: the last so many of the batch.
    unsent: usize,
    unflushed: bool,
    /// Whether this connection takes further requests.
    may_begin: bool,
    /// Answers that it has brought.
    served: u64,
    /// The clock, when it was last looked at.
    now_ns: u64,
    /// Wakes for the next request that is due.
    due: Option<Pin<Box<Sleep>>>,
    /// Wakes when the oldest request may have waited too long.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<'_, S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let waits = self.begin();
            if let Poll::Ready(Err(failed)) = self.poll_send(cx) {
                return Poll::Ready(self.broken(&failed));
            }
            if self.flight.begun.is_empty() && !waits {
                return Poll::Ready(if self.may_begin { End::Done } else { End::Over });
            }
            match self.poll_receive(cx) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(end)) => return Poll::Ready(end),
                Poll::Pending => match self.poll_timers(cx) {
                    Poll::Ready(None) => {}
                    Poll::Ready(Some(end)) => return Poll::Ready(end),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    /// Begins what is due; returns whether a request is held whose time is yet to come.
    fn begin(&mut self) -> bool {
        let target = &self.worker.target;
        let room = target.batch.len() / target.request_len;
        while self.may_begin && self.flight.begun.len() < room {
            let next = self.flight.next;
            let Some(start) = next.or_else(|| self.worker.schedule.take(self.now_ns)) else {
                return false;
            };
            self.flight.next = Some(start);
            if start > self.now_ns {
                self.now_ns = self.worker.now();
            }
            if start > self.now_ns {
                return true;
            }
            self.flight.begin(self.now_ns);
            self.unsent += target.request_len;
        }
        self.flight.next.is_some()
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let target = &self.worker.target;
        loop {
            // A pong stands between two messages.
            let is_between = self.unsent.is_multiple_of(target.request_len);
            let pongs = self.answers.pongs().filter(|_| is_between);
            let bytes = match &pongs {
                Some(pongs) => &pongs[..],
                None => &target.batch[target.batch.len() - self.unsent..],
            };
            if bytes.is_empty() {
                break;
            }
            let sent = ready!(Pin::new(&mut *self.io).poll_write(cx, bytes))?;
            if sent == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            match pongs {
                Some(pongs) => pongs.advance(sent),
                None => self.unsent -= sent,
            }
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut *self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, and counts the answers that are whole.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        let input = &mut self.answers.input;
        // Where all was looked at, this goes back to the beginning of the same memory.
        input.reserve(self.worker.buffer.get());
        let room = input.capacity() - input.len();
        let read = ready!(pin!(self.io.read_buf(input)).poll(cx));
        self.now_ns = self.worker.now();
        match read {
            Ok(0) => return Poll::Ready(Some(self.ended())),
            Ok(read) if read == room => self.worker.grow_buffer(),
            Ok(_) => {}
            Err(error) => return Poll::Ready(Some(self.broken(&error))),
        }
        if self.answers.is_socket() {
            return Poll::Ready(self.take_messages());
        }
        while let Some(one) = self.flight.begun.front() {
            match self.answers.next() {
                Ok(None) => return Poll::Ready(None),
                Ok(Some(answer)) => {
                    self.worker.answered(self.now_ns, one.due_ns, answer);
                    self.flight.begun.pop_front();
                    self.served += 1;
                    if !answer.keep_alive {
                        self.may_begin = false;
                        return Poll::Ready(Some(End::Over));
                    }
                }
                Err(error) => {
                    self.flight.fail(Failure::Garbled, &error.to_string());
                    return Poll::Ready(Some(End::Failed));
                }
            }
        }
        if !self.answers.is_between() {
            let words = "bytes came that belong to no answer";
            self.worker.failed(Failure::Garbled, words, None);
            return Poll::Ready(Some(End::Failed));
        }
        Poll::Ready(None)
    }

    /// Counts the messages that are whole.
    fn take_messages(&mut self) -> Option<End> {
        loop {
            match self.answers.message() {
                Ok(None) => return None,
                Ok(Some(answer)) => {
                    let Some(one) = self.flight.begun.pop_front() else {
                        let words = "a message came that answers none";
                        self.worker.failed(Failure::Garbled, words, None);
                        return Some(End::Failed);
                    };
                    self.worker.answered(self.now_ns, one.due_ns, answer);
                    self.served += 1;
                }
                Err((failure, words)) => {
                    self.flight.fail(failure, &words);
                    return Some(End::Failed);
                }
            }
        }
    }

    /// The server has closed the connection.
    fn ended(&mut self) -> End {
        match self.answers.finish() {
            Ok(Some(answer)) => {
                if let Some(one) = self.flight.begun.pop_front() {
                    self.worker.answered(self.now_ns, one.due_ns, answer);
                }
                End::Over
            }
            Ok(None) if self.may_be_repeated() => End::Over,
            Ok(None) => {
                self.flight
                    .fail(Failure::Closed, "closed without an answer");
                End::Failed
            }
            Err(_) => {
                self.flight.fail(Failure::Closed, "closed within an answer");
                End::Failed
            }
        }
    }

    fn broken(&mut self, error: &std::io::Error) -> End {
        let failure = of_transfer(error);
        let is_gone = matches!(failure, Failure::Reset | Failure::Closed);
        if is_gone && self.answers.is_between() && self.may_be_repeated() {
            return End::Over;
        }
        self.flight.fail(failure, &error.to_string());
        End::Failed
    }

    /// A server may close a connection that has served; the request that crosses that on the way is sent again.
    fn may_be_repeated(&self) -> bool {
        self.served > 0 && !self.answers.is_socket()
    }

    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        if let Some(next) = self.flight.next
            && self.flight.begun.len() * self.worker.target.request_len
                < self.worker.target.batch.len()
        {
            let at = self.worker.at(next);
            let due = self.due.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if due.deadline() != at {
                due.as_mut().reset(at);
            }
            if due.as_mut().poll(cx).is_ready() {
                self.now_ns = self.worker.now().max(next);
                return Poll::Ready(None);
            }
        }
        let timeout = self.worker.timeout_ns();
        while let Some(oldest) = self.flight.begun.front() {
            let end_ns = oldest.at_ns.saturating_add(timeout);
            let at = self.worker.at(end_ns);
            let patience = self
                .patience
                .get_or_insert_with(|| Box::pin(sleep_until(at)));
            ready!(patience.as_mut().poll(cx));
            // It was set for a request before this one, unless that is the one.
            let now = self.worker.now();
            if now >= end_ns {
                self.now_ns = now;
                self.flight.fail(Failure::TimedOut, "no answer in time");
                return Poll::Ready(Some(End::Failed));
            }
            patience.as_mut().reset(at);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::Schedule;
    use super::super::tally::Summary;
    use super::super::target::Target;
    use super::*;
    use blitz_http_proto::ws::{self, Decoder, Encoder, Event, Role};
    use blitz_io::io::{AsyncWriteExt, DuplexStream, duplex};
    use blitz_io::task::LocalSet;
    use bytes::BytesMut;
    use std::sync::Arc;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    /// Runs `future` in time that passes only where everybody waits.
    fn in_virtual_time<F: Future>(future: F) -> F::Output {
        let mut builder = blitz_io::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        LocalSet::new().block_on(&runtime, future)
    }

    fn worker(target: Target, rate: Option<f64>, requests: u64) -> Rc<Worker> {
        let schedule = Schedule::new(rate, Some(requests), 0, 1);
        Rc::new(Worker::new(Arc::new(target), schedule, 1_000_000_000))
    }

    /// Reads a request, waits, and answers, again and again.
    async fn serve(mut io: DuplexStream, request_len: usize, delays_ms: &[u64]) {
        let mut request = vec![0; request_len];
        let mut number = 0;
        while io.read_exact(&mut request).await.is_ok() {
            let delay = delays_ms.get(number).copied().unwrap_or(0);
            sleep(Duration::from_millis(delay)).await;
            if io.write_all(ANSWER).await.is_err() {
                return;
            }
            number += 1;
        }
    }

    /// Drives one connection to a server that answers with these delays; then there is no server.
    async fn driven(worker: &Rc<Worker>, delays_ms: &'static [u64]) -> Summary {
        let (client, server) = duplex(64 * 1024);
        let len = worker.target.request_len;
        let serving = blitz_io::task::spawn_local(serve(server, len, delays_ms));
        let nowhere = || async { Err((Failure::Refused, "refused".to_owned())) };
        drive(Rc::clone(worker), Some(client), nowhere).await;
        serving.abort();
        worker.summary()
    }

    /// Messages come back in any pieces; pings between them are answered, and between messages only.
    #[test]
    fn messages_are_counted_and_pings_answered() {
        in_virtual_time(async {
            let body = vec![7; 300];
            let worker = worker(Target::pretended_socket(3, &body), None, 40);
            let (client, mut server) = duplex(100);
            let serving = blitz_io::task::spawn_local(async move {
                let (mut decoder, mut input) = (
                    Decoder::new(Role::Server, ws::Limits::default()),
                    BytesMut::new(),
                );
                let (mut encoder, mut out) = (Encoder::server(), BytesMut::new());
                let (mut messages, mut pongs) = (0, 0);
                while server.read_buf(&mut input).await.is_ok_and(|read| read > 0) {
                    while let Some(event) = decoder.decode(&mut input).expect("no fault") {
                        match event {
                            Event::Message(message) => {
                                messages += 1;
                                if messages % 5 == 0 {
                                    encoder.ping(b"there?", &mut out);
                                }
                                encoder.message(&message, &mut out);
                            }
                            Event::Pong(_) => pongs += 1,
                            other => panic!("{other:?}"),
                        }
                    }
                    if server.write_all(&out.split()).await.is_err() {
                        break;
                    }
                }
                (messages, pongs)
            });
            let nowhere = || async { Err((Failure::Refused, "refused".to_owned())) };
            drive(Rc::clone(&worker), Some(client), nowhere).await;
            let sum = worker.summary();
            assert_eq!((sum.answers, sum.messages, sum.errors()), (40, 40, 0));
            assert_eq!(sum.bytes, 40 * 304 + 8 * 8);
            let (messages, pongs) = serving.await.expect("no panic");
            assert_eq!(messages, 40);
            assert!(pongs >= 6, "{pongs}");
        });
    }

    #[test]
    fn a_socket_that_closes_has_not_answered() {
        in_virtual_time(async {
            let worker = worker(Target::pretended_socket(2, b"x"), None, 5);
            let (client, mut server) = duplex(1000);
            let mut wire = BytesMut::new();
            let mut encoder = Encoder::server();
            encoder.message(&ws::Message::text("x"), &mut wire);
            encoder.close(Some((ws::CloseCode::GOING_AWAY, "")), &mut wire);
            server.write_all(&wire).await.expect("room");
            let nowhere = || async { Err((Failure::Refused, "refused".to_owned())) };
            drive(Rc::clone(&worker), Some(client), nowhere).await;
            let sum = worker.summary();
            assert_eq!(sum.messages, 1);
            let closed = &sum.failures[&Failure::Closed];
            assert_eq!(
                (closed.count, closed.first.as_str()),
                (1, "closed with 1001")
            );
            assert_eq!(sum.failures[&Failure::Refused].count, 3);
        });
    }

    #[test]
    fn in_an_open_loop_a_stall_makes_all_that_were_due_wait() {
        in_virtual_time(async {
            // 100 a second; the sixth takes a second, so those behind it come late by what is left of that.
            let worker = worker(Target::pretended(1, true), Some(100.0), 120);
            let sum = driven(&worker, &[0, 0, 0, 0, 0, 1000]).await;
            assert_eq!((sum.answers, sum.errors()), (120, 0));
            // Due at 50 ms and answered at 1050 ms; the one due at 1040 ms waited 10 ms.
            let late = sum
                .latency
                .ranges(&[Duration::from_millis(9), Duration::MAX]);
            assert_eq!(late, [20, 100]);
            let ms = sum.latency.max().as_millis();
            assert!((1000..1010).contains(&ms), "{ms} ms");
            // The last was due at 1190 ms.
            let ended = worker.now() / 1_000_000;
            assert!((1190..1210).contains(&ended), "{ended} ms");
        });
    }

    #[test]
    fn in_a_closed_loop_one_stall_is_one_request() {
        in_virtual_time(async {
            let worker = worker(Target::pretended(1, true), None, 120);
            let sum = driven(&worker, &[0, 0, 0, 0, 0, 1000]).await;
            let late = sum
                .latency
                .ranges(&[Duration::from_millis(9), Duration::MAX]);
            assert_eq!(late, [119, 1]);
        });
    }

    #[test]
    fn requests_are_pipelined() {
        in_virtual_time(async {
            let worker = worker(Target::pretended(8, true), None, 100);
            let sum = driven(&worker, &[]).await;
            assert_eq!((sum.answers, sum.errors(), sum.unfinished), (100, 0, 0));
        });
    }

    #[test]
    fn who_does_not_answer_in_time_is_counted_and_left() {
        in_virtual_time(async {
            let worker = worker(Target::pretended(2, true), None, 5);
            // A pretended target waits for 5 s.
            let sum = driven(&worker, &[0, 20_000]).await;
            let failed = |failure| sum.failures.get(&failure).map(|failed| failed.count);
            assert_eq!(failed(Failure::TimedOut), Some(2));
            // There is no server to connect to again.
            assert_eq!(failed(Failure::Refused), Some(2));
            assert_eq!((sum.answers, sum.requests()), (1, 5));
            let ms = sum.latency.max().as_millis();
            assert!((5000..5010).contains(&ms), "{ms} ms");
        });
    }

    #[test]
    fn what_is_under_way_at_the_end_has_waited_in_an_open_loop() {
        in_virtual_time(async {
            let worker = worker(Target::pretended(1, true), Some(10.0), 1000);
            let driving = driven(&worker, &[0, 60_000]);
            let end = sleep(Duration::from_millis(3050));
            blitz_io::select! {
                _ = driving => panic!("it has not sent all"),
                () = end => {}
            }
            worker.end();
            let sum = worker.summary();
            // Due every 100 ms from 0 to 3000 ms; all but the first wait.
            assert_eq!((sum.answers, sum.unfinished), (1, 30));
            assert_eq!(sum.latency.len(), 31);
            let ms = sum.latency.max().as_millis();
            assert!((2940..2960).contains(&ms), "{ms} ms");
        });
    }
}
