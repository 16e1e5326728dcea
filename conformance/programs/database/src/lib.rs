//! Accounts in SQLite, through sqlx: money moves from one to another, or not at all.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};

/// How long a test waits for what must come.
pub const GUARD: Duration = Duration::from_secs(60);

/// Opens the accounts in `folder`; makes them if there are none.
pub async fn open(folder: &Path) -> sqlx::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("accounts.db"))
        .create_if_missing(true)
        .busy_timeout(GUARD)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options)
        .await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, amount INTEGER NOT NULL CHECK (amount >= 0))")
        .execute(&pool)
        .await?;
    Ok(pool)
}

/// Moves `amount` from one to another.
pub async fn transfer(
    accounts: &SqlitePool,
    from: &str,
    to: &str,
    amount: i64,
) -> sqlx::Result<()> {
    // The lock to write is taken first, so that two of these cannot wait for each other.
    let mut transaction = accounts.begin_with("BEGIN IMMEDIATE").await?;
    for (name, change) in [(from, -amount), (to, amount)] {
        sqlx::query("UPDATE accounts SET amount = amount + ? WHERE name = ?")
            .bind(change)
            .bind(name)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}
