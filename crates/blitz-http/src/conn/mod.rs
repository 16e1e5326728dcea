//! One connection: [`Connection`] polls the service and the bodies of its answers; [`core`] does what has nothing to do with them;
//! [`out`] is what is to be written, [`socket`] what of it the kernel has not taken, [`file`] what it sends of files, [`waits`] how long a wait may be, [`answer`] how answers begin,
//! [`watch`] whether anybody waits for them, [`standing`] requests that come again and need not be made again.

mod answer;
mod core;
mod file;
pub(crate) mod out;
mod socket;
mod standing;
mod waits;
pub(crate) mod watch;

pub(crate) use self::core::Arrived;
use self::core::{Core, HIGH, Life};
use self::out::COPY_MAX;
use self::standing::Looked;
use crate::counters::add;
use crate::peer::Ends;
use crate::router::{Choice, Router, RouterFuture};
use crate::{BoxError, Handle, Peer, Request, hints, spare};
use blitz_io::io::{AsyncRead, AsyncWrite};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body::Body;
use std::any::Any;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tower_service::Service;

/// Requests that are begun before other tasks get their turn.
const REQUESTS_A_POLL: u32 = 128;

pin_project_lite::pin_project! {
    /// A connection being served: a future that is ready when it has ended.
    ///
    /// [`Server`](crate::Server) makes them; for a stream of another kind, make one and await it. A `TcpStream` has its short answers written
    /// with others' after [`into_batched`](blitz_io::net::TcpStream::into_batched), as a server's are.
    ///
    /// # Cancel safety
    /// **Not safe**: a dropped connection is closed, and what it was answering is lost.
    #[must_use = "a connection is served while it is polled"]
    #[project = ConnectionProjected]
    pub struct Connection<I, S, B>
    where
        S: Service<Request>,
    {
        service: S,
        waiting: Option<Request>,
        #[pin]
        exchange: Exchange<S::Future, B>,
        core: Core<I>,
        stop: Stop,
    }
}

pin_project_lite::pin_project! {
    /// What the service is doing.
    #[project = ExchangeProjected]
    enum Exchange<F, B> {
        None,
        Handling {
            #[pin]
            future: F,
        },
        Responding {
            #[pin]
            body: B,
        },
    }
}

impl<I, S, B> Connection<I, S, B>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request, Response = Response<B>> + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    /// Serves `io` by `service`, with the limits and for the lifetime of `handle`.
    pub fn new(io: I, service: S, handle: &Handle, peer: Peer) -> Self {
        let arrived = Arrived {
            ends: Ends::new(peer),
            seat: handle.seat(peer),
            ahead: BytesMut::new(),
        };
        Connection::arrived(io, service, handle, arrived)
    }

    /// As [`new`](Connection::new), with what is known already.
    pub(crate) fn arrived(io: I, service: S, handle: &Handle, arrived: Arrived) -> Self {
        Connection {
            service,
            waiting: None,
            exchange: Exchange::None,
            core: Core::new(io, handle, arrived),
            stop: Stop::default(),
        }
    }

    /// Has its client looked at while it waits for an answer.
    pub(crate) fn watched(mut self, by: watch::Watch<I>) -> Self {
        self.core.watch = Some(by);
        self
    }

    /// Lets the service do what it can.
    fn serve(self: Pin<&mut Self>, cx: &mut Context<'_>, begun: &mut u32) {
        let mut this = self.project();
        loop {
            // One guard for all that is done without the client: to set one up for each call costs more than most handlers.
            let guarded = AssertUnwindSafe(|| {
                while this.core.life == Life::Serving && step(&mut this, cx, begun) {}
            });
            if catch_unwind(guarded).is_ok() {
                return;
            }
            this.exchange.set(Exchange::None);
            *this.waiting = None;
            panicked(this.core);
        }
    }
}

