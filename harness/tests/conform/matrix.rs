//! The kill matrix: each mutant must fail the case that looks for its flaw, and for the reason that the flaw is; sound servers fail none.

use crate::report::Test;
use harness::conform::case::Level;
use harness::conform::cases::ALL;
use harness::conform::control::Control;
use harness::conform::runner::{self, Options};
use harness::conform::scene::Effort;
use harness::conform::subject::{Nature, Origin, Subject};
use record::conform::{CaseResult, CaseVerdict};
use service::Kind;
use sys::Family;

/// Mutant, the case that must fail it, the service spoken, and words of the report that show the reason.
pub(crate) const KILLS: &[(&str, &str, Kind, &str)] = &[
    ("conflict-is-fine", "life/bind-conflict", Kind::Echo, "status 0"),
    ("no-reuse", "life/restart-timewait", Kind::Echo, "not started again"),
    ("spin-idle", "life/idle-cpu", Kind::Echo, "busy"),
    ("starve", "accept/concurrent", Kind::Echo, "connection 4"),
    ("dead-peer-is-fatal", "accept/abort-queued", Kind::Echo, "exited with status 3"),
    ("emfile-is-fatal", "accept/emfile-survive", Kind::Echo, "exited with status 3"),
    ("spin-on-emfile", "accept/emfile-spin", Kind::Echo, "without descriptors"),
    ("above-1023", "accept/fd-1024", Kind::Echo, "killed by SIGABRT"),
    ("nul-terminates", "stream/exact", Kind::Echo, "wrong byte"),
    ("one-read-one-request", "stream/one-byte", Kind::Sized, "single bytes"),
    ("one-read-one-request", "stream/one-byte", Kind::Http, "single bytes"),
    ("one-answer-a-read", "stream/framing", Kind::Sized, "answer 2 of 20"),
    ("one-answer-a-read", "stream/framing", Kind::Http, "answer 2 of 20"),
    ("one-read-one-request", "stream/framing", Kind::Sized, "unfinished"),
    ("short-write", "stream/partial-write", Kind::Sized, "8388608 bytes"),
    ("short-write", "stream/partial-write", Kind::Echo, "8388608 bytes"),
    ("drop-on-fin", "half/client-fin", Kind::Echo, "before FIN"),
    ("drop-on-fin", "half/client-fin", Kind::Sized, "FIN"),
    ("drop-pending", "half/client-fin", Kind::Echo, "in the server's hands"),
    ("keeps-after-fin", "half/client-fin", Kind::Echo, "does not close its side"),
    ("spin-on-half-close", "half/no-spin", Kind::Sized, "cannot be sent"),
    ("reset-is-fatal", "abort/rst-read-side", Kind::Echo, ""),
    ("write-error-is-fatal", "abort/rst-mid-write", Kind::Sized, ""),
    ("write-error-is-fatal", "abort/rst-mid-write", Kind::Http, ""),
    ("unix-loses-end", "abort/unix-eof", Kind::Echo, "does not close its side"),
    ("unix-sigpipe-dies", "sigpipe/unix", Kind::Echo, "killed by SIGPIPE"),
    ("sigpipe-dies", "sigpipe/fin", Kind::Sized, "killed by SIGPIPE"),
    ("sigpipe-dies", "sigpipe/fin", Kind::Http, "killed by SIGPIPE"),
    ("sigpipe-dies", "sigpipe/fin", Kind::Echo, "killed by SIGPIPE"),
    ("write-error-is-fatal", "sigpipe/rst", Kind::Echo, ""),
    ("blocking-write", "fair/slow-reader", Kind::Echo, "does not read"),
    ("blocking-write", "fair/slow-reader", Kind::Sized, "does not read"),
    ("leak-on-reset", "leak/fd", Kind::Echo, "descriptors"),
    ("keeps-after-fin", "leak/fd", Kind::Echo, ""),
    ("one-wait-per-signal", "leak/zombies", Kind::Echo, "stay zombies"),
    ("leaves-child", "proc/tree-clean", Kind::Echo, "1 of them with its listener"),
    ("leaves-child", "stop/port-free", Kind::Echo, "listeners are left on the port: 1"),
    ("panics-on-text", "proc/garbage", Kind::Sized, "panicked at"),
    ("needs-connection", "stop/term", Kind::Echo, "still running"),
    ("cuts-at-term", "stop/drain", Kind::Sized, "SIGTERM cut"),
    ("says-ready-first", "life/ready", Kind::Echo, "refused"),
    ("bad-address-hangs", "life/bad-address", Kind::Echo, "neither listens nor ends"),
    ("logs-to-client", "life/closed-stdio", Kind::Echo, ""),
    ("small-backlog", "accept/burst", Kind::Echo, "at once"),
    ("one-accept-an-edge", "accept/backlog", Kind::Echo, "queued connection"),
    ("blocking-listener", "accept/nonblocking-listener", Kind::Echo, "blocking listener"),
    ("spawn-is-fatal", "accept/spawn-limit", Kind::Echo, "exited with status 101"),
    ("fixed-table", "accept/many-idle", Kind::Echo, "SIGABRT"),
    ("logs-each", "sigpipe/stdout", Kind::Echo, "exited with status 101"),
    ("short-write", "stream/write-write", Kind::Echo, "before the first read"),
    ("eintr-is-fatal", "stream/eintr", Kind::Echo, "exited with status 3"),
    ("eintr-is-fatal", "stream/eintr", Kind::Sized, "exited with status 3"),
    ("urgent-hangs-up", "stream/oob", Kind::Echo, "urgent byte"),
    ("closes-twice", "stream/crosstalk", Kind::Echo, ""),
    ("one-read-an-edge", "stream/edge-drain", Kind::Echo, "queued before the server looked"),
    ("one-read-an-edge", "stream/edge-drain", Kind::Sized, "queued before the server looked"),
    ("two-small-writes", "stream/nagle", Kind::Sized, "two small answers"),
    ("two-small-writes", "stream/nagle", Kind::Http, "two small answers"),
    ("keeps-after-fin", "half/server-closes", Kind::Echo, "CLOSE_WAIT"),
    ("stops-after-reset", "back/memory", Kind::Echo, "a fresh connection is not served"),
    ("reset-is-fatal", "abort/storm", Kind::Echo, "exited with status 1"),
    ("write-error-is-fatal", "abort/storm", Kind::Sized, "exited with status 1"),
    ("no-linger", "abort/close-unread", Kind::Http, "then RST"),
    ("reads-whole", "fair/slow-writer", Kind::Sized, "slow writers"),
    ("until-idle", "fair/greedy", Kind::Echo, "greedy"),
    ("until-idle", "fair/greedy", Kind::Sized, "greedy"),
    ("until-idle", "fair/new-under-load", Kind::Echo, "busy clients"),
    ("unbounded-buffer", "back/memory", Kind::Echo, "memory grew"),
    ("short-write", "back/resume", Kind::Echo, "when it reads at last"),
    ("starve", "back/queue-turn", Kind::Echo, "a place is free"),
    ("keeps-threads", "leak/rss-threads", Kind::Echo, "threads after"),
    ("leaks-memory", "leak/rss-threads", Kind::Echo, "more own memory"),
    ("leaks-registration", "leak/epoll-set", Kind::Echo, "registrations"),
    ("inherits-descriptors", "res/cloexec", Kind::Echo, "the listener"),
    ("parent-keeps", "res/connfd-closed", Kind::Echo, "sees no end"),
    ("never-replaces", "proc/worker-kill", Kind::Echo, "nobody is served"),
    ("parent-keeps", "proc/worker-kill", Kind::Echo, "keeps its connection"),
    ("leaves-workers", "proc/parent-kill", Kind::Echo, "the port is not free"),
    ("counts-signals", "proc/sigchld-storm", Kind::Echo, "short connections"),
    ("one-wait-per-signal", "proc/sigchld-storm", Kind::Echo, "zombies"),
    ("forks-with-threads", "proc/fork-threads", Kind::Echo, "2 threads"),
    ("head-with-body", "http/get", Kind::Http, "behind the reply to HEAD"),
    ("ignores-close", "http/persist", Kind::Http, "not closed"),
    ("one-answer-a-read", "http/pipeline", Kind::Http, "reply 2 of 10"),
    ("one-read-one-request", "http/split", Kind::Http, "cut after"),
    ("silent-refusal", "http/reject", Kind::Http, "neither answered nor closed"),
    ("lenient-length", "http/ambiguous-length", Kind::Http, "two replies"),
    ("no-linger", "http/oversize", Kind::Http, "RST"),
    ("holds-listener", "stop/refuse-new", Kind::Sized, "a newcomer during the drain"),
    ("panics-at-exit", "stop/clean-exit", Kind::Echo, "panicked at"),
    ("waits-for-all", "stop/idle-keepalive", Kind::Echo, "still running"),
    ("gram-answers-twice", "dgram/echo", Kind::Echo, "answered twice"),
    ("gram-zero-ends", "dgram/zero", Kind::Echo, "exited with status 0"),
    ("gram-cuts-at-8k", "dgram/truncate", Kind::Echo, "first 8192"),
    ("gram-one-a-wake", "dgram/burst", Kind::Sized, "that were queued"),
    ("gram-peer-gone-is-fatal", "dgram/peer-gone", Kind::Echo, "exited with status 3"),
    ("gram-sound", "dgram/reply-source", Kind::Echo, "does not answer from there"),
    ("gram-engaged", "dgram/slow-client", Kind::Echo, "beside one that does not read"),
    ("gram-flood-is-fatal", "dgram/overload", Kind::Echo, "exited with status 3"),
    ("gram-no-unlink", "unix/stale-path", Kind::Echo, "does not start again"),
    ("gram-steals-path", "unix/no-steal", Kind::Echo, "at the path of the first"),
    ("gram-steals-path", "unix/foreign-file", Kind::Echo, "was replaced"),
    ("gram-leaves-path", "unix/unlink-on-exit", Kind::Echo, "still there"),
    ("gram-cuts-path", "unix/long-path", Kind::Echo, ""),
    ("gram-pads-name", "unix/abstract", Kind::Echo, "exact name"),
    ("gram-send-is-fatal", "udgram/unnamed", Kind::Echo, "exited with status 3"),
    ("gram-send-is-fatal", "udgram/vanished", Kind::Echo, "exited with status 3"),
    ("gram-waits-for-room", "udgram/full", Kind::Echo, "reads nothing"),
];

