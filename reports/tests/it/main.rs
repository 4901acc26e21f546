//! Tests of the reports over a made-up run. Not here: measuring anything; no socket is opened and no process started.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at the first thing that is not as it should be"
)]
#![allow(clippy::print_stderr, reason = "the test for the eye says where it wrote")]

/// The made-up run.
mod fixture;

/// What is shown: merging, withholding, ranks, states.
mod view;

/// The page: self-contained, well-formed, nothing unescaped.
mod page;

/// Results of the conformance suite: JUnit, TAP, the matrix.
mod conform;

/// CSV, histogram logs, the terminal table, and reading a folder.
mod exports;

/// Plots, above all of degenerate data.
mod plots;
