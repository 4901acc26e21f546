//! One trial as a report sees it: its record, what is concluded from it, and why. Not here: numbers over several trials.

use record::{Record, VerdictState};

/// One trial as a report sees it.
#[derive(Clone, Debug)]
pub struct Trial<'a> {
    /// What was written down.
    pub record: &'a Record,
    /// The verdict, made worse where the record itself is incomplete.
    pub state: VerdictState,
    /// Why it is not valid, one sentence each.
    pub reasons: Vec<String>,
    /// The server's own faults, one phrase each.
    pub faults: Vec<String>,
}

impl<'a> Trial<'a> {
    /// Judges a record by what stands in it.
    #[must_use]
    pub fn new(record: &'a Record) -> Self {
        let mut verdict = record.verdict.clone();
        match &record.load {
            None => verdict.object(VerdictState::Invalid, "the generator left no result".to_owned()),
            Some(load) => {
                for reason in load.verdict.reasons.iter().filter(|r| !record.verdict.reasons.contains(r)) {
                    verdict.object(load.verdict.state, reason.clone());
                }
                verdict.state = verdict.state.max(load.verdict.state);
            }
        }
        Self { record, state: verdict.state, reasons: verdict.reasons, faults: record.server.faults.list() }
    }

    /// True when its numbers count: there are some, and it is not invalid.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.state != VerdictState::Invalid && self.record.load.is_some()
    }

    /// An objection met while the record was read further.
    pub(crate) fn object(&mut self, state: VerdictState, reason: String) {
        self.state = self.state.max(state);
        self.reasons.push(reason);
    }
}
