//! What a foreign command needs beside itself: a folder, files with its address filled in, what has to be run once before it starts.
//! Not here: starting it.

use super::fault::Fault;
use super::places;
use crate::spawn::{Tool, ToolCommand};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use sys::Url;
use tempfile::TempDir;

/// How long the command that prepares a subject may take: a compiler, at the first time.
const PREPARE_WITHIN: Duration = Duration::from_secs(300);

/// A file that a command needs.
#[derive(Clone, Debug)]
pub struct Template {
    /// Where, below the subject's own folder.
    pub path: PathBuf,
    /// Its text, with `{port}`, `{path}` and `{dir}` where they belong.
    pub text: String,
}

impl Template {
    /// A file at `name` below the subject's folder.
    ///
    /// # Errors
    /// In a sentence: a file of subjects may come from somewhere else, so it writes into its own folder only.
    pub fn new(name: &str, text: String) -> Result<Self, String> {
        let path = PathBuf::from(name);
        if name.is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(format!("the file `{name}` must lie in its own folder"));
        }
        Ok(Self { path, text })
    }
}

/// What belongs to one subject. Its folder goes with it.
#[derive(Debug, Default)]
pub struct Kit {
    /// Written anew before each start.
    pub files: Vec<Template>,
    /// Run once before the first start; empty for nothing.
    pub prepare: Vec<OsString>,
    folder: OnceLock<TempDir>,
    prepared: OnceLock<()>,
}

impl Kit {
    /// With these files, and with this to be run first.
    #[must_use]
    pub fn new(files: Vec<Template>, prepare: Vec<OsString>) -> Self {
        Self { files, prepare, ..Self::default() }
    }

    /// The same for another instance, with a folder of its own.
    #[must_use]
    pub fn twin(&self) -> Self {
        Self::new(self.files.clone(), self.prepare.clone())
    }

    /// The folder of the subject; made when it is first asked for.
    ///
    /// # Errors
    /// The harness's own.
    pub fn folder(&self) -> Result<&Path, Fault> {
        if let Some(folder) = self.folder.get() {
            return Ok(folder.path());
        }
        let made = tempfile::Builder::new()
            .prefix("conform-")
            .tempdir()
            .map_err(|e| Fault::harness(format!("no folder for its files: {e}")))?;
        Ok(self.folder.get_or_init(|| made).path())
    }

    /// Fills in `{dir}`.
    ///
    /// # Errors
    /// The harness's own: no folder.
    pub fn in_folder(&self, text: &str) -> Result<String, Fault> {
        if !text.contains("{dir}") {
            return Ok(text.to_owned());
        }
        Ok(text.replace("{dir}", &self.folder()?.display().to_string()))
    }

    /// The command as it is to be run, to listen at `url`: its files written, what comes first done.
    ///
    /// # Errors
    /// A file cannot be written; what comes first has failed.
    pub(super) fn lay_out(&self, argv: &[OsString], url: &Url) -> Result<Vec<OsString>, Fault> {
        let fill = |text: &str| self.in_folder(text).map(|text| places::fill(&text, url));
        for file in &self.files {
            let path = self.folder()?.join(&file.path);
            let text = fill(&file.text)?;
            let write = || {
                path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
                std::fs::write(&path, text)
            };
            write().map_err(|e| Fault::harness(format!("cannot write {}: {e}", path.display())))?;
        }
        let words = |all: &[OsString]| {
            all.iter()
                .map(|word| fill(&word.to_string_lossy()).map(OsString::from))
                .collect::<Result<Vec<_>, _>>()
        };
        if self.prepared.get().is_none() && !self.prepare.is_empty() {
            run_first(words(&self.prepare)?)?;
        }
        self.prepared.get_or_init(|| ());
        words(argv)
    }
}

fn run_first(words: Vec<OsString>) -> Result<(), Fault> {
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    let command = ToolCommand::new(PathBuf::from(program), words);
    let run = Tool::run(&command, PREPARE_WITHIN)?;
    if run.ended.success() && !run.late {
        return Ok(());
    }
    let how = if run.late { format!("took more than {PREPARE_WITHIN:?}") } else { run.ended.to_string() };
    Err(Fault::subject(format!(
        "what prepares it, `{}`, {how}; its last words: {}",
        command.line(),
        run.stderr
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_for_each_address_and_what_comes_first_is_run_once() {
        let file = Template::new("etc/a.conf", "port {port} in {dir}".to_owned()).unwrap();
        let first = ["/bin/sh", "-c", "echo once >> {dir}/log"].map(OsString::from).to_vec();
        let kit = Kit::new(vec![file], first);
        for port in [4, 5] {
            let url = format!("tcp://127.0.0.1:{port}").parse().unwrap();
            let argv = kit.lay_out(&["serve".into(), "{dir}/etc/a.conf".into()], &url).unwrap();
            let folder = kit.folder().unwrap().to_owned();
            assert_eq!(argv, [OsString::from("serve"), folder.join("etc/a.conf").into()]);
            let text = std::fs::read_to_string(folder.join("etc/a.conf")).unwrap();
            assert_eq!(text, format!("port {port} in {}", folder.display()));
            assert_eq!(std::fs::read_to_string(folder.join("log")).unwrap(), "once\n");
        }
        assert_ne!(kit.twin().folder().unwrap(), kit.folder().unwrap());
    }

    #[test]
    fn what_comes_first_and_fails_is_said_with_its_words() {
        let kit = Kit::new(
            Vec::new(),
            ["/bin/sh", "-c", "echo no compiler >&2; exit 1"].map(OsString::from).to_vec(),
        );
        let error = kit.lay_out(&[], &"tcp://127.0.0.1:4".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("no compiler"), "{error}");
    }

    #[test]
    fn files_lie_in_the_folder() {
        for name in ["../y", "/y", ""] {
            assert!(Template::new(name, String::new()).unwrap_err().contains("own folder"));
        }
    }
}
