//! How a runtime is put together from what the builder says.

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use blitz_core::barrier::Asymmetric;
use blitz_core::waiting::{self, Resource, Site};
use blitz_driver::{Clock, Driver, RingUse};
use blitz_exec::blocking::{Pool, PoolConfig};
use blitz_exec::compute::{Bridge, ThreadConfig};
use blitz_exec::park::{Park, Watch};
use blitz_exec::scheduler::multi::MultiThread;
use blitz_exec::scheduler::per_core::PerCore;
use blitz_exec::scheduler::{self, Alarm, single};
use blitz_io_traits::waiting::Call;
use blitz_sys::{barrier, cpu};

use super::events;
use super::inspect::Inspector;
use super::monitor::Monitor;
use super::park::{ClockWatch, DriverPark};
use super::{Builder, Handle, Id, RngSeed, Runtime, RuntimeFlavor};
use crate::context::{self, Inner, Seeds, StuckLog};

/// Names the number of workers where the program does not.
const WORKERS_VARIABLE: &str = "BLITZ_IO_WORKER_THREADS";

/// The calls of the I/O traits' extensions; their leaves mostly wait for a descriptor.
static CALLS: [Site; Call::ALL.len()] = {
    let mut sites = [const { Site::new("", Resource::Descriptor) }; Call::ALL.len()];
    let mut at = 0;
    while at < sites.len() {
        sites[at] = Site::new(Call::ALL[at].name(), Resource::Descriptor);
        at += 1;
    }
    sites
};

pub(super) fn build(builder: &Builder, local: bool) -> io::Result<Runtime> {
    blitz_io_traits::coop::set_coop_hook(|cx, step| {
        let unit = std::task::ready!(blitz_core::budget::poll_proceed(cx));
        if step(cx) {
            unit.made_progress();
        }
        std::task::Poll::Ready(())
    });
    blitz_io_traits::waiting::set_wait_hook(|call, at| {
        waiting::locate(&CALLS[call as usize], at);
    });
    blitz_sync::sleep::set_sleep_hook(|duration| Box::pin(crate::time::sleep(duration)));
    let flavor = builder.flavor;
    let workers = workers(builder)?;
    let clock = match flavor {
        RuntimeFlavor::CurrentThread => Clock::new(),
        _ => Clock::for_workers(),
    };
    let watch: Arc<dyn Watch> = Arc::new(ClockWatch(clock.clone()));
    let (parks, drivers) = parks(builder, workers, &clock, local)?;

    let pool_workers = if flavor == RuntimeFlavor::CurrentThread {
        0
    } else {
        workers
    };
    let here: Arc<OnceLock<Weak<Inner>>> = Arc::new(OnceLock::new());
    let mut pool = builder.pool.clone();
    pool.threads_max = builder.max_blocking_threads.saturating_add(pool_workers);
    pool.watch = Arc::clone(&watch);
    // A thread that was a worker, and what it had submitted is still in flight.
    pool.stays = Some(Arc::new(blitz_driver::has_left_behind));
    let inner_of_thread = Arc::clone(&here);
    // A thread begins where the one that started it is tied to; only workers are to be tied.
    let ties = builder.affinity.is_some() || flavor == RuntimeFlavor::ThreadPerCore;
    let everywhere = ties.then(cpu::affinity).and_then(Result::ok);
    pool.enter = Some(Arc::new(move || {
        if let Some(cpus) = &everywhere {
            let _ = cpu::set_affinity(cpus);
        }
        // Threads start after the runtime is put together, and none outlives what it holds here.
        let inner = inner_of_thread.get().and_then(Weak::upgrade);
        Box::new(inner.map(|inner| context::enter(Handle::new(inner))))
    }));
    let bridge = bridge(builder, &pool, &watch);
    let pool = Pool::new(pool);

    let insight = Arc::new(builder.measures.insight());
    let seed = builder.seed.clone().unwrap_or_else(RngSeed::random).value();
    // A runtime of one thread starts none of its own unless it is asked to.
    let is_watched = flavor != RuntimeFlavor::CurrentThread || builder.stuck.is_asked_for;
    let monitor = (is_watched && builder.stuck.report_after < Duration::MAX)
        .then(|| Monitor::new(builder.stuck.clone()));
    let config = scheduler::Config {
        workers,
        alarm: Arc::new(monitor.as_ref().map_or_else(Alarm::none, Monitor::alarm)),
        barrier: if barrier::is_supported() {
            Asymmetric::with(barrier::all_threads)
        } else {
            Asymmetric::full()
        },
        spares_max: builder.stuck.spares_max,
        seed,
        watch,
        insight: Arc::clone(&insight),
        ..builder.scheduler.clone()
    };
    let config = Arc::new(config);
    let scheduler = match flavor {
        RuntimeFlavor::CurrentThread => {
            let Some(park) = parks.into_iter().next() else {
                unreachable!("there is one worker at least")
            };
            let scheduler = single::Shared::new(0, park, config);
            if local {
                scheduler.claim_local_thread();
            }
            scheduler::Handle::Single(scheduler)
        }
        RuntimeFlavor::MultiThread => {
            scheduler::Handle::Multi(MultiThread::new(parks, config, pool.spawner().clone()))
        }
        RuntimeFlavor::ThreadPerCore => scheduler::Handle::PerCore(PerCore::new(parks, &config)),
    };
    if builder.start_paused {
        // A clock that was just made runs.
        let _ = clock.pause();
    }
    let inner = Arc::new(Inner {
        id: Id::next(),
        name: builder.name.clone(),
        flavor,
        enabled: builder.enabled,
        scheduler,
        blocking: pool.spawner().clone(),
        bridge,
        pool_workers,
        drivers,
        next_driver: AtomicUsize::new(0),
        seeds: Seeds::new(seed),
        clock,
        insight,
        signals: OnceLock::new(),
        stuck: StuckLog::default(),
    });
    if let Some(monitor) = &monitor {
        monitor.watch(Arc::downgrade(&inner));
    }
    // Set once, here.
    let _ = here.set(Arc::downgrade(&inner));
    let mut runtime = Runtime {
        handle: Handle::new(inner),
        pool,
        monitor,
        inspector: None,
        ended: false,
    };
    match &runtime.handle.inner().scheduler {
        scheduler::Handle::Single(_) => {}
        scheduler::Handle::Multi(scheduler) => scheduler.start()?,
        scheduler::Handle::PerCore(scheduler) => {
            scheduler.start(&runtime.handle.inner().blocking)?;
        }
    }
    runtime.inspector = Inspector::open(builder.inspect.as_deref(), &runtime.handle)?;
    events::started(
        &runtime.handle,
        runtime.inspector.as_ref().map(Inspector::path),
    );
    Ok(runtime)
}