/// Lets the service do the next thing, and what follows from it at once. `true` if there was any.
#[inline]
fn step<I, S, B>(
    this: &mut ConnectionProjected<'_, I, S, B>,
    cx: &mut Context<'_>,
    begun: &mut u32,
) -> bool
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request, Response = Response<B>> + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    let core = &mut *this.core;
    if matches!(this.exchange.as_mut().project(), ExchangeProjected::None) {
        // Requests and responses are large, and a move is a copy: they stay where they are made until they are handed over.
        let future = if this.waiting.is_none() {
            if core.turn.is_some() {
                return core.after_answer();
            }
            if core.out.len() >= HIGH || *begun >= REQUESTS_A_POLL || !core.may_have_request() {
                return false;
            }
            if let Some(router) = router(this.service) {
                match route(core, router, begun) {
                    Ok(future) => {
                        let mut future = Some(future);
                        let future =
                            (&mut future as &mut dyn Any).downcast_mut::<Option<S::Future>>();
                        let Some(future) = future.and_then(Option::take) else {
                            unreachable!("the future of a router is a router's");
                        };
                        future
                    }
                    Err(goes_on) => return goes_on,
                }
            } else {
                let Some(request) = spare::decoded(|request| core.next_request(request)) else {
                    return core.life != Life::Serving;
                };
                *begun += 1;
                match this.service.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Pending => {
                        *this.waiting = Some(request);
                        return false;
                    }
                    Poll::Ready(Err(error)) => {
                        fails(core, error.into());
                        return true;
                    }
                }
                this.service.call(request)
            }
        } else {
            let ready = this.service.poll_ready(cx);
            let Some(request) = this.waiting.take_if(|_| ready.is_ready()) else {
                return false;
            };
            if let Poll::Ready(Err(error)) = ready {
                fails(core, error.into());
                return true;
            }
            this.service.call(request)
        };
        this.exchange.set(Exchange::Handling { future });
    }
    if let ExchangeProjected::Handling { future } = this.exchange.as_mut().project() {
        let listening = hints::listen();
        let mut polled = future.poll(cx);
        let hints = listening.end();
        if let Poll::Ready(Ok(response)) = &mut polled {
            let length = response.body().size_hint().exact();
            core.respond(response, length);
        }
        let mut body = match polled {
            Poll::Ready(Ok(mut response)) => {
                if let Some(bytes) = whole(response.body_mut()) {
                    this.exchange.set(Exchange::None);
                    return core.send_whole(bytes);
                }
                response.into_body()
            }
            Poll::Pending => {
                hints.iter().for_each(|fields| core.inform(fields));
                return core.pump();
            }
            Poll::Ready(Err(error)) => {
                this.exchange.set(Exchange::None);
                fails(core, error.into());
                return true;
            }
        };
        core.take_file(&mut body);
        this.exchange.set(Exchange::Responding { body });
    }
    let ExchangeProjected::Responding { body } = this.exchange.as_mut().project() else {
        return true;
    };
    if core.file.is_some() {
        return core.pump();
    }
    if core.out.len() >= HIGH {
        return false;
    }
    match send(core, body, cx) {
        Sent::Some => true,
        Sent::Nothing => core.pump(),
        Sent::All => {
            this.exchange.set(Exchange::None);
            core.after_answer()
        }
        // What was sent is not whole: the connection's end has to say so.
        Sent::Broken => {
            this.exchange.set(Exchange::None);
            core.life = Life::Flushing;
            true
        }
    }
}

/// Has a router answer the next request. The future is what has not been answered at once; without one it is whether there is more to do.
#[inline]
fn route<I>(core: &mut Core<I>, router: &Router, begun: &mut u32) -> Result<RouterFuture, bool>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut future = match core.look_again(router) {
        Looked::Said => {
            *begun += 1;
            return Err(true);
        }
        Looked::At(answer) => {
            *begun += 1;
            RouterFuture::ready(answer.into_response())
        }
        Looked::Other => {
            let Some(mut request) = spare::decoded(|request| core.next_request(request)) else {
                return Err(core.life != Life::Serving);
            };
            *begun += 1;
            match router.choose(&mut request) {
                Choice::Answer(response) => RouterFuture::ready(response),
                Choice::Handler(handler) => match handler.as_look().filter(|_| core.is_plain()) {
                    Some(look) => {
                        let known = core.may_stand(&request);
                        let answer = look.answer(&request);
                        core.keep(request, known, router);
                        if core.say(&answer) {
                            return Err(true);
                        }
                        RouterFuture::ready(answer.into_response())
                    }
                    None => handler.call(request),
                },
            }
        }
    };
    let Some(response) = answered(&mut future) else {
        return Ok(future);
    };
    let goes_on = core.respond_whole(response);
    // Nothing is left in it, and a look at each part costs more than this says.
    drop(std::mem::take(response.extensions_mut()));
    if response.headers().capacity() == 0 {
        std::mem::forget(future);
    }
    Err(goes_on)
}

