//! tokio-tungstenite, both ends, over TCP.

use futures::{SinkExt, StreamExt};
use network::{GUARD, chat};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_says_all_hear_in_order() {
    timeout(GUARD, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        tokio::spawn(chat::serve(listener));
        let mut guests = Vec::new();
        for number in 0..5 {
            let (mut guest, _) = connect_async(&url).await.unwrap();
            // A guest who has heard himself is seated.
            guest
                .send(Message::text(format!("here is {number}")))
                .await
                .unwrap();
            assert_eq!(
                guest.next().await.unwrap().unwrap(),
                Message::text(format!("here is {number}"))
            );
            guests.push(guest);
        }
        let mut speaker = guests.pop().unwrap();
        for number in 0..100 {
            speaker
                .send(Message::text(number.to_string()))
                .await
                .unwrap();
        }
        let large = Message::binary(vec![9; 500_000]);
        speaker.send(large.clone()).await.unwrap();
        guests.push(speaker);
        for guest in &mut guests {
            let mut next = 0;
            while next < 100 {
                let words = guest.next().await.unwrap().unwrap().into_text().unwrap();
                // Those who came later have been heard by the earlier ones.
                if !words.starts_with("here is") {
                    assert_eq!(words, next.to_string());
                    next += 1;
                }
            }
            assert_eq!(guest.next().await.unwrap().unwrap(), large);
            guest.close(None).await.unwrap();
        }
    })
    .await
    .unwrap();
}
