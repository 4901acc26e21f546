//! Draining from within a runtime that must go on turning meanwhile. Not here: what a drain does (see `roster`).

use super::roster::Roster;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Stops `roster` as [`Roster::stop`] does, which blocks, while the caller's runtime serves what is in flight: the waiting is done by
/// a thread of its own. Works on any runtime.
///
/// # Errors
/// EAGAIN when there is no thread to be had; the connections are then cut off by the end of the process.
pub async fn drain(roster: Arc<Roster>, grace: Duration) -> io::Result<()> {
    let (done, over) = oneshot::channel::<()>();
    std::thread::Builder::new().name("drain".to_owned()).spawn(move || {
        roster.stop(grace);
        drop(done);
    })?;
    // The sender is dropped, not used: that the wait ends is all that there is to know.
    let _ = over.await;
    Ok(())
}
