//! Asynchronous work of a command that is otherwise written straight on.
//!
//! **Invariant:** a signal that ends the program reaches the work, which then tidies up.

use keystead_daemon::process::Termination;
use tokio::runtime::Builder;

use crate::failure::Failure;

/// Runs asynchronous work on this thread, with the signals that end it caught.
pub(crate) fn run<T>(
    work: impl AsyncFnOnce(&mut Termination) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let mut ended = Termination::catch()?;
        work(&mut ended).await
    });
    // A password that is still being stretched is waited for by nobody.
    runtime.shutdown_background();
    outcome
}
