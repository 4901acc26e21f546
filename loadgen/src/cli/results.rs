//! Flags that say what becomes of a result: files, words, the exit code. Not here: what is in the files.

use crate::export::{self, Destination, Of};
use crate::live::Screen;
use crate::run::Finished;
use crate::tap::RequestLog;
use crate::watch::Watch;
use crate::{Error, summary, units};
use clap::{Args, ValueEnum};
use record::{Exit, Load, VerdictState};
use std::collections::HashSet;
use std::io::Write as _;
use std::time::Duration;

/// Files that can be made of a result, fresh or stored.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Exports {
    /// The whole result; - for standard output
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) json: Option<Destination>,
    /// One line for each interval (of a sweep: each rate)
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) csv: Option<Destination>,
    /// HdrHistogram log of the intervals
    #[arg(long, hide_short_help = true, value_name = "FILE", help_heading = "Results")]
    pub(crate) hlog: Option<Destination>,
    /// HdrHistogram percentiles as text, in ms
    #[arg(long, hide_short_help = true, value_name = "FILE", help_heading = "Results")]
    pub(crate) hgrm: Option<Destination>,
    /// Of what the two are: latency, service, lag, connect, first-byte, late, unanswered
    #[arg(
        long,
        hide_short_help = true,
        value_enum,
        default_value = "latency",
        hide_possible_values = true,
        value_name = "WHAT",
        help_heading = "Results"
    )]
    pub(crate) of: Of,
    /// OpenMetrics text, for Prometheus
    #[arg(long, hide_short_help = true, value_name = "FILE", help_heading = "Results")]
    pub(crate) openmetrics: Option<Destination>,
}

impl Exports {
    fn all(&self) -> impl Iterator<Item = &Destination> {
        [&self.json, &self.csv, &self.hlog, &self.hgrm, &self.openmetrics].into_iter().flatten()
    }

    /// Finds out before the run what would fail after it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for file in self.all() {
            file.check()?;
        }
        if self.of != Of::Latency && self.hlog.is_none() && self.hgrm.is_none() {
            return Err(Error::Usage(
                "`--of` says what --hlog and --hgrm are of: give one of them".to_owned(),
            ));
        }
        if self.all().filter(|file| file.is_stdout()).count() > 1 {
            return Err(Error::Usage("only one result can go to standard output".to_owned()));
        }
        one_each(self.all())
    }

    /// True where a file is asked for.
    pub(crate) fn any(&self) -> bool {
        self.all().next().is_some()
    }

    /// True where standard output is taken.
    pub(crate) fn take_stdout(&self) -> bool {
        self.all().any(Destination::is_stdout)
    }

    /// Writes every file that can be written; the first that cannot is the error.
    pub(crate) fn write(&self, finished: &Finished) -> Result<(), Error> {
        let load = &finished.load;
        let hgrm = || self.of.pick(load).map(|(histogram, summary)| export::hgrm(&histogram, summary));
        let openmetrics = || {
            let latency = record::histogram::decode(&load.histograms.latency)?;
            Ok(export::openmetrics(load, &latency))
        };
        let written = [
            put(self.json.as_ref(), || export::json(load)),
            put(self.csv.as_ref(), || export::csv(load)),
            put(self.hlog.as_ref(), || export::hlog(finished, self.of)),
            put(self.hgrm.as_ref(), hgrm),
            put(self.openmetrics.as_ref(), openmetrics),
        ];
        written.into_iter().collect()
    }

    /// Says `text` to people: on standard output, or beside it where a file goes there.
    pub(crate) fn say(&self, text: &str) {
        // Nobody reads it any more where that fails.
        let _ = if self.take_stdout() {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            std::io::stdout().write_all(text.as_bytes())
        };
    }
}

fn put(file: Option<&Destination>, bytes: impl FnOnce() -> Result<Vec<u8>, Error>) -> Result<(), Error> {
    file.map_or(Ok(()), |file| file.write(&bytes()?))
}

/// Each result has a file of its own: the last one would be all that is left.
fn one_each<'a>(files: impl Iterator<Item = &'a Destination>) -> Result<(), Error> {
    let mut seen = HashSet::new();
    match files.filter_map(Destination::place).find(|place| !seen.insert(place.clone())) {
        Some(place) => Err(Error::Usage(format!(
            "`{}` cannot hold two results: give each a file of its own",
            place.display()
        ))),
        None => Ok(()),
    }
}

/// What becomes of the result of a run.
#[derive(Debug, Args)]
pub(crate) struct Results {
    #[command(flatten)]
    pub(crate) exports: Exports,
    /// Every request one by one: CSV for *.csv, else JSON lines
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    log: Option<Destination>,
    /// Requests in it at most; the rest is counted
    #[arg(long, hide_short_help = true, value_name = "N", default_value = "1M", value_parser = units::parse_count, help_heading = "Results", requires = "log")]
    log_room: u64,
    /// The server's process: its CPU, memory, switches
    ///
    /// They are in the result then.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..), help_heading = "Results")]
    pid: Option<i32>,
    /// What is exit 1 [default: trouble]
    ///
    /// trouble: what nobody has planned, that is errors of connections that were to behave, requests without a reply (datagrams may be
    /// lost), a server that does not answer afterwards; errors, late, unanswered, collateral, recovery, suspect: each by itself;
    /// never: nothing.
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "trouble",
        hide_default_value = true,
        value_delimiter = ',',
        hide_possible_values = true,
        help_heading = "Results"
    )]
    fail_on: Vec<FailOn>,
    /// A line each TIME [1s] on standard error, no view
    #[arg(long, hide_short_help = true, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "1s", value_parser = units::parse_time, help_heading = "Results")]
    progress: Option<Duration>,
    /// No summary, no view
    #[arg(short, long, help_heading = "Results")]
    pub(crate) quiet: bool,
}

