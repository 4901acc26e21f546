//! What is said on a connection: the services, sans-IO, server side and client side.
//! Not here: sockets, clocks, threads. A driver (crate `servers`) moves the bytes; a generator (crate `loadgen`) keeps the time.
//!
//! A service is a [`Service`]; each connection gets a [`Protocol`] from it. The driver shows the protocol the bytes
//! that arrived ([`Protocol::on_input`]), sends what it queued in [`Output`], and does what the returned [`Step`] says.
//! The other side is a [`client::Client`]: it queues requests and checks every byte of the replies.
//!
//! Rules that the drivers rely on and the conformance cases cite:
//! - S1: the sequence of bytes sent depends on the sequence of bytes received alone, never on how it was cut.
//! - S2: replies come in the order of their requests.
//! - S3: half-close is not the end: what was asked before the end of input is answered.
//! - S4: what a peer can make a connection hold is bounded ([`HIGH_WATER`] of output, [`MAX_HEAD`] of an unfinished request).
//! - S5: a bad request ends its own connection and nothing else.
#![forbid(unsafe_code)]

pub mod client;
pub mod datagram;
mod digits;
pub mod echo;
pub mod greeting;
pub mod http;
mod kind;
pub mod output;
pub mod pattern;
pub mod raw;
pub mod sized;
pub mod work;

pub use kind::{Kind, UnknownService};
pub use output::Output;
pub use work::Work;

/// Bytes of unsent output above which a driver stops showing input to the protocol (S4).
///
/// A single reply may be larger: it costs no memory where it is a [`pattern`] segment.
pub const HIGH_WATER: u64 = 64 * 1024;

/// Largest unfinished request, in bytes, that a protocol leaves in the driver's hands (S4).
pub const MAX_HEAD: usize = 16 * 1024;

/// Largest reply that a peer can ask for, in bytes.
pub const MAX_REPLY: u64 = 16 * 1024 * 1024;

/// What one server says on all of its connections.
pub trait Service: Clone + Send + Sync + 'static {
    /// The state of one connection.
    type Conn: Protocol;

    /// Makes the state of a new connection.
    fn open(&self) -> Self::Conn;
}

/// The server side of one connection: bytes in, bytes out, and what comes next.
///
/// The driver's part of the contract:
/// - it calls [`on_open`](Self::on_open) once, then [`on_input`](Self::on_input) as long as there is input and the output is
///   below [`HIGH_WATER`]; bytes that were not consumed are shown again, with what arrived since behind them;
/// - after [`Step::Work`] it does the work, then calls [`on_work_done`](Self::on_work_done), and shows no input in between;
/// - at the end of input, when nothing more is consumed, it calls [`on_eof`](Self::on_eof) once.
pub trait Protocol: Send + 'static {
    /// The connection exists; a service in which the server speaks first queues its words here.
    fn on_open(&mut self, out: &mut Output) -> Step {
        let _ = out;
        Step::Read
    }

    /// Takes as much of `input` as makes at most one reply; returns how many bytes were consumed.
    ///
    /// `(0, Step::Read)` means that the request is unfinished: call again when more has arrived.
    fn on_input(&mut self, input: &[u8], out: &mut Output) -> (usize, Step);

    /// The peer has said its last word; `rest` is what was never consumed.
    fn on_eof(&mut self, rest: &[u8], out: &mut Output) -> Step {
        let _ = (rest, out);
        Step::Close
    }

    /// The work that was asked for with [`Step::Work`] is done.
    fn on_work_done(&mut self, out: &mut Output) -> Step {
        let _ = out;
        Step::Read
    }

    /// True between requests: a draining server may close the connection now without cutting a request short.
    ///
    /// Unconsumed input and unsent output are the driver's to know and are not meant here.
    fn is_idle(&self) -> bool {
        true
    }
}

/// What the driver does next.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Go on: show more input.
    Read,
    /// Do this handler work (where is the model's choice), then report it done.
    Work(Work),
    /// Send what is queued, then close. The peer is not expected to be sending.
    Close,
    /// Send what is queued, send FIN, read and drop what the peer is still sending (bounded), then close (RFC 9112, 9.6).
    Linger,
    /// Reset the connection at once.
    Abort,
}
