//! Files in and out of `harness conform`: subjects, expectations, JUnit, scripts. Not here: how a verdict looks in each format (crate
//! `reports`).

use crate::cli::{conform, exe, exits};
use crate::report::Test;
use harness::spawn::{Tool, ToolCommand};
use record::conform::{CaseVerdict, Conformance, Met, Suite};
use std::path::Path;
use std::time::Duration;

/// A mutant as a `[[subject]]`.
fn subject(name: &str, mutant: &str) -> Result<String, String> {
    Ok(format!(
        "[[subject]]\nname = '{name}'\ncommand = ['{}', '--mutant', '{mutant}', '--listen', 'tcp://127.0.0.1:{{port}}']\n\
         listen = 'tcp://127.0.0.1:0'\ncases = ['sigpipe/fin', 'stream/exact']\n",
        exe()?
    ))
}

fn expectation(case: &str, verdict: &str) -> String {
    format!("[[subject.expect]]\ncase = '{case}'\nverdict = '{verdict}'\nreason = 'known'\n")
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn folder() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|e| e.to_string())
}

fn put(path: &Path, content: &str) -> Result<(), String> {
    std::fs::write(path, content).map_err(|e| e.to_string())
}

/// Two subjects, one of which fails as expected: nothing is found, and every output holds both.
fn expected_failures_are_none() -> Result<(), String> {
    let folder = folder()?;
    let at = |name: &str| folder.path().join(name);
    let all = subject("sound", "sound")? + &subject("dies", "sigpipe-dies")? + &expectation("5.1", "FAILED");
    put(&at("subjects.toml"), &all)?;
    let path = |name: &str| at(name).display().to_string();
    let (subjects, json, junit, tap, html, scripts) = (
        path("subjects.toml"),
        path("r.json"),
        path("j.xml"),
        path("t.tap"),
        path("m.html"),
        path("scripts"),
    );
    let args = [
        "--subjects",
        &subjects,
        "--quick",
        "--json",
        &json,
        "--junit",
        &junit,
        "--tap",
        &tap,
        "--html",
        &html,
        "--scripts",
        &scripts,
    ];
    exits(&args, 0, "(as expected)")?;
    let suite: Suite = serde_json::from_str(&text(&at("r.json"))?).map_err(|e| e.to_string())?;
    let dies = suite.subjects.iter().find(|s| s.subject == "dies").ok_or("no such subject")?;
    let case = dies.cases.iter().find(|c| c.id == "sigpipe/fin").ok_or("no such case")?;
    if case.verdict != CaseVerdict::Failed || case.expected.as_ref().map(|e| e.met) != Some(Met::Yes) {
        return Err(format!("{case:?}"));
    }
    if !case.evidence.iter().any(|line| line.contains("connect")) || !case.again.contains("--subject dies") {
        return Err(format!("no evidence, or not to be repeated: {case:?}"));
    }
    for (file, holds) in [("j.xml", "<skipped"), ("t.tap", "# TODO expected"), ("m.html", "id=\"c1-5-1\"")] {
        if !text(&at(file))?.contains(holds) {
            return Err(format!("{file} has no {holds}"));
        }
    }
    is_strict_junit(&at("j.xml"))?;
    shown_by(&at("scripts").join("dies-sigpipe-fin.py"))
}

/// As the strictest readers of JUnit take it.
fn is_strict_junit(file: &Path) -> Result<(), String> {
    if !sys::spawn::can_be_found("xmllint".as_ref()) {
        eprintln!("SKIPPED: JUnit was not validated: xmllint is not installed (libxml2-utils)");
        return Ok(());
    }
    let schema = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conform/junit.xsd"));
    let args = ["--noout".as_ref(), "--schema".as_ref(), schema.as_os_str(), file.as_os_str()];
    let run = Tool::run(&ToolCommand::new("xmllint", args), Duration::from_secs(60))
        .map_err(|e| format!("{e:?}"))?;
    if run.ended.success() { Ok(()) } else { Err(run.stderr) }
}

/// The exported script shows the bug without the harness.
fn shown_by(script: &Path) -> Result<(), String> {
    if !sys::spawn::can_be_found("python3".as_ref()) {
        eprintln!("SKIPPED: the exported script was not run: python3 is not installed");
        return Ok(());
    }
    let command = ToolCommand::new("python3", [script.as_os_str()]);
    let run = Tool::run(&command, Duration::from_secs(60)).map_err(|e| format!("{e:?}"))?;
    let words = String::from_utf8_lossy(&run.stdout).into_owned();
    if run.ended.status == Some(1) && words.contains("SIGPIPE") {
        Ok(())
    } else {
        Err(format!("{} {words} {}", run.ended, run.stderr))
    }
}

/// An expected failure that passes is found; so is a failure that nobody expected.
fn unmet_expectations_are_found() -> Result<(), String> {
    let folder = folder()?;
    let file = folder.path().join("expect.toml");
    let expect = file.display().to_string();
    put(&file, "[[expect]]\ncase = 'stream/exact'\nverdict = 'FAILED'\nreason = 'a guess'\n")?;
    let exe = exe()?;
    let mutant =
        |name: &'static str| ["--", exe.as_str(), "--mutant", name, "--listen", "tcp://127.0.0.1:{port}"];
    let start = ["--listen", "tcp://127.0.0.1:0", "--quick", "--expect", &expect];
    let with = |case: &'static str, name: &'static str| {
        let mut args = start.to_vec();
        args.extend(["--case", case]);
        args.extend(mutant(name));
        args
    };
    exits(&with("stream/exact", "sound"), 1, "NOT as expected")?;
    exits(&with("sigpipe/fin", "sigpipe-dies"), 1, "again:")?;
    put(&file, "[[expect]]\ncase = 'no/such'\nverdict = 'FAILED'\nreason = 'x'\n")?;
    exits(&with("stream/exact", "sound"), 2, "no case")
}