/// Cases that only measure: a server, the service, and what the case must say of it. Each tells at least two apart.
pub(crate) const SAYS: &[(&str, &str, Kind, &str)] = &[
    ("sound", "stream/dual-stack", Kind::Echo, "127.0.0.1: served, [::1]: served"),
    ("v6-only", "stream/dual-stack", Kind::Echo, "127.0.0.1: connect: connection refused, [::1]: served"),
    ("sound", "abort/half-open", Kind::Echo, "never"),
    ("keepalive", "abort/half-open", Kind::Echo, "SO_KEEPALIVE, the first probe after 7200 s"),
    ("sound", "idle/timeouts", Kind::Echo, "closes none"),
    ("idle-out", "idle/timeouts", Kind::Echo, "closes a connection that is"),
    ("sound", "res/churn-ports", Kind::Echo, "the client closes first"),
    ("sound", "res/churn-ports", Kind::Greeting, "the server closes first"),
    ("sound", "http/slow-header", Kind::Http, "waits for"),
    ("header-out", "http/slow-header", Kind::Http, "s after 0."),
    ("sound-fork", "stop/queued", Kind::Echo, "16 queued 0 served"),
    ("drains-queue", "stop/queued", Kind::Echo, "16 queued 16 served"),
    ("sound", "sigpipe/disposition", Kind::Echo, "is ignored"),
    ("sigpipe-dies", "sigpipe/disposition", Kind::Echo, "default action"),
];

