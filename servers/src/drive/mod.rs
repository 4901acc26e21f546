//! Connection drivers: where the hard rules of socket I/O live once. Not here: who calls them, which is what a model is.

pub mod acceptor;
pub mod appetite;
pub mod blocking;
pub mod completion;
pub mod conn;
pub mod coroutines;
pub mod datagram;
pub mod drain;
pub mod forking;
pub mod gate;
pub mod helpers;
pub mod idle;
pub mod lanes;
pub mod limit;
pub mod loops;
pub mod oneshot;
pub mod owned;
pub mod places;
pub mod processes;
pub mod reactor;
pub mod roster;
pub mod seats;
pub mod serial;
pub mod tasks;
pub mod threads;
pub mod waits;

use std::time::Duration;

/// How long a closing connection is read from and dropped, at most, so that no RST overtakes the reply (RFC 9112, 9.6).
pub const LINGER: Duration = Duration::from_secs(1);

/// Buffers sent per call: as many as a reply of one segment of the payload text, a head and a few pipelined echoes need. A reply of
/// 1 MiB is 17 pieces of that text.
pub const SLICES: usize = 20;

/// How long to wait before the next accept(2) when descriptors or memory ran out. Long enough not to count as spinning,
/// short enough to be back soon when something was closed.
pub const BACK_OFF: Duration = Duration::from_millis(50);
