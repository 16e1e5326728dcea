//! Heads: where one ends ([`scan`]), what a request ([`request`], [`received`]) and a response ([`response`]) says, how long the body is
//! ([`framing`]), for whom it is ([`host`]). [`fields`] makes maps of lines, [`names`] knows the names again that came before, [`again`] all
//! that a client repeats, [`known`] one such head in the hands of who serves it, [`repeated`] the head that a server repeats.

mod again;
mod fields;
mod framing;
mod host;
mod known;
mod names;
mod received;
mod repeated;
mod request;
mod response;
mod scan;

pub use framing::Framing;
pub use known::{HeadMark, KnownHead};
pub use received::{Kept, ReceivedHead, ReceivedRequest};
pub use response::ReceivedResponse;

pub(crate) use again::Guess;
pub(crate) use fields::{Lines, into_map, is_listed, parsed};
pub(crate) use framing::Asked;
pub(crate) use repeated::Repeated;
pub(crate) use request::{
    check_line as check_request_line, parse as parse_request, parse_again as parse_request_again,
    parse_at_once as parse_request_at_once,
};
pub(crate) use response::parse as parse_response;
pub(crate) use scan::{Bounds, Scan};
