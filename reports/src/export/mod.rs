//! The formats that a report is written in. To add one: a file here, and a line in [`EXPORTERS`]. Not here: storage.

mod csv;
mod hlog;
mod html;
pub(crate) mod verdicts;

use crate::error::Result;
use crate::view::View;

/// One file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name within the report's folder.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A format.
#[derive(Clone, Copy, Debug)]
pub struct Exporter {
    /// A word for it.
    pub name: &'static str,
    /// Makes its files from what a report shows.
    pub make: fn(&View<'_>) -> Result<Vec<File>>,
}

/// Every format, in the order of writing.
pub const EXPORTERS: &[Exporter] = &[
    Exporter { name: "html", make: html::make },
    Exporter { name: "csv", make: csv::make },
    Exporter { name: "hlog", make: hlog::make },
];
