//! What clients that are slow or mute by plan did, and what the server was like after them. Not here: the clients that behave (`load`).

use crate::load::{ErrorCount, Summary};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One family of connections that are slow or mute by plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Misfits {
    /// `slow-read`, `slow-write`, `trickle` or `partial`.
    pub family: String,
    /// Connections chosen for it.
    pub planned: u64,
    /// Those that did it at least once.
    pub done: u64,
    /// Those that never came so far (no connection, or a request too short for it).
    pub not_reached: u64,
    /// Connections made, the first and those after an end.
    pub connections: u64,
    /// Exchanges that were completed in spite of it, each reply checked.
    pub exchanges: u64,
    /// Times that the server ended the connection before an exchange was complete, as it well may.
    pub ended_by_server: u64,
    /// Errors by phase and cause, apart from those ends.
    pub errors: Vec<ErrorCount>,
    /// From the first byte sent to the last byte of the reply, of the completed exchanges.
    pub latency_ns: Summary,
    /// The distribution of it.
    pub latency: String,
}

/// A connection after the run, with one exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct After {
    /// The server took the connection.
    pub accepts: bool,
    /// It answered correctly.
    pub answers: bool,
    /// From the end of the run until the connection was there, in nanoseconds, connects that failed before it included.
    pub accepted_after_ns: Option<u64>,
    /// From the end of the run to the last byte of the reply.
    pub answered_after_ns: Option<u64>,
    /// Connections tried.
    pub tries: u64,
    /// What was in the way of the last one: an error as in `errors`, or `no-reply`.
    pub cause: Option<String>,
}
