//! The folder of a run: made before anything is measured, filled file by file, each whole. Not here: what the report shows.

use record::run::Run;
use record::{Record, store};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where runs go without `--out`.
const REPORTS: &str = "target/reports";

/// The output cannot be used; one line that says why and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The folder cannot be made or written to.
    #[error("cannot write to the output folder `{path}`: {source}; choose another with --out")]
    Folder {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It holds a run already.
    #[error("the output folder `{0}` already holds a run; choose another with --out, or remove it")]
    Taken(String),
    /// A file could not be written; what was there before is as it was.
    #[error("cannot write `{path}`: {source}; nothing half-written is left")]
    File {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// The folder of one run.
#[derive(Debug)]
pub struct Output {
    folder: PathBuf,
    lines: Vec<u8>,
}

impl Output {
    /// Makes the folder: `out`, or one named by the run's id under `target/reports`, to which `latest` then points.
    ///
    /// # Errors
    /// [`OutputError`].
    pub fn make(out: Option<&Path>, id: &str) -> Result<Self, OutputError> {
        let folder = out.map_or_else(|| Path::new(REPORTS).join(id), Path::to_path_buf);
        let path = folder.display().to_string();
        let failed = |source| OutputError::Folder { path: path.clone(), source };
        fs::create_dir_all(&folder).map_err(failed)?;
        if folder.join("run.json").exists() {
            return Err(OutputError::Taken(path));
        }
        // Whether files can be made there shows only by making one.
        tempfile::tempfile_in(&folder).map_err(failed)?;
        if out.is_none() {
            point_latest(Path::new(REPORTS), id).map_err(failed)?;
        }
        Ok(Self { folder, lines: Vec::new() })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// [`OutputError::File`].
    pub fn write_run(&self, run: &Run) -> Result<(), OutputError> {
        let text = serde_json::to_vec_pretty(run).map_err(io::Error::other);
        self.write("run.json", &text.map_err(|source| self.failed("run.json", source))?)
    }

    /// Adds a record to `records.jsonl`, which is written anew: a reader never meets half a line.
    ///
    /// # Errors
    /// [`OutputError::File`].
    pub fn add(&mut self, record: &Record) -> Result<(), OutputError> {
        let line =
            serde_json::to_vec(record).map_err(|e| self.failed("records.jsonl", io::Error::other(e)))?;
        self.lines.extend_from_slice(&line);
        self.lines.push(b'\n');
        self.write("records.jsonl", &self.lines)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), OutputError> {
        store::write(&self.folder.join(name), bytes).map_err(|source| self.failed(name, source))
    }

    fn failed(&self, name: &str, source: io::Error) -> OutputError {
        OutputError::File { path: self.folder.join(name).display().to_string(), source }
    }
}

/// Lets `latest` point to the run, at once: there is no moment without it.
fn point_latest(reports: &Path, id: &str) -> io::Result<()> {
    let new = reports.join(format!(".latest-{}", std::process::id()));
    let _ = fs::remove_file(&new);
    std::os::unix::fs::symlink(id, &new)?;
    fs::rename(&new, reports.join("latest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_run_is_not_taken_again() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("a/b");
        let output = Output::make(Some(&out), "x").unwrap();
        fs::write(output.folder().join("run.json"), "{}").unwrap();
        assert!(matches!(Output::make(Some(&out), "x"), Err(OutputError::Taken(_))));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_one_line() {
        let error = Output::make(Some(Path::new("/proc/nonexistent/x")), "x").unwrap_err().to_string();
        assert!(error.contains("--out") && !error.contains('\n'), "{error}");
    }
}
