//! Which processors serve and which make the load. Not here: pinning, which the spawned process does for itself.

use std::io;

/// The two sides' processors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// For servers.
    pub server: Vec<usize>,
    /// For the generator and the harness.
    pub load: Vec<usize>,
}

impl Split {
    /// Halves of the processors that this process may use.
    ///
    /// # Errors
    /// Those of sched_getaffinity(2).
    pub fn of_machine() -> io::Result<Self> {
        Ok(Self::of(&sys::affinity::allowed()?))
    }

    fn of(allowed: &[usize]) -> Self {
        if allowed.len() < 2 {
            return Self { server: allowed.to_vec(), load: allowed.to_vec() };
        }
        let (server, load) = allowed.split_at(allowed.len() / 2);
        Self { server: server.to_vec(), load: load.to_vec() }
    }

    /// False where both sides share a processor, and each measures the other.
    #[must_use]
    pub fn apart(&self) -> bool {
        self.server.iter().all(|cpu| !self.load.contains(cpu))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_what_there_is_and_admits_when_it_cannot() {
        assert_eq!(Split::of(&[0, 1]), Split { server: vec![0], load: vec![1] });
        assert_eq!(Split::of(&[2, 5, 7]), Split { server: vec![2], load: vec![5, 7] });
        assert!(Split::of(&[0, 1]).apart());
        assert!(!Split::of(&[3]).apart());
    }
}
