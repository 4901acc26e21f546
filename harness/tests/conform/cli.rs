//! `harness conform` as a user meets it: exit codes, the JSON file, foreign commands under their guard.

use crate::report::Test;
use harness::spawn::{Identity, Tool, ToolCommand, ToolRun, identity};
use std::time::{Duration, Instant};

/// Far more than any of these takes.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn exe() -> Result<String, String> {
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    Ok(exe.display().to_string())
}

pub(crate) fn conform(args: &[&str]) -> Result<ToolRun, String> {
    let mut all = vec!["conform"];
    all.extend(args);
    Tool::run(&ToolCommand::new(exe()?, all), DEADLINE).map_err(|e| format!("{e:?}"))
}

pub(crate) fn exits(args: &[&str], code: i32, says: &str) -> Result<(), String> {
    let run = conform(args)?;
    let words = format!("{}{}", String::from_utf8_lossy(&run.stdout), run.stderr);
    if run.ended.status != Some(code) {
        return Err(format!("{}, not {code}: {words}", run.ended));
    }
    if words.contains(says) { Ok(()) } else { Err(format!("does not say `{says}`: {words}")) }
}

/// A sound server as a foreign command: all that a command allows is run, and its own JSON reads back.
fn foreign_command() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let file = folder.path().join("conform.json");
    let (exe, json) = (exe()?, file.display().to_string());
    let mut args = vec!["--listen", "tcp://127.0.0.1:0", "--quick", "--json", json.as_str()];
    args.extend([
        "--case",
        "sigpipe/fin",
        "--case",
        "leak/fd",
        "--case",
        "stop/term",
        "--case",
        "life/restart-timewait",
    ]);
    args.extend(["--", exe.as_str(), "--mutant", "sound", "--listen", "tcp://127.0.0.1:{port}"]);
    exits(&args, 0, "4 cases: 4 OK")?;
    let text = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
    let run: record::conform::Conformance = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    if run.cases.len() == 4 && run.conformant() { Ok(()) } else { Err(text) }
}

/// What a guarded command leaves when the harness is killed: nothing, not even a grandchild in a session of its own.
fn nothing_is_left() -> Result<(), String> {
    let script = format!(
        "setsid sh -c 'sleep 600 & exec sleep 600' & exec {} --mutant sound --listen tcp://127.0.0.1:{{port}}",
        exe()?
    );
    let args = [
        "conform",
        "--listen",
        "tcp://127.0.0.1:0",
        "--case",
        "life/idle-cpu",
        "--",
        "/bin/sh",
        "-c",
        &script,
    ];
    let tool = Tool::start(&ToolCommand::new(exe()?, args)).map_err(|e| e.to_string())?;
    let end = Instant::now() + Duration::from_secs(20);
    // The harness, its guard, the server, the two that went their own way.
    let mut tree: Vec<Identity> = Vec::new();
    while tree.len() < 5 {
        tree = identity::descendants(tool.pid()).iter().map(|e| e.id).collect();
        if Instant::now() >= end {
            return Err(format!("the command did not start: {} {}", tree.len(), tool.stderr_tail()));
        }
        sys::clock::pause(Duration::from_millis(5));
    }
    tool.signal(identity::KILL);
    loop {
        let left: Vec<_> = tree.iter().filter(|id| id.alive()).collect();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= end {
            for id in &left {
                id.signal(identity::KILL);
            }
            return Err(format!("{} of {} processes are left", left.len(), tree.len()));
        }
        sys::clock::pause(Duration::from_millis(5));
    }
}

/// A command at an IPv6 address: its connections and its listener are found there too.
fn over_ipv6() -> Result<(), String> {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return Ok(());
    }
    let exe = exe()?;
    let mut args =
        vec!["--listen", "tcp://[::1]:0", "--quick", "--case", "stream/exact", "--case", "stop/port-free"];
    args.extend(["--", &exe, "--mutant", "sound", "--listen", "tcp://[::1]:{port}"]);
    exits(&args, 0, "2 cases: 2 OK")
}

