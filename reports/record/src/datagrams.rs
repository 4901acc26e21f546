//! What became of datagrams, counted. Not here: how they are told apart, and what is a request of them (see `load`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// What became of the datagrams of the timed window, where the target takes datagrams.
///
/// An answer can be reordered and late at once; every one that is not as it should be stands in the errors, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Datagrams {
    /// Requests that were sent, aborted ones included.
    pub sent: u64,
    /// Datagrams that came back, whatever they were.
    pub received: u64,
    /// Requests that no answer came to within the timeout, nor later in the run.
    pub lost: u64,
    /// Answers to requests that had been answered before.
    pub duplicated: u64,
    /// Answers that came behind the answer to a later request of their socket.
    pub reordered: u64,
    /// Answers to another socket's request.
    pub crossed: u64,
    /// Answers that came after the timeout, counted from the sending; their latencies are true.
    pub late: u64,
    /// Answers that were shorter than what was asked for.
    pub truncated: u64,
    /// Refusals: an ICMP message that nobody receives there, or a Unix socket that is closed.
    pub refused: u64,
    /// Answers that are too late to be told from doubles: the requests of their time are not remembered any more.
    pub stray: u64,
    /// Answers that the generator's own sockets dropped, since they were full (SO_MEMINFO).
    pub dropped_here: u64,
}

impl Datagrams {
    /// The counts by name, without `sent` and `received`: what went otherwise than one answer to each request, in order.
    #[must_use]
    pub fn troubles(&self) -> [(&'static str, u64); 9] {
        [
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("crossed", self.crossed),
            ("late", self.late),
            ("truncated", self.truncated),
            ("refused", self.refused),
            ("stray", self.stray),
            ("dropped-here", self.dropped_here),
        ]
    }

    /// Share of the requests that were lost, 0 to 1; nothing where none was sent.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        (self.sent > 0).then(|| self.lost as f64 / self.sent as f64)
    }
}

impl AddAssign<&Self> for Datagrams {
    fn add_assign(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.crossed += other.crossed;
        self.late += other.late;
        self.truncated += other.truncated;
        self.refused += other.refused;
        self.stray += other.stray;
        self.dropped_here += other.dropped_here;
    }
}
