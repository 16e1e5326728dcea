//! Methods that are generic, called as programs call them. Nothing here runs: that it compiles is the test.
#![expect(
    dead_code,
    dropping_copy_types,
    reason = "that it compiles is the test"
)]

use std::future::{Ready, ready};
use std::io::{self, Result};
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{
    TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixSocket, UnixStream, tcp,
    unix,
};
use tokio::runtime::dump::{Trace, TraceMeta, trace_with};
use tokio::runtime::{
    Builder, Handle, HistogramConfiguration, InvalidHistogramConfiguration, LocalRuntime,
    LogHistogram, Runtime, TaskMeta,
};
use tokio::sync::{
    MappedMutexGuard, Mutex, MutexGuard, OnceCell, OwnedMappedMutexGuard, OwnedMutexGuard,
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock,
    RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard, watch,
};
use tokio::task::{self, JoinHandle, JoinSet, LocalKey, LocalSet};

/// It is read into through the traits of `bytes`, which a `Vec` has.
type Room = Vec<u8>;

type Pair = (u8, u16);

async fn files() -> Result<()> {
    let path = std::path::Path::new("a");
    let file = tokio::fs::File::open("a").await?;
    drop((
        file,
        tokio::fs::File::create(path).await?,
        tokio::fs::File::create_new("a".to_owned()).await?,
    ));
    drop(tokio::fs::OpenOptions::new().open(path).await?);
    Ok(())
}

async fn streams(mut stream: TcpStream, room: &mut Room) -> Result<()> {
    let mut rest: &[u8] = b"rest";
    stream.read_buf(room).await?;
    stream.write_buf(&mut rest).await?;
    stream.write_all_buf(&mut rest).await?;
    stream.chain(tokio::io::empty()).read_to_end(room).await?;
    Ok(())
}

async fn tcp(mut read: tcp::OwnedReadHalf, half: tcp::ReadHalf<'_>, room: &mut Room) -> Result<()> {
    TcpListener::bind("localhost:0").await?;
    TcpListener::bind(("127.0.0.1", 0)).await?;
    let stream = TcpStream::connect("localhost:1".to_owned()).await?;
    let tried: u8 = stream.try_io(Interest::READABLE, || Ok(1))?;
    let waited: u8 = stream.async_io(Interest::WRITABLE, || Ok(tried)).await?;
    room.push(waited);
    let half = half.try_read_buf(room)?;
    read.read_u8().await?;
    read.try_read_buf(room)?;
    stream.try_read_buf(room).map(|read| drop((read, half)))
}

async fn udp(socket: &UdpSocket, room: &mut Room) -> Result<()> {
    UdpSocket::bind(("127.0.0.1", 0))
        .await?
        .connect("127.0.0.1:1")
        .await?;
    socket.send_to(b"", "localhost:1").await?;
    socket.recv_buf(room).await?;
    socket.recv_buf_from(room).await?;
    socket.try_recv_buf(room)?;
    socket.try_recv_buf_from(room)?;
    socket.try_io(Interest::READABLE, || Ok(()))?;
    socket.async_io(Interest::READABLE, || Ok(())).await
}

async fn local(read: unix::OwnedReadHalf, half: unix::ReadHalf<'_>, room: &mut Room) -> Result<()> {
    let socket = UnixDatagram::bind("a")?;
    socket.connect("b")?;
    socket.send_to(b"", "b").await?;
    socket.try_send_to(b"", "b")?;
    let sent = std::future::poll_fn(|cx| socket.poll_send_to(cx, b"", "b")).await?;
    socket.recv_buf(room).await?;
    socket.recv_buf_from(room).await?;
    socket.try_recv_buf(room)?;
    socket.try_recv_buf_from(room)?;
    socket.try_io(Interest::READABLE, || Ok(()))?;
    socket.async_io(Interest::READABLE, || Ok(())).await?;
    UnixListener::bind("c")?;
    UnixSocket::new_stream()?.bind("d")?;
    UnixSocket::new_stream()?.connect("d").await?;
    let stream = UnixStream::connect("c").await?;
    stream.try_read_buf(room)?;
    stream.try_io(Interest::READABLE, || Ok(()))?;
    stream.async_io(Interest::READABLE, || Ok(())).await?;
    drop((read.try_read_buf(room)?, half.try_read_buf(room)?, sent));
    let receiver = unix::pipe::OpenOptions::new().open_receiver("e")?;
    let sender = unix::pipe::OpenOptions::new().open_sender("e")?;
    receiver.try_read_buf(room)?;
    receiver.try_io(|| Ok(()))?;
    sender.try_io(|| Ok(()))
}

