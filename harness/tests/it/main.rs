//! The harness as its users meet it: real processes, real folders; and the rules of the house. Not here: conformance (see `conform`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs,
    reason = "a test says what went wrong by failing"
)]

mod fixture;
mod run;
mod tidy;
mod zoo;
