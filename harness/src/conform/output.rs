//! Where the results of a conformance run go: JSON, JUnit, TAP, a page, scripts. Not here: how they look (crate `reports`).

use super::script;
use super::subject::Subject;
use record::conform::{CaseResult, CaseVerdict, Conformance, Suite};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The files that are asked for.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Files {
    /// Write the result to FILE as JSON, - for standard output
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    json: Option<PathBuf>,
    /// JUnit XML, for a CI system
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    junit: Option<PathBuf>,
    /// TAP (Test Anything Protocol) version 14
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    tap: Option<PathBuf>,
    /// A page: cases and subjects as a matrix whose cells open what was seen
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    html: Option<PathBuf>,
    /// Write each failure into DIR as a Python script that shows it
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    scripts: Option<PathBuf>,
}

impl Files {
    /// True where a result takes the standard output, so that words go to standard error.
    #[must_use]
    pub(super) fn take_stdout(&self) -> bool {
        self.all().any(is_stdout)
    }

    fn all(&self) -> impl Iterator<Item = &Path> {
        [&self.json, &self.junit, &self.tap, &self.html].into_iter().flatten().map(PathBuf::as_path)
    }

    /// Finds what could not be written after minutes of work.
    ///
    /// # Errors
    /// In a sentence.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.all().filter(|path| is_stdout(path)).count() > 1 {
            return Err("only one result can go to standard output".to_owned());
        }
        for path in self.all().filter(|path| !is_stdout(path)) {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !folder.is_dir()) || path.is_dir() {
                return Err(format!("cannot write {}: give a file in a folder that exists", path.display()));
            }
        }
        Ok(())
    }

    /// Writes the script of a failure, where scripts are asked for; the line to be told about it.
    ///
    /// # Errors
    /// In a sentence.
    pub(super) fn script(&self, subject: &Subject, result: &CaseResult) -> Result<Option<PathBuf>, String> {
        let Some(folder) = &self.scripts else { return Ok(None) };
        if !matches!(result.verdict, CaseVerdict::Failed | CaseVerdict::NonStrict) {
            return Ok(None);
        }
        let (events, _) = subject.wire.events();
        let Some(text) = script::script(subject, result, &events) else { return Ok(None) };
        let path = folder.join(file_name(&subject.name, &result.id));
        std::fs::create_dir_all(folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        write(&path, text.as_bytes())?;
        Ok(Some(path))
    }

    /// Writes what is asked for.
    ///
    /// # Errors
    /// In a sentence.
    pub(super) fn write(&self, runs: &[Conformance]) -> Result<(), String> {
        if let Some(path) = &self.json {
            write(path, &json(runs)?)?;
        }
        if let Some(path) = &self.junit {
            write(path, reports::conform::junit(runs).map_err(|e| e.to_string())?.as_bytes())?;
        }
        if let Some(path) = &self.tap {
            write(path, reports::conform::tap(runs).as_bytes())?;
        }
        if let Some(path) = &self.html {
            write(path, reports::conform::html(runs).map_err(|e| e.to_string())?.as_bytes())?;
        }
        Ok(())
    }
}

/// The file of a script; no name begins with a dash, which would be a flag to whatever is given it.
fn file_name(subject: &str, case: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = subject.chars().map(plain).skip_while(|c| *c == '-').take(40).collect();
    format!("{name}-{}.py", case.replace('/', "-")).trim_start_matches('-').to_owned()
}

/// One subject is an object of its own; several are a list.
fn json(runs: &[Conformance]) -> Result<Vec<u8>, String> {
    let text = match runs {
        [one] => serde_json::to_vec_pretty(one),
        many => serde_json::to_vec_pretty(&Suite { schema: record::SCHEMA, subjects: many.to_vec() }),
    };
    let mut text = text.map_err(|e| e.to_string())?;
    text.push(b'\n');
    Ok(text)
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if is_stdout(path) {
        // Nobody reads it any more where that fails.
        let _ = io::stdout().write_all(bytes).and_then(|()| io::stdout().flush());
        return Ok(());
    }
    record::store::write(path, bytes).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_script_has_the_name_of_a_flag() {
        assert_eq!(super::file_name("./echo {port}", "leak/fd"), "echo--port--leak-fd.py");
        assert_eq!(super::file_name("../..", "leak/fd"), "leak-fd.py");
    }
}
