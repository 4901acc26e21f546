//! A request that is under way, and how long its answer may take. Not here: sending and reading (`peer`).

use service::Output;
use service::client::AnyClient;
use std::time::Duration;

/// A request that is under way: what is still to be sent, and the check of the answer.
#[derive(Debug)]
pub struct Pending {
    pub(super) client: AnyClient,
    /// What is still to be sent.
    pub out: Output,
    pub(super) time: Duration,
    /// How long it may stand still.
    pub(super) stall: Duration,
}

/// The longest that an answer may stand still, however long it may take.
const LONGEST_STALL: Duration = Duration::from_secs(15);

impl Pending {
    /// The same request with another deadline, until which it may stand still, but not for ever.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self { time, stall: self.stall.max(time.min(LONGEST_STALL)), ..self }
    }
}
