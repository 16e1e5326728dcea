//! A queue of messages within one process: backpressure, workers, retries that wait, and dead letters.
//!
//! ```text
//! cargo run --release --example message_queue -- --messages 1000 --workers 4 --room 32 --fail 20
//! ```
//!
//! A producer fills a queue that has room for so many messages; that counts those that are worked on or wait for their retry, so
//! a slow or failing consumer slows the producer down instead of filling the memory. Workers take messages; one that fails
//! comes again after a pause that doubles, three times at most, and then goes to the dead letters.

use blitz_io::stream::{StreamExt, wrappers::UnboundedReceiverStream};
use blitz_io::sync::{OwnedSemaphorePermit, Semaphore, mpmc, mpsc};
use blitz_io::task::JoinSet;
use blitz_io::time::{Duration, sleep};
use std::collections::HashSet;
use std::error::Error;
use std::fmt::Display;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const HELP: &str = "message_queue [--messages N] [--workers N] [--room N] [--fail PERCENT] [--pause MS]
    --messages N     how many messages are produced (1000)
    --workers N      how many of them are worked on at a time (4)
    --room N         how many there may be in the queue, those at work and those that wait for a retry included (32)
    --fail PERCENT   how often working on a message fails (20)
    --pause MS       the pause before the first retry, in milliseconds (1)";

const ATTEMPTS_MAX: u32 = 4;

/// What goes through the queue. Its place in the room is free again when it is dropped, wherever that is.
struct Message {
    id: u64,
    attempts: u32,
    _place: OwnedSemaphorePermit,
}

/// The two ends that producers and workers share.
#[derive(Clone)]
struct Queue {
    room: Arc<Semaphore>,
    /// Without a bound of its own: `room` is the bound, so a retry never waits for a worker that waits for it.
    messages: mpmc::Sender<Message>,
    waits: Arc<AtomicU64>,
}

impl Queue {
    fn new(room: usize) -> (Self, mpmc::Receiver<Message>) {
        let (messages, receiver) = mpmc::unbounded_channel();
        let queue = Self {
            room: Arc::new(Semaphore::new(room)),
            messages,
            waits: Arc::default(),
        };
        (queue, receiver)
    }

    /// Waits for room. Dropped, it has sent nothing.
    async fn send(&self, id: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        let place = match Arc::clone(&self.room).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                self.waits.fetch_add(1, Relaxed);
                Arc::clone(&self.room).acquire_owned().await?
            }
        };
        let message = Message {
            id,
            attempts: 0,
            _place: place,
        };
        self.messages
            .try_send(message)
            .map_err(|_| "the workers are gone".into())
    }
}

/// What became of a message.
enum Outcome {
    Done { attempts: u32 },
    Dead(u64),
}

/// Takes messages until the queue is closed and empty.
async fn work(
    receiver: mpmc::Receiver<Message>,
    retries: mpsc::UnboundedSender<Message>,
    outcomes: mpsc::UnboundedSender<Outcome>,
    percent: u64,
) {
    while let Some(mut message) = receiver.recv().await {
        message.attempts += 1;
        let told = match handle(message.id, message.attempts, percent).await {
            Ok(()) => outcomes.send(Outcome::Done {
                attempts: message.attempts,
            }),
            Err(_) if message.attempts == ATTEMPTS_MAX => outcomes.send(Outcome::Dead(message.id)),
            Err(_) => {
                // Nobody takes retries any more: the program ends, and the message with it.
                let _ = retries.send(message);
                Ok(())
            }
        };
        if told.is_err() {
            return;
        }
    }
}

/// The work itself: it takes a moment, and fails for as many of 100 as it was told, the same ones in each run.
async fn handle(id: u64, attempt: u32, percent: u64) -> Result<(), &'static str> {
    blitz_io::task::yield_now().await;
    let mut dice = (id << 8 | u64::from(attempt)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    dice ^= dice >> 32;
    if dice.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32 >= (percent << 32) / 100 {
        Ok(())
    } else {
        Err("bad luck")
    }
}

/// Sends each failed message again after its pause. Ends when all workers have.
async fn retry(
    failed: mpsc::UnboundedReceiver<Message>,
    messages: mpmc::Sender<Message>,
    pause: Duration,
) {
    let mut failed = UnboundedReceiverStream::new(failed);
    let mut pauses = JoinSet::new();
    loop {
        blitz_io::select! {
            Some(message) = failed.next() => {
                let messages = messages.clone();
                pauses.spawn(async move {
                    sleep(pause * 2u32.pow(message.attempts - 1)).await;
                    // A queue that is closed has no use for it.
                    let _ = messages.try_send(message);
                });
            }
            Some(_) = pauses.join_next() => {}
            else => return,
        }
    }
}

#[blitz_io::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("message_queue: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The number that is the value of an option.
fn number<T: FromStr>(option: &str, value: &str) -> Result<T, String>
where
    T::Err: Display,
{
    let number = value.parse();
    number.map_err(|error| format!("{option} wants a number, and {value:?} is none: {error}"))
}

async fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (mut count, mut workers, mut room, mut percent, mut pause) =
        (1000u64, 4usize, 32usize, 20u64, 1u64);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--help" {
            println!("{HELP}");
            return Ok(());
        }
        let value = args
            .next()
            .ok_or_else(|| format!("{arg} wants a value, or is unknown\n{HELP}"))?;
        match arg.as_str() {
            "--messages" => count = number(&arg, &value)?,
            "--workers" => workers = number(&arg, &value)?,
            "--room" => room = number(&arg, &value)?,
            "--fail" => percent = number(&arg, &value)?,
            "--pause" => pause = number(&arg, &value)?,
            other => return Err(format!("unknown option {other}\n{HELP}").into()),
        }
    }
    if workers == 0 || room == 0 || percent > 100 {
        return Err("workers and room are at least 1, and no more than 100 of 100 fail".into());
    }

    let (queue, receiver) = Queue::new(room);
    let (failed, retries) = mpsc::unbounded_channel();
    let (outcome, mut outcomes) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        tasks.spawn(work(
            receiver.clone(),
            failed.clone(),
            outcome.clone(),
            percent,
        ));
    }
    drop((receiver, failed, outcome));
    tasks.spawn(retry(
        retries,
        queue.messages.clone(),
        Duration::from_millis(pause),
    ));
    let producer = queue.clone();
    let producer = blitz_io::spawn(async move {
        for id in 0..count {
            producer.send(id).await?;
        }
        Ok::<(), Box<dyn Error + Send + Sync>>(())
    });

    let (mut at_once, mut later, mut dead) = (0u64, 0u64, HashSet::new());
    for _ in 0..count {
        match outcomes.recv().await.ok_or("a worker has panicked")? {
            Outcome::Done { attempts: 1 } => at_once += 1,
            Outcome::Done { .. } => later += 1,
            Outcome::Dead(id) => {
                dead.insert(id);
            }
        }
    }
    producer.await??;
    // Everything is accounted for: the queue is empty, and its room is free.
    queue.messages.close();
    while let Some(task) = tasks.join_next().await {
        task?;
    }
    assert_eq!(queue.room.available_permits(), room, "a message is lost");
    println!(
        "{count} messages: {at_once} done at once, {later} after retries, {} dead letters; the producer waited {} times",
        dead.len(),
        queue.waits.load(Relaxed)
    );
    Ok(())
}
