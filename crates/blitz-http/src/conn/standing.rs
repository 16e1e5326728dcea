//! Requests that stay where they are.
//!
//! A client asks for the same again and again, and a handler made by [`look`](crate::look) only looks at what it is asked. Then there is nothing
//! to be made anew: the head is compared with the one that is known, and the handler looks at the request that was made of that. Each thread
//! keeps a few such requests; a connection that is polled takes the one that its client asked last, and gives it back before it waits.

use super::core::{Core, Turn};
use crate::router::{Place, Router};
use crate::{Answer, ClientAddr, Request, spare};
use blitz_http_proto::{HeadMark, Kept, KnownHead};
use blitz_io::io::{AsyncRead, AsyncWrite};
use std::cell::RefCell;
use std::mem::swap;

/// A thread keeps so many.
const KEPT: usize = 16;

/// A request that was made of a head that is known, with the route that it takes.
#[derive(Debug)]
pub(super) struct Standing {
    known: KnownHead,
    /// Nobody changes it but the connection that has it, which says whose it is.
    request: Request,
    place: Place,
}

/// What became of a look at the request that stands.
// It goes from hand to hand once, and only where it is not said at once.
#[allow(clippy::large_enum_variant)]
pub(super) enum Looked {
    /// The next request is another.
    Other,
    Said,
    /// The request's turn has begun, and this is to be its answer.
    At(Answer),
}

thread_local! {
    static STANDING: RefCell<[Option<Box<Standing>>; KEPT]> =
        const { RefCell::new([const { None }; KEPT]) };
}

/// Whatever stands in the place of `mark`, if `fits` says so.
fn take(mark: HeadMark, fits: impl FnOnce(&Standing) -> bool) -> Option<Box<Standing>> {
    // A thread that is ending keeps nothing.
    let taken = STANDING.try_with(|all| {
        let place = &mut all.borrow_mut()[mark.place(KEPT)];
        place.take_if(|standing| fits(standing))
    });
    taken.ok().flatten()
}

impl<I: AsyncRead + AsyncWrite + Unpin + 'static> Core<I> {
    /// The connection is about to be polled: takes the request that its client asked last, if it stands.
    #[inline]
    pub(super) fn stands(&mut self, router: &Router) {
        let Some(mark) = self.decoder.mark() else {
            return;
        };
        if !self.ends.more.is_empty() {
            return;
        }
        let fits = |standing: &Standing| {
            standing.known.mark() == mark && router.is_at(&standing.place).is_some()
        };
        let Some(mut standing) = take(mark, fits) else {
            return;
        };
        self.name_client(&mut standing.request);
        self.standing = Some(standing);
    }

    /// The poll is over.
    #[inline]
    pub(super) fn stands_no_more(&mut self) {
        let Some(standing) = self.standing.take() else {
            return;
        };
        let mut standing = Some(standing);
        // As above. What stood there is dropped behind the borrow.
        let _ = STANDING.try_with(|all| {
            let mark = standing.as_ref().map(|standing| standing.known.mark());
            if let Some(mark) = mark {
                swap(&mut all.borrow_mut()[mark.place(KEPT)], &mut standing);
            }
        });
    }

    /// Tells a request by whom it comes.
    #[inline]
    pub(super) fn name_client(&self, request: &mut Request) {
        self.ends.claim(request.extensions_mut());
        let proxies = &self.handle.config().proxies;
        if let Some(client) = ClientAddr::told(&self.ends.peer, request.headers(), proxies) {
            request.extensions_mut().insert(client);
        }
    }

    /// If the next request is the one that stands, has its handler look at it, and sends what that says.
    #[inline]
    pub(super) fn look_again(&mut self, router: &Router) -> Looked {
        let Some(standing) = &self.standing else {
            return Looked::Other;
        };
        let known = &standing.known;
        if !known.head().keep_alive || self.is_last() {
            return Looked::Other;
        }
        let handler = router.is_at(&standing.place);
        let Some(look) = handler.and_then(|handler| handler.as_look()) else {
            return Looked::Other;
        };
        if !self.decoder.decode_known(&mut self.input, known) {
            return Looked::Other;
        }
        self.count_request();
        let Some(standing) = &self.standing else {
            unreachable!("it stood there just now");
        };
        self.looks = true;
        let answer = look.answer(&standing.request);
        self.looks = false;
        if self.say(&answer) {
            Looked::Said
        } else {
            self.begin_standing();
            Looked::At(answer)
        }
    }

    /// Begins the turn of the request that stands.
    #[inline(never)]
    pub(super) fn begin_standing(&mut self) {
        self.looks = false;
        if let Some(standing) = &self.standing {
            let turn = Turn::new(standing.known.head(), true, &standing.request);
            self.turn = Some(turn);
        }
    }

    /// What is known of the head of a request that is about to be looked at, if it can stand.
    pub(super) fn may_stand(&self, request: &Request) -> Option<KnownHead> {
        let whole = request.body().kept() == Some(Kept::All) && self.ends.more.is_empty();
        let known = self.decoder.mark().filter(|_| whole)?;
        let is_there = self
            .standing
            .as_ref()
            .is_some_and(|standing| standing.known.mark() == known);
        if is_there {
            return None;
        }
        self.decoder.known()
    }

    /// A request was looked at: it stands from now on if its head is `known`, or goes back to its thread.
    pub(super) fn keep(&mut self, mut request: Request, known: Option<KnownHead>, router: &Router) {
        if let Some(known) = known
            && let Some(place) = router.place(&request)
        {
            self.stands_no_more();
            match take(known.mark(), |_| true) {
                // Whatever stood there goes, and its memory stays.
                Some(mut standing) => {
                    swap(&mut standing.request, &mut request);
                    (standing.known, standing.place) = (known, place);
                    self.standing = Some(standing);
                }
                None => {
                    self.standing = Some(Box::new(Standing {
                        known,
                        request,
                        place,
                    }));
                    return;
                }
            }
        }
        spare::give(request);
    }
}
