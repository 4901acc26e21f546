//! One connection after the other in a process that has one thread: a serial server, or a worker of a process pool. Not here: where
//! connections come from.

use super::blocking::{Buffers, Watch, serve as converse};
use super::idle::Idle;
use service::Service;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use sys::stop;

/// The connection in hand, as the signal handler sees it.
#[derive(Debug)]
pub struct InHand(());

impl InHand {
    /// Takes `connection` in hand, until dropped.
    #[must_use]
    pub fn take(connection: BorrowedFd<'_>) -> Self {
        stop::set_connection(Some(connection));
        Self(())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        stop::set_connection(None);
    }
}

impl Watch for InHand {
    fn idle(&self, idle: bool) -> bool {
        stop::set_idle(idle)
    }

    fn stopping(&self) -> bool {
        stop::stopping()
    }
}

/// Serves what `next` brings until it brings nothing more.
///
/// # Errors
/// Those of `next`.
pub fn serve<S: Service>(
    service: &S,
    idle: Idle,
    mut next: impl FnMut() -> io::Result<Option<OwnedFd>>,
) -> io::Result<()> {
    let mut buffers = Buffers::default();
    while let Some(connection) = next()? {
        let in_hand = InHand::take(connection.as_fd());
        converse(connection, service.open(), &mut buffers, idle, in_hand);
    }
    Ok(())
}
