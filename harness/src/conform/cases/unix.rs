//! Group 9, Unix sockets: whose a path is, and clients that have no name, are gone, or do not read. Not here: what holds for any
//! stream or datagram.

use super::super::case::{BASE, Case, Level, Need, Outcome};
use super::super::datagrams::{Datagrams, Name};
use super::super::evidence;
use super::super::fault::{Fault, What};
use super::super::freeze::Frozen;
use super::super::scene::Scene;
use super::super::subject::{Nature, Origin};
use super::super::target::Target;
use crate::spawn::identity::TERM;
use crate::spawn::sockets;
use service::Kind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Duration;
use sys::spawn::Begin;
use sys::{Address, Family, Url};

/// Sockets that have a path.
const PATHS: &[Family] = &[Family::Unix, Family::Unixgram];
/// Unix datagrams alone.
const UNIXGRAM: &[Family] = &[Family::Unixgram];
const CARRIED: &[Kind] = &[Kind::Greeting, Kind::Echo, Kind::Sized];
/// How long a server may take to find that it cannot listen.
const WITHIN: Duration = Duration::from_secs(2);

/// The subject's path; `None` for an abstract name.
fn path_of(target: &Target) -> Option<&Path> {
    match &target.url.address {
        Address::Path(path) if !path.starts_with('@') => Some(Path::new(path)),
        _ => None,
    }
}

const ABSTRACT: &str = "its name is abstract: there is no path";

fn at(family: Family, path: &Path) -> Result<Url, Fault> {
    format!("{family}:{}", path.display()).parse().map_err(Fault::harness)
}

/// 9.1
pub(super) static STALE_PATH: Case = Case {
    id: "unix/stale-path",
    number: "9.1",
    level: Level::Should,
    needs: Need::Command,
    families: PATHS,
    requirement: "A path that a killed server left behind does not keep the next one from its place (unix(7), NOTES; neovim #37378)",
    acceptable: "started again at the same path, it is ready",
    probe: stale_path,
    ..BASE
};

fn stale_path(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let Some(path) = path_of(&target) else { return Ok(Outcome::Skipped(ABSTRACT.to_owned())) };
    if let Some(mut running) = scene.subject.take()
        && let Some(child) = &mut running.child
    {
        child.kill();
    }
    if !path.exists() {
        return Ok(Outcome::Inconclusive("the path is gone although the server was killed".to_owned()));
    }
    match scene.subject.start(&Begin::default(), Some(&target.url)) {
        Ok(()) => {
            scene.target()?.canary(1)?;
            Ok(Outcome::Holds("killed, and started again at the path that it had left".to_owned()))
        }
        Err(Fault { what: What::Harness(text), .. }) => Err(Fault::harness(text)),
        Err(fault) => Ok(Outcome::Violates(format!("killed, it does not start again: {fault}"))),
    }
}

/// 9.2
pub(super) static NO_STEAL: Case = Case {
    id: "unix/no-steal",
    number: "9.2",
    needs: Need::Command,
    families: PATHS,
    requirement: "A second server does not take the path of one that lives (bind(2), EADDRINUSE; libuv, pipe_bind_error_addrinuse; spiped #423)",
    acceptable: "the second ends with an error, the path is the same socket, the first is still reached",
    probe: no_steal,
    ..BASE
};

fn no_steal(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let inode = |path: &Path| std::fs::symlink_metadata(path).ok().map(|m| m.ino());
    let before = path_of(&target).and_then(inode);
    let within = scene.pace.scale(WITHIN);
    let second = scene.subject.launch(&Begin::default(), Some(&target.url), within);
    let says = match second {
        Ok(_) => {
            return Ok(Outcome::Violates("a second server got ready at the path of the first".to_owned()));
        }
        Err(Fault { what: What::NotReady(error), .. }) => error.to_string(),
        Err(fault) => return Err(fault),
    };
    if path_of(&target).and_then(inode) != before {
        return Ok(Outcome::Violates("the path is another file than before".to_owned()));
    }
    target.canary(1).map_err(|f| f.during("the first, after a second had tried its path"))?;
    let line = says.lines().next().unwrap_or_default();
    if says.contains("within") && !says.contains("ended") && !says.contains("exited") {
        return Ok(Outcome::Tolerable(format!("the second neither listens nor ends: {line}")));
    }
    Ok(Outcome::Holds(format!("the second could not: {line}")))
}

/// 9.3
pub(super) static FOREIGN_FILE: Case = Case {
    id: "unix/foreign-file",
    number: "9.3",
    needs: Need::Command,
    families: PATHS,
    requirement: "What is no socket is not removed for one (unlink(2); spiped #423)",
    acceptable: "a regular file at the path stays as it is; the server ends with an error",
    probe: foreign_file,
    ..BASE
};

const CONTENT: &str = "not a socket\n";

