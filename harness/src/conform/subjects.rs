//! Whom a run judges: the subject of a command line, or the many of a TOML file. Not here: how a subject is started.
//!
//! ```toml
//! [[subject]]
//! name = "nginx"
//! # command, or model = "epoll" with family = "unix", or url = "tcp://…" with pid = 7; {path} has a fresh path chosen
//! command = ["nginx", "-p", "{dir}", "-c", "{dir}/nginx.conf"]
//! listen = "http://127.0.0.1:0/"                                   # of a command; port 0 has one chosen for {port}
//! service = "http"                                                 # or send = 'PING\r\n' with reply = 'bytes:+PONG\r\n'
//! prepare = ["cc", "-o", "{dir}/x", "{here}/x.c"]                  # once, before its first start; {here} is the folder of this file
//! hint = "apt-get install nginx-light"                             # for those who do not have it
//! concurrent = true
//! unfit = "serves one client"                                      # words of the reason for which it cannot be judged, where that is known
//! cases = ["sigpipe", "half"]                                      # all of them, where it is left out
//! [subject.env]
//! LANG = "C"
//! [subject.files]
//! "nginx.conf" = "… listen 127.0.0.1:{port}; …"
//! [[subject.expect]]
//! case = "sigpipe/fin"
//! verdict = "FAILED"
//! reason = "…"
//! ```

use super::expect::{self, Expect};
use super::kit::{Kit, Template};
use super::raw;
use super::runner::{self, nature_of};
use super::subject::{Nature, Origin, Subject};
use serde::Deserialize;
use service::Kind;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use sys::{Family, Url};

/// A subject and what goes with it.
#[derive(Debug)]
pub(super) struct Judged {
    /// The subject.
    pub subject: Subject,
    /// What is expected of it.
    pub expect: Vec<Expect>,
    /// The cases that are chosen for it; empty for all.
    pub cases: Vec<String>,
    /// Why it cannot be run here, if so.
    pub unfit: Option<String>,
    /// Words of the reason for which it is known that it cannot be judged.
    pub known_unfit: Option<String>,
}

impl Judged {
    /// A subject of which nothing is expected.
    #[must_use]
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, expect: Vec::new(), cases: Vec::new(), unfit: None, known_unfit: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    subject: Vec<Entry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Entry {
    name: String,
    model: Option<String>,
    family: Option<String>,
    url: Option<String>,
    pid: Option<i32>,
    command: Vec<String>,
    prepare: Vec<String>,
    hint: Option<String>,
    unfit: Option<String>,
    send: Option<String>,
    reply: Option<String>,
    listen: Option<String>,
    service: Option<String>,
    concurrent: bool,
    cases: Vec<String>,
    env: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    expect: Vec<Expect>,
}

/// Reads a file of subjects; `exe` is this program, `seed` that of the payloads.
///
/// # Errors
/// In a sentence that names the subject.
pub(super) fn read(path: &Path, exe: &Path, seed: u64) -> Result<Vec<Judged>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let here = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let here = here.canonicalize().map_err(|e| format!("{}: {e}", here.display()))?;
    let whereabouts = Whereabouts { exe, here };
    let file: File = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    if file.subject.is_empty() {
        return Err(format!("{} names no [[subject]]", path.display()));
    }
    let mut names: Vec<&str> = file.subject.iter().map(|s| s.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{}: two subjects are called `{}`", path.display(), twice[0]));
    }
    file.subject
        .into_iter()
        .map(|entry| {
            let name = entry.name.clone();
            judged(entry, &whereabouts, seed)
                .map_err(|e| format!("{}: subject `{name}`: {e}", path.display()))
        })
        .collect()
}

