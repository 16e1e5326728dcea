//! What of a message goes on, and what is added.

use blitz_http::{Peer, Request};
use http::header::{
    CONNECTION, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::net::SocketAddr;

/// Fields of one connection, whether `Connection` names them or not.
const OF_A_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    // The server answers it here.
    EXPECT,
];

/// The tokens of `Connection`.
fn tokens(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(CONNECTION).iter();
    let text = lines.filter_map(|line| line.to_str().ok());
    text.flat_map(|line| line.split(','))
        .map(|token| token.trim().to_ascii_lowercase())
        .collect()
}

pub(crate) fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && tokens(headers).iter().any(|token| token == "upgrade")
}

/// Drops what is of one connection; keeps what it was switched to, if it is.
fn drop_those_of_a_connection(headers: &mut HeaderMap, switch: bool) {
    let switched = headers.get(UPGRADE).filter(|_| switch).cloned();
    for token in tokens(headers) {
        headers.remove(token.as_str());
    }
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
    if let Some(to) = switched {
        headers.insert(UPGRADE, to);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// Makes a client's request one for the server.
pub(crate) fn to_server(request: &mut Request, upstream: &str, switch: bool) {
    let peer = request
        .extensions()
        .get::<Peer>()
        .copied()
        .unwrap_or_default();
    // A whole address goes before the field (RFC 9112 §3.2.2).
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.to_string());
    let headers = request.headers_mut();
    let host = authority.or_else(|| Some(headers.get(HOST)?.to_str().ok()?.to_owned()));
    drop_those_of_a_connection(headers, switch);
    let asked = host.as_deref().unwrap_or(upstream);
    if let Ok(value) = HeaderValue::from_str(asked) {
        headers.insert(HOST, value);
    }
    let client = peer.addr.map(|addr| addr.ip());
    let known = client.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
    add(headers, HeaderName::from_static("x-forwarded-for"), &known);
    add(headers, FORWARDED, &forwarded(peer.addr, host.as_deref()));
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    if let Some(value) = host.and_then(|host| HeaderValue::from_str(&host).ok()) {
        headers.insert("x-forwarded-host", value);
    }
    headers.append(VIA, HeaderValue::from_static("1.1 reverse_proxy"));
}

/// Makes the server's answer one for the client.
pub(crate) fn to_client(headers: &mut HeaderMap, status: StatusCode) {
    drop_those_of_a_connection(headers, status == StatusCode::SWITCHING_PROTOCOLS);
    headers.append(VIA, HeaderValue::from_static("1.1 reverse_proxy"));
}

/// Adds to what proxies before this one said.
fn add(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    let lines = headers.get_all(&name).iter();
    let mut all: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    all.push(text);
    if let Ok(value) = HeaderValue::from_str(&all.join(", ")) {
        headers.insert(name, value);
    }
}

/// An element of `Forwarded` (RFC 7239 §4): what is no token stands in quotes.
fn forwarded(client: Option<SocketAddr>, host: Option<&str>) -> String {
    let client = match client {
        Some(SocketAddr::V4(addr)) => addr.ip().to_string(),
        Some(SocketAddr::V6(addr)) => format!("\"[{}]\"", addr.ip()),
        None => "unknown".to_owned(),
    };
    let mut text = format!("for={client};proto=http");
    // A host has no quote in it: it was checked.
    if let Some(host) = host {
        text.push_str(&format!(";host=\"{host}\""));
    }
    text
}
