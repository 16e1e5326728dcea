//! What two ends agree on.

use blitz_http_proto::ws::{
    Agreed, ClientHandshake, Deflate, DeflateParams, HandshakeError, ServerHandshake,
};
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

fn client(protocols: &[&str], deflate: Option<Deflate>) -> ClientHandshake {
    ClientHandshake::new([7; 16], protocols, deflate).unwrap()
}

fn of(headers: &HeaderMap) -> Result<ServerHandshake, HandshakeError> {
    ServerHandshake::of(&Method::GET, Version::HTTP_11, headers)
}

/// What a server answers to this offer of extensions.
fn offer(offer: &str, config: &Deflate) -> Option<(String, DeflateParams)> {
    let mut request = client(&[], None).headers();
    request.insert(
        SEC_WEBSOCKET_EXTENSIONS,
        HeaderValue::from_str(offer).unwrap(),
    );
    let (answer, agreed) = of(&request).unwrap().accept(&[], Some(config));
    let text = answer
        .get(SEC_WEBSOCKET_EXTENSIONS)?
        .to_str()
        .unwrap()
        .to_owned();
    Some((text, agreed.deflate.unwrap()))
}

/// What a client with this configuration makes of an answer.
fn answer(text: Option<&str>, config: Option<Deflate>) -> Result<Agreed, HandshakeError> {
    let client = client(&[], config);
    let (mut answer, _) = of(&client.headers()).unwrap().accept(&[], None);
    if let Some(text) = text {
        answer.insert(
            SEC_WEBSOCKET_EXTENSIONS,
            HeaderValue::from_str(text).unwrap(),
        );
    }
    client.agreed(StatusCode::SWITCHING_PROTOCOLS, &answer)
}

fn config(takeover: bool, server_bits: u8, client_bits: u8) -> Deflate {
    let mut config = Deflate::default();
    config.server_no_context_takeover = !takeover;
    config.client_no_context_takeover = !takeover;
    config.server_max_window_bits = server_bits;
    config.client_max_window_bits = client_bits;
    config
}

#[test]
fn both_ends_agree_on_the_same() {
    for takeover in [false, true] {
        for (ours, theirs) in [(15, 15), (9, 15), (15, 10), (8, 8), (12, 11)] {
            for (client_ours, client_theirs) in [(15, 15), (10, 12), (8, 15)] {
                let client = client(
                    &["chat", "superchat"],
                    Some(config(!takeover, client_ours, client_theirs)),
                );
                let server = of(&client.headers()).unwrap();
                assert_eq!(server.protocols(), ["chat", "superchat"]);
                let (answer, agreed) =
                    server.accept(&["superchat"], Some(&config(takeover, ours, theirs)));
                assert_eq!(
                    client.agreed(StatusCode::SWITCHING_PROTOCOLS, &answer),
                    Ok(agreed.clone())
                );
                let deflate = agreed.deflate.unwrap();
                assert_eq!(deflate.server_max_window_bits, ours.min(client_ours));
                assert_eq!(deflate.client_max_window_bits, theirs.min(client_theirs));
                assert_eq!(agreed.protocol.as_deref(), Some("superchat"));
            }
        }
    }
}

#[test]
fn without_an_offer_or_a_wish_there_is_no_compression() {
    for (asks, wants) in [
        (None, Some(Deflate::default())),
        (Some(Deflate::default()), None),
    ] {
        let client = client(&[], asks);
        let (answer, agreed) = of(&client.headers())
            .unwrap()
            .accept(&["chat"], wants.as_ref());
        assert_eq!(agreed, Agreed::default());
        assert!(
            !answer.contains_key(SEC_WEBSOCKET_EXTENSIONS)
                && !answer.contains_key(SEC_WEBSOCKET_PROTOCOL)
        );
        assert_eq!(
            client.agreed(StatusCode::SWITCHING_PROTOCOLS, &answer),
            Ok(agreed)
        );
    }
}

