//! Arrivals from a file: one time on each line. Not here: reading the file.
//!
//! ```text
//! # comment, and empty lines, are skipped
//! 0
//! 0.0025        a bare number: seconds from the opening of the window
//! 4ms           or a time with its unit: ns, us, ms, s, m, h
//! ```
//!
//! The times ascend; two arrivals may have the same one.

use crate::units;
use std::fmt;
use std::sync::Arc;

/// Times at which requests are due. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    name: Arc<str>,
    due_ns: Arc<[u64]>,
}

impl Trace {
    /// Reads the text of the file `name`.
    ///
    /// # Errors
    /// One sentence with the number of the line that is no time or goes back, or that there is none at all.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let (mut due_ns, mut last) = (Vec::new(), 0);
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = |why: String| format!("{name}, line {}: {why}", number + 1);
            let due = units::parse_offset(line).map_err(place)?;
            if due < last {
                return Err(place(format!("`{line}` goes back: the times have to ascend")));
            }
            last = due;
            due_ns.push(due);
        }
        if due_ns.is_empty() {
            return Err(format!("{name} holds no arrivals: write one time on each line"));
        }
        Ok(Self { name: name.into(), due_ns: due_ns.into() })
    }

    /// Number of arrivals, at least 1.
    #[must_use]
    pub fn arrivals(&self) -> u64 {
        self.due_ns.len() as u64
    }

    pub(super) fn due_ns(&self, k: u64) -> Option<u64> {
        self.due_ns.get(usize::try_from(k).ok()?).copied()
    }

    /// Arrivals per second up to the last one; where all come at once, as if that took a second.
    pub(super) fn mean_per_s(&self) -> f64 {
        let length_ns = self.due_ns.last().copied().filter(|ns| *ns > 0).unwrap_or(1_000_000_000);
        self.due_ns.len() as f64 / (length_ns as f64 / 1e9)
    }

    /// Tells traces apart whose files have one name: FNV-1a of the times.
    fn digest(&self) -> u64 {
        units::fnv1a(self.due_ns.iter().flat_map(|ns| ns.to_le_bytes()))
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trace:{} ({} arrivals, {:016x})", self.name, self.due_ns.len(), self.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_names_the_line_that_is_wrong() {
        let trace = Trace::parse("x", "# head\n\n0\n0.0025\n 4ms \n4ms\n1s\n").unwrap();
        assert_eq!(&*trace.due_ns, [0, 2_500_000, 4_000_000, 4_000_000, 1_000_000_000]);
        assert!((trace.mean_per_s() - 5.0).abs() < 1e-9);
        for (text, word) in [("0\nsoon\n", "line 2"), ("# a\n5ms\n4ms", "line 3"), ("\n#", "no arrivals")] {
            let error = Trace::parse("x", text).unwrap_err();
            assert!(error.contains(word) && error.starts_with('x'), "{error}");
        }
    }
}