/// Cases in which time decides, or many wait: a server that is only slow fails none.
const SLOW: [&str; 12] = [
    "life/ready",
    "life/idle-cpu",
    "accept/concurrent",
    "accept/burst",
    "accept/backlog",
    "accept/emfile-spin",
    "half/no-spin",
    "fair/slow-reader",
    "fair/greedy",
    "fair/new-under-load",
    "sigpipe/fin",
    "stop/idle-keepalive",
];
/// The cases of datagrams that need no more than a socket (8.6 needs IP_PKTINFO, which the sound one here does without).
const DGRAM: [&str; 7] = [
    "dgram/echo",
    "dgram/zero",
    "dgram/truncate",
    "dgram/burst",
    "dgram/peer-gone",
    "dgram/slow-client",
    "dgram/overload",
];
/// Those of Unix sockets.
const UNIX: [&str; 9] = [
    "unix/stale-path",
    "unix/no-steal",
    "unix/foreign-file",
    "unix/unlink-on-exit",
    "unix/long-path",
    "unix/abstract",
    "udgram/unnamed",
    "udgram/vanished",
    "udgram/full",
];

/// The family in which a mutant is run, by the beginning of its name; datagram servers in that of the case.
fn family(mutant: &str, cases: &[&str]) -> Family {
    let of = |prefix: &str| cases.iter().any(|case| case.starts_with(prefix));
    match mutant.starts_with("gram-") {
        false if mutant.starts_with("unix-") => Family::Unix,
        false => Family::Tcp,
        true if of("unix/") || of("udgram/") => Family::Unixgram,
        true => Family::Udp,
    }
}

