//! What can go wrong while a report is read or made. Not here: faults of servers, which are data.

use std::path::{Path, PathBuf};

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// A report could not be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read. A folder that never held a run is the usual cause: give the one that has `run.json` in it.
    #[error("read `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file could not be written: check the folder's rights and space.
    #[error("write `{path}`: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not of the schema, or a line of it is damaged.
    #[error("`{path}` line {line}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// The file was written by a newer version: its fields may mean something else.
    #[error("`{path}` line {line} has schema {found}, this program reads up to {known}: use a newer version")]
    Schema {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The schema's number there.
        found: u32,
        /// The newest one known.
        known: u32,
    },
    /// The CSV text could not be made.
    #[error("write csv: {0}")]
    Csv(String),
    /// The JUnit text could not be made.
    #[error("write junit: {0}")]
    Junit(String),
    /// The page could not be made.
    #[error("render page: {0}")]
    Page(#[from] askama::Error),
    /// A plot could not be drawn.
    #[error("draw plot: {0}")]
    Plot(String),
    /// There is nothing to draw: no trial could be used.
    #[error("nothing to draw: no scenario has a usable trial")]
    Empty,
}

impl Error {
    /// Attaches a path to an error of reading.
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Read { path: path.to_owned(), source }
    }

    /// Attaches a path to an error of writing.
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Write { path: path.to_owned(), source }
    }
}
