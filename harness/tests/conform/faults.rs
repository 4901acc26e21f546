//! Subjects that misbehave towards the suite itself, and users who change their minds: the exit code is right, one line says why, and
//! neither a process nor a file is left. Not here: verdicts.

use crate::cli::{exe, exits};
use crate::report::Test;
use harness::spawn::{Identity, Tool, ToolCommand, identity};
use record::conform::Conformance;
use std::path::Path;
use std::time::{Duration, Instant};

/// Far more than any of these takes.
const DEADLINE: Duration = Duration::from_secs(90);

/// A sound server as words of a shell.
fn sound(listen: &str) -> Result<String, String> {
    Ok(format!("{} --mutant sound --listen {listen}", exe()?))
}

/// A shell script as the subject, in which `{mutant}` is a sound server; what it starts writes its process id into `$PIDS`.
fn shell(script: &str, case: &str, code: i32, says: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (files, pids) = (folder.path().join("files"), folder.path().join("pids"));
    std::fs::create_dir(&files).map_err(|e| e.to_string())?;
    let script = script.replace("{mutant}", &sound("tcp://127.0.0.1:{port}")?);
    let script = format!("echo $$ >> {}; {script}", pids.display());
    let exe = exe()?;
    let own = format!("TMPDIR={}", files.display());
    let mut args =
        vec![own.as_str(), &exe, "conform", "--listen", "tcp://127.0.0.1:0", "--quick", "--case", case];
    args.extend(["--", "/bin/sh", "-c", &script]);
    let run = Tool::run(&ToolCommand::new("env", args), DEADLINE).map_err(|e| format!("{e:?}"))?;
    let words = format!("{}{}", String::from_utf8_lossy(&run.stdout), run.stderr);
    if run.ended.status != Some(code) || !words.contains(says) {
        return Err(format!("{}, not {code} with `{says}`: {words}", run.ended));
    }
    nothing_is_left(&pids, &files)
}

/// No process whose id stands in `pids` lives, and nothing is in `files`.
fn nothing_is_left(pids: &Path, files: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(pids).map_err(|e| e.to_string())?;
    let left: Vec<i32> = text
        .lines()
        .filter_map(|pid| Identity::of(pid.parse().ok()?))
        .filter(|id| id.alive())
        .map(|id| id.pid)
        .collect();
    if text.is_empty() || !left.is_empty() {
        return Err(format!("of {text:?} these are left: {left:?}"));
    }
    let names: Vec<_> = std::fs::read_dir(files)
        .map_err(|e| e.to_string())?
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    if names.is_empty() { Ok(()) } else { Err(format!("files are left: {names:?}")) }
}

/// Ctrl-C in the middle, with a Unix socket and cases side by side: what was run is written, no process and no socket file is left.
fn interrupted() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (files, json) = (folder.path().join("files"), folder.path().join("r.json"));
    std::fs::create_dir(&files).map_err(|e| e.to_string())?;
    let exe = exe()?;
    let (own, json_path) = (format!("TMPDIR={}", files.display()), json.display().to_string());
    let mut args = vec![own.as_str(), &exe, "conform", "--listen", "unix:{path}", "--json", &json_path];
    args.extend(["--case", "half", "--case", "leak", "--case", "abort", "--", &exe]);
    args.extend(["--mutant", "unix-sound", "--listen", "unix:{path}"]);
    let mut tool = Tool::start(&ToolCommand::new("env", args)).map_err(|e| e.to_string())?;
    let end = Instant::now() + Duration::from_secs(30);
    let sockets = || walk(&files).iter().filter(|path| path.ends_with(".sock")).count();
    // The harness, its guard, the server; and the server's socket.
    let tree = loop {
        let tree: Vec<_> = identity::descendants(tool.pid()).iter().map(|e| e.id).collect();
        if tree.len() >= 3 && sockets() > 0 {
            break tree;
        }
        if Instant::now() >= end {
            return Err(format!("did not start: {}", tool.stderr_tail()));
        }
        sys::clock::pause(Duration::from_millis(5));
    };
    tool.signal(identity::INT);
    let ended = tool.wait(DEADLINE).ok_or("does not end on SIGINT")?;
    if ended.status != Some(3) || !tool.stderr_tail().contains("interrupted") {
        return Err(format!("{ended}: {}", tool.stderr_tail()));
    }
    let text = std::fs::read_to_string(&json).map_err(|e| e.to_string())?;
    let run: Conformance = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let (left, files) = (tree.iter().filter(|id| id.alive()).count(), walk(&files));
    if left > 0 || !files.is_empty() || run.cases.len() > 14 {
        return Err(format!("{left} processes and {files:?} left, {} cases", run.cases.len()));
    }
    Ok(())
}

/// Everything below a folder.
fn walk(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let below =
        |path: &Path| std::iter::once(path.display().to_string()).chain(walk(path)).collect::<Vec<_>>();
    entries.flatten().flat_map(|entry| below(&entry.path())).collect()
}

/// What is spoken is not what is asked for: that is said before any case is run.
fn wrong_profile() -> Result<(), String> {
    let script = format!("exec {}", sound("tcp://127.0.0.1:{port}")?);
    let args =
        ["--listen", "http://127.0.0.1:0/", "--quick", "--case", "stream", "--", "/bin/sh", "-c", &script];
    exits(&args, 3, "not ready")
}

pub(crate) fn tests() -> Vec<Test> {
    let much = "yes | head -c 600000000 & yes | head -c 600000000 >&2 & exec {mutant}";
    vec![
        Test::new("faults::interrupted", interrupted),
        Test::new("faults::wrong_profile", wrong_profile),
        Test::new("faults::never_ready", || shell("exec sleep 600", "stream/exact", 3, "did not listen")),
        Test::new("faults::dies_at_once", || shell("echo no luck >&2; exit 7", "stream/exact", 3, "no luck")),
        Test::new("faults::prints_a_gigabyte", move || shell(much, "stream/exact", 0, "1 OK")),
        // It spins before any case; none is to blame.
        Test::new("faults::never_rests", || {
            shell("while :; do :; done & exec {mutant}", "stream/exact", 0, "1 OK")
        }),
        Test::new("faults::ignores_sigterm", || shell("trap : TERM; {mutant}; :", "stop/term", 1, "FAILED")),
        Test::new("faults::forks_away", || shell("setsid {mutant} & sleep 0.2", "stream/exact", 0, "1 OK")),
        Test::new("faults::closes_its_streams", || {
            shell("exec >&- 2>&- <&-; exec {mutant}", "stream/exact", 0, "1 OK")
        }),
    ]
}
