//! Connections that are made before they are needed.

use super::error::{Error, Kind};
use super::pool::Lease;
use super::request::IntoUrl;
use super::timing::Watch;
use super::{Client, Inner};
use blitz_io::task::JoinSet;
use std::sync::Arc;
use url::Url;

impl Client {
    /// Makes sure that so many connections to the server of `url` are there and idle, so that the first requests need not wait for names, TCP
    /// and TLS: those that there are count, and the others are opened, all at a time. Nothing is asked of the server.
    ///
    /// No more are made than may be kept ([`PoolConfig::idle_per_host_max`](super::PoolConfig::idle_per_host_max)) or may be at all, and
    /// they are dropped after the same time as others that nobody uses.
    ///
    /// # Cancel safety
    /// Safe: connections that are there stay, those under way are given up.
    ///
    /// # Errors
    /// That of the first connection that failed; the others are opened nevertheless.
    ///
    /// # Panics
    /// Outside of a runtime.
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use blitz_http::{Router, Server, now};
    /// # let server = Server::bind("127.0.0.1:0").await?;
    /// # let addr = server.local_addrs()[0];
    /// # blitz_io::spawn(server.serve(Router::new().get("/", now(|_| "hello"))));
    /// use blitz_http::Client;
    ///
    /// let client = Client::builder().no_proxy().build()?;
    /// client.warm_up(format!("http://{addr}/"), 2).await?;
    /// assert_eq!(client.pool_state().idle, 2);
    ///
    /// let response = client.get(format!("http://{addr}/")).send().await?;
    /// assert!(response.timings().reused);
    ///
    /// assert!(client.warm_up("http://127.0.0.1:1/", 1).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn warm_up(&self, url: impl IntoUrl, connections: usize) -> Result<(), Error> {
        let url = Arc::new(url.into_url()?);
        let mut opening = JoinSet::new();
        for _ in 0..connections.min(self.0.pool.idle_max()) {
            let (client, url) = (self.clone(), Arc::clone(&url));
            opening.spawn(async move {
                let mut watch = Watch::new(Arc::clone(&client.0.options.timeouts));
                let opened = client.0.open(&url, &mut watch).await;
                opened.map_err(|kind| Error::during(kind, watch.phase, &watch.timings, &url))
            });
        }
        // They go back together: one that went back at once would be the next one's.
        let (mut opened, mut failed) = (Vec::new(), None);
        while let Some(one) = opening.join_next().await {
            match one {
                Ok(Ok(lease)) => opened.push(lease),
                Ok(Err(error)) => failed = failed.or(Some(error)),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        drop(opened);
        failed.map_or(Ok(()), Err)
    }
}

impl Inner {
    /// A connection on which nothing was said yet, or that is between two exchanges.
    async fn open(&self, url: &Url, watch: &mut Watch) -> Result<Lease, Kind> {
        let route = self.route(url, false);
        watch.begin();
        let mut wire = self.connection(&route, &route.key(), false, watch).await?;
        wire.is_clean = true;
        Ok(wire)
    }
}
