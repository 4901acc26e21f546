//! A run made by several processes of this machine under one command: each takes a shard, all start at once, their results are
//! merged. Not here: what a process does, and merging.
//!
//! A process may open so many descriptors and no more; 100,000 connections want several. Each is this program again, with the same
//! command line and `--part I/N` behind it. What is said between the two:
//!
//! ```text
//! child:  ready            its connections are made
//! parent: start NS         the run begins at this time of CLOCK_MONOTONIC, which all processes of a machine share
//! child:  {…}              its result, as JSON, to the end of its output
//! ```
//!
//! A child whose parent is gone meets the end of its input, or the kernel ends it (PR_SET_PDEATHSIG).

use crate::config::{Config, Shard};
use crate::merge::{self, Align};
use crate::run::Finished;
use crate::stored::{self, Stored};
use crate::{Error, limits, misfit};
use record::Exit;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::ScopedJoinHandle;
use std::time::Duration;
use sys::clock;

/// From the decision to start until the start: every process has read it by then.
const START_DELAY_NS: u64 = 20_000_000;

/// How often an interrupt is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// The shard that part `part` of a fleet makes, as a configuration of its own.
pub(crate) fn part_of(mut config: Config, part: Shard) -> Config {
    let share = |whole: u32| whole / part.of + u32::from(part.index < whole % part.of);
    let misfits = misfit::counts(&config.misfits, config.connections);
    config.misfits = config.misfits.iter().zip(misfits).map(|(m, count)| m.with_part(share(count))).collect();
    config.connections = share(config.connections);
    config.idle = share(config.idle);
    config.shard = part;
    config.processes = part.of;
    config
}

/// A child's end of the conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate;

impl Gate {
    /// Says that this process is ready, and waits for the common start. Ends the process, without a word, where there is none: the
    /// parent is gone, or another process has failed and says why.
    pub(crate) fn pass(self) -> u64 {
        self.start_ns().unwrap_or_else(|| sys::process::exit_now(i32::from(Exit::Unfit.code())))
    }

    fn start_ns(self) -> Option<u64> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(b"ready\n").and_then(|()| stdout.flush()).ok()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).ok()?;
        line.trim().strip_prefix("start ")?.parse().ok()
    }
}

/// Finds what cannot be run.
///
/// # Errors
/// As [`Config::check`].
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    let of = config.processes;
    if of > config.connections {
        return Err(Error::Usage(format!(
            "{of} processes cannot share {} connections: give each at least one",
            config.connections
        )));
    }
    limits::check_ports(config)?;
    part_of(config.clone(), Shard { index: 0, of }).check()
}

/// Makes a run with `config.processes` processes.
///
/// # Errors
/// The first that a process met, as it said it; [`Error::Setup`] where one cannot be started.
pub(crate) fn measure(config: &Config, stop: &AtomicBool) -> Result<Finished, Error> {
    let of = config.processes;
    let (ready, all_ready) = mpsc::channel();
    let (running, ended) = mpsc::channel();
    let ends = std::thread::scope(|scope| {
        let mut handles: Vec<ScopedJoinHandle<'_, Result<End, Error>>> = Vec::new();
        let mut starts = Vec::new();
        for index in 0..of {
            let (start, started) = mpsc::channel();
            let post = Post { ready: ready.clone(), started, running: Running(running.clone()) };
            // The kernel ties a child's life to the thread that spawned it.
            handles.push(scope.spawn(move || follow(Shard { index, of }, post)));
            starts.push(start);
        }
        drop((ready, running));
        conduct(of, starts, &all_ready, &ended, stop);
        let join = |handle: ScopedJoinHandle<'_, _>| {
            handle.join().unwrap_or_else(|_| Err(Error::Thread("it follows a process".to_owned())))
        };
        handles.into_iter().map(join).collect::<Result<Vec<_>, _>>()
    })?;
    merge_ends(ends)
}

/// How a child ended.
struct End {
    index: u32,
    code: Option<i32>,
    said: String,
    result: Vec<u8>,
}

/// What the thread that follows a child is given.
struct Post {
    /// Where it says which process is there, and then, again, that its connections are.
    ready: Sender<Word>,
    started: Receiver<u64>,
    running: Running,
}

/// Says that a child is over, whatever way its thread ends.
struct Running(Sender<()>);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// What is heard of a child.
enum Word {
    Begun(i32),
    Ready,
}

