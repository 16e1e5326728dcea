//! The pool, over connections that are made up: no kernel is in play, so time is paused.

mod cancel;
mod close;
mod failures;
mod life;
mod lines;
mod places;

use std::fmt;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blitz_io::pool::{Builder, Connect, ConnectError, Lease, Manager, OnReturn, Pool};
use blitz_io::time::sleep;

use crate::harness::{Case, FLAVORS, each_case, run};

/// What a call on the server does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Act {
    #[default]
    Well,
    /// Answers after so many milliseconds.
    After(u64),
    Fails,
    Hangs,
    Panics,
}

impl Act {
    async fn perform(self) -> Result<(), Refused> {
        match self {
            Self::Well => Ok(()),
            Self::After(ms) => {
                sleep(Duration::from_millis(ms)).await;
                Ok(())
            }
            Self::Fails => Err(Refused),
            Self::Hangs => pending().await,
            Self::Panics => panic!("as it was told to"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// How the server behaves now, and what it has seen.
#[derive(Default)]
struct World {
    connect: Mutex<Act>,
    check: Mutex<Act>,
    before: Mutex<Act>,
    reset: Mutex<Act>,
    close: Mutex<Act>,
    lasting: AtomicBool,
    attempts: AtomicUsize,
    connecting: AtomicUsize,
    live: AtomicUsize,
    live_max: AtomicUsize,
    checks: AtomicUsize,
    resets: AtomicUsize,
    closed_well: AtomicUsize,
}

fn set(what: &Mutex<Act>, act: Act) {
    *what.lock().unwrap() = act;
}

fn get(what: &Mutex<Act>) -> Act {
    *what.lock().unwrap()
}

/// A connection; it counts while it lives.
struct Conn {
    number: usize,
    key: u32,
    is_dead: bool,
    is_dirty: bool,
    world: Arc<World>,
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.world.live.fetch_sub(1, SeqCst);
    }
}

struct Server(Arc<World>);

/// One that counts as long as it goes on.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Manager for Server {
    type Key = u32;
    type Connection = Conn;
    type Error = Refused;

    fn is_usable(&self, _: &u32, connection: &mut Conn) -> bool {
        !connection.is_dead
    }

    async fn check(&self, _: &u32, _: &mut Conn) -> Result<(), Refused> {
        self.0.checks.fetch_add(1, SeqCst);
        get(&self.0.check).perform().await
    }

    async fn before_acquire(&self, _: &u32, _: &mut Conn) -> Result<(), Refused> {
        get(&self.0.before).perform().await
    }

    fn on_return(&self, _: &u32, connection: &mut Conn) -> OnReturn {
        match (connection.is_dead, connection.is_dirty) {
            (true, _) => OnReturn::Discard,
            (false, true) => OnReturn::Reset,
            (false, false) => OnReturn::Keep,
        }
    }

    async fn reset(&self, _: &u32, connection: &mut Conn) -> Result<(), Refused> {
        self.0.resets.fetch_add(1, SeqCst);
        get(&self.0.reset).perform().await?;
        connection.is_dirty = false;
        Ok(())
    }

    async fn close(&self, _: &u32, connection: Conn) {
        if get(&self.0.close).perform().await.is_ok() {
            self.0.closed_well.fetch_add(1, SeqCst);
        }
        drop(connection);
    }
}

impl Connect for Server {
    async fn connect(&self, key: &u32) -> Result<Conn, Refused> {
        let world = &self.0;
        let number = world.attempts.fetch_add(1, SeqCst) + 1;
        let connecting = Counted::new(&world.connecting);
        get(&world.connect).perform().await?;
        drop(connecting);
        let live = world.live.fetch_add(1, SeqCst) + 1;
        world.live_max.fetch_max(live, SeqCst);
        Ok(Conn {
            number,
            key: *key,
            is_dead: false,
            is_dirty: false,
            world: Arc::clone(world),
        })
    }

    fn is_transient(&self, _: &u32, error: &ConnectError<Refused>) -> bool {
        matches!(error, ConnectError::Panicked) || !self.0.lasting.load(SeqCst)
    }
}

/// A pool that does nothing of its own accord, and its world.
fn pool_of(set_up: impl FnOnce(Builder<Server>) -> Builder<Server>) -> (Pool<Server>, Arc<World>) {
    let world = Arc::new(World::default());
    let builder = Pool::builder(Server(Arc::clone(&world)))
        .idle_timeout(None)
        .max_age(None)
        .keepalive(None);
    (set_up(builder).build(), world)
}

/// Plays a scene on every flavour and back end, with paused time.
fn paused<F: Future<Output = ()>>(scene: impl Fn() -> F) {
    each_case(&FLAVORS, |case: Case| {
        let runtime = case
            .builder()
            .start_paused(true)
            .build()
            .expect("a runtime");
        run(&runtime, scene());
    });
}

/// Lets everybody run who can: in paused time no wait ends before they all wait.
async fn settle() {
    sleep(Duration::from_nanos(1)).await;
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_pool_and_its_leases_are_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>(value: T) -> T {
        value
    }
    shared::<Pool<Server>>();
    shared::<Lease<Server>>();
    let runtime = blitz_io::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (pool, _) = pool_of(|builder| builder);
        drop(sent(pool.acquire(&1)));
        drop(sent(pool.close(seconds(1))));
        drop(sent(pool.warm_up(&1)));
    });
}