/// A run says whether it has a network namespace of its own, and an address cannot have one.
fn namespaces() -> Result<(), String> {
    let exe = exe()?;
    let with = |flag: &'static str| {
        let mut args =
            vec!["--listen", "tcp://127.0.0.1:0", "--quick", "--case", "stream/exact", flag, "--", &exe];
        args.extend(["--mutant", "sound", "--listen", "tcp://127.0.0.1:{port}"]);
        args
    };
    exits(&with("--no-netns"), 0, "no network namespace of its own (--no-netns)")?;
    exits(&["tcp://127.0.0.1:1", "--netns"], 2, "for subjects that are started")?;
    let run = conform(&with("--netns"))?;
    let words = format!("{}{}", String::from_utf8_lossy(&run.stdout), run.stderr);
    match run.ended.status {
        Some(0) if words.contains("in a network namespace of its own") => Ok(()),
        Some(3) if words.contains("no network namespace can be made") => {
            eprintln!("SKIPPED: cli::namespaces: {}", words.trim());
            Ok(())
        }
        _ => Err(format!("{}: {words}", run.ended)),
    }
}

/// A server that is well the first time it is started and dies of SIGPIPE from then on: three runs tell, and the worst counts.
fn repeated() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (exe, flag) = (exe()?, folder.path().join("started"));
    let script = format!(
        "mutant=sigpipe-dies; mkdir {} && mutant=sound; exec {exe} --mutant $mutant --listen tcp://127.0.0.1:{{port}}",
        flag.display()
    );
    let with = |repeat: &'static str, script: &str| {
        let mut args = vec!["--listen", "tcp://127.0.0.1:0", "--quick", "--lanes", "1", "--repeat", repeat];
        args.extend(["--case", "sigpipe/fin", "--case", "stream/exact", "--", "/bin/sh", "-c"]);
        args.into_iter().map(str::to_owned).chain([script.to_owned()]).collect::<Vec<_>>()
    };
    let run = |repeat, code, says: &str| {
        let args = with(repeat, &script);
        exits(&args.iter().map(String::as_str).collect::<Vec<_>>(), code, says)
    };
    run("3", 1, "5.1 sigpipe/fin: OK, FAILED, FAILED")?;
    run("2", 1, "steady: each case was judged alike in 2 runs")?;
    run("0", 2, "--repeat")
}

/// A server that speaks none of our services, given a message and what answers it; a wrong answer is found before any case is run.
fn raw_subject() -> Result<(), String> {
    let exe = exe()?;
    let with = |reply: &'static str| {
        let mut args =
            vec!["--listen", "tcp://127.0.0.1:0", "--quick", "--send", "PING\\r\\n", "--reply", reply];
        args.extend(["--case", "accept/concurrent", "--case", "stream/exact", "--", &exe]);
        args.extend(["--mutant", "sound", "--listen", "tcp://127.0.0.1:{port}"]);
        args
    };
    exits(&with("bytes:PING\\r\\n"), 0, "does not apply to the service raw")?;
    exits(&with("bytes:+PONG\\r\\n"), 3, "wrong byte")
}

pub(crate) fn tests() -> Vec<Test> {
    let ended = || {
        exits(
            &["--listen", "tcp://127.0.0.1:0", "--", "/bin/sh", "-c", "echo no luck >&2; exit 7"],
            3,
            "no luck",
        )
    };
    let found = || {
        let exe = exe()?;
        let mut args = vec!["--listen", "tcp://127.0.0.1:0", "--quick", "--case", "stream/exact", "--", &exe];
        args.extend(["--mutant", "nul-terminates", "--listen", "tcp://127.0.0.1:{port}"]);
        exits(&args, 1, "again:")
    };
    vec![
        Test::new("cli::no_match_is_wrong_use", || {
            exits(&["epoll", "--case", "no/such"], 2, "no case matches")
        }),
        Test::new("cli::no_target_is_wrong_use", || exits(&[], 2, "give a target")),
        Test::new("cli::lists_cases", || exits(&["--list", "--case", "5.1"], 0, "sigpipe/fin")),
        Test::new("cli::a_command_that_ends_is_unfit_and_its_words_are_shown", ended),
        Test::new("cli::nobody_there_is_unfit", || exits(&["tcp://127.0.0.1:1"], 3, "refused")),
        Test::new("cli::a_failure_is_found_and_says_how_to_repeat_it", found),
        Test::new("cli::namespaces", namespaces),
        Test::new("cli::repeated", repeated),
        Test::new("cli::raw_subject", raw_subject),
        Test::new("cli::foreign_command", foreign_command),
        Test::new("cli::a_command_at_an_ipv6_address", over_ipv6),
        Test::new("cli::a_killed_harness_leaves_nothing", nothing_is_left),
    ]
}