/// What makes a run that was made well a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// What nobody has planned: errors on connections that were to behave, requests without a reply (but for datagrams, which may be lost),
    /// a server that does not answer afterwards.
    Trouble,
    /// Nothing: what went wrong is told and no more.
    Never,
    /// Any error, on any connection.
    Errors,
    /// A reply after the timeout.
    Late,
    /// A request without a reply at the end.
    Unanswered,
    /// An error on a connection that was to behave.
    Collateral,
    /// A server that took no connection after the run, or answered none.
    Recovery,
    /// A verdict that is not `valid`.
    Suspect,
    /// A verdict of `invalid`, which is exit 3 in any case; accepted so that it can be said.
    Invalid,
}

/// Most requests that a log has room for: 64 bytes each.
const LOG_ROOM: u64 = 1 << 28;

impl Results {
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.exports.check()?;
        if let Some(file) = &self.log {
            file.check()?;
            if file.is_stdout() && self.exports.take_stdout() {
                return Err(Error::Usage("only one result can go to standard output".to_owned()));
            }
            one_each(self.exports.all().chain([file]))?;
        }
        if self.progress.is_some_and(|every| every < Duration::from_millis(10)) {
            return Err(Error::Usage("`--progress` below 10 ms would be in the way of the run".to_owned()));
        }
        if let Some(pid) = self.pid
            && crate::procs::name(pid).is_none()
        {
            return Err(Error::Usage(format!("`--pid {pid}`: there is no such process")));
        }
        Ok(())
    }

    /// How to look at a run.
    pub(crate) fn watch(&self) -> Watch {
        Watch {
            pid: self.pid,
            log_room: self.log.as_ref().map(|_| self.log_room.min(LOG_ROOM) as usize),
            screen: Screen::for_stderr(self.progress, self.quiet),
            gate: None,
        }
    }

    /// The same without a log, for runs of which there are many.
    pub(crate) fn watch_server(&self) -> Watch {
        Watch { pid: self.pid, ..Watch::default() }
    }

    pub(crate) fn has_log(&self) -> bool {
        self.log.is_some()
    }

    /// Writes what was asked for, and says the rest; returns how the command ends.
    pub(crate) fn conclude(&self, mut finished: Finished) -> Result<Exit, Error> {
        let log = finished.log.take();
        let mut written = self.exports.write(&finished);
        let mut text = summary::render(&finished.load);
        if let (Some((log, open_ns)), Some(file)) = (log, &self.log) {
            match self.write_log(log, open_ns, file) {
                Ok(words) => text.push_str(&words),
                Err(error) => written = written.and(Err(error)),
            }
        }
        if !self.quiet {
            match self.log.as_ref().is_some_and(Destination::is_stdout) {
                true => drop(std::io::stderr().write_all(text.as_bytes())),
                false => self.exports.say(&text),
            }
        }
        // What the run found is said even where a file of it could not be written.
        written.map(|()| judge(&self.fail_on, &finished.load))
    }

    /// Writes the log; returns what is to be said of it.
    fn write_log(&self, log: RequestLog, open_ns: u64, file: &Destination) -> Result<String, Error> {
        let cut = log.cut;
        file.write(&export::requests(log, open_ns, file)?)?;
        if cut == 0 {
            return Ok(String::new());
        }
        let words = format!("the log was full: the last {cut} requests are not in it (--log-room)\n");
        if self.quiet {
            super::complain(words.trim_end(), Exit::Fine);
        }
        Ok(words)
    }
}

/// What the run means for the exit code.
fn judge(fail_on: &[FailOn], load: &Load) -> Exit {
    if load.verdict.state == VerdictState::Invalid {
        return super::complain(&load.verdict.reasons.join("; "), Exit::Unfit);
    }
    let met = |condition: &FailOn| match condition {
        FailOn::Trouble => is_in_trouble(load),
        FailOn::Never | FailOn::Invalid => false,
        FailOn::Errors => load.requests.failed > 0 || !load.errors.is_empty(),
        FailOn::Late => load.requests.late > 0,
        FailOn::Unanswered => load.requests.unanswered > 0,
        FailOn::Collateral => load.collateral_errors > 0,
        FailOn::Recovery => load.after.as_ref().is_some_and(|after| !after.answers),
        FailOn::Suspect => load.verdict.state != VerdictState::Valid,
    };
    if fail_on.iter().any(met) { Exit::Found } else { Exit::Fine }
}

/// True where something went wrong that nobody has planned.
fn is_in_trouble(load: &Load) -> bool {
    if load.after.as_ref().is_some_and(|after| !after.answers) {
        return true;
    }
    if !load.config.aborts.is_empty() || !load.config.misfits.is_empty() {
        return load.collateral_errors > 0;
    }
    let counts = |phase: &str, cause: &str| match (phase, cause) {
        // A datagram that is lost is the network's right, and a connection that carries no request the server's.
        ("timeout", "no-reply") => load.datagrams.is_none(),
        (phase, _) => phase != "idle",
    };
    load.requests.failed > 0 || load.errors.iter().any(|row| counts(&row.phase, &row.cause))
}