fn judged(entry: Entry, whereabouts: &Whereabouts<'_>, seed: u64) -> Result<Judged, String> {
    if entry.name.trim().is_empty() {
        return Err("needs a name".to_owned());
    }
    expect::check(&entry.expect)?;
    let service: Option<Kind> = entry
        .service
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|e: service::UnknownService| e.to_string())?;
    let ways = [entry.model.is_some(), entry.url.is_some(), !entry.command.is_empty()];
    if ways.iter().filter(|way| **way).count() != 1 {
        return Err("needs exactly one of model, url and command".to_owned());
    }
    let for_command = entry.listen.is_some()
        || !entry.env.is_empty()
        || !entry.files.is_empty()
        || !entry.prepare.is_empty();
    if entry.command.is_empty() && for_command {
        return Err("listen, env, files and prepare go with a command".to_owned());
    }
    if entry.pid.is_some() && entry.url.is_none() {
        return Err("pid goes with url".to_owned());
    }
    let mut made = if let Some(model) = &entry.model {
        Judged::new(model_subject(&entry.name, model, service, whereabouts.exe, seed)?)
    } else if let Some(url) = &entry.url {
        let url = address(url)?;
        let kind = kind_of(service, &url);
        Judged::new(Subject::new(&entry.name, Origin::Address { url, pid: entry.pid }, kind, seed))
    } else {
        command(&entry, service, whereabouts, seed)?
    };
    if let Some(family) = &entry.family {
        set_family(&mut made.subject, family)?;
    }
    check_pair(made.subject.family, made.subject.kind)?;
    set_dialogue(&mut made.subject, entry.send.as_deref(), entry.reply.as_deref(), service)?;
    if entry.concurrent {
        made.subject.nature = Nature::Concurrent;
    }
    Ok(Judged { expect: entry.expect, cases: entry.cases, known_unfit: entry.unfit, ..made })
}

/// What the words of a file may name beside `{port}`, `{path}` and `{dir}`.
struct Whereabouts<'a> {
    /// This program; `{bin}` is its folder.
    exe: &'a Path,
    /// The folder of the file: `{here}`.
    here: PathBuf,
}

impl Whereabouts<'_> {
    fn fill(&self, text: &str) -> String {
        let bin = self.exe.parent().unwrap_or(Path::new(".")).display().to_string();
        text.replace("{here}", &self.here.display().to_string()).replace("{bin}", &bin)
    }
}

fn command(
    entry: &Entry,
    service: Option<Kind>,
    whereabouts: &Whereabouts<'_>,
    seed: u64,
) -> Result<Judged, String> {
    let url = listening(entry.listen.as_deref().ok_or("a command needs listen: where it listens")?)?;
    let kind = kind_of(service, &url);
    let words = |all: &[String]| all.iter().map(|word| OsString::from(whereabouts.fill(word))).collect();
    let mut argv: Vec<OsString> = Vec::new();
    if !entry.env.is_empty() {
        argv.push("env".into());
        argv.extend(entry.env.iter().map(|(k, v)| OsString::from(format!("{k}={}", whereabouts.fill(v)))));
    }
    argv.extend::<Vec<_>>(words(&entry.command));
    let files = entry.files.iter().map(|(name, text)| Template::new(name, whereabouts.fill(text)));
    let origin = Origin::Foreign { guard: whereabouts.exe.to_owned(), argv, url };
    let mut subject = Subject::new(&entry.name, origin, kind, seed);
    subject.kit = Kit::new(files.collect::<Result<_, _>>()?, words(&entry.prepare));
    // A program below {dir} comes to be when the subject is prepared.
    let needed = [entry.prepare.first(), entry.command.first()].into_iter().flatten();
    let missing = needed
        .filter(|word| !word.contains("{dir}"))
        .map(|word| whereabouts.fill(word))
        .find(|word| !sys::spawn::can_be_found(word.as_ref()));
    let unfit = missing.map(|word| match &entry.hint {
        Some(hint) => format!("`{word}` is not installed: {hint}"),
        None => format!("`{word}` is not installed"),
    });
    Ok(Judged { unfit, ..Judged::new(subject) })
}

