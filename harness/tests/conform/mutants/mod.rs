//! Servers that are broken on purpose, each in one way that one case must find. Not here: the cases; and never in the registry of models.
//!
//! Without a flaw, each of the engines is a sound server: the tests check that too, so that it is the flaw that fails.

pub(crate) mod datagrams;
mod forks;
pub(crate) mod local;
mod looped;
mod pool;
mod threads;
mod web;

use service::Kind;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing: the thread engine.
    Sound,
    /// Nothing: the event loop.
    SoundLoop,
    /// Nothing: a process a connection.
    SoundFork,
    /// Nothing; but it takes its time with each connection before it serves it.
    Slow,
    /// Ends with status 0 when its address is taken.
    ConflictIsFine,
    /// Binds without SO_REUSEADDR.
    NoReuse,
    /// Polls with a timeout of 0.
    SpinIdle,
    /// Accepts a fourth connection and forgets it.
    Starve,
    /// Asks each accepted connection for its peer and ends when there is none.
    DeadPeerIsFatal,
    /// Ends when accept fails.
    EmfileIsFatal,
    /// Tries again at once when accept fails.
    SpinOnEmfile,
    /// Aborts on a descriptor above 1023, as a fortified FD_SET does.
    Above1023,
    /// Ends a full buffer with a NUL, as C strings want.
    NulTerminates,
    /// Takes each read for a whole request.
    OneReadOneRequest,
    /// Answers the first request of each read and drops what is behind it.
    OneAnswerARead,
    /// Writes once and takes it for done.
    ShortWrite,
    /// Closes as soon as it reads the end of input.
    DropOnFin,
    /// As that, and it takes no more than it has room for, so that the end reaches it late.
    DropPending,
    /// Never closes after the end of input.
    KeepsAfterFin,
    /// Goes on watching for input after its end.
    SpinOnHalfClose,
    /// Ends on ECONNRESET from read.
    ResetIsFatal,
    /// After a reset it serves one more, and accepts nobody then.
    StopsAfterReset,
    /// Ends when a write fails.
    WriteErrorIsFatal,
    /// Has the default action for SIGPIPE and writes with write(2).
    SigpipeDies,
    /// An event loop that writes with blocking calls.
    BlockingWrite,
    /// Does not close a connection that was reset.
    LeakOnReset,
    /// Waits for one child a SIGCHLD.
    OneWaitPerSignal,
    /// Leaves a child behind that has its listener.
    LeavesChild,
    /// Takes input for text and panics when it is not.
    PanicsOnText,
    /// Looks for the stop flag after accept only.
    NeedsConnection,
    /// Has no handler for SIGTERM.
    CutsAtTerm,
    /// Says that it is ready, and listens a second later.
    SaysReadyFirst,
    /// Tries an address that is no good for ever.
    BadAddressHangs,
    /// Without standard streams, its connections become them, and it logs.
    LogsToClient,
    /// A queue of four, and slow to accept from it.
    SmallBacklog,
    /// An edge-triggered listener that accepts once an event.
    OneAcceptAnEdge,
    /// An event loop with a blocking listener.
    BlockingListener,
    /// Ends when no thread can be made.
    SpawnIsFatal,
    /// A table of 100 connections, the end of which nobody looks for.
    FixedTable,
    /// Prints a line for each client and takes it for granted that it can.
    LogsEach,
    /// Ends when epoll_wait is interrupted.
    EintrIsFatal,
    /// Takes urgent data for an error.
    UrgentHangsUp,
    /// Closes a descriptor by number a second time, when it may be another's.
    ClosesTwice,
    /// Edge-triggered connections that are read once an event.
    OneReadAnEdge,
    /// Writes each answer in two pieces, without TCP_NODELAY.
    TwoSmallWrites,
    /// Listens on [::] for IPv6 alone.
    V6Only,
    /// Closes on a request that it refuses, with the rest of it unread.
    NoLinger,
    /// Nothing; but its connections have SO_KEEPALIVE.
    KeepAlive,
    /// An event loop that waits for the rest of a request.
    ReadsWhole,
    /// An event loop that serves a connection until it has been quiet for 50 ms.
    UntilIdle,
    /// Reads on, whatever is still to be sent.
    UnboundedBuffer,
    /// Nothing; but it closes connections that are silent for 300 ms.
    IdleOut,
    /// The thread of a connection never ends.
    KeepsThreads,
    /// Forgets 8 KiB of each connection.
    LeaksMemory,
    /// An event loop that forgets connections and does not remove them.
    LeaksRegistration,
    /// Its listener survives exec.
    InheritsDescriptors,
    /// Its parent keeps a copy of each connection.
    ParentKeeps,
    /// Nothing: a pool of processes.
    SoundPrefork,
    /// Does not replace a worker that died.
    NeverReplaces,
    /// Its workers outlive it.
    LeavesWorkers,
    /// The parent of its workers has a second thread.
    ForksWithThreads,
    /// Takes each SIGCHLD for one child, and 24 children for its limit.
    CountsSignals,
    /// Answers HEAD as it answers GET.
    HeadWithBody,
    /// Keeps a connection that the client asked it to close.
    IgnoresClose,
    /// Says nothing to what it does not understand.
    SilentRefusal,
    /// Goes by Content-Length where there is Transfer-Encoding too.
    LenientLength,
    /// Nothing; but it closes 400 ms after the first byte of a request that is not whole.
    HeaderOut,
    /// Accepts no more after SIGTERM, and keeps its listener while an answer is under way.
    HoldsListener,
    /// Nothing; but it goes on for 300 ms after SIGTERM.
    DrainsQueue,
    /// Panics when it is asked to end.
    PanicsAtExit,
    /// Waits for every client to leave before it ends.
    WaitsForAll,
}