/// The way to the threads that compute, which start with the first call.
fn bridge(builder: &Builder, pool: &PoolConfig, watch: &Arc<dyn Watch>) -> Bridge {
    let name = builder.cpu_thread_name.clone();
    let threads = ThreadConfig {
        count: builder.cpu_threads.unwrap_or(cpu::available().get()),
        stack_size: pool.stack_size,
        name: Arc::new(move |index| format!("{name}-{index}")),
        on_start: pool.on_start.clone(),
        on_stop: pool.on_stop.clone(),
        enter: pool.enter.clone(),
    };
    Bridge::new(threads, Arc::clone(watch), crate::cpu::hire)
}

/// How many workers the builder, the environment or the machine wants.
fn workers(builder: &Builder) -> io::Result<usize> {
    if builder.flavor == RuntimeFlavor::CurrentThread {
        return Ok(1);
    }
    if let Some(workers) = builder.worker_threads {
        return Ok(workers);
    }
    match std::env::var(WORKERS_VARIABLE) {
        Ok(text) if !text.is_empty() => match text.parse() {
            Ok(workers) if workers > 0 => Ok(workers),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "the environment variable {WORKERS_VARIABLE} is {text:?}, but must be a number above 0"
                ),
            )),
        },
        _ => Ok(cpu::available().get()),
    }
}

type Parts = (Vec<Box<dyn Park>>, Box<[blitz_driver::Handle]>);

/// A driver per worker, and what is seen of each.
fn parks(builder: &Builder, workers: usize, clock: &Clock, local: bool) -> io::Result<Parts> {
    let one_thread = local || builder.flavor == RuntimeFlavor::ThreadPerCore;
    let cpus = match &builder.affinity {
        Some(cpus) => cpus.clone(),
        None if builder.flavor == RuntimeFlavor::ThreadPerCore => {
            // Tied only where each has a processor of its own.
            cpu::affinity()
                .ok()
                .filter(|cpus| cpus.len() >= workers)
                .unwrap_or_default()
        }
        None => Vec::new(),
    };
    let mut parks: Vec<Box<dyn Park>> = Vec::with_capacity(workers);
    let mut handles = Vec::with_capacity(workers);
    for worker in 0..workers {
        let config = blitz_driver::Config {
            ring: if one_thread {
                RingUse::SingleThread
            } else {
                RingUse::Shared
            },
            batched_writes: builder
                .batched_writes
                .unwrap_or(builder.flavor != RuntimeFlavor::MultiThread),
            clock: clock.clone(),
            ..builder.driver.clone()
        };
        let driver = Driver::new(config)?;
        handles.push(driver.handle().clone());
        let tied = if cpus.is_empty() {
            Vec::new()
        } else {
            vec![cpus[worker % cpus.len()]]
        };
        parks.push(Box::new(DriverPark::new(driver, tied)));
    }
    Ok((parks, handles.into_boxed_slice()))
}
