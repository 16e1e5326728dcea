//! An unmodified program: it says `tokio` and `hyper_util`, and knows nothing of what stands behind the name.

use std::convert::Infallible;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from(format!("hello, {}", request.uri().path()))))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new());
        let served = http.serve_connection(TokioIo::new(stream), service_fn(hello)).await;
        served.map_err(std::io::Error::other)
    });
    let stream = TokioIo::new(TcpStream::connect(addr).await?);
    let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/there").header("host", "here").body(Empty::<Bytes>::new())?;
    let answer = client.send_request(request).await?.into_body().collect().await?.to_bytes();
    drop(client);
    connection.await??;
    server.await??;
    println!("{}", String::from_utf8(answer.to_vec())?);
    Ok(())
}
