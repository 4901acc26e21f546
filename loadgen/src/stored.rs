//! Results that were written down, read back. Not here: what is done with them.

use crate::run::Finished;
use crate::{Error, statistics};
use hdrhistogram::Histogram;
use record::histogram::{decode, decode_as};
use record::{Load, SCHEMA};
use std::path::{Path, PathBuf};

/// A stored result with the name of its file.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) path: PathBuf,
    pub(crate) finished: Finished,
}

impl Stored {
    pub(crate) fn load(&self) -> &Load {
        &self.finished.load
    }

    /// Why this file cannot be used.
    pub(crate) fn refuse(&self, why: impl Into<String>) -> Error {
        Error::Input { path: self.path.clone(), why: why.into() }
    }
}

/// Reads the JSON that a run wrote.
///
/// # Errors
/// [`Error::Input`] where it is none, of another schema, or damaged.
pub(crate) fn read(path: &Path) -> Result<Stored, Error> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::Input { path: path.to_owned(), why: error.to_string() })?;
    parse(path, &bytes)
}

/// Reads it from `bytes`, which came from what `path` names.
///
/// # Errors
/// As [`read`].
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Stored, Error> {
    let refuse = |why: String| Error::Input { path: path.to_owned(), why };
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| refuse(format!("not JSON: {error}")))?;
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(schema) if schema == u64::from(SCHEMA) => {}
        Some(schema) => {
            return Err(refuse(format!("it has schema {schema}, and this loadgen reads {SCHEMA}")));
        }
        None => return Err(refuse("no result of `loadgen --json`".to_owned())),
    }
    let mut load: Load = serde_json::from_value(value)
        .map_err(|error| refuse(format!("no result of `loadgen --json`: {error}")))?;
    let latencies = load
        .histograms
        .intervals
        .iter()
        .map(|text| decode_as(text))
        .collect::<Result<Vec<Histogram<u32>>, _>>()
        .map_err(|error| refuse(error.to_string()))?;
    if !latencies.is_empty() && latencies.len() != load.intervals.len() {
        return Err(refuse("its intervals and their histograms are not as many".to_owned()));
    }
    let latency = decode(&load.histograms.latency).map_err(|error| refuse(error.to_string()))?;
    if load.statistics.is_none() && !latencies.is_empty() {
        statistics::attach(&mut load, &latency, &latencies);
    }
    Ok(Stored { path: path.to_owned(), finished: Finished { load, latencies, log: None } })
}
