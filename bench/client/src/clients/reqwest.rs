//! reqwest on tokio.

use super::{Task, fail};
use ::reqwest::{Certificate, Client, Error, StatusCode};

pub fn run(task: &'static Task) -> Result<(), String> {
    let told = |error: Error| error.to_string();
    // Somebody else may have chosen it before, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let root = Certificate::from_pem(&task.root).map_err(told)?;
    let client = Client::builder().no_proxy().tls_certs_only([root]).build();
    let client = client.map_err(told)?;
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

async fn ask(client: Client, task: &Task) -> Result<(), Error> {
    loop {
        let mut response = client.get(&*task.url).send().await?;
        if response.status() != StatusCode::OK {
            fail(&response.status());
        }
        let mut length = 0;
        if task.is_large {
            while let Some(data) = response.chunk().await? {
                task.tally.bytes(data.len());
                length += data.len() as u64;
            }
        } else {
            length = response.bytes().await?.len() as u64;
        }
        task.answered(length);
    }
}
