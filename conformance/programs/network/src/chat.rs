//! A chat over WebSockets with tokio-tungstenite: what one says, all hear.

use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener) {
    let (said, _) = broadcast::channel(1024);
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(sit(stream, said.clone()));
    }
}

async fn sit(stream: TcpStream, said: broadcast::Sender<Message>) -> Result<(), Error> {
    let mut heard = said.subscribe();
    let (mut to, mut from) = tokio_tungstenite::accept_async(stream).await?.split();
    loop {
        tokio::select! {
            words = from.next() => match words {
                Some(Ok(words @ (Message::Text(_) | Message::Binary(_)))) => {
                    // This one listens too, so there is a receiver.
                    let _ = said.send(words);
                }
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
            },
            words = heard.recv() => match words {
                Ok(words) => to.send(words).await?,
                // Too slow to hear all.
                Err(_) => return to.close().await,
            },
        }
    }
}
