//! blitz-http's client. Which back end runs is the environment's choice.

use super::{Task, fail};
use blitz_http::Client;
use blitz_http::client::Error;
use blitz_io::runtime::Builder;
use blitz_tls::Roots;

pub fn run(task: &'static Task) -> Result<(), String> {
    let mut builder = if task.threads == 1 {
        Builder::new_current_thread()
    } else {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(task.threads);
        builder
    };
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let mut roots = Roots::new();
    roots
        .add_pem(&task.root)
        .map_err(|error| error.to_string())?;
    let client = Client::builder().no_proxy().only_roots(roots).build();
    let client = client.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let asking: Vec<_> = (0..task.at_once)
            .map(|_| blitz_io::spawn(ask(client.clone(), task)))
            .collect();
        for one in asking {
            match one.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => fail(&error.chain()),
                Err(error) => fail(&error),
            }
        }
    });
    Ok(())
}

async fn ask(client: Client, task: &Task) -> Result<(), Error> {
    loop {
        let mut response = client.get(&*task.url).send().await?;
        if response.status() != http::StatusCode::OK {
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
