//! Methods, constants and variants of `tokio::runtime`.

#[test]
fn they_are_there() {
    methods! {
        tokio::runtime::Builder: new_current_thread new_multi_thread enable_all enable_alt_timer
            enable_eager_driver_handoff enable_sharded_blocking_queue worker_threads max_blocking_threads
            thread_stack_size build build_local thread_keep_alive global_queue_interval event_interval unhandled_panic
            disable_lifo_slot rng_seed enable_metrics_poll_time_histogram enable_metrics_poll_count_histogram
            metrics_poll_count_histogram_scale metrics_poll_time_histogram_configuration
            metrics_poll_count_histogram_resolution metrics_poll_count_histogram_buckets enable_io enable_io_uring
            max_io_events_per_tick max_io_events_per_busy_tick enable_time start_paused track_task_schedule_latency
            enable_metrics_schedule_latency_histogram metrics_schedule_latency_histogram_configuration;
        tokio::runtime::Dump: tasks;
        tokio::runtime::Handle: enter current try_current runtime_flavor id name metrics dump is_tracing;
        tokio::runtime::HistogramConfiguration: linear;
        tokio::runtime::HistogramScale: Linear Log;
        tokio::runtime::LocalRuntime: new handle enter shutdown_timeout shutdown_background metrics;
        tokio::runtime::LogHistogram: builder max_value;
        tokio::runtime::LogHistogramBuilder: max_error precision_exact min_value max_value max_buckets build;
        tokio::runtime::RngSeed: from_bytes;
        tokio::runtime::Runtime: new handle enter shutdown_timeout shutdown_background metrics;
        tokio::runtime::RuntimeFlavor: CurrentThread MultiThread;
        tokio::runtime::RuntimeMetrics: num_workers num_alive_tasks global_queue_depth worker_total_busy_duration
            worker_park_count worker_park_unpark_count num_blocking_threads active_tasks_count
            num_idle_blocking_threads worker_thread_id injection_queue_depth worker_local_queue_depth
            poll_time_histogram_enabled poll_count_histogram_enabled poll_time_histogram_num_buckets
            poll_count_histogram_num_buckets poll_time_histogram_bucket_range poll_count_histogram_bucket_range
            blocking_queue_depth spawned_tasks_count remote_schedule_count budget_forced_yield_count worker_noop_count
            worker_steal_count worker_steal_operations worker_poll_count worker_local_schedule_count
            worker_overflow_count poll_time_histogram_bucket_count poll_count_histogram_bucket_count
            worker_mean_poll_time schedule_latency_histogram_enabled schedule_latency_histogram_num_buckets
            schedule_latency_histogram_bucket_range schedule_latency_histogram_bucket_count
            io_driver_fd_registered_count io_driver_fd_deregistered_count io_driver_ready_count;
        tokio::runtime::TaskMeta<'static>: id spawned_at schedule_latency;
        tokio::runtime::TryCurrentError: is_missing_context is_thread_local_destroyed;
        tokio::runtime::UnhandledPanic: Ignore ShutdownRuntime;
        tokio::runtime::dump::Backtrace: frames;
        tokio::runtime::dump::BacktraceFrame: symbols;
        tokio::runtime::dump::BacktraceSymbol: name_raw name_demangled filename lineno colno;
        tokio::runtime::dump::Dump: tasks;
        tokio::runtime::dump::Task: id trace;
        tokio::runtime::dump::Tasks: iter;
        tokio::runtime::dump::Trace: resolve_backtraces;
    }
}
