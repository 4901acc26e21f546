//! `harness conform`: from arguments to an exit code. Not here: the cases, and how results look.

use super::case::Case;
use super::control::Control;
use super::fault::What;
use super::runner::{self, Options, nature_of};
use super::scene::Effort;
use super::select::select;
use super::subject::{Nature, Origin, Subject};
use super::{fault::Fault, render};
use record::Exit;
use record::conform::{CaseVerdict, Conformance};
use service::Kind;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use sys::{Family, Url};

/// Checks how a socket server behaves: aborts, half-close, SIGPIPE, descriptors, zombies, slow readers, shutdown …
///
/// The subject is an address (tcp://127.0.0.1:7000), a model of ours by name (epoll), or a command that listens where --listen says.
/// The more it is given, the more can be checked: an address allows what a client sees, --pid what /proc shows, a command all of it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// tcp://HOST:PORT, http://HOST:PORT[/PATH], or a model
    target: Option<String>,
    /// What the server says: echo, greeting, sized or http
    #[arg(long)]
    service: Option<Kind>,
    /// Where the command listens; port 0 has a free one chosen, `{port}` in the command is filled in
    #[arg(long, value_name = "URL")]
    listen: Option<String>,
    /// Run these cases only: id, number, group or glob
    #[arg(long = "case", value_name = "PATTERN")]
    cases: Vec<String>,
    /// List the cases and end
    #[arg(long)]
    list: bool,
    /// Write the result to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What a server SHOULD do it must do
    #[arg(long)]
    strict: bool,
    /// The server claims to serve connections beside each other: one at a time is then a failure and not a fact
    #[arg(long)]
    concurrent: bool,
    /// Shorter forms of the cases
    #[arg(long)]
    quick: bool,
    /// The process behind an address
    #[arg(long)]
    pid: Option<i32>,
    /// Seed of payloads and faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The command of the server
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
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

type Failure = (Exit, String);

fn usage(text: impl Into<String>) -> Failure {
    (Exit::Usage, text.into())
}

fn run(args: &Args) -> Result<Exit, Failure> {
    let cases = select(&args.cases);
    if cases.is_empty() {
        return Err(usage(format!("no case matches {}; see --list", args.cases.join(", "))));
    }
    let mut out = io::stdout().lock();
    if args.list {
        // A closed pipe is not an error.
        let _ = render::list(&mut out, &cases);
        return Ok(Exit::Fine);
    }
    let mut subject = subject(args)?;
    let control = Control::start(subject.kind, args.seed).map_err(|e| (Exit::Broken, e.to_string()))?;
    runner::prepare(&mut subject, &control).map_err(|fault| unready(&fault))?;
    if let (Ok(running), Some(facts)) = (subject.running().map(|r| r.target.ip), subject.facts) {
        let _ = render::subject(&mut out, &subject.name, &running.to_string(), facts);
    }
    let effort = if args.quick { Effort::Quick } else { Effort::Full };
    let options = Options { effort, strict: args.strict, seed: args.seed, until: None };
    let done = runner::run(&mut subject, &control, &cases, &options, |result| {
        let _ = render::case(&mut out, result);
    });
    subject.forget();
    let _ = render::end(&mut out, &done, |id| again(args, id));
    if let Some(path) = &args.json {
        save(path, &done)?;
    }
    judge(&cases, &done)
}

fn unready(fault: &Fault) -> Failure {
    let exit = if matches!(fault.what, What::Harness(_)) { Exit::Broken } else { Exit::Unfit };
    (exit, format!("the subject is not ready: {fault}"))
}

fn judge(cases: &[&Case], done: &Conformance) -> Result<Exit, Failure> {
    if done.count(CaseVerdict::Failed) > 0 {
        return Ok(Exit::Found);
    }
    if done.count(CaseVerdict::Broken) > 0 {
        return Ok(Exit::Broken);
    }
    // Asked for and not one of them run is not a success.
    if done.count(CaseVerdict::Skipped) == cases.len() {
        return Err(usage("none of the cases can be run with this subject"));
    }
    Ok(Exit::Fine)
}

fn save(path: &std::path::Path, done: &Conformance) -> Result<(), Failure> {
    let broken = |e: String| (Exit::Broken, format!("cannot write {}: {e}", path.display()));
    let mut text = serde_json::to_vec_pretty(done).map_err(|e| broken(e.to_string()))?;
    text.push(b'\n');
    record::store::write(path, &text).map_err(|e| broken(e.to_string()))
}

fn subject(args: &Args) -> Result<Subject, Failure> {
    let exe =
        || std::env::current_exe().map_err(|e| (Exit::Broken, format!("cannot find this program: {e}")));
    let address = |text: &str| -> Result<Url, Failure> {
        let url: Url = text.parse().map_err(|e| usage(format!("{e}")))?;
        match url.family {
            Family::Tcp => Ok(url),
            other => {
                Err(usage(format!("the cases for {other} are not written yet; give a tcp or http address")))
            }
        }
    };
    let kind = |url: Option<&Url>| match (args.service, url.is_some_and(|u| u.http)) {
        (Some(kind), _) => kind,
        (None, true) => Kind::Http,
        (None, false) => Kind::Echo,
    };
    if args.pid.is_some() && !args.command.is_empty() {
        return Err(usage("--pid goes with an address; the process of a command is known"));
    }
    let mut subject = match (&args.target, args.command.is_empty()) {
        (Some(_), false) => return Err(usage("give either a target or `--listen URL -- COMMAND`, not both")),
        (None, true) => {
            return Err(usage("give a target (an address or a model) or `--listen URL -- COMMAND`"));
        }
        (None, false) => {
            let listen = args
                .listen
                .as_deref()
                .ok_or_else(|| usage("a command needs --listen URL: where it listens"))?;
            let url = address(listen)?;
            let kind = kind(Some(&url));
            let name = args.command.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ");
            let origin = Origin::Foreign { guard: exe()?, argv: args.command.clone(), url };
            Subject::new(name, origin, kind, args.seed)
        }
        (Some(target), true) if target.contains(':') => {
            let url = address(target)?;
            let kind = kind(Some(&url));
            Subject::new(target.clone(), Origin::Address { url, pid: args.pid }, kind, args.seed)
        }
        (Some(model), true) => {
            let origin = Origin::Ours { program: exe()?, args: runner::serve_args(model) };
            let mut subject = Subject::new(model.clone(), origin, kind(None), args.seed);
            subject.nature = nature_of(model);
            subject
        }
    };
    if args.concurrent {
        subject.nature = Nature::Concurrent;
    }
    Ok(subject)
}

/// The command that runs just this case again.
fn again(args: &Args, id: &str) -> String {
    let mut words = vec!["harness".to_owned(), "conform".to_owned()];
    words.extend(args.target.clone());
    for (flag, value) in [
        ("--service", args.service.map(|k| k.name().to_owned())),
        ("--listen", args.listen.clone()),
        ("--pid", args.pid.map(|p| p.to_string())),
        ("--case", Some(id.to_owned())),
        ("--seed", Some(args.seed.to_string())),
    ] {
        if let Some(value) = value {
            words.extend([flag.to_owned(), value]);
        }
    }
    for (flag, set) in [("--strict", args.strict), ("--concurrent", args.concurrent), ("--quick", args.quick)]
    {
        if set {
            words.push(flag.to_owned());
        }
    }
    if !args.command.is_empty() {
        words.push("--".to_owned());
        words.extend(args.command.iter().map(|w| format!("{w:?}")));
    }
    words.join(" ")
}