/// One of our models as a subject.
///
/// # Errors
/// In a sentence: there is no such model, or it cannot run here.
pub(super) fn model_subject(
    name: &str,
    model: &str,
    service: Option<Kind>,
    exe: &Path,
    seed: u64,
) -> Result<Subject, String> {
    if servers::model(model).is_none() {
        return Err(format!("unknown model `{model}`; the models are {}", servers::registry::names()));
    }
    let origin = Origin::Ours { program: exe.to_owned(), args: runner::serve_args(model) };
    let mut subject = Subject::new(name, origin, service.unwrap_or(Kind::Echo), seed);
    subject.nature = nature_of(model);
    subject.model = model.to_owned();
    Ok(subject)
}

/// An address that can be judged.
///
/// # Errors
/// In a sentence.
pub(super) fn address(text: &str) -> Result<Url, String> {
    text.parse().map_err(|e: sys::BadUrl| e.to_string())
}

/// Where a command is to listen: port 0, or `{port}`, has a free one chosen, which is then filled in there and in the command.
///
/// # Errors
/// In a sentence.
pub(super) fn listening(text: &str) -> Result<Url, String> {
    address(&text.replace(":{port}", ":0"))
}

/// Says in which family a model of ours is to serve.
///
/// # Errors
/// In a sentence: no such family, not a model, or the model does not serve it.
pub(super) fn set_family(subject: &mut Subject, family: &str) -> Result<(), String> {
    let found = Family::ALL.into_iter().find(|f| f.name() == family);
    let found = found
        .ok_or_else(|| format!("unknown family `{family}`; the families are tcp, udp, unix, unixgram"))?;
    let Origin::Ours { .. } = subject.origin else {
        return Err("the family of an address or a command stands in its URL".to_owned());
    };
    let model = servers::model(&subject.model).ok_or("no such model")?;
    if let servers::Support::No(why) = (model.model.supports)(found) {
        return Err(format!("{} does not serve {found}: {why}", subject.model));
    }
    subject.family = found;
    Ok(())
}

/// Has the subject spoken to in words of the user's own, where they are given.
///
/// # Errors
/// In a sentence: one without the other, beside a service, in datagrams, or not to be read.
pub(super) fn set_dialogue(
    subject: &mut Subject,
    send: Option<&str>,
    reply: Option<&str>,
    service: Option<Kind>,
) -> Result<(), String> {
    subject.dialogue = match (send, reply) {
        (None, None) => return Ok(()),
        (Some(_), None) | (None, Some(_)) => return Err("send and reply go together".to_owned()),
        (Some(_), Some(_)) if service.is_some() => {
            return Err("send and reply say what is spoken; leave the service out".to_owned());
        }
        (Some(_), Some(_)) if matches!(subject.family, Family::Udp | Family::Unixgram) => {
            return Err("send and reply need a stream".to_owned());
        }
        (Some(_), Some(_)) if matches!(subject.origin, Origin::Ours { .. }) => {
            return Err("send and reply are for servers that speak none of our services".to_owned());
        }
        (Some(send), Some(reply)) => Some(raw::dialogue(send, reply)?),
    };
    // The control speaks what is most like it.
    subject.kind = Kind::Sized;
    Ok(())
}

/// Finds a service that the family does not carry.
///
/// # Errors
/// In a sentence.
pub(super) fn check_pair(family: Family, kind: Kind) -> Result<(), String> {
    let datagrams = matches!(family, Family::Udp | Family::Unixgram);
    if datagrams && !kind.in_datagrams() {
        return Err(format!("{kind} needs a stream: {family} carries greeting, echo and sized"));
    }
    Ok(())
}

