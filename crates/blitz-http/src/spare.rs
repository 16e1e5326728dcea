//! Requests and maps of fields, kept by each thread for the next: what a handler answers with [`reply`](crate::reply) comes back here.
//!
//! A request comes back as it is where all that it says lies in memory of its own: a client asks for the same again and again, and then
//! nothing needs to be written into the next one. Nobody reads it from here but the decoder, which sees to it that a request says what its
//! head says and nothing else.

use crate::{Body, Request, TlsPeer};
use blitz_http_proto::Kept;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Uri};
use std::cell::RefCell;
use std::rc::Rc;

/// Of each, so many are kept.
const KEPT: usize = 64;
/// Maps with more memory are not, nor requests with such.
const FIELDS_MAX: usize = 128;

#[derive(Default)]
struct Spare {
    requests: Vec<Request>,
    /// Without fields, or with one, mostly the type of a body.
    maps: Vec<HeaderMap>,
    /// The last map was taken for a type: so the next is best kept with its own.
    typed: bool,
}

/// The spare ones of a thread. It is held by a count and not lent to closures: what they take along is copied into them.
#[derive(Clone)]
struct Spares(Rc<RefCell<Spare>>);

thread_local! {
    static SPARE: Spares = Spares(Rc::default());
}

impl Spares {
    /// This thread's; `None` in one that is ending, which keeps nothing.
    #[inline]
    fn here() -> Option<Spares> {
        SPARE.try_with(Spares::clone).ok()
    }
}

/// The request that `decode` makes of one that has been used, whatever it says, or of a new one: where it stands, because each move is a
/// copy. `None` if it makes none.
#[inline]
pub(crate) fn decoded(mut decode: impl FnMut(&mut Request) -> bool) -> Option<Request> {
    let Some(spares) = Spares::here() else {
        return decode_anew(decode);
    };
    // What is dropped in there may be a user's, and come here again.
    let Ok(mut spare) = spares.0.try_borrow_mut() else {
        return decode_anew(decode);
    };
    if spare.requests.is_empty() {
        spare.requests.push(Request::default());
    }
    if !decode(spare.requests.last_mut()?) {
        return None;
    }
    spare.requests.pop()
}

/// The same where nothing is kept.
#[cold]
fn decode_anew(mut decode: impl FnMut(&mut Request) -> bool) -> Option<Request> {
    let mut request = Request::default();
    decode(&mut request).then_some(request)
}

/// Takes a request back, and gives `map`, which is a new one, memory if there is any.
#[inline]
pub(crate) fn give_for_map(request: Request, map: &mut HeaderMap) {
    exchange(request, map, false);
    if !map.is_empty() {
        map.clear();
    }
}

/// The same for a map that says of what type a body is, and nothing else: mostly the one that comes back says so already.
#[inline(always)]
pub(crate) fn give_for_type(request: Request, map: &mut HeaderMap, kind: HeaderValue) {
    exchange(request, map, true);
    set_type(map, kind);
}

/// Makes `map`, which is a new one, say of what type a body is.
pub(crate) fn map_of_type(map: &mut HeaderMap, kind: HeaderValue) {
    if let Some(spares) = Spares::here()
        && let Ok(mut spare) = spares.0.try_borrow_mut()
        && let Some(own) = spare.maps.pop()
    {
        spare.typed = true;
        *map = own;
    }
    set_type(map, kind);
}

/// Makes a map that has no field or one say this and nothing else.
#[inline(always)]
fn set_type(map: &mut HeaderMap, kind: HeaderValue) {
    let is_there = map.iter().next().is_some_and(|(name, known)| {
        name == CONTENT_TYPE
            && std::ptr::eq(known.as_bytes(), kind.as_bytes())
            && !known.is_sensitive()
    });
    if !is_there {
        map.clear();
        map.insert(CONTENT_TYPE, kind);
    }
}

/// Takes a request back.
pub(crate) fn give(mut request: Request) {
    if is_used(&request) {
        strip(&mut request);
    }
    // As above.
    let Some(spares) = Spares::here() else {
        return;
    };
    if let Ok(mut spare) = spares.0.try_borrow_mut()
        && spare.requests.len() < KEPT
    {
        spare.requests.push(request);
        return;
    }
    drop(request);
}

/// Whether there is something in it that has to be taken out.
#[inline]
fn is_used(request: &Request) -> bool {
    request.body().kept() != Some(Kept::All) || request.extensions().len() != 1
}

/// Takes a request back for a map, which may have one field in it.
#[inline(never)]
fn exchange(mut request: Request, map: &mut HeaderMap, typed: bool) {
    if is_used(&request) {
        strip(&mut request);
    }
    // A request for which there is no room is dropped behind the borrow, as above.
    let Some(spares) = Spares::here() else {
        return;
    };
    let Ok(mut spare) = spares.0.try_borrow_mut() else {
        return;
    };
    spare.typed = typed;
    if let Some(own) = spare.maps.pop() {
        // What is new has no memory to be freed, and a look at that costs more than this says.
        std::mem::forget(std::mem::replace(map, own));
    }
    if spare.requests.len() < KEPT {
        spare.requests.push(request);
    } else {
        drop(spare);
        drop(request);
    }
}

/// Takes out what holds the memory that was read into, and what handlers have put in.
#[inline(never)]
fn strip(request: &mut Request) {
    let kept = request.body().kept().unwrap_or_default();
    if kept != Kept::All {
        *request.uri_mut() = Uri::default();
    }
    if request.headers().capacity() > FIELDS_MAX {
        *request.headers_mut() = HeaderMap::new();
    } else if kept == Kept::Nothing {
        request.headers_mut().clear();
    }
    *request.body_mut() = Body::empty();
    let extensions = request.extensions_mut();
    let expected = 1 + usize::from(extensions.get::<TlsPeer>().is_some());
    if extensions.len() != expected {
        extensions.clear();
    }
}

/// Takes a map back, with or without something in it, and leaves a new one.
#[inline]
pub(crate) fn give_map(map: &mut HeaderMap) {
    let capacity = map.capacity();
    let Some(spares) = Spares::here().filter(|_| capacity > 0 && capacity <= FIELDS_MAX) else {
        return;
    };
    let Ok(mut spare) = spares.0.try_borrow_mut() else {
        return;
    };
    if spare.maps.len() < KEPT {
        if !spare.typed || map.len() != 1 {
            map.clear();
        }
        spare.maps.push(std::mem::take(map));
    }
}