/// Starts all when all are ready, and passes an interrupt on, once.
fn conduct(
    of: u32,
    starts: Vec<Sender<u64>>,
    words: &Receiver<Word>,
    ended: &Receiver<()>,
    stop: &AtomicBool,
) {
    let (mut pids, mut ready, mut starts) = (Vec::new(), 0, Some(starts));
    let mut told = false;
    loop {
        match words.try_recv() {
            Ok(Word::Begun(pid)) => pids.push(pid),
            Ok(Word::Ready) => ready += 1,
            Err(_) => match ended.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(()) => {
                    // One is over: whoever has not started by now never will.
                    starts = None;
                }
                Err(RecvTimeoutError::Timeout) => {}
            },
        }
        if ready == of
            && let Some(starts) = starts.take()
        {
            let start_ns = clock::monotonic_ns() + START_DELAY_NS;
            for start in &starts {
                // One that is gone says why.
                let _ = start.send(start_ns);
            }
        }
        if stop.load(Relaxed) && !told && pids.len() == of as usize {
            told = true;
            for pid in &pids {
                // One that has just ended is not there any more, and needs no telling.
                let _ = sys::process::kill(*pid, sys::process::SIGTERM);
            }
        }
    }
}

/// Starts a child, passes the start on to it, and reads what it says to its end.
fn follow(part: Shard, post: Post) -> Result<End, Error> {
    let Post { ready, started, running: _running } = post;
    let mut child = spawn(part).map_err(Error::Setup)?;
    let _ = ready.send(Word::Begun(child.id() as i32));
    let end = converse(&mut child, &ready, &started);
    drop(ready);
    let status = child.wait().map_err(Error::Setup)?;
    let (said, result) = end.map_err(Error::Setup)?;
    Ok(End { index: part.index, code: status.code(), said, result })
}

fn converse(
    child: &mut Child,
    ready: &Sender<Word>,
    started: &Receiver<u64>,
) -> io::Result<(String, Vec<u8>)> {
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let mut input = child.stdin.take().ok_or_else(gone)?;
    let mut output = BufReader::new(child.stdout.take().ok_or_else(gone)?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    if line == "ready\n" {
        let _ = ready.send(Word::Ready);
        if let Ok(start_ns) = started.recv() {
            // A child that is gone says why below.
            let _ = writeln!(input, "start {start_ns}");
        }
    }
    drop(input);
    let mut result = Vec::new();
    output.read_to_end(&mut result)?;
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said)?;
    }
    Ok((said, result))
}

/// This program again, as one part of the run.
fn spawn(part: Shard) -> io::Result<Child> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the child is this program, and ends with the thread that waits for it"
    )]
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1)).args(["--part", &part.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    sys::spawn::prepare(&mut command, &sys::spawn::Begin::default());
    command.spawn()
}

/// The results of all, or what kept one from having one.
fn merge_ends(ends: Vec<End>) -> Result<Finished, Error> {
    let mut results: Vec<Stored> = Vec::new();
    let mut failed: Vec<&End> = Vec::new();
    for end in &ends {
        let name = format!("process {}", end.index);
        match stored::parse(Path::new(&name), &end.result) {
            Ok(stored) => results.push(stored),
            Err(_) => failed.push(end),
        }
    }
    // Those that another one kept from starting say nothing.
    if let Some(end) = failed.iter().find(|end| !end.said.is_empty()).or(failed.first()) {
        let said = end.said.lines().next().unwrap_or("it said nothing").trim_start_matches("loadgen: ");
        return Err(Error::Part { index: end.index, said: said.to_owned(), code: end.code });
    }
    let [first, ..] = &results[..] else {
        return Err(Error::Usage("a run needs at least one process".to_owned()));
    };
    // Part 0 looks at the server and the host for all of them.
    let (server, host) = (first.load().server.clone(), first.load().host.clone());
    let mut finished = merge::merge(&results, Align::Start)?;
    (finished.load.server, finished.load.host) = (server, host);
    if let Some(server) = &mut finished.load.server {
        let completed = finished.load.requests.completed;
        server.cpu_ns_per_request =
            server.cpu_ns.filter(|_| completed > 0).map(|ns| ns as f64 / completed as f64);
    }
    Ok(finished)
}