type Std = std::net::TcpStream;

async fn descriptors(mut fd: AsyncFd<Std>) -> Result<u8> {
    fd.async_io(Interest::READABLE, |_: &Std| Ok(0)).await?;
    fd.async_io_mut(Interest::READABLE, |_: &mut Std| Ok(0))
        .await?;
    fd.try_io(Interest::READABLE, |_: &Std| Ok(0))?;
    fd.try_io_mut(Interest::READABLE, |_: &mut Std| Ok(0))?;
    let mut guard: AsyncFdReadyGuard<'_, Std> = fd.readable().await?;
    if let Ok(done) = guard.try_io(|fd: &AsyncFd<Std>| fd.get_ref().ttl().map(|_| 0)) {
        return done;
    }
    let mut guard: AsyncFdReadyMutGuard<'_, Std> = fd.readable_mut().await?;
    match guard.try_io(|fd: &mut AsyncFd<Std>| fd.get_mut().ttl().map(|_| 0)) {
        Ok(done) => done,
        Err(_would_block) => Ok(1),
    }
}

fn children() -> Result<tokio::process::Child> {
    let mut command = tokio::process::Command::new("a");
    command
        .arg("b")
        .args(["c"])
        .env("d", "e")
        .envs([("f", "g")])
        .env_remove("h")
        .current_dir("i");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(std::fs::File::open("j")?)
        .arg0("k");
    let _ = tokio::process::Command::pre_exec::<fn() -> Result<()>>;
    command.spawn_with(|std| std.spawn())
}

fn runtimes(handle: &Handle, runtime: &Runtime, local: &LocalRuntime) -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder
        .thread_name("a")
        .name(String::from("b"))
        .thread_name_fn(|| "c".to_owned());
    builder
        .on_thread_start(|| ())
        .on_thread_stop(|| ())
        .on_thread_park(|| ())
        .on_thread_unpark(|| ());
    builder.on_task_spawn(|meta: &TaskMeta<'_>| drop(meta.id()));
    builder
        .on_before_task_poll(|_| ())
        .on_after_task_poll(|_| ())
        .on_task_terminate(|_| ());
    builder.metrics_poll_time_histogram_configuration(HistogramConfiguration::log(
        LogHistogram::default(),
    ));
    let tasks: [JoinHandle<u8>; 6] = [
        handle.spawn(async { 1 }),
        handle.spawn_blocking(|| 2),
        runtime.spawn(async { 3 }),
        runtime.spawn_blocking(|| 4),
        local.spawn_local(async { 5 }),
        local.spawn_blocking(|| 6),
    ];
    drop((
        handle.block_on(async { 7 }),
        runtime.block_on(async { 8 }),
        local.block_on(async { 9 }),
        tasks,
    ));
    builder.build()
}

fn shown(error: &InvalidHistogramConfiguration) -> usize {
    let (seen, trace) = Trace::capture(|| 1);
    drop((Trace::root(async {}), trace));
    trace_with(|| (), |meta: &TraceMeta| drop(meta.trace_leaf_addr));
    match error {
        InvalidHistogramConfiguration::TooManyBuckets {
            required_bucket_count,
        } => required_bucket_count + seen,
        _ => 0,
    }
}

fn parts(pair: &mut Pair) -> &mut u8 {
    &mut pair.0
}

fn maybe(pair: &mut Pair) -> Option<&mut u8> {
    Some(&mut pair.0)
}

async fn locks(mutex: &Arc<Mutex<Pair>>) {
    let mapped: MappedMutexGuard<'_, u8> = MutexGuard::map(mutex.lock().await, parts);
    drop(MappedMutexGuard::map(mapped, |byte| byte));
    if let Ok(mapped) = MutexGuard::try_map(mutex.lock().await, maybe) {
        drop(MappedMutexGuard::try_map(mapped, |byte| Some(byte)).is_ok());
    }
    let owned = || Arc::clone(mutex).lock_owned();
    let mapped: OwnedMappedMutexGuard<Pair, u8> = OwnedMutexGuard::map(owned().await, parts);
    drop(OwnedMappedMutexGuard::map(mapped, |byte| byte));
    if let Ok(mapped) = OwnedMutexGuard::try_map(owned().await, maybe) {
        drop(OwnedMappedMutexGuard::try_map(mapped, |byte| Some(byte)).is_ok());
    }
}

