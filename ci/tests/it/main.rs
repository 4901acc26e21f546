//! Tests of the comparison, from the command line to the exit code; no process is started. Not here: the statistics, which are
//! tested beside their code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

/// Verdicts and exit codes of whole comparisons.
mod compare;

/// Made-up report folders.
mod fixture;
