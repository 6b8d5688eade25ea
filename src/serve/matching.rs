//! The threads that decode and match.

use tokio::sync::oneshot;

/// A rayon pool that tokio tasks hand work to without ever entering it.
pub(crate) struct Pool(rayon::ThreadPool);

impl Pool {
    /// A pool of `threads`; 0 is one a core.
    pub(crate) fn new(threads: usize) -> anyhow::Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("match-{index}"))
            .build()?;
        Ok(Self(pool))
    }

    /// Runs `work` in the pool; a panic in it panics here.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let (done, result) = oneshot::channel();
        self.0.spawn(move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // The caller may have gone; then nobody wants the outcome.
            let _ = done.send(outcome);
        });
        match result.await {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => unreachable!("the pool sends an outcome for whatever it runs"),
        }
    }
}
