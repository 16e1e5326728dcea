//! What two ends agree on about compression (RFC 7692 §7.1).

use crate::characters::is_token;
use http::HeaderMap;
use http::header::SEC_WEBSOCKET_EXTENSIONS;

const NAME: &str = "permessage-deflate";

/// What one end wants of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deflate {
    /// The server forgets each message when it begins the next. Default: yes, which takes no memory of a connection that is silent.
    pub server_no_context_takeover: bool,
    /// The same for the client. Default: yes.
    pub client_no_context_takeover: bool,
    /// The server looks back no more than two to this many bytes: 8 to 15. Default: 15.
    pub server_max_window_bits: u8,
    /// The same for the client. Default: 15.
    pub client_max_window_bits: u8,
    /// How hard to try, from 0 to 9. Default: 1, as servers do that have much to send.
    pub level: u32,
    /// Messages shorter than so many bytes go as they are. Default: 64.
    pub threshold: usize,
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            level: 1,
            threshold: 64,
        }
    }
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeflateParams {
    /// The server forgets each message when it begins the next.
    pub server_no_context_takeover: bool,
    /// So does the client.
    pub client_no_context_takeover: bool,
    /// The server's window, in bits.
    pub server_max_window_bits: u8,
    /// The client's.
    pub client_max_window_bits: u8,
}

/// The parameters of one `permessage-deflate`, as they were sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// With a value or without.
    client_max_window_bits: Option<Option<u8>>,
}

