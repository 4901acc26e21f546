//! The versioned schema of a result: ids, units, histograms, exit codes, storage. Not here: measuring, drawing, judging.
//!
//! Units stand in the names: `_ns` nanoseconds, `_bytes`, `_per_s`, `_us`. A number that could not be had is absent (`None`,
//! JSON `null`), never 0. Readers must ignore fields that they do not know; [`SCHEMA`] changes when a field changes its meaning.
#![forbid(unsafe_code)]

pub mod analysis;
pub mod conform;
pub mod datagrams;
pub mod exit;
pub mod histogram;
pub mod load;
pub mod machine;
pub mod misfit;
pub mod run;
pub mod store;
pub mod target;
pub mod used;
pub mod words;
pub mod workers;

pub use exit::Exit;
pub use load::{Load, Verdict, VerdictState};
pub use run::{Observation, Record, Scenario};

/// Version of the schema of all records.
pub const SCHEMA: u32 = 1;
