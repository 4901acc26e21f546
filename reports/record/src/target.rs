//! What one of several targets made of its part of a run. Not here: the whole, which is the run's result.

use crate::load::{Bytes, Datagrams, ErrorCount, Requests, Summary};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of several targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetResult {
    /// Its URL.
    pub target: String,
    /// Its weight, beside those of the others.
    pub weight: f64,
    /// Its connections.
    pub connections: u64,
    /// What became of its requests.
    pub requests: Requests,
    /// Replies completed per second of the window.
    pub throughput_per_s: f64,
    /// Bytes written to and read from its sockets in the window.
    pub bytes: Bytes,
    /// From the intended start of a request to the last byte of its reply.
    pub latency_ns: Summary,
    /// What became of datagrams; absent for a stream.
    pub datagrams: Option<Datagrams>,
    /// Errors by phase and cause.
    pub errors: Vec<ErrorCount>,
    /// The whole distribution of [`Self::latency_ns`], V2 with DEFLATE, base64.
    pub latency: String,
}