/// Every mutant by name: the one registry of them.
pub(crate) const ALL: &[(&str, Flaw)] = &[
    ("sound", Flaw::Sound),
    ("sound-loop", Flaw::SoundLoop),
    ("sound-fork", Flaw::SoundFork),
    ("sound-slow", Flaw::Slow),
    ("conflict-is-fine", Flaw::ConflictIsFine),
    ("no-reuse", Flaw::NoReuse),
    ("spin-idle", Flaw::SpinIdle),
    ("starve", Flaw::Starve),
    ("dead-peer-is-fatal", Flaw::DeadPeerIsFatal),
    ("emfile-is-fatal", Flaw::EmfileIsFatal),
    ("spin-on-emfile", Flaw::SpinOnEmfile),
    ("above-1023", Flaw::Above1023),
    ("nul-terminates", Flaw::NulTerminates),
    ("one-read-one-request", Flaw::OneReadOneRequest),
    ("one-answer-a-read", Flaw::OneAnswerARead),
    ("short-write", Flaw::ShortWrite),
    ("drop-on-fin", Flaw::DropOnFin),
    ("drop-pending", Flaw::DropPending),
    ("keeps-after-fin", Flaw::KeepsAfterFin),
    ("spin-on-half-close", Flaw::SpinOnHalfClose),
    ("reset-is-fatal", Flaw::ResetIsFatal),
    ("stops-after-reset", Flaw::StopsAfterReset),
    ("write-error-is-fatal", Flaw::WriteErrorIsFatal),
    ("sigpipe-dies", Flaw::SigpipeDies),
    ("blocking-write", Flaw::BlockingWrite),
    ("leak-on-reset", Flaw::LeakOnReset),
    ("one-wait-per-signal", Flaw::OneWaitPerSignal),
    ("leaves-child", Flaw::LeavesChild),
    ("panics-on-text", Flaw::PanicsOnText),
    ("needs-connection", Flaw::NeedsConnection),
    ("cuts-at-term", Flaw::CutsAtTerm),
    ("says-ready-first", Flaw::SaysReadyFirst),
    ("bad-address-hangs", Flaw::BadAddressHangs),
    ("logs-to-client", Flaw::LogsToClient),
    ("small-backlog", Flaw::SmallBacklog),
    ("one-accept-an-edge", Flaw::OneAcceptAnEdge),
    ("blocking-listener", Flaw::BlockingListener),
    ("spawn-is-fatal", Flaw::SpawnIsFatal),
    ("fixed-table", Flaw::FixedTable),
    ("logs-each", Flaw::LogsEach),
    ("eintr-is-fatal", Flaw::EintrIsFatal),
    ("urgent-hangs-up", Flaw::UrgentHangsUp),
    ("closes-twice", Flaw::ClosesTwice),
    ("one-read-an-edge", Flaw::OneReadAnEdge),
    ("two-small-writes", Flaw::TwoSmallWrites),
    ("v6-only", Flaw::V6Only),
    ("no-linger", Flaw::NoLinger),
    ("keepalive", Flaw::KeepAlive),
    ("reads-whole", Flaw::ReadsWhole),
    ("until-idle", Flaw::UntilIdle),
    ("unbounded-buffer", Flaw::UnboundedBuffer),
    ("idle-out", Flaw::IdleOut),
    ("keeps-threads", Flaw::KeepsThreads),
    ("leaks-memory", Flaw::LeaksMemory),
    ("leaks-registration", Flaw::LeaksRegistration),
    ("inherits-descriptors", Flaw::InheritsDescriptors),
    ("parent-keeps", Flaw::ParentKeeps),
    ("sound-prefork", Flaw::SoundPrefork),
    ("never-replaces", Flaw::NeverReplaces),
    ("leaves-workers", Flaw::LeavesWorkers),
    ("forks-with-threads", Flaw::ForksWithThreads),
    ("counts-signals", Flaw::CountsSignals),
    ("head-with-body", Flaw::HeadWithBody),
    ("ignores-close", Flaw::IgnoresClose),
    ("silent-refusal", Flaw::SilentRefusal),
    ("lenient-length", Flaw::LenientLength),
    ("header-out", Flaw::HeaderOut),
    ("holds-listener", Flaw::HoldsListener),
    ("drains-queue", Flaw::DrainsQueue),
    ("panics-at-exit", Flaw::PanicsAtExit),
    ("waits-for-all", Flaw::WaitsForAll),
];