/// Runs `cases` against a mutant. Strict: a SHOULD that is broken must be seen to be.
fn against(mutant: &str, kind: Kind, cases: &[&str], strict: bool) -> Result<Vec<CaseResult>, String> {
    in_lanes(mutant, kind, cases, strict, 1)
}

/// As [`against`], with so many cases at a time.
fn in_lanes(
    mutant: &str,
    kind: Kind,
    cases: &[&str],
    strict: bool,
    lanes: usize,
) -> Result<Vec<CaseResult>, String> {
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    let origin = Origin::Ours { program: exe, args: vec!["--mutant".into(), mutant.into()] };
    let mut subject = Subject::new(mutant, origin, kind, 1);
    subject.nature = Nature::Unknown;
    subject.family = family(mutant, cases);
    let control = Control::start(kind, 1).map_err(|e| e.to_string())?;
    let chosen: Vec<_> = ALL.iter().copied().filter(|c| cases.is_empty() || cases.contains(&c.id)).collect();
    if !cases.is_empty() && chosen.len() != cases.len() {
        return Err(format!("there is no such case among {cases:?}"));
    }
    let options = Options { effort: Effort::Quick, strict, seed: 1, until: None, lanes };
    Ok(runner::run(&mut subject, &control, &chosen, &options, &|| false, |_, _| {}).cases)
}

/// Times that a case is run which a busy machine leaves undecided: the control server missed its own bound.
const TRIES: usize = 4;

fn is_killed(mutant: &str, case: &str, kind: Kind, why: &str) -> Result<(), String> {
    let undecided = |results: &[CaseResult]| results.iter().any(|r| r.verdict == CaseVerdict::Inconclusive);
    let mut results = against(mutant, kind, &[case], true)?;
    for _ in 1..TRIES {
        if !undecided(&results) {
            break;
        }
        results = against(mutant, kind, &[case], true)?;
    }
    for result in results {
        let words = format!("{}; aftermath: {}", result.actual, result.aftermath);
        if result.verdict == CaseVerdict::Skipped && result.actual.contains("needs ") {
            // Not counted as killed: the machine lacks something, and the case says what.
            eprintln!("SKIPPED: {mutant} {case}: {}", result.actual);
            continue;
        }
        if result.verdict != CaseVerdict::Failed {
            return Err(format!("{mutant} survives {case}: {} {words}", result.verdict.name()));
        }
        if !words.contains(why) {
            return Err(format!("{mutant} fails {case} for another reason than `{why}`: {words}"));
        }
    }
    Ok(())
}

