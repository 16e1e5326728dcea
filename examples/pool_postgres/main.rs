//! One pool of connections to PostgreSQL and Redis: limits for each server and for both together, checks, and a reset of what comes back
//! in the middle of a transaction.
//!
//! ```text
//! cargo run --release --example pool_postgres -- --postgres /run/postgresql/.s.PGSQL.5432 --redis 127.0.0.1:6379
//! ```
//!
//! A server's address is `HOST:PORT`, or the path of its socket; one of the two may be left out. `--user NAME` is PostgreSQL's (it has to be let
//! in without a password), `--tasks N` how many want a connection at the same time, `--rounds N` how often, `--pool N` how many
//! connections each server gets, `--wait N` how many seconds anybody waits for one. The servers' languages are in `wire`, as far as this needs them.

mod wire;

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use blitz_io::pool::{CloseReason, Connect, ConnectError, Manager, OnReturn, Pool};
use blitz_io::task::JoinSet;
use blitz_io::time::Instant;
use wire::{Connection, Failure};

/// Whom a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Server {
    Postgres { address: String, user: String },
    Redis { address: String },
}

struct Databases;

impl Manager for Databases {
    type Key = Server;
    type Connection = Connection;
    type Error = Failure;

    fn is_usable(&self, _: &Server, connection: &mut Connection) -> bool {
        connection.is_quiet()
    }

    async fn check(&self, _: &Server, connection: &mut Connection) -> Result<(), Failure> {
        connection.ping().await
    }

    fn on_return(&self, _: &Server, connection: &mut Connection) -> OnReturn {
        if connection.is_midway() {
            // Its task was cancelled between a question and the answer.
            OnReturn::Discard
        } else if connection.is_in_transaction() {
            OnReturn::Reset
        } else {
            OnReturn::Keep
        }
    }

    async fn reset(&self, _: &Server, connection: &mut Connection) -> Result<(), Failure> {
        connection.query("ROLLBACK").await.map(drop)
    }

    async fn close(&self, _: &Server, mut connection: Connection) {
        connection.take_leave().await;
    }
}

impl Connect for Databases {
    async fn connect(&self, server: &Server) -> Result<Connection, Failure> {
        match server {
            Server::Postgres { address, user } => Connection::postgres(address, user).await,
            Server::Redis { address } => Connection::redis(address).await,
        }
    }

    fn is_transient(&self, _: &Server, error: &ConnectError<Failure>) -> bool {
        // A server that says no will say so again; one that is not there may be starting.
        !matches!(error, ConnectError::Failed(Failure::Refused(_)))
    }
}

struct Options {
    servers: Vec<Server>,
    tasks: usize,
    rounds: usize,
    pool: usize,
    wait: u64,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let (mut postgres, mut redis, mut user) = (None, None, "postgres".to_owned());
    let (mut tasks, mut rounds, mut pool, mut wait) = (64, 20, 8, 20);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} wants a value, or is unknown"))?;
        match arg.as_str() {
            "--postgres" => postgres = Some(value),
            "--redis" => redis = Some(value),
            "--user" => user = value,
            "--tasks" => tasks = value.parse()?,
            "--rounds" => rounds = value.parse()?,
            "--pool" => pool = value.parse()?,
            "--wait" => wait = value.parse()?,
            other => {
                let known = "--postgres, --redis, --user, --tasks, --rounds, --pool, --wait";
                return Err(format!("unknown option {other}: use {known}").into());
            }
        }
    }
    let postgres = postgres.map(|address| Server::Postgres { address, user });
    let redis = redis.map(|address| Server::Redis { address });
    let servers: Vec<_> = postgres.into_iter().chain(redis).collect();
    if servers.is_empty() {
        return Err("no server: use --postgres ADDRESS, --redis ADDRESS, or both".into());
    }
    Ok(Options {
        servers,
        tasks,
        rounds,
        pool,
        wait,
    })
}

