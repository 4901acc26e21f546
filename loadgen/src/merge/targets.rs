//! The targets of several results, each added to itself. Not here: the whole of the results.

use super::{add_errors, exact};
use crate::Error;
use crate::stored::Stored;
use record::histogram::{self, decode, encode};
use record::load::Load;

/// Adds each target's part in `others` to its part in `load`; the targets are the same, in the same order (see `parts::belong`).
pub(super) fn add(load: &mut Load, others: &[Stored]) -> Result<(), Error> {
    let seconds = load.elapsed_ns.max(1) as f64 / 1e9;
    for (i, mine) in load.targets.iter_mut().enumerate() {
        let mut sum = decode(&mine.latency)?;
        let mut whole = exact(&mine.latency_ns);
        for other in others {
            let Some(theirs) = other.load().targets.get(i) else {
                return Err(other.refuse("it lacks what became of each of its targets"));
            };
            mine.requests += &theirs.requests;
            mine.connections = mine.connections.max(theirs.connections);
            mine.bytes.sent += theirs.bytes.sent;
            mine.bytes.received += theirs.bytes.received;
            if let (Some(mine), Some(theirs)) = (&mut mine.datagrams, &theirs.datagrams) {
                *mine += theirs;
            }
            mine.errors = add_errors(&mine.errors, &theirs.errors);
            sum.add(decode(&theirs.latency)?).map_err(|error| other.refuse(error.to_string()))?;
            whole.merge(&exact(&theirs.latency_ns));
        }
        mine.throughput_per_s = mine.requests.completed as f64 / seconds;
        mine.latency_ns = histogram::summary(&sum, Some(whole));
        mine.latency = encode(&sum)?;
    }
    Ok(())
}
