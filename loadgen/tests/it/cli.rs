//! The command as a process: exit codes, one line for each mistake, signals, pipes.

use crate::peer::Peer;
use record::{Load, VerdictState};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::Ordering::SeqCst;

pub(crate) fn command(args: &[&str]) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "the command itself is under test, and every run of it ends by itself"
    )]
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(args).stdin(Stdio::null());
    command
}

pub(crate) fn output(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Each of these is one line that has this word in it, and exit 2.
fn refuses(mistakes: &[(&[&str], &str)]) {
    for (args, word) in mistakes {
        let output = output(args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
        assert!(text.starts_with("loadgen: ") && text.contains(word), "{args:?}: {text}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn what_datagrams_cannot_do_gets_one_line_and_exit_2() {
    refuses(&[
        (&["--service", "http", "udp://127.0.0.1:80"], "needs a stream"),
        (&["--size", "65508", "unixgram:/tmp/x"], "65507"),
        (&["--size", "0", "udp://127.0.0.1:80"], "at least 1 byte"),
        (&["--abort", "idle:5%", "udp://127.0.0.1:80"], "means nothing to datagrams"),
        (&["--pipeline", "2", "--size", "15", "udp://127.0.0.1:80"], "16 bytes"),
        (&["--send", "x", "--expect", "count:1", "--banner", "count:1", "udp://[::1]:8"], "without --banner"),
        (&["0@udp://127.0.0.1:80"], "above 0"),
        (&["-c", "1", "udp://127.0.0.1:80", "tcp://127.0.0.1:80"], "at least 2 connections"),
        (&["--engine", "uring", "udp://127.0.0.1:80"], "speaks streams"),
        (&["--lifetime", "1s", "udp://127.0.0.1:80"], "datagrams have none"),
        (&["--gso", "unixgram:/tmp/x"], "about UDP"),
        (&["--gso", "tcp://127.0.0.1:80"], "about UDP"),
        (&["--idle", "5", "unixgram:@x"], "for streams"),
        (&["--source", "127.0.0.2", "unixgram:@x"], "has no source addresses"),
    ]);
}

#[test]
fn mistakes_get_one_line_and_exit_2() {
    refuses(&[
        (&[][..], "URL"),
        (&["127.0.0.1:80"], "scheme"),
        (&["unix:"], "empty"),
        (&["https://127.0.0.1"], "TLS"),
        (&["tcp://127.0.0.1:0"], "port 0"),
        (&["-R", "0", "tcp://127.0.0.1:1"], "rate of 0"),
        (&["-R", "fast", "tcp://127.0.0.1:1"], "10k"),
        (&["-R", "2000M", "tcp://127.0.0.1:1"], "rate must lie"),
        (&["-c", "0", "tcp://127.0.0.1:1"], "at least 1"),
        (&["-c", "4000000000", "tcp://127.0.0.1:1"], "descriptors"),
        (&["-t", "0", "tcp://127.0.0.1:1"], "threads"),
        (&["-c", "2", "-t", "3", "tcp://127.0.0.1:1"], "threads"),
        (&["-d", "0s", "tcp://127.0.0.1:1"], "no length"),
        (&["-n", "0", "tcp://127.0.0.1:1"], "no length"),
        (&["-d", "1s", "-n", "5", "tcp://127.0.0.1:1"], "cannot be used with"),
        (&["-d", "soon", "tcp://127.0.0.1:1"], "no time"),
        (&["--timeout", "0", "tcp://127.0.0.1:1"], "late"),
        (&["--size", "0", "tcp://127.0.0.1:1"], "at least 1 byte"),
        (&["--size", "64q", "tcp://127.0.0.1:1"], "no size"),
        (&["--service", "sized", "--size", "17M", "tcp://127.0.0.1:1"], "at most"),
        (&["--service", "greeting", "--size", "5", "tcp://127.0.0.1:1"], "greeting"),
        (&["--service", "ftp", "tcp://127.0.0.1:1"], "unknown service"),
        (&["--service", "http", "tcp://127.0.0.1:1"], "http:// target"),
        (&["--service", "echo", "http://127.0.0.1:1"], "tcp://"),
        (&["--size", "5", "http://127.0.0.1:1/x"], "path"),
        (&["--work", "spin:5us", "tcp://127.0.0.1:1"], "handler work"),
        (&["--work", "rest:5us", "--service", "sized", "tcp://127.0.0.1:1"], "spin:TIME"),
        (&["--arrivals", "poisson", "tcp://127.0.0.1:1"], "--rate"),
        (&["--arrivals", "often", "-R", "5", "tcp://127.0.0.1:1"], "poisson"),
        (&["--arrivals", "burst:0s/1s", "-R", "5", "tcp://127.0.0.1:1"], "burst"),
        (&["--arrivals", "burst:1s", "-R", "5", "tcp://127.0.0.1:1"], "burst:100ms"),
        (&["--ramp", "5", "tcp://127.0.0.1:1"], "100..5k"),
        (&["--ramp", "0..0", "tcp://127.0.0.1:1"], "rate must lie"),
        (&["--ramp", "1..5", "-n", "5", "tcp://127.0.0.1:1"], "cannot be used with"),
        (&["--ramp", "1..5", "--arrivals", "burst:1s/1s", "tcp://127.0.0.1:1"], "one rate"),
        (&["--steps", "1,x", "tcp://127.0.0.1:1"], "no rate"),
        (&["--trace", "/nonexistent/x", "tcp://127.0.0.1:1"], "cannot read"),
        (&["--think", "x", "tcp://127.0.0.1:1"], "no time"),
        (&["--think", "5ms", "-R", "5", "tcp://127.0.0.1:1"], "cannot be used with"),
        (&["--think", "5ms", "--pipeline", "5", "tcp://127.0.0.1:1"], "--pipeline"),
        (&["--shard", "3/3", "tcp://127.0.0.1:1"], "0/3"),
        (&["--abort", "lunch:5%", "tcp://127.0.0.1:1"], "after-request"),
        (&["--abort", "idle:5%:bang", "tcp://127.0.0.1:1"], "half-read"),
        (&["--abort", "connect:5%:unread", "tcp://127.0.0.1:1"], "about a reply"),
        (&["--abort", "idle:60%", "--abort", "connect:60%", "tcp://127.0.0.1:1"], "120 %"),
        (&["--requests-per-connection", "0", "tcp://127.0.0.1:1"], "requests-per-connection"),
        (&["--requests-per-connection", "5..2", "tcp://127.0.0.1:1"], "lower end first"),
        (&["--lifetime", "long", "tcp://127.0.0.1:1"], "no time"),
        (&["--reconnect", "often", "tcp://127.0.0.1:1"], "eager, lazy, never"),
        (&["--reconnect", "eager", "--service", "greeting", "tcp://127.0.0.1:1"], "greeting"),
        (&["--connect-rate", "0", "tcp://127.0.0.1:1"], "rate of 0"),
        (&["--json", "/nonexistent/x", "tcp://127.0.0.1:1"], "/nonexistent/x"),
        (&["--json", "-", "--csv", "-", "tcp://127.0.0.1:1"], "standard output"),
        (&["--fail-on", "rain", "tcp://127.0.0.1:1"], "fail-on"),
        (&["--send", "x", "tcp://127.0.0.1:1"], "one --expect"),
        (&["--service", "raw", "tcp://127.0.0.1:1"], "one --expect"),
        (&["--send", "\\q", "--expect", "eof", "tcp://127.0.0.1:1"], "escape"),
        (&["--send", "@/nonexistent", "--expect", "eof", "tcp://127.0.0.1:1"], "cannot read"),
        (&["--send", "x", "--expect", "file:/nonexistent", "tcp://127.0.0.1:1"], "cannot read"),
        (&["--send", "x", "--expect", "regex:(", "tcp://127.0.0.1:1"], "cannot be used"),
        (&["--service", "echo", "--send", "x", "tcp://127.0.0.1:1"], "--service raw"),
        (&["--pipeline", "0", "tcp://127.0.0.1:1"], "at least 1"),
        (&["--pipeline", "2", "--abort", "idle:5%", "tcp://127.0.0.1:1"], "--pipeline"),
        (&["--pipeline", "2", "--service", "greeting", "tcp://127.0.0.1:1"], "outlive"),
        (&["--rat", "5", "tcp://127.0.0.1:1"], "found; a similar argument exists: '--rate'"),
        (&["--weights", "5", "tcp://127.0.0.1:1"], "unexpected argument '--weights' found\n"),
        (&["-L", "-U", "--latency", "-n", "0", "tcp://127.0.0.1:1"], "no length"),
    ]);
}

#[test]
fn values_that_look_like_something_else_get_one_line_and_exit_2() {
    refuses(&[
        (&["-c", "-1", "tcp://127.0.0.1:1"], "invalid value '-1' for '--connections"),
        (&["-R", "-5", "tcp://127.0.0.1:1"], "no rate"),
        (&["--lifetime", "0s", "tcp://127.0.0.1:1"], "--requests-per-connection 1"),
        (&["-H", "a: b\nc: \u{1b}[31m", "http://127.0.0.1:1"], "`a: b\\nc: \\u{1b}[31m`"),
        (&["--json", "x", "--csv", "./x", "tcp://127.0.0.1:1"], "a file of its own"),
        (&["--hlog", "/tmp/x", "--log", "/dev/../tmp/x", "tcp://127.0.0.1:1"], "a file of its own"),
    ]);
}

#[test]
fn foreign_flags_and_bad_searches_get_one_line_and_exit_2() {
    refuses(&[
        (&["-q", "100", "tcp://127.0.0.1:1"], "-R"),
        (&["-t", "10s", "tcp://127.0.0.1:1"], "-d"),
        (&["-o", "json", "tcp://127.0.0.1:1"], "--json"),
        (&["--unix-socket", "/x", "http://127.0.0.1:1"], "unix:/PATH"),
        (&["--pid", "0", "tcp://127.0.0.1:1"], "pid"),
        (&["--pid", "2147483646", "tcp://127.0.0.1:1"], "no such process"),
        (&["--log-room", "5", "tcp://127.0.0.1:1"], "--log"),
        (&["--log", "-", "--json", "-", "tcp://127.0.0.1:1"], "standard output"),
        (&["--progress=1us", "tcp://127.0.0.1:1"], "10 ms"),
        (&["--find-max", "p99", "tcp://127.0.0.1:1"], "p99<5ms"),
        (&["--find-max", "p99<5ms", "-R", "5", "tcp://127.0.0.1:1"], "--rate"),
        (&["--find-max", "p99<5ms", "-n", "5", "tcp://127.0.0.1:1"], "--duration"),
        (&["--find-max", "p99<5ms", "-d", "1s", "--between", "10..20", "tcp://127.0.0.1:1"], "too short"),
        (&["--find-max", "p99<5ms", "--hlog", "/tmp/x", "tcp://127.0.0.1:1"], "--csv"),
        (&["--between", "10..20", "tcp://127.0.0.1:1"], "--find-max"),
        (&["--sweep", "20..10", "tcp://127.0.0.1:1"], "lower"),
        (&["merge", "/nonexistent/a.json", "/nonexistent/b.json"], "/nonexistent/a.json"),
        (&["merge", "/nonexistent/a.json"], "2 values"),
        (&["report"], "FILE"),
        (&["report", "/dev/null"], "not JSON"),
        (&["compare", "a.json"], "2 values"),
        (&["compare", "--base", "a.json"], "--head"),
        (&["completions", "cmd"], "bash"),
    ]);
}

#[test]
fn help_fits_a_screen() {
    let help = |flags: &[&str], columns| {
        let output = command(flags).env("COLUMNS", columns).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = help(&["-h"], "80");
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(text.lines().count() <= 50 && widest <= 80, "{} lines, {widest} columns", text.lines().count());
    assert_eq!(text, help(&["-h"], "110"), "a line is wrapped");
    assert!(text.contains("Every rate is a total") && text.ends_with("loadgen --help\n"), "{text}");
    // What is rare, belongs to HTTP, or to protocols of one's own stands in the long help alone.
    let long = help(&["--help"], "80");
    let flags = |text: &str| -> Vec<String> {
        text.split_whitespace().filter(|word| word.starts_with("--")).map(str::to_owned).collect()
    };
    let (short, long) = (flags(&text), flags(&long));
    assert!(short.iter().all(|flag| long.contains(flag)), "{short:?} {long:?}");
    for rare in ["--expect-body", "--hgrm", "--seed", "--version", "--help"] {
        assert!(long.iter().any(|flag| flag == rare), "{rare}");
    }
    // A subcommand has its own, with all that it can do.
    assert!(help(&["report", "-h"], "80").contains("--hgrm"));
}

#[test]
fn an_absent_server_is_exit_3_with_one_line() {
    let output = output(&["-d", "30s", &format!("tcp://{}", Peer::absent().address)]);
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(text.lines().count() == 1 && text.contains("ECONNREFUSED"), "{text}");
}

#[test]
fn json_on_stdout_is_nothing_but_json() {
    let peer = Peer::echo();
    let output = output(&["-n", "500", "--json", "-", &format!("tcp://{}", peer.address)]);
    let load: Load = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(load.requests.completed, 500);
    assert!(stderr(&output).contains("verdict"), "the summary goes to stderr then");
}

#[test]
fn fail_on_errors_is_exit_1() {
    let peer = Peer::replying(|bytes| bytes.repeat(2));
    let url = format!("tcp://{}", peer.address);
    let code = |args: &[&str]| output(&[&["-q", "-n", "50"], args, &[&url]].concat()).status.code();
    assert_eq!(
        (code(&[]), code(&["--fail-on", "late,errors"])),
        (Some(1), Some(1)),
        "each reply comes twice"
    );
    assert_eq!((code(&["--fail-on", "never"]), code(&["--fail-on", "late"])), (Some(0), Some(0)));
}

/// Ends that were planned are no trouble, and neither is a connection that the server closes behind its reply.
#[test]
fn what_was_planned_is_no_trouble() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let args = ["-q", "-n", "200", "--abort", "after-request:20%:rst", "--partial", "10%", &url];
    let run = output(&args);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
}

#[test]
fn a_run_without_replies_is_exit_3() {
    let peer = Peer::resetting();
    let output = output(&["-q", "-n", "20", "--fail-on", "errors", &format!("tcp://{}", peer.address)]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("no request was completed"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let peer = Peer::echo();
    for more in [&[][..], &["--json", "-"], &["--csv", "-", "-q"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let url = format!("tcp://{}", peer.address);
        let mut command = command(&["-n", "50", &url]);
        let output = command.args(more).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{more:?}: {}", stderr(&output));
    }
}

#[test]
fn an_interrupt_ends_the_run_and_keeps_the_results() {
    let peer = Peer::echo();
    let mut command =
        command(&["-d", "60s", "-c", "2", "--json", "-", "-q", &format!("tcp://{}", peer.address)]);
    let child: Child = command.stdout(Stdio::piped()).spawn().unwrap();
    // The handler is in place before the first connection is made.
    while peer.accepted.load(SeqCst) < 2 {
        std::thread::yield_now();
    }
    sys::process::kill(child.id() as i32, 2).unwrap();
    let output = child.wait_with_output().unwrap();
    let load: Load = serde_json::from_slice(&output.stdout).unwrap();
    assert!(load.verdict.state >= VerdictState::Suspect && load.elapsed_ns < 30_000_000_000);
    assert!(load.verdict.reasons.iter().any(|reason| reason.contains("cut short")), "{:?}", load.verdict);
}

/// What is left of a run of `args` that gets SIGHUP twice once it has its two connections.
fn hung_up(program: &mut Command, peer: &Peer) -> Load {
    let child = program.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    while peer.accepted.load(SeqCst) < 2 {
        std::thread::yield_now();
    }
    // The kernel tells of a terminal that is gone, and so does the shell.
    for _ in 0..2 {
        sys::process::kill(child.id() as i32, 1).unwrap();
    }
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_terminal_that_is_closed_ends_the_run_and_keeps_the_results() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    if u64::from_str_radix(ignored, 16).unwrap() & 1 != 0 {
        return eprintln!("skipped: SIGHUP is ignored here, and so it is by what this starts");
    }
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let load = hung_up(&mut command(&["-d", "60s", "-c", "2", "--json", "-", "-q", &url]), &peer);
    assert!(load.elapsed_ns < 30_000_000_000);
    assert!(load.verdict.reasons.iter().any(|reason| reason.contains("cut short")), "{:?}", load.verdict);
}

#[test]
fn under_nohup_a_closed_terminal_changes_nothing() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let loadgen = command(&["-d", "500ms", "-c", "2", "--json", "-", "-q", &url]);
    #[expect(
        clippy::disallowed_methods,
        reason = "the shell becomes the command under test, which ends by itself"
    )]
    let mut shell = Command::new("sh");
    // What nohup(1) does, with the output left where it is.
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(loadgen.get_program()).args(loadgen.get_args());
    let load = hung_up(&mut shell, &peer);
    assert!(load.elapsed_ns >= 500_000_000, "{}", load.elapsed_ns);
    assert!(!load.verdict.reasons.iter().any(|reason| reason.contains("cut short")), "{:?}", load.verdict);
}

#[test]
fn an_interrupt_before_the_window_blames_no_connection() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let mut command =
        command(&["-R", "500", "-d", "60s", "--warm-up", "60s", "-c", "2", "--json", "-", "-q", &url]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while peer.accepted.load(SeqCst) < 2 {
        std::thread::yield_now();
    }
    sys::process::kill(child.id() as i32, 15).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let load: Load = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(load.requests.scheduled, 0);
    assert_eq!(load.verdict.reasons, ["cut short by an interrupt", "no request was completed"]);
}

#[test]
fn a_file_that_cannot_be_written_takes_nothing_else_along() {
    let peer = Peer::echo();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let url = format!("tcp://{}", peer.address);
    let output = output(&["-n", "20", "--json", "/dev/full", "--log", log.to_str().unwrap(), &url]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.starts_with("loadgen: cannot write `/dev/full`") && text.lines().count() == 1, "{text}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("20 completed"), "{output:?}");
    assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), 21);
}
