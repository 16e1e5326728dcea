//! hyper-util's client on tokio: a pool of connections, and nothing above it.

use super::{Task, fail};
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::sync::Arc;

type Https = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;
type BoxError = Box<dyn Error + Send + Sync>;

pub fn run(task: &'static Task) -> Result<(), String> {
    let client = client(task).map_err(|error| error.to_string())?;
    super::tokio(task.threads)?.block_on(async {
        let asking: Vec<_> = (0..task.at_once)
            .map(|_| tokio::spawn(ask(client.clone(), task)))
            .collect();
        for one in asking {
            match one.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => fail(&format!("{error:?}")),
                Err(error) => fail(&error),
            }
        }
    });
    Ok(())
}

fn client(task: &Task) -> Result<Https, BoxError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&task.root)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    // As reqwest does it.
    http.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new()).build(https))
}

async fn ask(client: Https, task: &Task) -> Result<(), BoxError> {
    let uri: Uri = task.url.parse()?;
    loop {
        let request = Request::get(uri.clone()).body(Empty::new())?;
        let response = client.request(request).await?;
        if response.status() != StatusCode::OK {
            fail(&response.status());
        }
        let mut body = response.into_body();
        let mut length = 0;
        if task.is_large {
            while let Some(frame) = body.frame().await {
                if let Some(data) = frame?.data_ref() {
                    task.tally.bytes(data.len());
                    length += data.len() as u64;
                }
            }
        } else {
            length = body.collect().await?.to_bytes().len() as u64;
        }
        task.answered(length);
    }
}
