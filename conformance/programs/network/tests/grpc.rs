//! tonic, both ends: the health service, asked and watched.

use network::GUARD;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::transport::{Channel, Server};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_asked_and_watched() {
    timeout(GUARD, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (reporter, service) = tonic_health::server::health_reporter();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server::builder()
            .concurrency_limit_per_connection(64)
            .add_service(service)
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
                let _ = stopped.await;
            });
        let server = tokio::spawn(server);
        reporter
            .set_service_status("store", ServingStatus::NotServing)
            .await;

        let channel = Channel::from_shared(format!("http://{addr}"))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let request = |service: &str| HealthCheckRequest {
            service: service.to_owned(),
        };
        let mut client = HealthClient::new(channel.clone());
        let mut watched = client.watch(request("store")).await.unwrap().into_inner();
        let not_serving = ServingStatus::NotServing as i32;
        assert_eq!(
            watched.message().await.unwrap().unwrap().status,
            not_serving
        );
        let asked = (0..100).map(|_| {
            let mut client = HealthClient::new(channel.clone());
            async move {
                client
                    .check(request("store"))
                    .await
                    .unwrap()
                    .into_inner()
                    .status
            }
        });
        let asked = futures::future::join_all(asked).await;
        assert!(asked.into_iter().all(|status| status == not_serving));
        reporter
            .set_service_status("store", ServingStatus::Serving)
            .await;
        assert_eq!(
            watched.message().await.unwrap().unwrap().status,
            ServingStatus::Serving as i32
        );
        let error = client.check(request("nothing")).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);

        drop((watched, client, channel));
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    })
    .await
    .unwrap();
}