#[blitz_io::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let pool = Pool::builder(Databases)
        .name("databases")
        .max_per_key(options.pool)
        .max_total(options.pool * 2)
        .acquire_timeout(Duration::from_secs(options.wait))
        .build();
    for server in &options.servers {
        crowd(&pool, server, &options).await?;
        if let Server::Postgres { .. } = server {
            transactions(&pool, server).await?;
            lost(&pool, server).await?;
        }
        cancelled(&pool, server).await?;
    }
    let metrics = pool.metrics();
    println!(
        "pool: {} made, {} broken, waits p50 {:?} p99 {:?}",
        metrics.created,
        metrics.closed(CloseReason::Broken),
        Duration::from_nanos(metrics.wait_time.percentile(50.0).unwrap_or(0)),
        Duration::from_nanos(metrics.wait_time.percentile(99.0).unwrap_or(0)),
    );
    let out = pool.close(Duration::from_secs(10)).await;
    println!("closed, {out} left out");
    Ok(())
}

fn name(server: &Server) -> &'static str {
    match server {
        Server::Postgres { .. } => "postgres",
        Server::Redis { .. } => "redis",
    }
}

/// Many tasks share few connections.
async fn crowd(
    pool: &Pool<Databases>,
    server: &Server,
    options: &Options,
) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..options.tasks {
        let (pool, server, rounds) = (pool.clone(), server.clone(), options.rounds);
        tasks.spawn(async move {
            let mut peers = BTreeSet::new();
            for round in 0..rounds {
                let mut lease = pool.acquire(&server).await?;
                let (peer, sum) = lease.add(number as u64, round as u64).await?;
                if sum != (number + round) as u64 {
                    return Err(format!("{number} + {round} is not {sum}").into());
                }
                peers.insert(peer);
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(peers)
        });
    }
    let mut peers = BTreeSet::new();
    while let Some(joined) = tasks.join_next().await {
        peers.append(&mut joined?.map_err(|error| error as Box<dyn Error>)?);
    }
    if peers.len() > options.pool {
        return Err(format!(
            "{} connections, though {} are the limit",
            peers.len(),
            options.pool
        )
        .into());
    }
    println!(
        "{}: {} answers over {} connections in {:.1?}",
        name(server),
        options.tasks * options.rounds,
        peers.len(),
        begun.elapsed()
    );
    Ok(())
}

/// Who gives a connection back in the middle of a transaction leaves nothing of it to the next.
async fn transactions(pool: &Pool<Databases>, server: &Server) -> Result<(), Box<dyn Error>> {
    let mut lease = pool.acquire(server).await?;
    lease
        .query("BEGIN; CREATE TABLE unfinished (n int)")
        .await?;
    drop(lease);
    // All there are, so that the one is among them.
    let mut leases = Vec::new();
    for _ in 0..pool.limits().max_per_key {
        leases.push(pool.acquire(server).await?);
    }
    for lease in &mut leases {
        let rows = lease
            .query("SELECT count(*) FROM pg_class WHERE relname = 'unfinished'")
            .await?;
        if lease.is_in_transaction() || rows != [["0"]] {
            return Err("a transaction was handed on".into());
        }
    }
    println!(
        "{}: a transaction that was left open was rolled back",
        name(server)
    );
    Ok(())
}

/// The server ends all connections; whoever comes then does not notice.
async fn lost(pool: &Pool<Databases>, server: &Server) -> Result<(), Box<dyn Error>> {
    let idle = pool.metrics().idle;
    let mut lease = pool.acquire(server).await?;
    let ended = lease
        .query("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'pool_postgres' AND pid <> pg_backend_pid()")
        .await?;
    lease.discard();
    for _ in 0..idle {
        let mut lease = pool.acquire(server).await?;
        lease.add(1, 1).await?;
    }
    println!(
        "{}: {} connections were ended by the server, and replaced",
        name(server),
        ended.len()
    );
    Ok(())
}

/// A task that is dropped while it waits for an answer: its connection is not given to the next, who would get that answer.
async fn cancelled(pool: &Pool<Databases>, server: &Server) -> Result<(), Box<dyn Error>> {
    for wait in 0..200 {
        let mut lease = pool.acquire(server).await?;
        let limit = Duration::from_micros(wait * 5);
        let answer = blitz_io::time::timeout(limit, lease.add(wait, 1)).await;
        if let Ok(answer) = answer {
            answer?;
        }
        drop(lease);
        let (_, sum) = pool.acquire(server).await?.add(wait, 1000).await?;
        if sum != wait + 1000 {
            return Err(format!("the answer to another's question: {sum}").into());
        }
    }
    println!(
        "{}: nobody got the answer to another's question",
        name(server)
    );
    Ok(())
}
