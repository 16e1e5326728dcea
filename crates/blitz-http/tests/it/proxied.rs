//! Behind proxies: whose word is taken, over a pipe.

use crate::harness::without_date;
use blitz_http::{
    Body, ClientAddr, Connection, ForwardedBy, Handle, Peer, Request, Trusted, service_fn,
};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt, duplex};

/// What the service thinks of who asks, for each of several requests of one connection.
async fn told(from: [u8; 4], field: ForwardedBy, requests: &str) -> Vec<String> {
    let mut config = without_date();
    config.proxies.trusted = Trusted::nobody().and("10.0.0.0/8".parse().expect("a range"));
    config.proxies.field = field;
    let handle = Handle::new(config);
    let (mut io, end) = duplex(1 << 16);
    let service = service_fn(|request: Request| async move {
        let client = ClientAddr::of(&request).expect("an address");
        let port = client.port.map_or("?".to_owned(), |port| port.to_string());
        blitz_http::reply(request, Body::from(format!("<{}|{port}>", client.ip)))
    });
    let peer = Peer::new((from, 1000).into(), ([127, 0, 0, 1], 80).into());
    let served = blitz_io::spawn(Connection::new(end, service, &handle, peer));
    io.write_all(requests.as_bytes()).await.expect("sent");
    io.shutdown().await.expect("shut down");
    let mut answers = String::new();
    io.read_to_string(&mut answers).await.expect("answers");
    served.await.expect("no panic").expect("in good order");
    let told = answers.split('<').skip(1);
    told.map(|told| told.split('>').next().unwrap_or_default().to_owned())
        .collect()
}

#[blitz_io::test(start_paused = true)]
async fn each_request_says_for_itself_whose_it_is() {
    let asked = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 1.1.1.1\r\n\r\n\
                 GET / HTTP/1.1\r\nHost: a\r\n\r\n\
                 GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 2.2.2.2:5, 10.0.0.9\r\nForwarded: for=7.7.7.7\r\n\r\n";
    let by = ForwardedBy::XForwardedFor;
    let proxy = told([10, 0, 0, 1], by, asked).await;
    assert_eq!(proxy, ["1.1.1.1|?", "10.0.0.1|1000", "2.2.2.2|5"]);
    let stranger = told([9, 9, 9, 9], by, asked).await;
    assert_eq!(stranger, ["9.9.9.9|1000"; 3]);
    let other = told([10, 0, 0, 1], ForwardedBy::Forwarded, asked).await;
    assert_eq!(other, ["10.0.0.1|1000", "10.0.0.1|1000", "7.7.7.7|?"]);
}
