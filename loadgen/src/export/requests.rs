//! The requests of a window one by one: CSV where the file's name ends in `.csv`, JSON lines otherwise. Not here: collecting them.

use super::{Destination, broken, table};
use crate::Error;
use crate::tap::{Entry, RequestLog};
use serde::Serialize;

/// One request; times in nanoseconds from the start of the window, absent where it did not get so far.
#[derive(Debug, Serialize)]
struct Line {
    k: u64,
    due_ns: i64,
    begun_ns: Option<i64>,
    first_byte_ns: Option<i64>,
    done_ns: i64,
    /// Place of the connection in the run.
    connection: Option<u32>,
    /// Which of the connections of that place.
    generation: Option<u32>,
    outcome: &'static str,
}

/// The log as a file for `file`; `open_ns` is when the window opened.
pub(crate) fn requests(log: RequestLog, open_ns: u64, file: &Destination) -> Result<Vec<u8>, Error> {
    let at = |ns: u64| ns as i64 - open_ns as i64;
    let known = |ns: u64| (ns > 0).then(|| at(ns));
    let line = |e: Entry| {
        let connection = Some(e.connection).filter(|c| *c != u32::MAX);
        Line {
            k: e.k,
            due_ns: at(e.due_ns),
            begun_ns: known(e.begun_ns),
            first_byte_ns: known(e.first_ns),
            done_ns: at(e.done_ns),
            connection,
            generation: connection.map(|_| e.generation),
            outcome: e.outcome.name(),
        }
    };
    let lines: Vec<Line> = log.into_sorted().into_iter().map(line).collect();
    if file.ends_with(".csv") {
        return table(&lines);
    }
    let mut bytes = Vec::new();
    for line in &lines {
        serde_json::to_writer(&mut bytes, line).map_err(broken)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}
