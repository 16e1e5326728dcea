//! may_minihttp: coroutines, and a server that does the least. It takes 16 fields, has no limit of time, and gives its name with
//! every answer.

use may_minihttp::{HttpServer, HttpService, Request, Response};
use std::io::{self, Read};
use std::net::SocketAddr;

#[derive(Clone)]
struct Answers;

impl HttpService for Answers {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        match (request.method(), request.path()) {
            ("GET", "/") => {
                response
                    .header("Content-Type: text/plain")
                    .body(super::HELLO);
            }
            ("GET", "/json") => {
                response
                    .header("Content-Type: application/json")
                    .body_vec(super::json());
            }
            ("POST", "/echo") => {
                let mut body = Vec::new();
                request.body().read_to_end(&mut body)?;
                response
                    .header("Content-Type: application/octet-stream")
                    .body_vec(body);
            }
            _ => {
                response.status_code(404, "Not Found");
            }
        }
        Ok(())
    }
}

pub fn serve(workers: usize, addr: SocketAddr) {
    may::config().set_workers(workers);
    HttpServer(Answers)
        .start(addr)
        .expect("the address is free")
        .join()
        .expect("no panic");
}
