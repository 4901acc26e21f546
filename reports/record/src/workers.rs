//! What each worker of a server did in the timed window, and how evenly. Not here: how it was counted.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The workers of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workers {
    /// The model makes a worker for each connection: what all of them did is one sum, and nothing is shared out.
    pub one_sum: bool,
    /// A line a worker, in the server's order.
    pub each: Vec<Worker>,
}

/// What a worker did in the window: the difference of its counters between the two edges, found between two readings at each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Connections that it had when the window began.
    pub open_at_start: u64,
    /// Connections that came to it.
    pub accepted: u64,
    /// Waits that ended with something to do; none where a runtime waits out of sight.
    pub useful_wakeups: u64,
    /// Waits that ended because of the listener, whose queue was empty by then.
    pub spurious_wakeups: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Connections that ended, by reason; reasons that did not occur are left out.
    pub ended: BTreeMap<String, u64>,
}

impl Worker {
    /// Connections that it had: open when the window began, or come within.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.open_at_start + self.accepted
    }

    /// Bytes either way.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes_in + self.bytes_out
    }
}

impl Workers {
    /// A quantity of each worker; `None` where there are no several workers that share it out, or nothing to share.
    #[must_use]
    pub fn shared_out(&self, of: impl Fn(&Worker) -> u64) -> Option<Vec<u64>> {
        let values: Vec<u64> = self.each.iter().map(of).collect();
        (!self.one_sum && values.len() > 1 && values.iter().any(|v| *v > 0)).then_some(values)
    }

    /// Wake-ups for nothing per connection that came: the size of the herd. `None` where no wake-up was seen or nobody came.
    #[must_use]
    pub fn spurious_per_connection(&self) -> Option<f64> {
        let accepted = self.sum(|w| w.accepted);
        (self.sees_wakeups() && accepted > 0)
            .then(|| self.sum(|w| w.spurious_wakeups) as f64 / accepted as f64)
    }

    /// Wake-ups with something to do per request, of which `requests` were asked: below 1 a wait brings several. `None` where none
    /// was seen.
    #[must_use]
    pub fn useful_per_request(&self, requests: u64) -> Option<f64> {
        (self.sees_wakeups() && requests > 0).then(|| self.sum(|w| w.useful_wakeups) as f64 / requests as f64)
    }

    fn sees_wakeups(&self) -> bool {
        self.sum(|w| w.useful_wakeups) > 0
    }

    fn sum(&self, of: impl Fn(&Worker) -> u64) -> u64 {
        self.each.iter().map(of).sum()
    }
}

/// Jain's index of how evenly a sum is shared out: (Σx)² / (n·Σx²). 1 where all have the same; 1/n where one has all (Jain, Chiu,
/// Hawe 1984). `None` where there is nothing to share.
#[must_use]
pub fn jain(values: &[u64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|v| *v as f64).sum();
    let squares: f64 = values.iter().map(|v| (*v as f64).powi(2)).sum();
    (squares > 0.0).then(|| sum * sum / (values.len() as f64 * squares))
}

/// The smallest and the largest share of the sum, 0 to 1; `None` where there is nothing to share.
#[must_use]
pub fn shares(values: &[u64]) -> Option<(f64, f64)> {
    let sum: f64 = values.iter().map(|v| *v as f64).sum();
    let (min, max) = values.iter().min().zip(values.iter().max())?;
    (sum > 0.0).then(|| (*min as f64 / sum, *max as f64 / sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_that_of_the_paper() {
        assert_eq!(jain(&[5, 5, 5, 5]), Some(1.0));
        assert_eq!(jain(&[20, 0, 0, 0]), Some(0.25));
        // Of n, k that share alike and the rest with nothing: k/n.
        assert_eq!(jain(&[7, 7, 7, 0, 0]), Some(0.6));
        assert_eq!((jain(&[]), jain(&[0, 0]), shares(&[0])), (None, None, None));
        assert_eq!(shares(&[1, 2, 1]), Some((0.25, 0.5)));
    }

    #[test]
    fn nothing_is_shared_out_by_one_worker_or_by_one_sum() {
        let worker = |accepted| Worker { accepted, open_at_start: 1, ..Worker::default() };
        let two = Workers { one_sum: false, each: vec![worker(3), worker(0)] };
        assert_eq!(two.shared_out(Worker::connections), Some(vec![4, 1]));
        assert_eq!(two.shared_out(Worker::bytes), None);
        let one = Workers { one_sum: false, each: vec![worker(3)] };
        let sum = Workers { one_sum: true, each: vec![worker(3), worker(3)] };
        assert!(
            one.shared_out(Worker::connections).is_none() && sum.shared_out(Worker::connections).is_none()
        );
    }

    #[test]
    fn where_no_wake_up_is_seen_none_is_spoken_of() {
        let worker = Worker { accepted: 4, ..Worker::default() };
        let hidden = Workers { one_sum: false, each: vec![worker.clone(), worker.clone()] };
        assert_eq!((hidden.spurious_per_connection(), hidden.useful_per_request(100)), (None, None));
        let seen = Worker { useful_wakeups: 25, spurious_wakeups: 10, ..worker };
        let seen = Workers { one_sum: false, each: vec![seen.clone(), seen] };
        assert_eq!((seen.spurious_per_connection(), seen.useful_per_request(100)), (Some(2.5), Some(0.5)));
    }
}
