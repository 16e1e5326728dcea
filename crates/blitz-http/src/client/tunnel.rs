//! Ways through proxies: CONNECT (RFC 9110 §9.3.6), SOCKS5 (RFC 1928, RFC 1929), SOCKS4 and what was added as 4A.

use super::error::Kind;
use super::proxy::Proxy;
use super::wire::BoxStream;
use blitz_http_proto::{Limits, RequestHead, ResponseDecoder, ResponseEvent};
use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use bytes::BytesMut;
use http::header::PROXY_AUTHORIZATION;
use http::{HeaderMap, Method, Uri};
use std::net::IpAddr;

/// Has an HTTP proxy open a way to `host:port`; `host` is as an address writes it, with brackets where it has some.
pub(super) async fn connect(
    io: &mut BoxStream,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<(), Kind> {
    let uri: Uri = format!("{host}:{port}")
        .parse()
        .map_err(|_| Kind::Proxy(format!("`{host}:{port}` cannot be asked for")))?;
    let mut headers = HeaderMap::new();
    if let Some(credentials) = proxy.authorization() {
        headers.insert(PROXY_AUTHORIZATION, credentials);
    }
    let mut out = BytesMut::new();
    let head = RequestHead {
        method: &Method::CONNECT,
        target: (&uri).into(),
        headers: &headers,
        length: Some(0),
        to_proxy: true,
    };
    head.write(&mut out);
    io.write_all(&out).await.map_err(Kind::ProxyIo)?;
    io.flush().await.map_err(Kind::ProxyIo)?;
    let mut decoder = ResponseDecoder::new(Limits::default());
    decoder.asked(&Method::CONNECT);
    let mut input = BytesMut::with_capacity(1024);
    loop {
        let event = decoder.decode(&mut input);
        match event.map_err(|error| Kind::Proxy(error.to_string()))? {
            Some(ResponseEvent::Head(head)) if head.status.is_success() => break,
            Some(ResponseEvent::Head(head)) => return Err(Kind::ProxyStatus(head.status)),
            Some(_) => {}
            None => {
                let read = io.read_buf(&mut input).await.map_err(Kind::ProxyIo)?;
                if read == 0 {
                    return Err(Kind::Proxy("it closed the connection".to_owned()));
                }
            }
        }
    }
    // Whoever is reached speaks second, so nothing can have come; if it has, the proxy made it up.
    if input.is_empty() {
        Ok(())
    } else {
        Err(Kind::Proxy("it said something by itself".to_owned()))
    }
}

/// Has a SOCKS4 proxy open a way to an address of IPv4; or to a name, as 4A has it: behind an address that cannot be.
pub(super) async fn socks4(
    io: &mut BoxStream,
    proxy: &Proxy,
    target: Result<IpAddr, &str>,
    port: u16,
) -> Result<(), Kind> {
    let (address, name) = match target {
        Ok(IpAddr::V4(address)) => (address.octets(), None),
        Ok(IpAddr::V6(_)) => {
            return Err(Kind::Proxy("SOCKS4 has no addresses of IPv6".to_owned()));
        }
        Err(name) => ([0, 0, 0, 1], Some(name)),
    };
    let mut request = vec![4, 1];
    request.extend_from_slice(&port.to_be_bytes());
    request.extend_from_slice(&address);
    let (user, _) = proxy.user().unwrap_or_default();
    for text in [Some(user), name].into_iter().flatten() {
        request.extend_from_slice(text.as_bytes());
        request.push(0);
    }
    send(io, &request).await?;
    let [version, code, ..] = receive::<8>(io).await?;
    match (version, code) {
        (0, 90) => Ok(()),
        (0, 91) => Err(Kind::Proxy("it refused or failed".to_owned())),
        (0, 92 | 93) => Err(Kind::Proxy("it does not believe who asks".to_owned())),
        _ => Err(Kind::Proxy("it does not speak SOCKS4".to_owned())),
    }
}

/// Has a SOCKS5 proxy open a way to a name or an address.
pub(super) async fn socks5(
    io: &mut BoxStream,
    proxy: &Proxy,
    target: Result<IpAddr, &str>,
    port: u16,
) -> Result<(), Kind> {
    let user = proxy.user();
    let methods: &[u8] = if user.is_some() {
        &[5, 2, 0, 2]
    } else {
        &[5, 1, 0]
    };
    send(io, methods).await?;
    let chosen: [u8; 2] = receive(io).await?;
    match (chosen, user) {
        ([5, 0], _) => {}
        ([5, 2], Some((name, password))) => {
            let mut hello = vec![1, length(name)?];
            hello.extend_from_slice(name.as_bytes());
            hello.push(length(password)?);
            hello.extend_from_slice(password.as_bytes());
            send(io, &hello).await?;
            let answer: [u8; 2] = receive(io).await?;
            if answer[1] != 0 {
                return Err(Kind::Proxy("it refused user and password".to_owned()));
            }
        }
        ([5, _], _) => return Err(Kind::Proxy("it wants to know who asks".to_owned())),
        _ => return Err(Kind::Proxy("it does not speak SOCKS5".to_owned())),
    }
    let mut request = vec![5, 1, 0];
    match target {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        Err(name) => {
            request.extend_from_slice(&[3, length(name)?]);
            request.extend_from_slice(name.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    send(io, &request).await?;
    let [version, code, _, kind] = receive(io).await?;
    if version != 5 {
        return Err(Kind::Proxy("it does not speak SOCKS5".to_owned()));
    }
    if code != 0 {
        return Err(Kind::Proxy(refusal(code)));
    }
    // Which address it goes out by is of no use to us, but stands before what is.
    let rest = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(receive::<1>(io).await?[0]),
        _ => {
            return Err(Kind::Proxy(
                "it answered with an unknown address".to_owned(),
            ));
        }
    };
    let mut bound = [0; 255 + 2];
    let read = io.read_exact(&mut bound[..rest + 2]).await;
    read.map(drop).map_err(Kind::ProxyIo)
}

fn length(text: &str) -> Result<u8, Kind> {
    let length = u8::try_from(text.len());
    length.map_err(|_| Kind::Proxy("name is too long for SOCKS5".to_owned()))
}

async fn send(io: &mut BoxStream, bytes: &[u8]) -> Result<(), Kind> {
    io.write_all(bytes).await.map_err(Kind::ProxyIo)?;
    io.flush().await.map_err(Kind::ProxyIo)
}

async fn receive<const N: usize>(io: &mut BoxStream) -> Result<[u8; N], Kind> {
    let mut bytes = [0; N];
    io.read_exact(&mut bytes).await.map_err(Kind::ProxyIo)?;
    Ok(bytes)
}

/// RFC 1928 §6.
fn refusal(code: u8) -> String {
    match code {
        1 => "it failed".to_owned(),
        2 => "its rules forbid that connection".to_owned(),
        3 => "network cannot be reached from it".to_owned(),
        4 => "host cannot be reached from it".to_owned(),
        5 => "connection was refused to it".to_owned(),
        6 => "time to live is over".to_owned(),
        7 | 8 => "it does not know how".to_owned(),
        code => format!("it failed with code {code}"),
    }
}
