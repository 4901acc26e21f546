//! Base against head: statistics, verdict, exit code, pull-request text. Not here: measuring, and drawing what a run looks like.
//!
//! The unit of repetition is the trial, a fresh server process; requests within a trial only make its numbers precise. Each gate is
//! one scenario and one metric: the ratio head/base of the medians over valid trials, judged by an exact rank test, corrected for the
//! number of gates (Holm), and held against a threshold. Where nothing was found, it is said what could have been.
//!
//! What this slice cannot do: pair base with head in one session. Two runs at two times differ also by what the machine did in between,
//! and no statistic over their trials can take that away; the output says so.
#![forbid(unsafe_code)]

pub mod cli;
pub mod compare;
mod markdown;
mod policy;
pub mod stats;
mod text;

pub use compare::{Comparison, Gate, Metric, Verdict, compare};
pub use markdown::markdown;
pub use policy::{Policy, share};
pub use text::text;
