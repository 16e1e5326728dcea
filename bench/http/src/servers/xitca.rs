//! xitca-web.

use std::net::SocketAddr;
use xitca_web::App;
use xitca_web::handler::handler_service;
use xitca_web::route::{get, post};

pub fn serve(workers: usize, addr: SocketAddr) {
    App::new()
        .at("/", get(handler_service(async || super::HELLO)))
        .at("/json", get(handler_service(async || super::json())))
        .at("/echo", post(handler_service(async |body: Vec<u8>| body)))
        .serve()
        .worker_threads(workers)
        .backlog(4096)
        .bind(addr)
        .expect("the address is free")
        .run()
        .wait()
        .expect("served");
}
