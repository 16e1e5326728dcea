//! actix-web.

use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, HttpServer, web};
use std::net::SocketAddr;

pub fn serve(workers: usize, addr: SocketAddr) {
    let serving = async {
        HttpServer::new(|| {
            App::new()
                .route(
                    "/",
                    web::get().to(|| async {
                        HttpResponse::Ok()
                            .content_type("text/plain")
                            .body(super::HELLO)
                    }),
                )
                .route(
                    "/json",
                    web::get().to(|| async {
                        HttpResponse::Ok()
                            .content_type("application/json")
                            .body(super::json())
                    }),
                )
                .route("/echo", web::post().to(|body: Bytes| async move { body }))
        })
        .workers(workers)
        .backlog(4096)
        .bind(addr)
        .expect("the address is free")
        .run()
        .await
    };
    actix_web::rt::System::new()
        .block_on(serving)
        .expect("served");
}