/// The service that is named, else the one of the address.
#[must_use]
pub(super) fn kind_of(named: Option<Kind>, url: &Url) -> Kind {
    named.unwrap_or(if url.http { Kind::Http } else { Kind::Echo })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Judged>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path(), Path::new("/exe"), 1)
    }

    #[test]
    fn reads_each_kind_of_subject() {
        let text = r#"
            [[subject]]
            name = "ours"
            model = "epoll"
            service = "sized"
            [[subject]]
            name = "there"
            url = "tcp://127.0.0.1:9"
            pid = 7
            concurrent = true
            [[subject]]
            name = "theirs"
            command = ["/bin/sh", "{dir}/a/run.sh", "{port}"]
            listen = "http://127.0.0.1:0/x"
            cases = ["sigpipe"]
            env = { HOME = "{dir}" }
            files = { "a/run.sh" = "exec {dir}/x {port}" }
            [[subject.expect]]
            case = "5.1"
            verdict = "FAILED"
            reason = "known"
        "#;
        let all = parsed(text).unwrap();
        assert_eq!(all[0].subject.kind, Kind::Sized);
        assert_eq!((all[1].subject.nature, all[1].subject.kind), (Nature::Concurrent, Kind::Echo));
        let theirs = &all[2];
        assert_eq!((theirs.subject.kind, theirs.expect.len(), theirs.cases.len()), (Kind::Http, 1, 1));
        let Origin::Foreign { argv, .. } = &theirs.subject.origin else { panic!() };
        let kit = &theirs.subject.kit;
        let dir = kit.folder().unwrap().to_owned();
        assert_eq!((argv[0].clone(), argv[1].clone()), ("env".into(), "HOME={dir}".into()));
        let laid = kit.lay_out(argv, &"tcp://127.0.0.1:4".parse().unwrap()).unwrap();
        assert_eq!(laid[1], *format!("HOME={}", dir.display()));
        assert_eq!(std::fs::read_to_string(&laid[3]).unwrap(), format!("exec {}/x 4", dir.display()));
        drop(all);
        assert!(!dir.exists());
    }

    #[test]
    fn a_program_that_is_missing_is_said_and_is_no_error() {
        let text =
            "[[subject]]\nname='x'\ncommand=['no-such-program-anywhere']\nlisten='tcp://127.0.0.1:0'\n";
        assert!(parsed(text).unwrap()[0].unfit.as_ref().unwrap().contains("not installed"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let command = "[[subject]]\nname='x'\ncommand=['true']\nlisten='tcp://127.0.0.1:0'\n";
        for (text, says) in [
            ("", "no [[subject]]"),
            ("[[subject]]\nmodel='epoll'\n", "needs a name"),
            ("[[subject]]\nname='x'\n", "exactly one"),
            ("[[subject]]\nname='x'\nmodel='epoll'\nurl='tcp://127.0.0.1:1'\n", "exactly one"),
            ("[[subject]]\nname='x'\nmodel='nonesuch'\n", "unknown model"),
            ("[[subject]]\nname='x'\nmodel='epoll'\nlisten='tcp://127.0.0.1:1'\n", "go with a command"),
            ("[[subject]]\nname='x'\nmodel='epoll'\npid=1\n", "pid goes with url"),
            ("[[subject]]\nname='x'\nmodel='epoll'\nservice='gopher'\n", "unknown service"),
            ("[[subject]]\nname='x'\nmodel='epoll'\ntypo=1\n", "unknown field"),
            ("[[subject]]\nname='x'\ncommand=['true']\n", "needs listen"),
            ("[[subject]]\nname='x'\nmodel='epoll'\n[[subject]]\nname='x'\nmodel='poll'\n", "two subjects"),
            ("[[subject]]\nname='x'\nmodel='epoll'\nprepare=['true']\n", "go with a command"),
            ("[[subject]]\nname='x'\nmodel='epoll'\nsend='x'\nreply='count:1'\n", "none of our services"),
            (&format!("{command}send='x'\n"), "go together"),
            (&format!("{command}send='x'\nreply='eof'\n"), "no answer"),
            (&format!("{command}send='x'\nreply='perhaps'\n"), "reply: "),
            (&format!("{command}files={{'../y'='z'}}\n"), "own folder"),
            (&format!("{command}files={{'/y'='z'}}\n"), "own folder"),
            (&format!("{command}[[subject.expect]]\ncase='x'\nverdict='OK'\nreason='y'\n"), "no case"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
