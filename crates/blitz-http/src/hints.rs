//! `103 Early Hints` (RFC 8297): fields that a client may act on while its answer is still being made.
//!
//! A handler gives them to the connection that polls it, by a place of this thread: no request carries anything for what few handlers do.

use http::HeaderMap;
use std::cell::RefCell;

thread_local! {
    /// What the handler that is being polled has said; `None` where none is.
    static SAID: RefCell<Option<Vec<HeaderMap>>> = const { RefCell::new(None) };
}

/// Sends `fields` to the client ahead of the answer, in a `103 Early Hints`: `Link` fields mostly, by which a browser fetches what the page
/// will need while the page is being made. Whether there was a connection to give them to.
///
/// Call it in a handler, before it waits for something: what was said goes out when the handler waits, and not at all where it answers
/// without a wait. There is none to give them to in a task that a handler has spawned. Clients of HTTP/1.0 are told nothing; the answer
/// repeats the fields for them, and for whoever left hints out (RFC 8297 §2).
///
/// ```
/// use blitz_http::{Request, Router, early_hints};
/// use http::{HeaderMap, HeaderValue, header::LINK};
///
/// let page = |_: Request| async {
///     let mut hints = HeaderMap::new();
///     hints.insert(LINK, HeaderValue::from_static("</style.css>; rel=preload; as=style"));
///     early_hints(hints);
///     // The slow part.
///     "<link rel=stylesheet href=/style.css>"
/// };
/// # let _ = Router::new().get("/", page);
/// ```
pub fn early_hints(fields: HeaderMap) -> bool {
    let given = SAID.try_with(|said| match &mut *said.borrow_mut() {
        Some(said) => {
            said.push(fields);
            true
        }
        None => false,
    });
    // A thread that is ending polls nobody.
    given.unwrap_or(false)
}

/// Takes what a handler says from here on.
#[inline]
pub(crate) fn listen() -> Listening {
    Listening {
        outer: replace(Some(Vec::new())),
        is_over: false,
    }
}

/// A handler is being polled.
pub(crate) struct Listening {
    /// What was said to a connection whose handler polls this one.
    outer: Option<Vec<HeaderMap>>,
    is_over: bool,
}

impl Listening {
    /// What it said.
    #[inline]
    pub(crate) fn end(mut self) -> Vec<HeaderMap> {
        self.bring_back().unwrap_or_default()
    }

    #[inline]
    fn bring_back(&mut self) -> Option<Vec<HeaderMap>> {
        self.is_over = true;
        replace(self.outer.take())
    }
}

/// A handler that panics says nothing more.
impl Drop for Listening {
    #[inline]
    fn drop(&mut self) {
        if !self.is_over {
            self.bring_back();
        }
    }
}

#[inline]
fn replace(said: Option<Vec<HeaderMap>>) -> Option<Vec<HeaderMap>> {
    // As above.
    SAID.try_with(|place| place.replace(said)).ok().flatten()
}