/// What is wrong in a file, and files that cannot be, are said before anything is run.
fn wrong_files_are_wrong_use() -> Result<(), String> {
    let folder = folder()?;
    let file = folder.path().join("s.toml");
    let path = file.display().to_string();
    put(&file, "[[subject]]\nname = 'x'\nmodel = 'nonesuch'\n")?;
    exits(&["--subjects", &path], 2, "unknown model")?;
    put(&file, "[[subject]]\nname = 'x'\nmodel = 'epoll'\n")?;
    exits(&["--subjects", &path, "--subject", "y"], 2, "no subject `y`")?;
    exits(&["--subjects", &path, "--junit", "/no/such/folder/j.xml"], 2, "a folder that exists")?;
    exits(&["--subjects", &path, "--json", "-", "--tap", "-"], 2, "standard output")?;
    exits(&["--subjects", "/no/such/file.toml"], 2, "cannot read")?;
    exits(&["tcp://127.0.0.1:1", "--needs", "command", "--dry-run", "--case", "5.1"], 0, "sigpipe/fin")
}

/// A program that is not installed makes its subject unfit, aloud, and the others are judged all the same.
fn missing_programs_are_unfit() -> Result<(), String> {
    let folder = folder()?;
    let file = folder.path().join("s.toml");
    let missing = "[[subject]]\nname = 'm'\ncommand = ['no-such-program']\nlisten = 'tcp://127.0.0.1:0'\n";
    put(&file, &(missing.to_owned() + &subject("sound", "sound")?))?;
    exits(&["--subjects", &file.display().to_string(), "--quick"], 3, "m: not judged: `no-such-program`")
}

/// Results on standard output are the results alone.
fn json_to_stdout() -> Result<(), String> {
    let exe = exe()?;
    let args =
        ["--listen", "tcp://127.0.0.1:0", "--quick", "--case", "stream/exact", "--json", "-", "--", &exe];
    let mut args = args.to_vec();
    args.extend(["--mutant", "sound", "--listen", "tcp://127.0.0.1:{port}"]);
    let run = conform(&args)?;
    let read: Result<Conformance, _> = serde_json::from_slice(&run.stdout);
    read.map(drop).map_err(|e| format!("{e}: {}", String::from_utf8_lossy(&run.stdout)))
}

/// The file of subjects that is shipped: each can be planned, and each expectation is of a case that exists.
fn the_example_can_be_planned() -> Result<(), String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/subjects.toml");
    let run = conform(&["--subjects", file, "--dry-run"])?;
    let words = String::from_utf8_lossy(&run.stdout);
    let named = text(Path::new(file))?.lines().filter(|line| line.starts_with("name = ")).count();
    let planned = words.lines().filter(|line| !line.starts_with(' ')).count();
    if run.ended.success() && planned == named && named >= 20 {
        return Ok(());
    }
    Err(format!("{}: {planned} of {named} planned: {words} {}", run.ended, run.stderr))
}

/// Each of two subjects that insist on one port is in a network namespace of its own, and the second finds nothing of the first there.
fn each_subject_has_a_namespace() -> Result<(), String> {
    let folder = folder()?;
    let at = |name: &str| folder.path().join(name);
    let one = |name: &str| -> Result<String, String> {
        let seen = at("seen");
        // Connections that the server closes first are left in TIME_WAIT, by the port of the server.
        let script = format!(
            "echo {name} $(readlink /proc/self/ns/net) $(grep -c :1B58 /proc/self/net/tcp) >> {}; \
             exec {} --mutant sound --listen tcp://127.0.0.1:7000",
            seen.display(),
            exe()?
        );
        Ok(format!(
            "[[subject]]\nname = '{name}'\ncommand = ['/bin/sh', '-c', '{script}']\n\
             listen = 'tcp://127.0.0.1:7000'\ncases = ['stream/exact', 'stop/port-free']\n"
        ))
    };
    put(&at("subjects.toml"), &(one("first")? + &one("second")?))?;
    let file = at("subjects.toml").display().to_string();
    let run = conform(&["--subjects", &file, "--quick", "--netns", "--lanes", "1"])?;
    let words = format!("{}{}", String::from_utf8_lossy(&run.stdout), run.stderr);
    match run.ended.status {
        Some(0) => {}
        Some(3) if words.contains("no network namespace can be made") => {
            eprintln!("SKIPPED: outputs::each_subject_has_a_namespace: {}", words.trim());
            return Ok(());
        }
        _ => return Err(format!("{}: {words}", run.ended)),
    }
    let seen = text(&at("seen"))?;
    let of = |name: &str| seen.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let (first, second) = (of("first "), of("second "));
    let place = |line: &Option<String>| line.as_ref().and_then(|l| l.split(' ').next().map(str::to_owned));
    if place(&first) == place(&second) || !second.as_ref().is_some_and(|line| line.ends_with(" 0")) {
        return Err(format!("not two namespaces, or not empty ones: {seen}"));
    }
    Ok(())
}

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("outputs::expected_failures_are_none", expected_failures_are_none),
        Test::new("outputs::unmet_expectations_are_found", unmet_expectations_are_found),
        Test::new("outputs::the_example_can_be_planned", the_example_can_be_planned),
        Test::new("outputs::wrong_files_are_wrong_use", wrong_files_are_wrong_use),
        Test::new("outputs::missing_programs_are_unfit", missing_programs_are_unfit),
        Test::new("outputs::json_to_stdout", json_to_stdout),
        Test::new("outputs::each_subject_has_a_namespace", each_subject_has_a_namespace),
    ]
}
