//! A program on tokio-util and tokio-stream: a sum server that speaks in lines, with an orderly end.

use futures::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::codec::{Framed, LinesCodec};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Answers each line of numbers with their sum, until `stop` is cancelled; connections that are open are served to their end.
pub async fn serve(listener: TcpListener, stop: CancellationToken) {
    let tracker = TaskTracker::new();
    let mut streams = TcpListenerStream::new(listener).take_until(Box::pin(stop.cancelled_owned()));
    while let Some(stream) = streams.next().await {
        let Ok(stream) = stream else { continue };
        tracker.spawn(async move {
            let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(1000));
            while let Some(line) = lines.next().await {
                let answer = match line {
                    Ok(line) => sum(&line),
                    Err(_) => "too long".to_owned(),
                };
                if lines.send(answer).await.is_err() {
                    return;
                }
            }
        });
    }
    // The socket goes first: who comes now is refused.
    drop(streams);
    tracker.close();
    tracker.wait().await;
}

fn sum(line: &str) -> String {
    let numbers: Result<Vec<i64>, _> = line.split_whitespace().map(str::parse).collect();
    numbers.map_or_else(
        |error| error.to_string(),
        |numbers| numbers.iter().sum::<i64>().to_string(),
    )
}
