//! What is shown while a run goes: nothing to a pipe, lines where asked for, a view on a terminal that is given back.

use crate::cli::{output, stderr};
use crate::peer::Peer;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;

#[test]
fn a_pipe_gets_lines_only_where_it_asks() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    for quiet in [&["-q"][..], &[]] {
        let text = stderr(&output(&[&["-R", "100", "-d", "300ms", &url], quiet].concat()));
        // That the machine spoiled the run is no view.
        assert!(text.lines().all(|line| line.starts_with("loadgen: ")), "{text}");
    }
    let asked = output(&["-R", "200", "-d", "450ms", "--progress=100ms", &url]);
    let text = stderr(&asked);
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("/s  p50")).collect();
    assert!((3..=4).contains(&lines.len()) && !text.contains('\x1b'), "{text}");
}

/// Runs `loadgen` on a terminal of its own, by script(1); returns what it wrote there.
fn on_a_terminal(args: &str, colour: bool, meanwhile: impl FnOnce(u32)) -> Option<String> {
    // Without `exec`, some shells stay in between, and a signal for the child reaches them alone.
    let line = format!("exec {} {args}", env!("CARGO_BIN_EXE_loadgen"));
    #[expect(
        clippy::disallowed_methods,
        reason = "script(1) gives a terminal, and ends with the command in it"
    )]
    let mut command = Command::new("script");
    command
        .args(["-qefc", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null());
    command.env("NO_COLOR", if colour { "" } else { "1" });
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(child) = child else {
        crate::skipped("script(1) is not here, and a terminal is needed");
        return None;
    };
    meanwhile(child.id());
    Some(String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned())
}

const HIDE: &str = "\x1b[?25l";
const SHOW: &str = "\x1b[?25h";

#[test]
fn a_terminal_gets_a_view_and_is_given_back() {
    let peer = Peer::echo();
    let args = format!("-R 500 -d 2500ms tcp://{}", peer.address);
    let Some(text) = on_a_terminal(&args, false, |_| {}) else { return };
    assert!(text.contains("p99.9") && text.contains('█') && text.contains("verdict"), "{text:?}");
    assert_eq!((text.matches(HIDE).count(), text.matches(SHOW).count()), (1, 1), "{text:?}");
    assert!(text.find("verdict") > text.rfind(SHOW), "the summary comes when the view is gone");
    assert!(!text.contains("\x1b[1m") && !text.contains("\x1b[31m"), "NO_COLOR: {text:?}");
}

/// Sends SIGINT to what runs under script(1), once it has connected.
fn interrupt(script: u32, peer: &Peer) {
    while peer.accepted.load(SeqCst) < 10 {
        std::thread::yield_now();
    }
    let children = format!("/proc/{script}/task/{script}/children");
    let child = std::fs::read_to_string(children).unwrap();
    let pid: i32 = child.split_ascii_whitespace().next().unwrap().parse().unwrap();
    sys::process::kill(pid, 2).unwrap();
}

#[test]
fn an_interrupt_gives_the_terminal_back() {
    // Asked for lines: no view, no cursor hidden.
    let peer = Peer::silent();
    let args = format!("-R 50 -d 60s -q --progress tcp://{}", peer.address);
    let Some(text) = on_a_terminal(&args, true, |script| interrupt(script, &peer)) else { return };
    assert!(!text.contains(HIDE) && text.contains("cut short"), "{text:?}");
    let peer = Peer::echo();
    let args = format!("-R 500 -d 60s tcp://{}", peer.address);
    let Some(text) = on_a_terminal(&args, true, |script| interrupt(script, &peer)) else { return };
    assert_eq!(text.matches(HIDE).count(), text.matches(SHOW).count(), "{text:?}");
    assert!(text.contains("cut short"), "{text:?}");
}
