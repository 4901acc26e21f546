//! The server under test: how it is started, who it is, what is known of it. Not here: the cases.

use super::facts::Facts;
use super::fault::Fault;
use super::kit::Kit;
use super::places::Places;
use super::rest::{self, Baseline};
use super::target::Target;
use super::wire::Wire;
use crate::spawn::{Child, ForeignCommand, Identity, ServerCommand, identity};
use service::Kind;
use service::raw::Dialogue;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use sys::spawn::Begin;
use sys::{Family, Url};

/// How long a subject may take to become ready (case 1.1).
pub const READY_WITHIN: Duration = Duration::from_secs(10);

/// Free ports that are tried: between the choice of one and the subject's bind, a client of another case may be given it.
const TRIES: usize = 3;

/// Where the subject comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// It runs already.
    Address {
        /// Where.
        url: Url,
        /// Its process, where the user named it.
        pid: Option<i32>,
    },
    /// A program that keeps our servers' contract: `--listen URL --service S`, and the line `listening on URL`.
    Ours {
        /// The program.
        program: PathBuf,
        /// What stands before `--listen`.
        args: Vec<OsString>,
    },
    /// Any command that listens where the URL says; `{port}` in its words is filled in.
    Foreign {
        /// The program that knows the subcommand `guard`.
        guard: PathBuf,
        /// The command.
        argv: Vec<OsString>,
        /// Where it will listen; port 0 has one chosen, and so has the path `{path}`.
        url: Url,
    },
}

/// What a subject is declared to do by nature, which decides whether serving one at a time is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Nothing is declared: what is measured is reported.
    Unknown,
    /// One connection at a time.
    Serial,
    /// As many as it has workers.
    Workers,
    /// As many as there are descriptors.
    Concurrent,
}

/// The server under test.
#[derive(Debug)]
pub struct Subject {
    /// For reports: an address, a model, a command line.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The service spoken.
    pub kind: Kind,
    /// The name of the model, where it is one of ours.
    pub model: String,
    /// The family of its socket.
    pub family: Family,
    /// What it is declared to be.
    pub nature: Nature,
    /// What was found out about it; `None` until it has been probed.
    pub facts: Option<Facts>,
    /// It was busy for long after it was ready, once: the next start is not waited for as long.
    pub restless: bool,
    /// Makes payloads differ between runs.
    pub seed: u64,
    /// Where it listened when it ran last, as a URL.
    pub address: Option<String>,
    /// What is done to it in the case that runs.
    pub wire: Wire,
    /// What its command needs beside itself.
    pub kit: Kit,
    /// What is said and expected, where that is none of our services.
    pub dialogue: Option<Arc<Dialogue>>,
    places: Places,
    running: Option<Running>,
}

/// A subject that runs.
#[derive(Debug)]
pub struct Running {
    /// The started process; `None` for an address.
    pub child: Option<Child>,
    /// Its process, where it is known.
    pub id: Option<Identity>,
    /// How to talk to it.
    pub target: Target,
    /// It was begun in an unusual way, for one case.
    pub special: bool,
    /// What was there when it was idle; `None` until [`Subject::rest`] has looked.
    pub baseline: Option<Baseline>,
}

impl Subject {
    /// A subject that does not run yet.
    #[must_use]
    pub fn new(name: impl Into<String>, origin: Origin, kind: Kind, seed: u64) -> Self {
        let nature = Nature::Unknown;
        let family = match &origin {
            Origin::Address { url, .. } | Origin::Foreign { url, .. } => url.family,
            Origin::Ours { .. } => Family::Tcp,
        };
        Self {
            name: name.into(),
            origin,
            kind,
            model: String::new(),
            family,
            nature,
            facts: None,
            restless: false,
            seed,
            wire: Wire::default(),
            kit: Kit::default(),
            dialogue: None,
            address: None,
            places: Places::default(),
            running: None,
        }
    }

    /// Another instance of the same: of its own process, place and folder. `None` for an address, and for a command whose place is fixed.
    #[must_use]
    pub fn twin(&self) -> Option<Self> {
        let free = match &self.origin {
            Origin::Address { .. } => false,
            Origin::Ours { .. } => true,
            Origin::Foreign { url, .. } => Places::is_open(url),
        };
        free.then(|| Self {
            model: self.model.clone(),
            family: self.family,
            nature: self.nature,
            facts: self.facts,
            restless: self.restless,
            kit: self.kit.twin(),
            dialogue: self.dialogue.clone(),
            ..Self::new(self.name.clone(), self.origin.clone(), self.kind, self.seed)
        })
    }

