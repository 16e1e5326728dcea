//! ntex, on the back end that it shares with tokio.

use ntex::web::{self, App, HttpResponse, HttpServer};
use std::net::SocketAddr;

pub fn serve(workers: usize, addr: SocketAddr) {
    let serving = async move {
        HttpServer::new(async || {
            App::new()
                .route(
                    "/",
                    web::get().to(async || {
                        HttpResponse::Ok()
                            .content_type("text/plain")
                            .body(super::HELLO)
                    }),
                )
                .route(
                    "/json",
                    web::get().to(async || {
                        HttpResponse::Ok()
                            .content_type("application/json")
                            .body(super::json())
                    }),
                )
                .route(
                    "/echo",
                    web::post().to(async |body: ntex::util::Bytes| {
                        HttpResponse::Ok()
                            .content_type("application/octet-stream")
                            .body(body)
                    }),
                )
        })
        .workers(workers)
        .backlog(4096)
        .bind(addr)
        .expect("the address is free")
        .run()
        .await
    };
    ntex::rt::System::new("ntex", ntex::rt::DefaultRuntime)
        .block_on(serving)
        .expect("served");
}
