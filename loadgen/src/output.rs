//! The results as files: JSON, CSV, HdrHistogram log. Not here: the summary for people.

use crate::Error;
use crate::run::Finished;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use record::Load;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

/// Where a result goes: a file, written whole or not at all, or standard output (`-`).
#[derive(Clone, Debug)]
pub(crate) struct Destination(PathBuf);

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("the name of the file is empty".to_owned()) } else { Ok(Self(text.into())) }
    }
}

impl Destination {
    pub(crate) fn is_stdout(&self) -> bool {
        self.0.as_os_str() == "-"
    }

    /// Finds out before the run what would fail after it.
    ///
    /// # Errors
    /// [`Error::Usage`] where the folder is not there or the name is a folder's.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_stdout() {
            return Ok(());
        }
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty());
        if self.0.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
            return Err(Error::Usage(format!(
                "cannot write `{}`: no such folder, or it is one",
                self.0.display()
            )));
        }
        Ok(())
    }

    /// Writes `bytes`. A closed pipe is no error.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let result = if self.is_stdout() {
            let mut stdout = io::stdout().lock();
            match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                result => result,
            }
        } else {
            record::store::write(&self.0, bytes)
        };
        result.map_err(|source| Error::Output { path: self.0.clone(), source })
    }
}

fn broken(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Output { path: PathBuf::from("-"), source: io::Error::other(source) }
}

/// The whole result as one JSON object.
pub(crate) fn json(load: &Load) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(load).map_err(broken)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The intervals as CSV, with the names and units of the record.
pub(crate) fn csv(load: &Load) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for interval in &load.intervals {
        writer.serialize(interval).map_err(broken)?;
    }
    writer.into_inner().map_err(|e| broken(e.into_error()))
}

/// The latencies of completed requests, an interval a line, as the Java tools read them: log format 1.3, values in nanoseconds,
/// the column of maxima in milliseconds.
///
/// Requests that were not answered are in no interval; the histogram in the JSON has their ages.
pub(crate) fn hlog(finished: &Finished) -> Result<Vec<u8>, Error> {
    let load = &finished.load;
    let start = UNIX_EPOCH + Duration::from_nanos(load.started_at_ns);
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    {
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment(&format!("[Latency from the intended start, in ns; target {}]", load.target))
            .with_start_time(start)
            .with_base_time(start)
            .with_max_value_divisor(1e6)
            .begin_log_with(&mut bytes, &mut serializer)
            .map_err(broken)?;
        for (start_ns, length_ns, slice) in finished.intervals.rows(load.elapsed_ns) {
            let (at, length) = (Duration::from_nanos(start_ns), Duration::from_nanos(length_ns));
            log.write_histogram(&slice.latency, at, length, None).map_err(|e| broken(e.to_string()))?;
        }
    }
    Ok(bytes)
}
