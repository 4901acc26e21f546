//! The results as files: JSON, CSV, and where they go. Not here: the summary for people, and the formats of others.

mod hgrm;
mod hlog;
mod openmetrics;
mod requests;

pub(crate) use hgrm::hgrm;
pub(crate) use hlog::hlog;
pub(crate) use openmetrics::openmetrics;
pub(crate) use requests::requests;

use crate::Error;
use clap::ValueEnum;
use hdrhistogram::Histogram;
use record::Load;
use record::load::Summary;
use serde::Serialize;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

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
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self("-".into())
    }

    pub(crate) fn is_stdout(&self) -> bool {
        self.0.as_os_str() == "-"
    }

    /// True where the name ends like this.
    pub(crate) fn ends_with(&self, ending: &str) -> bool {
        self.0.as_os_str().to_string_lossy().ends_with(ending)
    }

    /// Where the file is, whichever way it was named; nothing for standard output, and for what keeps no content (`/dev/null`, a FIFO).
    pub(crate) fn place(&self) -> Option<PathBuf> {
        if self.is_stdout() || self.0.metadata().is_ok_and(|there| !there.is_file()) {
            return None;
        }
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize();
        self.0.canonicalize().ok().or_else(|| Some(folder.ok()?.join(self.0.file_name()?)))
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

/// Which of a result's distributions a file is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Of {
    /// From the intended start to the end of the reply.
    #[default]
    Latency,
    /// From the actual start.
    Service,
    /// The generator's own.
    Lag,
    Connect,
    /// From the actual start to the first byte.
    FirstByte,
    /// Of replies after the time-out.
    Late,
    /// Ages at the end.
    Unanswered,
}

impl Of {
    /// The histogram and its exact figures.
    ///
    /// # Errors
    /// [`Error::Usage`] where an older version wrote the result without it.
    pub(crate) fn pick(self, load: &Load) -> Result<(Histogram<u64>, &Summary), Error> {
        let h = &load.histograms;
        let (text, summary) = match self {
            Self::Latency => (&h.latency, &load.latency_ns),
            Self::Service => (&h.service, &load.service_ns),
            Self::Lag => (&h.lag, &load.lag_ns),
            Self::Connect => (&h.connect, &load.connect_ns),
            Self::FirstByte => (&h.first_byte, &load.first_byte_ns),
            Self::Late => (&h.late, &load.late_ns),
            Self::Unanswered => (&h.unanswered_age, &load.unanswered_age_ns),
        };
        if text.is_empty() {
            return Err(Error::Usage(format!(
                "the result has no histogram for `--of {}`: an older loadgen wrote it",
                self.name()
            )));
        }
        Ok((record::histogram::decode(text)?, summary))
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Service => "service",
            Self::Lag => "lag",
            Self::Connect => "connect",
            Self::FirstByte => "first-byte",
            Self::Late => "late",
            Self::Unanswered => "unanswered",
        }
    }
}

fn broken(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Output { path: PathBuf::from("-"), source: io::Error::other(source) }
}

/// A whole result as one JSON object.
pub(crate) fn json(load: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(load).map_err(broken)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The intervals as CSV, with the names and units of the record.
pub(crate) fn csv(load: &Load) -> Result<Vec<u8>, Error> {
    table(&load.intervals)
}

/// Rows as CSV, with the names of their fields.
pub(crate) fn table(rows: &[impl Serialize]) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(broken)?;
    }
    writer.into_inner().map_err(|e| broken(e.into_error()))
}
