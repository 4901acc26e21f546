//! The result of a conformance run; the JSON of `harness conform --json`. Not here: the cases.

use serde::{Deserialize, Serialize};

/// A conformance run against one subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Conformance {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// What was tested: an address, a model's name, or a command.
    pub subject: String,
    /// One entry a case, in the order of their numbers.
    pub cases: Vec<CaseResult>,
}

impl Conformance {
    /// How many cases ended with `verdict`.
    #[must_use]
    pub fn count(&self, verdict: CaseVerdict) -> usize {
        self.cases.iter().filter(|c| c.verdict == verdict).count()
    }

    /// True when no case failed, by its behaviour or by its aftermath.
    #[must_use]
    pub fn conformant(&self) -> bool {
        self.count(CaseVerdict::Failed) == 0
    }
}

/// What came of one case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseResult {
    /// `group/slug`.
    pub id: String,
    /// The frozen number.
    pub number: String,
    /// The conclusion, with the aftermath taken into account.
    pub verdict: CaseVerdict,
    /// Whether the server was whole afterwards: `clean`, or what was not.
    pub aftermath: String,
    /// The requirement in one sentence, with its source.
    pub requirement: String,
    /// What would have been accepted.
    pub acceptable: String,
    /// What was seen.
    pub actual: String,
    /// How long the case took, in nanoseconds.
    pub elapsed_ns: u64,
}

/// The conclusion of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CaseVerdict {
    /// As required.
    #[serde(rename = "OK")]
    Ok,
    /// A SHOULD was not met.
    #[serde(rename = "NON-STRICT")]
    NonStrict,
    /// A MUST was not met.
    #[serde(rename = "FAILED")]
    Failed,
    /// A measured property; neither good nor bad.
    #[serde(rename = "INFO")]
    Info,
    /// What the case needs was not given.
    #[serde(rename = "SKIPPED")]
    Skipped,
    /// The fault that the case injects was not proven to have happened.
    #[serde(rename = "INCONCLUSIVE")]
    Inconclusive,
    /// The harness itself failed.
    #[serde(rename = "BROKEN")]
    Broken,
}

impl CaseVerdict {
    /// The name as printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NonStrict => "NON-STRICT",
            Self::Failed => "FAILED",
            Self::Info => "INFO",
            Self::Skipped => "SKIPPED",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Broken => "BROKEN",
        }
    }
}