fn foreign_file(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let folder = tempfile::tempdir().map_err(Fault::harness)?;
    let path = folder.path().join("file");
    std::fs::write(&path, CONTENT).map_err(Fault::harness)?;
    let url = at(scene.subject.family, &path)?;
    let within = scene.pace.scale(WITHIN);
    let started = scene.subject.launch(&Begin::default(), Some(&url), within);
    let intact = std::fs::read_to_string(&path).is_ok_and(|text| text == CONTENT);
    Ok(match started {
        _ if !intact => Outcome::Violates("the file was replaced or removed".to_owned()),
        Ok(_) => Outcome::Tolerable("the file stays, and yet the server says it listens there".to_owned()),
        Err(Fault { what: What::Harness(text), .. }) => return Err(Fault::harness(text)),
        Err(fault) => {
            let text = fault.to_string();
            Outcome::Holds(format!("the file stays; {}", text.lines().next().unwrap_or_default()))
        }
    })
}

/// 9.4
pub(super) static UNLINK: Case = Case {
    id: "unix/unlink-on-exit",
    number: "9.4",
    level: Level::Should,
    needs: Need::Command,
    families: PATHS,
    requirement: "A server that is told to end takes its path along (unix(7), NOTES; Go, TestUnixUnlink; fcgiwrap #26)",
    acceptable: "after SIGTERM the path is gone",
    probe: unlink,
    ..BASE
};

fn unlink(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let Some(path) = path_of(&target) else { return Ok(Outcome::Skipped(ABSTRACT.to_owned())) };
    let settle = scene.settle();
    let Some(mut running) = scene.subject.take() else { return Err(Fault::harness("it does not run")) };
    let child = running.child.as_mut().ok_or_else(|| Fault::harness("it was not started here"))?;
    child.signal(TERM);
    let Some(ended) = child.wait(settle) else {
        return Ok(Outcome::Inconclusive("it does not end on SIGTERM".to_owned()));
    };
    Ok(if path.exists() {
        Outcome::Violates(format!("it {ended}, and its path is still there"))
    } else {
        Outcome::Holds(format!("it {ended}, and its path is gone"))
    })
}

/// 9.5
pub(super) static LONG_PATH: Case = Case {
    id: "unix/long-path",
    number: "9.5",
    level: Level::Should,
    needs: Need::Command,
    families: PATHS,
    requirement: "A path that does not fit sun_path is refused and not cut (unix(7): 108 bytes; libuv, pipe_overlong_path)",
    acceptable: "107 bytes serve; 120 end with an error, and no socket of another name appears",
    probe: long_path,
    ..BASE
};

fn long_path(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let folder = tempfile::tempdir().map_err(Fault::harness)?;
    let long = |bytes: usize| {
        let used = folder.path().display().to_string().len() + 1;
        format!("{}/{}", folder.path().display(), "p".repeat(bytes.saturating_sub(used)))
    };
    let within = scene.pace.scale(Duration::from_secs(5));
    let fits = at(scene.subject.family, Path::new(&long(107)))?;
    match scene.subject.launch(&Begin::default(), Some(&fits), within) {
        Ok(child) => drop(child),
        Err(Fault { what: What::Harness(text), .. }) => return Err(Fault::harness(text)),
        Err(fault) => return Ok(Outcome::Violates(format!("a path of 107 bytes: {fault}"))),
    }
    let path = long(120);
    let listen = format!("{}:{path}", scene.subject.family);
    let says = match scene.subject.mislead(&listen, &path, scene.pace.scale(WITHIN)) {
        Ok(None) => return Ok(Outcome::Skipped("its words do not name the path".to_owned())),
        Ok(Some(_)) => "it says that it listens at a path of 120 bytes".to_owned(),
        Err(Fault { what: What::NotReady(error), .. }) => error.to_string(),
        Err(fault) => return Err(fault),
    };
    let socket = |entry: &std::fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_socket()) && entry.file_name().len() > 20
    };
    let left = std::fs::read_dir(folder.path()).map_err(Fault::harness)?;
    let cut: Vec<String> = left
        .flatten()
        .filter(socket)
        .map(|entry| entry.path().display().to_string())
        .filter(|found| path.starts_with(found.as_str()) && found.len() != 107)
        .collect();
    if let Some(cut) = cut.first() {
        return Ok(Outcome::Violates(format!("it listens at a path cut to {} bytes", cut.len())));
    }
    if says.starts_with("it says") {
        return Ok(Outcome::Violates(says));
    }
    Ok(Outcome::Holds(format!("107 bytes serve; 120: {}", says.lines().next().unwrap_or_default())))
}

/// 9.6
pub(super) static ABSTRACT_NAME: Case = Case {
    id: "unix/abstract",
    number: "9.6",
    level: Level::Should,
    needs: Need::Command,
    families: PATHS,
    requirement: "An abstract name has exactly its own bytes, and is free when its server has ended (unix(7); mio, unix_listener_abstract_namespace)",
    acceptable: "served under the exact name, and nobody has it after the end; INFO where abstract names are not taken",
    probe: abstract_name,
    ..BASE
};

