//! The builder's part for the threads that compute.

use super::Builder;

impl Builder {
    /// How many threads compute for the runtime: see [`cpu`](crate::cpu). Default: as many as this process may use processors;
    /// its affinity and its control group's quota count.
    ///
    /// They start with the first computation. One less than there are processors leaves one to the workers at all times.
    ///
    /// # Panics
    /// If `count` is 0.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = blitz_io::runtime::Builder::new_current_thread().cpu_threads(3).build()?;
    /// runtime.block_on(async { blitz_io::compute(|| ()).await });
    /// assert_eq!(runtime.handle().compute_metrics().threads, 3);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn cpu_threads(&mut self, count: usize) -> &mut Self {
        assert!(count > 0, "cpu_threads cannot be set to 0");
        self.cpu_threads = Some(count);
        self
    }

    /// The name of the threads that compute; each one's number comes after it. Default: "blitz-io-cpu".
    ///
    /// # Panics
    /// If there is a zero byte in it.
    #[track_caller]
    pub fn cpu_thread_name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        assert!(
            !name.contains('\0'),
            "the name of a thread must not have a zero byte"
        );
        self.cpu_thread_name = name;
        self
    }
}
