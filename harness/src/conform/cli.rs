//! `harness conform`: from arguments to an exit code. Not here: the cases, how results look, files of subjects.

use super::again::again;
use super::apart;
use super::case::{Case, Need};
use super::control::Control;
use super::expect;
use super::fault::{Fault, What};
use super::named::judged;
use super::output::Files;
use super::render;
use super::repeat;
use super::runner::{self, Options};
use super::scene::Effort;
use super::select::select;
use super::subject::Subject;
use super::subjects::Judged;
use crate::interrupt::Interrupt;
use record::Exit;
use record::conform::{CaseResult, CaseVerdict, Conformance};
use service::Kind;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

/// Cases at a time: they wait more than they work.
const LANES: u8 = 3;

/// Checks how a socket server behaves: aborts, half-close, SIGPIPE, descriptors, zombies, slow readers, shutdown …
///
/// The subject is an address (tcp://127.0.0.1:7000), a model of ours by name (epoll), a command that listens where --listen says, or
/// each of a file of subjects. The more it is given, the more can be checked: an address allows what a client sees, --pid what /proc
/// shows, a command all of it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// tcp://HOST:PORT, http://HOST:PORT[/PATH], unix:/PATH, udp://HOST:PORT, unixgram:/PATH, or a model
    pub(super) target: Option<String>,
    /// What the server says: echo, greeting, sized or http
    #[arg(long)]
    pub(super) service: Option<Kind>,
    /// Family in which a model serves: tcp, udp, unix or unixgram
    #[arg(long, value_name = "NAME")]
    pub(super) family: Option<String>,
    /// Where the command listens; port 0 or `{port}` has a free one chosen, and `{port}` in the command is filled in; so is `{path}` of unix:{path}
    #[arg(long, value_name = "URL")]
    pub(super) listen: Option<String>,
    /// For a server that speaks none of our services: what is sent, TEXT with \r \n \xNN
    #[arg(long, value_name = "TEXT", requires = "reply", conflicts_with = "service")]
    pub(super) send: Option<String>,
    /// And the answer to it: bytes:TEXT, delim:TEXT, length:u32be[@OFFSET][+ADD], count:N or regex:RE
    #[arg(long, value_name = "WHAT", requires = "send")]
    pub(super) reply: Option<String>,
    /// The process behind an address
    #[arg(long)]
    pub(super) pid: Option<i32>,
    /// Judge each subject of a TOML file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "listen", "pid", "service", "family", "command", "expect", "send", "reply"])]
    pub(super) subjects: Option<PathBuf>,
    /// Only this one of --subjects
    #[arg(long, value_name = "NAME", requires = "subjects")]
    pub(super) subject: Option<String>,
    /// What is known to fail, and why: TOML with [[expect]] case, verdict, reason, link, until
    #[arg(long, value_name = "FILE")]
    pub(super) expect: Option<PathBuf>,
    /// The server claims to serve connections beside each other: one at a time is then a failure and not a fact
    #[arg(long)]
    pub(super) concurrent: bool,
    /// Run these cases only: id, number, group, glob, or `fast`; behind ! all but these
    #[arg(long = "case", visible_alias = "group", value_name = "PATTERN", help_heading = "Cases")]
    pub(super) cases: Vec<String>,
    /// Only cases that need no more than this: address, same-host, pid or command
    #[arg(long, value_name = "NEED", help_heading = "Cases")]
    pub(super) needs: Option<Need>,
    /// List the cases and end
    #[arg(long, help_heading = "Cases")]
    pub(super) list: bool,
    /// Say what would be run, against what, and end
    #[arg(long, help_heading = "Cases")]
    pub(super) dry_run: bool,
    /// What a server SHOULD do it must do
    #[arg(long, help_heading = "Cases")]
    pub(super) strict: bool,
    /// Shorter forms of the cases
    #[arg(long, help_heading = "Cases")]
    pub(super) quick: bool,
    /// Run them so many times; the worst verdict of a case counts, and those that were not the same each time are named
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=100), help_heading = "Cases")]
    pub(super) repeat: u8,
    /// Cases at a time, each with an instance of the subject to itself; those that would disturb each other are run one by one
    #[arg(long, value_name = "N", default_value_t = LANES, value_parser = clap::value_parser!(u8).range(1..=16), help_heading = "Cases")]
    pub(super) lanes: u8,
    /// Run in a network namespace of its own, or not at all; without the flag, where that is permitted
    #[arg(long, conflicts_with = "no_netns", help_heading = "Cases")]
    pub(super) netns: bool,
    /// Run in the network that is there
    #[arg(long, help_heading = "Cases")]
    pub(super) no_netns: bool,
    /// Seed of payloads and faults
    #[arg(long, default_value_t = 1, help_heading = "Cases")]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) files: Files,
    /// The command of the server
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// Runs the command.
#[must_use]
pub fn command(args: &Args) -> Exit {
    match run(args) {
        Ok(exit) => exit,
        Err((exit, text)) => {
            // A closed standard error leaves the exit code to speak.
            let _ = writeln!(io::stderr(), "error: {text}");
            exit
        }
    }
}

