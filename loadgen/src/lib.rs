//! Load on a socket server: clients, schedules, recorder. Not here: starting servers, drawing results.
//!
//! A run is a [`Config`]; [`run`] makes it and returns a [`record::Load`]; [`main`] is the command around it.
//!
//! - **Open loop** ([`Pacing::Open`]): requests are due on a schedule that does not depend on the server. Latency counts from
//!   the time a request was due, through the wait for a connection and the connect; the time from the actual send stands
//!   beside it, and so does the generator's own lateness.
//! - **Closed loop** ([`Pacing::Closed`]): each connection makes its next request when it has its reply. The two times are
//!   the same then, and a server that stalls is asked less: use it for capacity, not for latency.
//! - **Nothing is dropped**: `scheduled = sent + unsent` and `sent = completed + failed + unanswered + aborted`.
#![forbid(unsafe_code)]

pub mod abort;
mod cli;
mod compare;
pub mod config;
mod datagram;
pub mod draw;
mod engine;
mod error;
mod export;
mod flags;
mod fleet;
mod intervals;
pub mod life;
mod limits;
mod live;
mod merge;
pub mod misfit;
mod ports;
pub mod procs;
mod recorder;
mod run;
pub mod schedule;
mod search;
mod selftest;
pub mod sources;
mod statistics;
mod stored;
mod summary;
mod tally;
mod tap;
pub mod targets;
mod units;
mod verdict;
mod watch;

pub use cli::{main, refusal};
pub use config::{Config, Mechanism, Pacing, Stop};
pub use error::Error;
pub use run::{run, run_until};