impl Sent {
    /// Nothing if a parameter is unknown, twice there, or has a value that it may not have (§7.1).
    fn parse(params: &[(&str, Option<String>)]) -> Option<Self> {
        let mut sent = Self::default();
        for (name, value) in params {
            let bits = match value.as_deref() {
                None => None,
                Some(digits) if digits.starts_with('0') || digits.len() > 2 => return None,
                Some(digits) => Some(digits.parse().ok().filter(|bits| (8..=15).contains(bits))?),
            };
            let is_new = match (*name, bits) {
                ("server_no_context_takeover", None) => {
                    !std::mem::replace(&mut sent.server_no_context_takeover, true)
                }
                ("client_no_context_takeover", None) => {
                    !std::mem::replace(&mut sent.client_no_context_takeover, true)
                }
                ("server_max_window_bits", Some(bits)) => {
                    sent.server_max_window_bits.replace(bits).is_none()
                }
                ("client_max_window_bits", bits) => {
                    sent.client_max_window_bits.replace(bits).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(sent)
    }
}

/// The first offer that can be met, and the answer to it.
pub(super) fn accept(headers: &HeaderMap, config: &Deflate) -> Option<(DeflateParams, String)> {
    let offers = elements(headers)?;
    let deflate = offers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(NAME));
    let sent = deflate
        .filter_map(|(_, params)| Sent::parse(&borrowed(params)))
        .next()?;
    let (ours, theirs) = (config.server_max_window_bits, config.client_max_window_bits);
    let params = DeflateParams {
        server_no_context_takeover: config.server_no_context_takeover
            || sent.server_no_context_takeover,
        client_no_context_takeover: config.client_no_context_takeover
            || sent.client_no_context_takeover,
        server_max_window_bits: sent.server_max_window_bits.unwrap_or(15).min(ours),
        // A client that does not say that it can be limited cannot be.
        client_max_window_bits: match sent.client_max_window_bits {
            None => 15,
            Some(bits) => bits.unwrap_or(15).min(theirs),
        },
    };
    Some((params, text(&params, sent.client_max_window_bits.is_some())))
}

fn text(params: &DeflateParams, names_client_bits: bool) -> String {
    let mut text = NAME.to_owned();
    if params.server_no_context_takeover {
        text.push_str("; server_no_context_takeover");
    }
    if params.client_no_context_takeover {
        text.push_str("; client_no_context_takeover");
    }
    if params.server_max_window_bits < 15 {
        text.push_str(&format!(
            "; server_max_window_bits={}",
            params.server_max_window_bits
        ));
    }
    if names_client_bits && params.client_max_window_bits < 15 {
        text.push_str(&format!(
            "; client_max_window_bits={}",
            params.client_max_window_bits
        ));
    }
    text
}

/// A client's offer.
pub(super) fn offer(config: &Deflate) -> String {
    let params = DeflateParams {
        server_no_context_takeover: config.server_no_context_takeover,
        client_no_context_takeover: config.client_no_context_takeover,
        server_max_window_bits: config.server_max_window_bits,
        client_max_window_bits: config.client_max_window_bits,
    };
    let mut text = text(&params, true);
    if config.client_max_window_bits == 15 {
        text.push_str("; client_max_window_bits");
    }
    text
}

/// What a server answered to the offer; an error if it answered what was not offered.
pub(super) fn agreed(
    headers: &HeaderMap,
    offered: Option<&Deflate>,
) -> Result<Option<DeflateParams>, &'static str> {
    let answers = elements(headers).ok_or("extensions that cannot be read")?;
    let (name, params) = match &answers[..] {
        [] => return Ok(None),
        [one] => one,
        _ => return Err("more extensions than were offered"),
    };
    let offered = offered.filter(|_| name.eq_ignore_ascii_case(NAME));
    let offered = offered.ok_or("an extension that was not offered")?;
    let sent = Sent::parse(&borrowed(params)).ok_or("a parameter of compression that cannot be")?;
    let server_bits = sent.server_max_window_bits.unwrap_or(15);
    if server_bits > offered.server_max_window_bits {
        return Err("a larger window than it was asked for");
    }
    if offered.server_no_context_takeover && !sent.server_no_context_takeover {
        return Err("a context that it was asked not to keep");
    }
    let client_bits = match sent.client_max_window_bits {
        None => 15,
        Some(Some(bits)) => bits,
        Some(None) => return Err("a window without a size"),
    };
    Ok(Some(DeflateParams {
        server_no_context_takeover: sent.server_no_context_takeover,
        client_no_context_takeover: sent.client_no_context_takeover
            || offered.client_no_context_takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits.min(offered.client_max_window_bits),
    }))
}

type Params = Vec<(String, Option<String>)>;

fn borrowed(params: &Params) -> Vec<(&str, Option<String>)> {
    params
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect()
}

/// The extensions of a message, with their parameters (RFC 6455 §9.1). Nothing if they cannot be read.
fn elements(headers: &HeaderMap) -> Option<Vec<(String, Params)>> {
    let mut elements = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        let mut rest = value.to_str().ok()?;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                break;
            }
            let name = token(&mut rest)?;
            let mut params = Params::new();
            loop {
                rest = rest.trim_start_matches([' ', '\t']);
                let Some(behind) = rest.strip_prefix(';') else {
                    break;
                };
                rest = behind.trim_start_matches([' ', '\t']);
                let name = token(&mut rest)?;
                rest = rest.trim_start_matches([' ', '\t']);
                let mut value = None;
                if let Some(behind) = rest.strip_prefix('=') {
                    rest = behind.trim_start_matches([' ', '\t']);
                    value = Some(value_of(&mut rest)?);
                }
                params.push((name, value));
            }
            if !rest.is_empty() && !rest.starts_with(',') {
                return None;
            }
            elements.push((name, params));
        }
    }
    Some(elements)
}

fn token(rest: &mut &str) -> Option<String> {
    let end = rest.bytes().position(|byte| !is_token(byte));
    let end = end.unwrap_or(rest.len());
    let (token, behind) = rest.split_at(end);
    *rest = behind;
    (!token.is_empty()).then(|| token.to_ascii_lowercase())
}

/// A token, or one between quotes.
fn value_of(rest: &mut &str) -> Option<String> {
    let Some(quoted) = rest.strip_prefix('"') else {
        return token(rest);
    };
    let (mut inside, behind) = quoted.split_once('"')?;
    *rest = behind;
    let value = token(&mut inside)?;
    inside.is_empty().then_some(value)
}
