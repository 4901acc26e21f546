//! Tables, plots, pages and exports, made from records alone. Not here: measuring, judging a change (that is `ci`), printing.
//!
//! A folder with `run.json` and `records.jsonl` is the whole input, so every report can be made again, anywhere, later.
//! The way of the data: records → [`view::View`] (what is shown, without a format) → one of the [`export::EXPORTERS`] or the
//! terminal [`table`]. Nothing here opens a socket or reads a clock.
//!
//! Three rules hold in every format:
//! 1. A percentile comes from one histogram merged over the trials, and is withheld where fewer than
//!    [`record::histogram::TAIL`] values stand above it.
//! 2. A number stands beside the validity of its run. Invalid trials are listed, never counted.
//! 3. A model that failed conformance is marked wherever its speed is shown.
#![forbid(unsafe_code)]

pub mod conform;
mod error;
pub mod export;
pub mod format;
mod load;
pub mod plot;
pub mod table;
pub mod view;

pub use error::{Error, Result};

use record::Record;
use record::run::Run;
use std::path::{Path, PathBuf};
use view::View;

/// A run and its records, ready to be shown.
#[derive(Clone, Debug)]
pub struct Report {
    run: Run,
    records: Vec<Record>,
}

impl Report {
    /// A report over what is in memory already.
    #[must_use]
    pub fn new(run: Run, mut records: Vec<Record>) -> Self {
        records.sort_by_key(|r| (r.order, r.trial));
        Self { run, records }
    }

    /// Reads `run.json` and `records.jsonl` of a folder. A missing `records.jsonl` is a run without records.
    ///
    /// A last line without its newline that does not parse is left out: it was cut off while it was written.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Parse`] with the line, [`Error::Schema`].
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        Ok(Self::new(load::run(&folder.join("run.json"))?, load::records(&folder.join("records.jsonl"))?))
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The records, in the order in which the trials were run.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What a report shows, without a format.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View::new(&self.run, &self.records)
    }

    /// Writes every export (page, CSV, histogram logs) into `folder`, which is made where it is missing, and returns the files.
    ///
    /// # Errors
    /// Those of making and writing any one of them; the files before it stay.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let folder = folder.as_ref();
        let view = self.view();
        let mut written = Vec::new();
        for exporter in export::EXPORTERS {
            for file in (exporter.make)(&view)? {
                let path = folder.join(&file.name);
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent).map_err(Error::write(parent))?;
                }
                record::store::write(&path, &file.bytes).map_err(Error::write(&path))?;
                written.push(path);
            }
        }
        Ok(written)
    }

    /// The table for a terminal of `width` columns, with ANSI colours if wanted; ends with a newline.
    #[must_use]
    pub fn table(&self, width: usize, color: bool) -> String {
        table::render(&self.view(), width, color)
    }

    /// Writes one plot with a background of its own, for a README: latency by percentile of the `workload` named (the last part
    /// of a scenario's id), else of the first workload that has something to draw.
    ///
    /// # Errors
    /// [`Error::Empty`] where there is nothing to draw, and those of drawing and writing.
    pub fn write_svg(&self, path: impl AsRef<Path>, workload: Option<&str>) -> Result<()> {
        let path = path.as_ref();
        let svg = plot::hero::draw(&self.view(), workload)?;
        record::store::write(path, svg.as_bytes()).map_err(Error::write(path))
    }
}