/// How far a body went in one step.
enum Sent {
    Some,
    Nothing,
    All,
    Broken,
}

/// Sends the next frame of a body.
fn send<I, B>(core: &mut Core<I>, mut body: Pin<&mut B>, cx: &mut Context<'_>) -> Sent
where
    I: AsyncRead + AsyncWrite + Unpin,
    B: Body,
    B::Error: Into<BoxError>,
{
    let Some(turn) = &mut core.turn else {
        return Sent::All;
    };
    let Some(encoder) = turn.encoder.as_mut().filter(|encoder| encoder.sends()) else {
        // Nobody is told what a body would have been.
        return Sent::All;
    };
    let frame = match body.as_mut().poll_frame(cx) {
        Poll::Pending => return Sent::Nothing,
        Poll::Ready(None) => {
            return match encoder.finish(None, core.out.tail()) {
                Ok(()) => Sent::All,
                Err(error) => broken(&error),
            };
        }
        Poll::Ready(Some(Err(error))) => return broken(&*error.into()),
        Poll::Ready(Some(Ok(frame))) => frame,
    };
    match frame.into_data() {
        Ok(mut data) => {
            let len = data.remaining();
            if len == 0 {
                return Sent::Some;
            }
            let tail = core.out.tail();
            if let Err(error) = encoder.before(len, tail) {
                return broken(&error);
            }
            if len <= COPY_MAX {
                tail.put(data);
            } else {
                core.out.push(data.copy_to_bytes(len));
            }
            encoder.after(core.out.tail());
            if !body.is_end_stream() {
                return Sent::Some;
            }
            match encoder.finish(None, core.out.tail()) {
                Ok(()) => Sent::All,
                Err(error) => broken(&error),
            }
        }
        Err(frame) => match encoder.finish(frame.trailers_ref(), core.out.tail()) {
            Ok(()) => Sent::All,
            Err(error) => broken(&error),
        },
    }
}

/// The bytes of a body of ours, if it is nothing else: then there is nobody to be polled for them.
#[inline]
fn whole<B: 'static>(body: &mut B) -> Option<Bytes> {
    let body = (body as &mut dyn Any).downcast_mut::<crate::Body>()?;
    body.take_whole()
}

/// The service, if it is the router of this crate: then its answers are taken as they are made.
#[inline]
fn router<S: 'static>(service: &mut S) -> Option<&mut Router> {
    (service as &mut dyn Any).downcast_mut::<Router>()
}

/// What has been answered already, if the answer's body is here: then nothing needs to be polled.
#[inline]
fn answered(future: &mut RouterFuture) -> Option<&mut crate::Response> {
    future
        .answer()
        .filter(|response| response.body().is_whole())
}

fn broken(error: &(dyn std::error::Error + 'static)) -> Sent {
    tracing::debug!(error, "a response's body failed");
    Sent::Broken
}

fn fails<I: AsyncRead + AsyncWrite + Unpin>(core: &mut Core<I>, error: BoxError) {
    tracing::error!(
        error = &*error as &dyn std::error::Error,
        "a service failed"
    );
    core.answer(StatusCode::INTERNAL_SERVER_ERROR, "");
}

fn panicked<I: AsyncRead + AsyncWrite + Unpin + 'static>(core: &mut Core<I>) {
    add(&core.handle.counters().panics);
    if core.looks {
        core.begin_standing();
    }
    // What it said, the process's panic hook has told.
    tracing::error!(peer = ?core.ends.peer.addr, "a handler panicked");
    match &core.turn {
        Some(turn) if !turn.head_sent => core.answer(StatusCode::INTERNAL_SERVER_ERROR, ""),
        // What was sent is not whole, or nothing was asked: the connection's end has to say so.
        _ => core.life = Life::Flushing,
    }
}