/// Is the mutant until it is killed: `--mutant NAME --listen URL --service S`.
pub(crate) fn serve(args: &[String]) -> io::Result<()> {
    let value = |flag: &str| args.iter().position(|a| a == flag).and_then(|i| args.get(i + 1));
    let bad = |what: &str| io::Error::other(format!("{what} is missing or unknown"));
    let name = value("--mutant").ok_or_else(|| bad("--mutant"))?;
    let place = value("--listen").ok_or_else(|| bad("--listen"))?;
    let kind: Kind = value("--service").map_or(Ok(Kind::Echo), |s| s.parse()).map_err(io::Error::other)?;
    if let Some((_, flaw)) = datagrams::ALL.iter().find(|(n, _)| n == name) {
        return datagrams::serve(&place.parse().map_err(io::Error::other)?, kind, *flaw);
    }
    if let Some((_, flaw)) = local::ALL.iter().find(|(n, _)| n == name) {
        return local::serve(&place.parse().map_err(io::Error::other)?, *flaw);
    }
    let flaw = ALL.iter().find(|(n, _)| n == name).ok_or_else(|| bad("the mutant's name"))?.1;
    let url: sys::Url = place.parse().map_err(io::Error::other)?;
    let ip = url.ip().ok_or_else(|| bad("the port"))?;
    let (listener, bound) = match listen(ip, flaw) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && flaw == Flaw::ConflictIsFine => {
            return Ok(());
        }
        Err(_) if flaw == Flaw::BadAddressHangs => loop {
            sys::clock::pause(Duration::from_secs(3_600));
        },
        other => other?,
    };
    sys::signal::sigpipe(match flaw {
        Flaw::SigpipeDies => sys::signal::OnSigpipe::Die,
        _ => sys::signal::OnSigpipe::Ignore,
    })?;
    let ready = move || {
        let mut out = io::stdout();
        let _ = writeln!(out, "listening on tcp://{bound}").and_then(|()| out.flush());
    };
    if flaw == Flaw::SaysReadyFirst {
        ready();
        sys::clock::pause(Duration::from_secs(1));
        socket2::SockRef::from(&listener).listen(256)?;
        return threads::serve(listener, kind, flaw, || {});
    }
    match flaw {
        Flaw::SoundFork
        | Flaw::ParentKeeps
        | Flaw::CountsSignals
        | Flaw::OneWaitPerSignal
        | Flaw::LeavesChild => forks::serve(&listener, kind, flaw, ready),
        Flaw::SoundPrefork | Flaw::NeverReplaces | Flaw::LeavesWorkers | Flaw::ForksWithThreads => {
            pool::serve(&listener, flaw, ready)
        }
        Flaw::SoundLoop
        | Flaw::SpinIdle
        | Flaw::BlockingWrite
        | Flaw::OneAcceptAnEdge
        | Flaw::EintrIsFatal
        | Flaw::ClosesTwice
        | Flaw::OneReadAnEdge
        | Flaw::ReadsWhole
        | Flaw::UntilIdle
        | Flaw::LeaksRegistration
        | Flaw::BlockingListener => looped::serve(&listener, kind, flaw, ready),
        _ => threads::serve(listener, kind, flaw, ready),
    }
}

fn listen(ip: SocketAddr, flaw: Flaw) -> io::Result<(OwnedFd, SocketAddr)> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(ip), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(flaw != Flaw::NoReuse)?;
    socket.set_tcp_nodelay(true)?;
    if flaw == Flaw::V6Only && ip.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&ip.into())?;
    match flaw {
        Flaw::SaysReadyFirst => {}
        Flaw::SmallBacklog => socket.listen(4)?,
        _ => socket.listen(256)?,
    }
    if flaw == Flaw::InheritsDescriptors {
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty())?;
    }
    let bound = socket.local_addr()?.as_socket().unwrap_or(ip);
    Ok((socket.into(), bound))
}