async fn read_and_write(lock: &Arc<RwLock<Pair>>) {
    let read: RwLockReadGuard<'_, u8> = RwLockReadGuard::map(lock.read().await, |pair| &pair.0);
    drop(RwLockReadGuard::try_map(read, |byte| Some(byte)).is_ok());
    let mapped: RwLockMappedWriteGuard<'_, u8> = RwLockWriteGuard::map(lock.write().await, parts);
    drop(RwLockMappedWriteGuard::map(mapped, |byte| byte));
    if let Ok(mapped) = RwLockWriteGuard::try_map(lock.write().await, maybe) {
        drop(RwLockMappedWriteGuard::try_map(mapped, |byte| Some(byte)).is_ok());
    }
    let read: RwLockReadGuard<'_, u8> =
        RwLockWriteGuard::downgrade_map(lock.write().await, |pair| &pair.0);
    drop(read);
    drop(RwLockWriteGuard::try_downgrade_map(lock.write().await, |pair| Some(&pair.0)).is_ok());

    let owned = || Arc::clone(lock).write_owned();
    let read: OwnedRwLockReadGuard<Pair, u8> =
        OwnedRwLockReadGuard::map(Arc::clone(lock).read_owned().await, |pair| &pair.0);
    drop(OwnedRwLockReadGuard::try_map(read, |byte| Some(byte)).is_ok());
    let mapped: OwnedRwLockMappedWriteGuard<Pair, u8> =
        OwnedRwLockWriteGuard::map(owned().await, parts);
    drop(OwnedRwLockMappedWriteGuard::map(mapped, |byte| byte));
    if let Ok(mapped) = OwnedRwLockWriteGuard::try_map(owned().await, maybe) {
        drop(OwnedRwLockMappedWriteGuard::try_map(mapped, |byte| Some(byte)).is_ok());
    }
    let read: OwnedRwLockReadGuard<Pair, u8> =
        OwnedRwLockWriteGuard::downgrade_map(owned().await, |pair| &pair.0);
    drop(read);
    drop(OwnedRwLockWriteGuard::try_downgrade_map(owned().await, |pair| Some(&pair.0)).is_ok());
}

async fn values(
    cell: &OnceCell<u8>,
    sender: &watch::Sender<u8>,
    receiver: &mut watch::Receiver<u8>,
) -> Result<u8> {
    cell.get_or_init(|| async { 1 }).await;
    cell.get_or_try_init(|| async { io::Result::Ok(1) }).await?;
    sender.send_modify(|value| *value += 1);
    sender.send_if_modified(|value| *value > 1);
    let seen = receiver
        .wait_for(|value| *value > 2)
        .await
        .map_err(io::Error::other)?;
    Ok(*seen)
}

/// By the same kinds of `self` as tokio's: these are called through references, and named as functions.
fn by_reference(builder: &task::Builder<'static>, unit: &task::coop::RestoreOnPending) {
    drop(task::Builder::name(builder, "a"));
    unit.made_progress();
}

type Job = Ready<u8>;

fn built(runtime: &Handle, set: &LocalSet) -> Result<[JoinHandle<u8>; 6]> {
    let builder = || task::Builder::new().name("a");
    Ok([
        builder().spawn(ready(1))?,
        builder().spawn_on(ready(2), runtime)?,
        builder().spawn_local(ready(3))?,
        builder().spawn_local_on(ready(4), set)?,
        builder().spawn_blocking(|| 5)?,
        builder().spawn_blocking_on(|| 6, runtime)?,
    ])
}

fn joined(
    tasks: &mut JoinSet<u8>,
    runtime: &Handle,
    set: &LocalSet,
) -> Result<[task::AbortHandle; 12]> {
    let job = || -> Job { ready(1) };
    Ok([
        tasks.spawn(job()),
        tasks.spawn_on(job(), runtime),
        tasks.spawn_local(job()),
        tasks.spawn_local_on(job(), set),
        tasks.spawn_blocking(|| 2),
        tasks.spawn_blocking_on(|| 3, runtime),
        tasks.build_task().name("a").spawn(job())?,
        tasks.build_task().spawn_on(job(), runtime)?,
        tasks.build_task().spawn_local(job())?,
        tasks.build_task().spawn_local_on(job(), set)?,
        tasks.build_task().spawn_blocking(|| 4)?,
        tasks.build_task().spawn_blocking_on(|| 5, runtime)?,
    ])
}

async fn keys(key: &'static LocalKey<u8>, set: &LocalSet, runtime: &Runtime) -> (u8, u8) {
    let seen = key.scope(1, async { key.get() }).await;
    let with = key.sync_scope(2, || key.with(|value| *value));
    let tried = key.try_with(|value| *value);
    set.spawn_local(async {});
    set.block_on(runtime, async {});
    (
        set.run_until(async { seen }).await,
        with + tried.unwrap_or(0),
    )
}