impl<I, S, B> Future for Connection<I, S, B>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request, Response = Response<B>> + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.as_mut().project();
        if let Some(router) = router(this.service) {
            this.core.stands(router);
        }
        let polled = self.as_mut().drive(cx);
        self.project().core.stands_no_more();
        polled
    }
}

impl<I, S, B> Connection<I, S, B>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request, Response = Response<B>> + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    /// Does all that can be done now.
    #[inline]
    fn drive(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut begun = 0;
        self.as_mut().project().core.poll_begins();
        loop {
            // All that can be done without the client, so that it goes in one write.
            if self.core.life == Life::Serving {
                self.as_mut().serve(cx, &mut begun);
            }
            let this = self.as_mut().project();
            let core = this.core;
            core.count_requests();
            let crowded = core.out.len() >= HIGH;
            // What it will not begin in this poll, it does not read either.
            let full = begun >= REQUESTS_A_POLL && core.turn.is_none();
            let moved = core.write(cx).and_then(|wrote| {
                let sent = core.send_file(cx)?;
                let read = !full && core.read(cx)?;
                // Room in what is to be written lets the service go on.
                Ok((wrote && crowded) | sent | read | core.end(cx)?)
            });
            let moved = match moved {
                Ok(moved) => moved,
                Err(error) => {
                    core.give_up_body();
                    return Poll::Ready(Err(error));
                }
            };
            if core.hand_over() {
                return Poll::Ready(Ok(()));
            }
            if core.life == Life::Ended {
                core.give_up_body();
                return Poll::Ready(core.failed.take().map_or(Ok(()), Err));
            }
            if moved {
                continue;
            }
            if full && core.life == Life::Serving && core.out.len() < HIGH {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Err(error) = core.look_back(cx) {
                core.give_up_body();
                return Poll::Ready(Err(error));
            }
            if core.poll_ends(cx) {
                core.poll_begins();
                continue;
            }
            if this.stop.poll(cx, &core.handle) && core.is_between() {
                core.life = Life::Flushing;
            } else if !core.wait(cx) {
                if !core.client_is_gone(cx) {
                    return Poll::Pending;
                }
                core.give_up_body();
                add(&core.handle.counters().gone);
                // Who works for nobody may as well stop.
                self.project().exchange.set(Exchange::None);
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if core.life != Life::Serving {
                // Whatever it was doing, nobody is going to be told.
                let mut exchange = self.as_mut().project().exchange;
                exchange.set(Exchange::None);
            }
            self.as_mut().project().core.poll_begins();
        }
    }
}

/// The wait for the server's end: asked for once, not at every poll.
#[derive(Default)]
pub(crate) struct Stop {
    wait: Option<Pin<Box<blitz_io::sync::WaitForCancellationFutureOwned>>>,
    waker: Option<Waker>,
}

impl Stop {
    /// Whether the server is ending; if not, the task is woken when it does.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, handle: &Handle) -> bool {
        if handle.is_stopping() {
            return true;
        }
        if self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            return false;
        }
        self.waker = Some(cx.waker().clone());
        let wait = self.wait.get_or_insert_with(|| Box::pin(handle.stopping()));
        wait.as_mut().poll(cx).is_ready()
    }
}

#[cfg(test)]
mod tests {
    use super::Connection;
    use crate::{Body, Router};
    use blitz_io::net::TcpStream;

    /// Ten thousand idle connections are ten thousand of these, and little else.
    #[test]
    fn a_connection_is_small() {
        let size = size_of::<Connection<TcpStream, Router, Body>>();
        assert!(size <= 1536, "{size} bytes");
    }
}