fn is_told(name: &str, case: &str, kind: Kind, words: &str) -> Result<(), String> {
    for result in against(name, kind, &[case], true)? {
        match result.verdict {
            CaseVerdict::Skipped => eprintln!("SKIPPED: {name} {case}: {}", result.actual),
            CaseVerdict::Info
                if result.actual.contains(words)
                    && ["clean", "ended by the case"].contains(&result.aftermath.as_str()) => {}
            other => {
                let (actual, aftermath) = (result.actual, result.aftermath);
                return Err(format!(
                    "{case} says of {name}: {} {actual}; aftermath: {aftermath}",
                    other.name()
                ));
            }
        }
    }
    Ok(())
}

/// A server without a flaw fails none of `cases` (none named: none at all).
fn is_sound(name: &str, kind: Kind, cases: &[&str]) -> Result<(), String> {
    let bad: Vec<String> = against(name, kind, cases, false)?
        .iter()
        .filter(|r| !matches!(r.verdict, CaseVerdict::Ok | CaseVerdict::Info | CaseVerdict::Skipped))
        .filter(|r| !said_undecided(name, &r.id, r.verdict, &r.actual))
        .map(|r| format!("{} {}: {}; aftermath: {}", r.verdict.name(), r.id, r.actual, r.aftermath))
        .collect();
    if bad.is_empty() { Ok(()) } else { Err(bad.join("\n")) }
}

/// True, and said aloud, where the machine was too busy to decide: that is no fault of the server, and no proof of its soundness.
pub(crate) fn said_undecided(name: &str, case: &str, verdict: CaseVerdict, why: &str) -> bool {
    let undecided = verdict == CaseVerdict::Inconclusive;
    if undecided {
        println!("UNDECIDED {name} {case}: {why}");
    }
    undecided
}

/// Side by side the verdicts are those of one by one, in the order of the cases; also where one of the cases is not survived.
fn lanes_change_nothing() -> Result<(), String> {
    let cases =
        ["life/idle-cpu", "accept/emfile-survive", "stream/exact", "half/client-fin", "leak/fd", "stop/term"];
    for mutant in ["sound", "emfile-is-fatal"] {
        let seen = |lanes| -> Result<Vec<(String, CaseVerdict)>, String> {
            let results = in_lanes(mutant, Kind::Echo, &cases, false, lanes)?;
            Ok(results.into_iter().map(|result| (result.id, result.verdict)).collect())
        };
        let (one_by_one, together) = (seen(1)?, seen(3)?);
        let undecided = one_by_one.iter().chain(&together).any(|(_, v)| *v == CaseVerdict::Inconclusive);
        if one_by_one != together && !undecided {
            return Err(format!("{mutant}: one by one {one_by_one:?}, together {together:?}"));
        }
        if !together.iter().map(|(id, _)| id.as_str()).eq(cases) {
            return Err(format!("{mutant}: not in order: {together:?}"));
        }
    }
    Ok(())
}

/// What stays behind of each connection fails the cases that look for it, and leaves the others to judge for themselves.
fn one_flaw_is_one() -> Result<(), String> {
    let others = ["stream/exact", "stream/crosstalk", "abort/rst-read-side", "sigpipe/rst", "proc/garbage"];
    let cases = [&["half/server-closes", "leak/fd"], &others[..]].concat();
    for result in against("keeps-after-fin", Kind::Echo, &cases, false)? {
        let wanted = if others.contains(&result.id.as_str()) { CaseVerdict::Ok } else { CaseVerdict::Failed };
        let said = result.aftermath.contains("as after any connection");
        if result.verdict != wanted || !said {
            let CaseResult { id, verdict, actual, aftermath, .. } = result;
            return Err(format!("{id}: {} {actual}; aftermath: {aftermath}", verdict.name()));
        }
    }
    Ok(())
}

