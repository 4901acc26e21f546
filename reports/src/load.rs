//! Reads a run's folder. Not here: what the numbers mean.

use crate::error::{Error, Result};
use record::run::Run;
use record::{Record, SCHEMA};
use std::path::Path;

/// Reads `run.json`.
pub(crate) fn run(path: &Path) -> Result<Run> {
    let text = std::fs::read_to_string(path).map_err(Error::read(path))?;
    let run: Run = serde_json::from_str(&text).map_err(|source| parse(path, source.line(), source))?;
    check(path, 1, run.schema)?;
    Ok(run)
}

/// Reads `records.jsonl`; a file that is not there holds no records, since a run can be stopped before its first trial ends.
pub(crate) fn records(path: &Path) -> Result<Vec<Record>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::read(path)(e)),
    };
    let mut records = Vec::new();
    for (index, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice::<Record>(line) {
            Ok(record) => {
                check(path, index + 1, record.schema)?;
                records.push(record);
            }
            // Only the last line can lack its newline: the writer was stopped in the middle of it.
            Err(_) if !line.ends_with(b"\n") => break,
            Err(source) => return Err(parse(path, index + 1, source)),
        }
    }
    Ok(records)
}

fn parse(path: &Path, line: usize, source: serde_json::Error) -> Error {
    Error::Parse { path: path.to_owned(), line, source }
}

fn check(path: &Path, line: usize, found: u32) -> Result<()> {
    if found > SCHEMA {
        return Err(Error::Schema { path: path.to_owned(), line, found, known: SCHEMA });
    }
    Ok(())
}