#[test]
fn the_first_offer_that_can_be_met_is_met() {
    let open = config(true, 15, 15);
    let said = |text: &str| offer(text, &open).map(|(answer, _)| answer);
    let plain = Some("permessage-deflate".to_owned());
    assert_eq!(said("permessage-deflate"), plain);
    assert_eq!(said("Permessage-Deflate ; client_max_window_bits"), plain);
    assert_eq!(
        said("x-other; a=1, permessage-deflate; unknown, permessage-deflate"),
        plain
    );
    assert_eq!(
        said("permessage-deflate; server_max_window_bits=\"10\"; server_no_context_takeover")
            .as_deref(),
        Some("permessage-deflate; server_no_context_takeover; server_max_window_bits=10")
    );
    assert_eq!(
        said("permessage-deflate; client_max_window_bits=9").as_deref(),
        Some("permessage-deflate; client_max_window_bits=9")
    );
    for wrong in [
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; =1",
        "permessage-deflate; a=\"b",
        "x-webkit-deflate-frame",
    ] {
        assert_eq!(said(wrong), None, "{wrong}");
    }
    // A client that does not say that it can be limited cannot be.
    let (answer, deflate) = offer("permessage-deflate", &config(true, 15, 9)).unwrap();
    assert_eq!(
        (answer.as_str(), deflate.client_max_window_bits),
        ("permessage-deflate", 15)
    );
}

#[test]
fn an_answer_that_was_not_asked_for_ends_it() {
    let strict = Some(config(false, 10, 15));
    let whole = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10";
    assert!(answer(Some(whole), strict).is_ok());
    for wrong in [
        "permessage-deflate",
        "permessage-deflate; server_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; x",
        "x-other",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=10, x-other",
        "\"",
    ] {
        assert!(answer(Some(wrong), strict).is_err(), "{wrong}");
    }
    assert!(answer(Some("permessage-deflate"), None).is_err());
    assert_eq!(
        answer(None, strict).map(|agreed| agreed.deflate),
        Ok(None),
        "it need not"
    );
}

#[test]
fn a_request_that_is_none_is_refused_with_a_status() {
    let good = client(&[], None).headers();
    let status = |method: &Method, version, headers: &HeaderMap| {
        ServerHandshake::of(method, version, headers)
            .unwrap_err()
            .status()
            .as_u16()
    };
    assert_eq!(status(&Method::POST, Version::HTTP_11, &good), 405);
    assert_eq!(status(&Method::GET, Version::HTTP_10, &good), 400);
    for (name, value, expected) in [
        ("upgrade", None, 426),
        ("upgrade", Some("h2c"), 426),
        ("connection", Some("close"), 426),
        ("sec-websocket-version", Some("8"), 426),
        ("sec-websocket-version", None, 426),
        ("sec-websocket-key", None, 400),
        ("sec-websocket-key", Some("c2hvcnQ="), 400),
        ("sec-websocket-key", Some("not base64 at all, it is"), 400),
    ] {
        let mut headers = good.clone();
        let name = HeaderName::from_static(name);
        headers.remove(&name);
        if let Some(value) = value {
            headers.insert(name.clone(), HeaderValue::from_static(value));
        }
        assert_eq!(
            status(&Method::GET, Version::HTTP_11, &headers),
            expected,
            "{name}: {value:?}"
        );
    }
    let mut twice = good.clone();
    twice.append("sec-websocket-key", good["sec-websocket-key"].clone());
    assert_eq!(status(&Method::GET, Version::HTTP_11, &twice), 400);
    let mut many = good;
    many.insert(
        "connection",
        HeaderValue::from_static("keep-alive, Upgrade"),
    );
    many.insert("upgrade", HeaderValue::from_static("h2c, WebSocket"));
    assert!(of(&many).is_ok());
}

#[test]
fn an_answer_that_is_none_is_refused() {
    let client = client(&["chat"], None);
    let (good, _) = of(&client.headers()).unwrap().accept(&["chat"], None);
    assert!(client.agreed(StatusCode::OK, &good).is_err());
    let with = |name: HeaderName, value: Option<&'static str>| {
        let mut headers = good.clone();
        headers.remove(&name);
        if let Some(value) = value {
            headers.insert(name, HeaderValue::from_static(value));
        }
        client.agreed(StatusCode::SWITCHING_PROTOCOLS, &headers)
    };
    assert!(with(SEC_WEBSOCKET_ACCEPT, None).is_err());
    assert!(with(SEC_WEBSOCKET_ACCEPT, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")).is_err());
    assert!(with(SEC_WEBSOCKET_PROTOCOL, Some("other")).is_err());
    assert!(with(http::header::UPGRADE, Some("h2c")).is_err());
    assert!(with(http::header::CONNECTION, None).is_err());
    assert_eq!(
        with(SEC_WEBSOCKET_PROTOCOL, None).map(|agreed| agreed.protocol),
        Ok(None)
    );
    assert!(ClientHandshake::new([0; 16], &["two words"], None).is_err());
}