fn abstract_name(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    if let Origin::Foreign { url, .. } = &scene.subject.origin
        && !url.to_string().contains(":@")
    {
        // To most programs @NAME is a file in the folder in which they run.
        return Ok(Outcome::Skipped(
            "how its command names an abstract place is not known: give it one".to_owned(),
        ));
    }
    let name = format!("conform-{}-{:x}", std::process::id(), scene.seed);
    let url: Url = format!("{}:@{name}", scene.subject.family).parse().map_err(Fault::harness)?;
    let within = scene.pace.scale(Duration::from_secs(5));
    let child = match scene.subject.launch(&Begin::default(), Some(&url), within) {
        Ok(child) => child.ok_or_else(|| Fault::harness("nothing was started"))?,
        Err(Fault { what: What::Harness(text), .. }) => return Err(Fault::harness(text)),
        Err(fault) => {
            let text = fault.to_string();
            let line = text.lines().next().unwrap_or_default();
            return Ok(Outcome::Info(format!("takes no abstract name: {line}")));
        }
    };
    let target = Target { url: url.clone(), ..scene.target()? };
    target.canary(1).map_err(|f| f.during("a client at the exact name"))?;
    let mut child = child;
    child.signal(TERM);
    let Some(ended) = child.wait(scene.settle()) else {
        return Ok(Outcome::Inconclusive("it does not end on SIGTERM".to_owned()));
    };
    // Before what it leaves is ended too.
    if !evidence::settle(scene.settle(), || sockets::serving(&url, None).is_empty()) {
        return Ok(Outcome::Violates(format!("it {ended}, and somebody still has the name")));
    }
    Ok(Outcome::Holds("served under its exact name, which is free after its end".to_owned()))
}

/// 9.7
pub(super) static UNNAMED: Case = Case {
    id: "udgram/unnamed",
    number: "9.7",
    families: UNIXGRAM,
    services: CARRIED,
    quick: true,
    requirement: "A sender without a name cannot be answered, and ends nothing (unix(7); Go, TestReadUnixgramWithUnnamedSocket)",
    acceptable: "after 10 of them the next client is answered",
    probe: unnamed,
    ..BASE
};

fn unnamed(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    for n in 0..10 {
        Datagrams::open_as(&target, n, Name::None)?.ask(64)?;
    }
    target.canary(100).map_err(|f| f.during("after 10 senders without a name"))?;
    Ok(Outcome::Holds("10 senders had no name; the next client is answered".to_owned()))
}

/// 9.8
pub(super) static VANISHED: Case = Case {
    id: "udgram/vanished",
    number: "9.8",
    needs: Need::Pid,
    families: UNIXGRAM,
    services: CARRIED,
    requirement: "A client that has gone before its answer ends nothing (sendto(2), ECONNREFUSED, ENOENT)",
    acceptable: "after those that closed and those whose name is gone, the next client is answered",
    probe: vanished,
    ..BASE
};

fn vanished(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let frozen = Frozen::tree(scene.running()?)?;
    // As many as a queue takes for certain (net.unix.max_dgram_qlen is 10 unless it was set).
    for n in 0..8 {
        Datagrams::open(&target, n)?.ask(64)?;
    }
    drop(frozen);
    for n in 0..3 {
        target.canary(100 + n).map_err(|f| f.during("after 8 clients that had gone"))?;
    }
    Ok(Outcome::Holds("8 clients were gone before the server looked; the next is answered".to_owned()))
}

/// 9.9
pub(super) static FULL: Case = Case {
    id: "udgram/full",
    number: "9.9",
    families: UNIXGRAM,
    services: CARRIED,
    timing: true,
    requirement: "A client that does not read its answers holds up nobody else (unix(7): a full receiver makes sendto(2) wait; node-unix-dgram #55)",
    acceptable: "another client is answered in time; INFO for a server that serves one at a time by nature",
    probe: full,
    ..BASE
};

fn full(scene: &mut Scene<'_>) -> Result<Outcome, Fault> {
    let target = scene.target()?;
    let mut deaf = Datagrams::open(&target, 1)?;
    deaf.patience(Duration::from_millis(100));
    let mut asked = 0;
    for _ in 0..64 {
        if deaf.ask(64).is_err() {
            break;
        }
        asked += 1;
    }
    let ping = Datagrams::open(&target, 2)?.exchange(64);
    let held = format!("one client asked {asked} times and reads nothing");
    let outcome = match ping {
        Ok(()) => Outcome::Holds(format!("{held}; another is answered")),
        Err(fault) if fault.is_silence() && scene.subject.nature == Nature::Serial => {
            Outcome::Info(format!("{held}; everybody waits for it: serial"))
        }
        Err(fault) => Outcome::Violates(format!("{held}; another client: {fault}")),
    };
    drop(deaf);
    Ok(outcome)
}