    /// The name of what is said.
    #[must_use]
    pub fn service(&self) -> &'static str {
        if self.dialogue.is_some() { "raw" } else { self.kind.name() }
    }

    /// Starts it where it does not run (or, an address, looks at it).
    ///
    /// # Errors
    /// It did not become ready.
    pub fn ensure(&mut self) -> Result<&mut Running, Fault> {
        if self.running.is_none() {
            self.start(&Begin::default(), None)?;
        }
        self.running.as_mut().ok_or_else(|| Fault::harness("the subject does not run"))
    }

    /// The running subject.
    ///
    /// # Errors
    /// The harness's own, when it does not run.
    pub fn running(&mut self) -> Result<&mut Running, Fault> {
        self.running.as_mut().ok_or_else(|| Fault::harness("the subject does not run"))
    }

    /// True while it is started.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Starts it anew: ends what runs, begins as `begin` says, listens at `at` where that is given.
    ///
    /// # Errors
    /// It did not become ready, or it is an address.
    pub fn start(&mut self, begin: &Begin, at: Option<&Url>) -> Result<(), Fault> {
        if let Some(running) = &self.running
            && running.child.is_none()
        {
            return Err(Fault::harness("the subject is an address and cannot be restarted"));
        }
        self.forget();
        let child = self.launch(begin, at, READY_WITHIN)?;
        let (url, id, http) = match (&self.origin, &child) {
            (Origin::Address { url, pid }, _) => {
                let missing = || Fault::subject("no process has the number given with --pid");
                let id = pid.map(|pid| Identity::of(pid).ok_or_else(missing)).transpose()?;
                (url.clone(), id, url.path.clone())
            }
            (origin, Some(child)) => {
                let url: Url = child
                    .url()
                    .parse()
                    .map_err(|e| Fault::subject(format!("its ready line is wrong: {e}")))?;
                let path = if let Origin::Foreign { url, .. } = origin { url.path.clone() } else { None };
                (url, Some(child.identity()), path)
            }
            (_, None) => return Err(Fault::harness("nothing was started")),
        };
        let target = Target {
            url: url.clone(),
            kind: self.kind,
            dialogue: self.dialogue.clone(),
            gate: None,
            path: http,
            host: url.authority.clone(),
            reply: Duration::from_secs(2),
            seed: self.seed,
            wire: self.wire.clone(),
        };
        self.address = Some(url.to_string());
        let special = begin.descriptors.is_some() || begin.occupy_below.is_some() || begin.close_stdio;
        self.running = Some(Running { child, id, target, special, baseline: None });
        Ok(())
    }

    /// Starts a process at `at` (or a free port) and leaves the subject as it is. Where a foreign one runs already it is a second.
    ///
    /// # Errors
    /// It did not become ready.
    pub fn launch(&self, begin: &Begin, at: Option<&Url>, within: Duration) -> Result<Option<Child>, Fault> {
        match &self.origin {
            Origin::Address { .. } => Ok(None),
            Origin::Ours { program, args } if begin.close_stdio => {
                // Its ready line has nowhere to go: it is started as a foreign one.
                let url = self.places.choose(at, &self.places.any(self.family)?)?;
                let words = self.words(args, &url.to_string());
                let command = ForeignCommand {
                    guard: program.clone(),
                    argv: std::iter::once(program.clone().into_os_string()).chain(words).collect(),
                    url,
                    begin: begin.clone(),
                    ready_within: within,
                    second: false,
                };
                Ok(Some(Child::foreign(&command)?))
            }
            Origin::Ours { program, args } => {
                let listen = match at {
                    Some(url) => url.clone(),
                    None => self.places.any(self.family)?,
                };
                let mut command = ServerCommand::new(program, self.words(args, &listen.to_string()));
                command.begin = begin.clone();
                command.ready_within = within;
                Ok(Some(Child::server(&command)?))
            }
            Origin::Foreign { guard, argv, url } => {
                let mut command = ForeignCommand {
                    guard: guard.clone(),
                    argv: Vec::new(),
                    url: url.clone(),
                    begin: begin.clone(),
                    ready_within: within,
                    second: false,
                };
                let mut tries = 0;
                loop {
                    command.url = self.places.choose(at, url)?;
                    let same = |running: &Running| running.target.url.address == command.url.address;
                    command.second = self.running.as_ref().is_some_and(same);
                    command.argv = self.kit.lay_out(argv, &command.url)?;
                    tries += 1;
                    match Child::foreign(&command) {
                        Err(_) if at.is_none() && tries < TRIES && Places::was_taken(url, &command.url) => {}
                        result => return Ok(Some(result?)),
                    }
                }
            }
        }
    }

    /// The words of one of our servers behind its program: `args`, then where it listens and what it says.
    fn words(&self, args: &[OsString], listen: &str) -> Vec<OsString> {
        let own = ["--listen", listen, "--service", self.kind.name()];
        args.iter().cloned().chain(own.into_iter().map(OsString::from)).collect()
    }

    /// Starts a process with an address at which it cannot listen: `listen` for ours, `port` for a foreign command; `None` where its
    /// words do not name the port.
    ///
    /// # Errors
    /// It did not become ready, as is to be hoped.
    pub fn mislead(&self, listen: &str, port: &str, within: Duration) -> Result<Option<Child>, Fault> {
        match &self.origin {
            Origin::Address { .. } => Ok(None),
            Origin::Ours { program, args } => {
                let mut command = ServerCommand::new(program, self.words(args, listen));
                command.ready_within = within;
                Ok(Some(Child::server(&command)?))
            }
            Origin::Foreign { guard, argv, url } => {
                if !argv.iter().any(|word| word.to_string_lossy().contains("{port}")) {
                    return Ok(None);
                }
                let fill = |word: &OsString| OsString::from(word.to_string_lossy().replace("{port}", port));
                let argv: Vec<_> = argv.iter().map(fill).collect();
                let command = ForeignCommand {
                    guard: guard.clone(),
                    argv: self.kit.lay_out(&argv, url)?,
                    url: self.places.choose(None, url)?,
                    begin: Begin::default(),
                    ready_within: within,
                    second: false,
                };
                Ok(Some(Child::foreign(&command)?))
            }
        }
    }

    /// Ends it, if the harness started it.
    pub fn forget(&mut self) {
        self.running = None;
    }

    /// Takes the running process out of the subject's hands: the case ends it itself.
    pub fn take(&mut self) -> Option<Running> {
        self.running.take()
    }

    /// Waits until it rests and notes what is there then; does so once for each start.
    ///
    /// # Errors
    /// It does not answer.
    pub fn rest(&mut self, settle: Duration) -> Result<(), Fault> {
        let restless = self.restless;
        let running = self.running()?;
        if running.baseline.is_some() {
            return Ok(());
        }
        running.baseline = rest::wait(running, settle, restless)?;
        let busy = running.baseline.as_ref().is_some_and(|b| b.busy.is_some());
        self.restless |= busy;
        Ok(())
    }
}

impl Running {
    /// The subject's processes that live, its own first; empty where they are not known.
    #[must_use]
    pub fn tree(&self) -> Vec<Identity> {
        match (&self.child, self.id) {
            (Some(child), _) => child.tree(),
            (None, Some(id)) => {
                let living = identity::descendants(id.pid).into_iter().filter(|e| e.state != 'Z');
                living.map(|e| e.id).collect()
            }
            (None, None) => Vec::new(),
        }
    }

    /// Sends a signal to every process of the tree, the first of them first.
    pub fn signal_tree(&self, signal: i32) {
        for id in self.tree() {
            id.signal(signal);
        }
    }

    /// How it ended, in words, if it has.
    pub fn ended(&mut self) -> Option<String> {
        if let Some(child) = &mut self.child
            && let Some(ended) = child.try_ended()
        {
            return Some(ended.to_string());
        }
        if let Some(child) = &self.child {
            // One that has gone into the background is another process than the one that was started.
            self.id = Some(child.identity());
        }
        match self.id {
            Some(id) if self.child.is_none() && !id.alive() => Some("ended".to_owned()),
            _ => None,
        }
    }
}