pub(super) type Failure = (Exit, String);

pub(super) fn usage(text: impl Into<String>) -> Failure {
    (Exit::Usage, text.into())
}

impl Args {
    fn wish(&self) -> apart::Wish {
        match (self.netns, self.no_netns) {
            (true, _) => apart::Wish::Must,
            (_, true) => apart::Wish::No,
            _ => apart::Wish::IfPossible,
        }
    }
}

fn run(args: &Args) -> Result<Exit, Failure> {
    let chosen = choose(args, &args.cases)?;
    let mut out: Box<dyn Write + Send> =
        if args.files.take_stdout() { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    if args.list {
        // A closed pipe is not an error.
        let _ = render::list(&mut out, &chosen);
        return Ok(Exit::Fine);
    }
    args.files.check().map_err(usage)?;
    let all = judged(args)?;
    let plans: Vec<(Judged, Vec<&'static Case>)> = all
        .into_iter()
        .map(|judged| {
            // Chosen by the file and by the command line.
            let own = choose(args, &judged.cases)?;
            let both = chosen.iter().copied().filter(|c| own.iter().any(|o| o.id == c.id)).collect();
            Ok((judged, both))
        })
        .collect::<Result<_, Failure>>()?;
    if args.dry_run {
        for (judged, cases) in &plans {
            let _ = render::plan(&mut out, &judged.subject.name, judged.unfit.as_deref(), cases);
        }
        return Ok(Exit::Fine);
    }
    let subjects: Vec<&Subject> = plans
        .iter()
        .filter(|(judged, _)| judged.unfit.is_none())
        .map(|(judged, _)| &judged.subject)
        .collect();
    let place = apart::settle(args.wish(), &subjects).map_err(no_place)?;
    let _ = writeln!(out, "{}", place.words);
    let interrupt =
        Interrupt::listen().map_err(|e| (Exit::Broken, format!("cannot listen for Ctrl-C: {e}")))?;
    let mut controls = BTreeMap::new();
    let (mut runs, mut unfit) = (Vec::new(), false);
    for (mut judged, cases) in plans {
        if interrupt.asked() {
            break;
        }
        if !runs.is_empty() && place.renew().map_err(no_place)? {
            controls.clear();
        }
        let known = judged.known_unfit.take();
        let mut run = judge(args, &mut judged, &cases, &mut controls, &interrupt, &mut out)?;
        if !run.facts.is_empty() {
            run.facts = format!("{}, {}", run.facts, place.words);
        }
        unfit |= run.unfit.as_ref().is_some_and(|why| known.is_none_or(|words| !why.contains(&words)));
        runs.push(run);
    }
    args.files.write(&runs).map_err(|e| (Exit::Broken, e))?;
    conclude(&runs, unfit, interrupt.asked())
}

fn no_place(refused: apart::Refused) -> Failure {
    match refused {
        apart::Refused::Use(why) => usage(why),
        apart::Refused::Kernel(why) => (Exit::Unfit, why),
    }
}

fn choose(args: &Args, patterns: &[String]) -> Result<Vec<&'static Case>, Failure> {
    for pattern in patterns {
        if select(&[pattern.trim_start_matches('!').to_owned()]).is_empty() {
            return Err(usage(format!("no case matches {pattern}; see --list")));
        }
    }
    let mut cases = select(patterns);
    cases.retain(|case| args.needs.is_none_or(|most| case.needs <= most));
    if cases.is_empty() {
        return Err(usage("no case is left; see --list, and --needs"));
    }
    Ok(cases)
}

/// Runs the cases of one subject; what makes it unfit is a part of its result.
fn judge(
    args: &Args,
    judged: &mut Judged,
    cases: &[&'static Case],
    controls: &mut BTreeMap<&'static str, Control>,
    interrupt: &Interrupt,
    out: &mut (dyn Write + Send),
) -> Result<Conformance, Failure> {
    let subject = &mut judged.subject;
    let broken = |e: io::Error| (Exit::Broken, format!("cannot start the control server: {e}"));
    let name = subject.kind.name();
    if !controls.contains_key(name) {
        controls.insert(name, Control::start(subject.kind, args.seed).map_err(broken)?);
    }
    let control = &controls[name];
    let why = match judged.unfit.take() {
        Some(why) => Some(why),
        None => match runner::prepare(subject, control) {
            Ok(()) => None,
            Err(fault) => Some(unready(&fault)?),
        },
    };
    if let Some(why) = why {
        let _ = writeln!(io::stderr(), "{}: not judged: {why}", subject.name);
        return Ok(Conformance {
            schema: record::SCHEMA,
            subject: subject.name.clone(),
            service: subject.service().to_owned(),
            url: String::new(),
            facts: String::new(),
            unfit: Some(why),
            cases: Vec::new(),
        });
    }
    if let (Some(url), Some(facts)) = (&subject.address, subject.facts) {
        let _ = render::subject(out, &subject.name, url, facts);
    }
    let effort = if args.quick { Effort::Quick } else { Effort::Full };
    let options =
        Options { effort, strict: args.strict, seed: args.seed, until: None, lanes: args.lanes.into() };
    let today = jiff::Zoned::now().date();
    let (mut trouble, mut runs) = (None, Vec::new());
    for number in 1..=args.repeat {
        let _ = render::run(out, number, args.repeat);
        let stop = || interrupt.asked();
        runs.push(runner::run(subject, control, cases, &options, &stop, |subject, result| {
            result.again = again(args, &subject.name, &result.id);
            expect::apply(&judged.expect, today, result);
            let _ = render::case(out, result);
            if let Err(error) = script(args, subject, result, out) {
                trouble = Some(error);
            }
        }));
        // Each run has a fresh one.
        subject.forget();
        if stop() {
            break;
        }
    }
    let times = runs.len();
    let (done, unsteady) = repeat::worst(runs).ok_or((Exit::Broken, "no run was made".to_owned()))?;
    let _ = render::end(out, &done);
    let _ = render::steadiness(out, times, &unsteady);
    trouble.map_or(Ok(done), |error| Err((Exit::Broken, error)))
}

fn script(args: &Args, subject: &Subject, result: &CaseResult, out: &mut dyn Write) -> Result<(), String> {
    if let Some(path) = args.files.script(subject, result)? {
        let _ = writeln!(out, "             script: {}", path.display());
    }
    Ok(())
}

/// Why the subject cannot be judged; where the harness itself failed, that ends the run.
fn unready(fault: &Fault) -> Result<String, Failure> {
    let text = format!("the subject is not ready: {fault}");
    if matches!(fault.what, What::Harness(_)) { Err((Exit::Broken, text)) } else { Ok(text) }
}

fn conclude(runs: &[Conformance], unfit: bool, interrupted: bool) -> Result<Exit, Failure> {
    let cases = || runs.iter().flat_map(|run| &run.cases);
    if cases().any(CaseResult::counts_against) {
        return Ok(Exit::Found);
    }
    if cases().any(|case| case.verdict == CaseVerdict::Broken) {
        return Ok(Exit::Broken);
    }
    if interrupted {
        return Err((Exit::Unfit, "interrupted: the cases that were left have not been run".to_owned()));
    }
    if unfit {
        return Ok(Exit::Unfit);
    }
    // Asked for and not one of them run is not a success.
    if cases().next().is_some() && cases().all(|case| case.verdict == CaseVerdict::Skipped) {
        return Err(usage("none of the cases can be run with this subject"));
    }
    Ok(Exit::Fine)
}
