//! The result of a conformance run; the JSON of `harness conform --json`. Not here: the cases.

use serde::{Deserialize, Serialize};

/// A conformance run against one subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Conformance {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// What was tested: an address, a model's name, a command, or the name in a file of subjects.
    pub subject: String,
    /// The service that was spoken; empty in records older than the field.
    #[serde(default)]
    pub service: String,
    /// Where it listened; empty where it never ran.
    #[serde(default)]
    pub url: String,
    /// What was found out about it before any case: serial or concurrent, a process a connection …
    #[serde(default)]
    pub facts: String,
    /// Why no case could be run, if so: it did not become ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
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

    /// One line for a page of the subject's own: `conformant 88/94 · serial · 6 skipped`.
    ///
    /// The first number counts the cases that ended as they should, measured properties among them; the second, all that were chosen.
    #[must_use]
    pub fn badge(&self) -> String {
        let good = self.count(CaseVerdict::Ok) + self.count(CaseVerdict::Info);
        let word = if self.unfit.is_some() {
            "not ready"
        } else if self.conformant() {
            "conformant"
        } else {
            "not conformant"
        };
        let mut parts = vec![format!("{word} {good}/{}", self.cases.len())];
        // The facts begin with the word that says how many it serves: `serial: one connection at a time`.
        parts.extend(self.facts.split([':', ',']).next().filter(|w| !w.is_empty()).map(str::to_owned));
        for (verdict, word) in [
            (CaseVerdict::Failed, "failed"),
            (CaseVerdict::NonStrict, "non-strict"),
            (CaseVerdict::Skipped, "skipped"),
            (CaseVerdict::Inconclusive, "inconclusive"),
            (CaseVerdict::Broken, "broken"),
        ] {
            let count = self.count(verdict);
            if count > 0 {
                parts.push(format!("{count} {word}"));
            }
        }
        parts.join(" · ")
    }
}

/// Runs against several subjects; the JSON of `harness conform --subjects FILE --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Suite {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// One run a subject.
    pub subjects: Vec<Conformance>,
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
    /// MUST, SHOULD or INFO.
    #[serde(default)]
    pub level: String,
    /// What the case needs of its subject: address, same-host, pid, command …
    #[serde(default)]
    pub needs: String,
    /// The command that runs this case again.
    #[serde(default)]
    pub again: String,
    /// What was expected of this subject, where an expectation file says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// What was sent and received, and what /proc showed, one line each; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

impl CaseResult {
    /// Whether the run fails because of this case: it failed and nobody expected that, or it did not fail as was expected.
    #[must_use]
    pub fn counts_against(&self) -> bool {
        match &self.expected {
            Some(expected) => expected.met == Met::No,
            None => self.verdict == CaseVerdict::Failed,
        }
    }

    /// What the probe saw and, in a case that went badly, what was not whole afterwards: the first alone may read as if all were well.
    #[must_use]
    pub fn seen(&self) -> String {
        let bad = matches!(self.verdict, CaseVerdict::Failed | CaseVerdict::NonStrict);
        let whole = matches!(self.aftermath.as_str(), "clean" | "ended by the case" | "not looked at")
            || self.aftermath.starts_with("as after any connection");
        if !bad || whole || self.actual.contains(&self.aftermath) {
            return self.actual.clone();
        }
        format!("{}; afterwards: {}", self.actual, self.aftermath)
    }
}

/// What an expectation file says of a case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expected {
    /// The verdict that is expected.
    pub verdict: CaseVerdict,
    /// Why.
    pub reason: String,
    /// Where it is discussed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Whether it came so.
    pub met: Met,
}

/// Whether an expectation was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Met {
    /// It was.
    Yes,
    /// It was not: fix the file, or the server.
    No,
    /// The case decided nothing this time.
    Undecided,
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