fn every_case_kills() -> Result<(), String> {
    let says = |id: &str| SAYS.iter().filter(|(_, case, ..)| *case == id).count();
    let idle: Vec<_> = ALL
        .iter()
        .filter(|c| !KILLS.iter().any(|(_, case, ..)| *case == c.id))
        .filter(|c| c.level != Level::Info || says(c.id) < 2)
        .map(|c| c.id)
        .collect();
    if idle.is_empty() { Ok(()) } else { Err(format!("cases that kill no mutant: {idle:?}")) }
}

fn every_mutant_dies() -> Result<(), String> {
    use crate::mutants::{ALL, datagrams, local};
    let names = ALL.iter().map(|(name, _)| *name).chain(datagrams::ALL.iter().map(|(name, _)| *name));
    let names = names.chain(local::ALL.iter().map(|(name, _)| *name));
    let names = names.filter(|name| !name.contains("sound"));
    let immortal: Vec<_> =
        names.filter(|name| !KILLS.iter().chain(SAYS).any(|(mutant, ..)| mutant == name)).collect();
    if immortal.is_empty() { Ok(()) } else { Err(format!("mutants that no case looks for: {immortal:?}")) }
}

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = vec![
        Test::new("matrix::every_case_kills_a_mutant", every_case_kills),
        Test::new("matrix::every_mutant_is_killed_by_a_case", every_mutant_dies),
        Test::new("matrix::one_flaw_is_one", one_flaw_is_one),
        Test::new("matrix::lanes_change_nothing", lanes_change_nothing),
        Test::new("sound::threads_echo", || is_sound("sound", Kind::Echo, &[])),
        Test::new("sound::threads_sized", || is_sound("sound", Kind::Sized, &[])),
        Test::new("sound::loop_echo", || {
            is_sound("sound-loop", Kind::Echo, &["life/idle-cpu", "fair/slow-reader"])
        }),
        Test::new("sound::datagrams_echo", || is_sound("gram-sound", Kind::Echo, &DGRAM)),
        Test::new("sound::datagrams_sized", || is_sound("gram-sound", Kind::Sized, &DGRAM)),
        Test::new("sound::unix_datagrams", || is_sound("gram-sound", Kind::Echo, &UNIX)),
        Test::new("sound::slow_is_not_wrong", || is_sound("sound-slow", Kind::Echo, &SLOW)),
        Test::new("sound::unix_echo", || {
            is_sound("unix-sound", Kind::Echo, &["abort/unix-eof", "sigpipe/unix", "half/client-fin"])
        }),
        Test::new("sound::loop_sized", || is_sound("sound-loop", Kind::Sized, &["fair/slow-reader"])),
        Test::new("sound::threads_http", || is_sound("sound", Kind::Http, &[])),
        Test::new("sound::fork_echo", || {
            let cases = [
                "leak/zombies",
                "proc/tree-clean",
                "proc/worker-kill",
                "proc/sigchld-storm",
                "stop/port-free",
            ];
            is_sound("sound-fork", Kind::Echo, &cases)
        }),
        // Four at a time: no case asks for more at once.
        Test::new("sound::prefork_echo", || is_sound("sound-prefork", Kind::Echo, &[])),
    ];
    for (mutant, case, kind, why) in KILLS {
        let name = format!("kill::{mutant}::{case}::{kind}");
        tests.push(Test::new(name, move || is_killed(mutant, case, *kind, why)));
    }
    for (server, case, kind, words) in SAYS {
        let name = format!("says::{server}::{case}::{kind}");
        tests.push(Test::new(name, move || is_told(server, case, *kind, words)));
    }
    tests
}
