//! sqlx with SQLite, in a file.

use database::{GUARD, open, transfer};
use futures::TryStreamExt;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_hold_and_nothing_is_lost() {
    timeout(GUARD, async {
        let folder = tempfile::tempdir().unwrap();
        let accounts = open(folder.path()).await.unwrap();
        for name in ["anna", "ben"] {
            let insert = sqlx::query("INSERT INTO accounts VALUES (?, 100)").bind(name);
            insert.execute(&accounts).await.unwrap();
        }
        let moves = (0..20).map(|number| {
            let accounts = accounts.clone();
            tokio::spawn(async move {
                let (from, to) = if number % 2 == 0 {
                    ("anna", "ben")
                } else {
                    ("ben", "anna")
                };
                transfer(&accounts, from, to, 1).await.unwrap();
            })
        });
        futures::future::try_join_all(moves).await.unwrap();
        // One that breaks the rule half-way, and one that is dropped: neither leaves a trace.
        transfer(&accounts, "ben", "anna", 1000).await.unwrap_err();
        let mut dropped = accounts.begin().await.unwrap();
        sqlx::query("DELETE FROM accounts")
            .execute(&mut *dropped)
            .await
            .unwrap();
        drop(dropped);
        accounts.close().await;
        let accounts = open(folder.path()).await.unwrap();
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT name, amount FROM accounts ORDER BY name")
                .fetch(&accounts)
                .try_collect()
                .await
                .unwrap();
        assert_eq!(rows, [("anna".to_owned(), 100), ("ben".to_owned(), 100)]);
        accounts.close().await;
    })
    .await
    .unwrap();
}
