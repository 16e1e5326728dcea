//! Any fields of a request and of an answer: no panic, and what a server agrees to a client that asked for it agrees to as well.
#![no_main]

use blitz_http_proto::ws::{ClientHandshake, Deflate, ServerHandshake};
use http::header::{SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderValue, Method, StatusCode, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [bits, rest @ ..] = data else { return };
    let mut config = Deflate::default();
    config.server_max_window_bits = 8 + (bits & 7);
    config.client_max_window_bits = 8 + (bits >> 3 & 7);
    config.server_no_context_takeover = bits & 64 != 0;
    config.client_no_context_takeover = bits & 128 != 0;
    let Ok(value) = HeaderValue::from_bytes(rest) else { return };
    let client = ClientHandshake::new([1; 16], &["a", "b"], Some(config)).expect("tokens");

    // A request with any offer.
    let mut request = client.headers();
    request.insert(SEC_WEBSOCKET_EXTENSIONS, value.clone());
    request.insert(SEC_WEBSOCKET_PROTOCOL, value.clone());
    if let Ok(server) = ServerHandshake::of(&Method::GET, Version::HTTP_11, &request) {
        server.accept(&["a"], Some(&config));
    }

    // Any answer to a good request.
    let server = ServerHandshake::of(&Method::GET, Version::HTTP_11, &client.headers()).expect("a good one");
    let (mut answer, agreed) = server.accept(&["b"], Some(&config));
    assert_eq!(client.agreed(StatusCode::SWITCHING_PROTOCOLS, &answer), Ok(agreed));
    answer.insert(SEC_WEBSOCKET_EXTENSIONS, value);
    if let Ok(agreed) = client.agreed(StatusCode::SWITCHING_PROTOCOLS, &answer)
        && let Some(params) = agreed.deflate
    {
        assert!(params.server_max_window_bits <= config.server_max_window_bits);
        assert!(params.client_max_window_bits <= config.client_max_window_bits);
    }
});
