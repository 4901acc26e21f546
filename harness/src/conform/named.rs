//! The subjects that the command line names: an address, a model, a command, or a file of them. Not here: what is done with them.

use super::cli::{Args, Failure, usage};
use super::expect::{self, Expect};
use super::subject::{Nature, Origin, Subject};
use super::subjects::{self, Judged, address, kind_of, listening, model_subject};
use record::Exit;
use std::path::Path;

/// The subjects of the command line.
pub(super) fn judged(args: &Args) -> Result<Vec<Judged>, Failure> {
    let exe =
        std::env::current_exe().map_err(|e| (Exit::Broken, format!("cannot find this program: {e}")))?;
    if let Some(path) = &args.subjects {
        let mut all = subjects::read(path, &exe, args.seed).map_err(usage)?;
        if let Some(name) = &args.subject {
            all.retain(|one| one.subject.name == *name);
            if all.is_empty() {
                return Err(usage(format!("{} has no subject `{name}`", path.display())));
            }
        }
        if args.concurrent {
            all.iter_mut().for_each(|one| one.subject.nature = Nature::Concurrent);
        }
        return Ok(all);
    }
    let mut subject = subject(args, &exe)?;
    if let Some(family) = &args.family {
        subjects::set_family(&mut subject, family).map_err(usage)?;
    }
    subjects::check_pair(subject.family, subject.kind).map_err(usage)?;
    subjects::set_dialogue(&mut subject, args.send.as_deref(), args.reply.as_deref(), args.service)
        .map_err(usage)?;
    if args.concurrent {
        subject.nature = Nature::Concurrent;
    }
    Ok(vec![Judged { expect: expectations(args)?, ..Judged::new(subject) }])
}

fn expectations(args: &Args) -> Result<Vec<Expect>, Failure> {
    let Some(path) = &args.expect else { return Ok(Vec::new()) };
    let text =
        std::fs::read_to_string(path).map_err(|e| usage(format!("cannot read {}: {e}", path.display())))?;
    expect::parse(&text).map_err(|e| usage(format!("{}: {e}", path.display())))
}

fn subject(args: &Args, exe: &Path) -> Result<Subject, Failure> {
    if args.pid.is_some() && !args.command.is_empty() {
        return Err(usage("--pid goes with an address; the process of a command is known"));
    }
    match (&args.target, args.command.is_empty()) {
        (Some(_), false) => Err(usage("give either a target or `--listen URL -- COMMAND`, not both")),
        (None, true) => Err(usage(
            "give a target (an address or a model), `--listen URL -- COMMAND` or `--subjects FILE`",
        )),
        (None, false) => {
            let listen = args
                .listen
                .as_deref()
                .ok_or_else(|| usage("a command needs --listen URL: where it listens"))?;
            let url = listening(listen).map_err(usage)?;
            let kind = kind_of(args.service, &url);
            let name = args.command.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ");
            let origin = Origin::Foreign { guard: exe.to_owned(), argv: args.command.clone(), url };
            Ok(Subject::new(name, origin, kind, args.seed))
        }
        (Some(target), true) if target.contains(':') => {
            let url = address(target).map_err(usage)?;
            let kind = kind_of(args.service, &url);
            Ok(Subject::new(target.clone(), Origin::Address { url, pid: args.pid }, kind, args.seed))
        }
        (Some(model), true) => model_subject(model, model, args.service, exe, args.seed).map_err(usage),
    }
}
