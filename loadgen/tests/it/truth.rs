//! Servers that fail in every way: each is named for what it is, and the command ends, with the exit code that says so. Not here: the
//! sums (`accounting`), servers that misbehave inside this process (`engine`).

use crate::peer::Peer;
use crate::program::{echo_server, watched};
use crate::{check_accounting, cli, errors};
use record::Load;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

fn result(output: &Output) -> Load {
    let load = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", cli::stderr(output)));
    check_accounting(&load);
    load
}

#[test]
fn a_server_that_is_killed_resets_and_refuses() {
    let (server, port) = echo_server(0);
    let url = format!("tcp://127.0.0.1:{port}");
    let args = ["-c", "4", "-d", "1s", "--timeout", "200ms", &url];
    let output = watched(&args, |_| drop(server));
    let load = result(&output);
    assert!(errors(&load, "connect", "ECONNREFUSED") > 0, "{:?}", load.errors);
    // Its kernel closes its sockets: with a request unread that is an RST, else a FIN.
    let ends = ["ECONNRESET", "eof-before-reply"].map(|cause| errors(&load, "receive", cause));
    assert!(ends.iter().sum::<u64>() > 0, "{:?}", load.errors);
    let after = load.after.unwrap();
    assert_eq!((after.accepts, after.cause.as_deref()), (false, Some("ECONNREFUSED")));
    assert_eq!(output.status.code(), Some(1), "{}", cli::stderr(&output));
}

#[test]
fn a_server_that_is_restarted_is_found_again() {
    let (server, port) = echo_server(0);
    let url = format!("tcp://127.0.0.1:{port}");
    let mut second = None;
    let args = ["-c", "4", "-d", "3s", "--fail-on", "recovery", &url];
    let output = watched(&args, |_| {
        drop(server);
        second = Some(echo_server(port));
    });
    let load = result(&output);
    assert!(load.requests.failed > 0, "{:?}", load.errors);
    assert!(load.intervals.last().unwrap().completed > 0, "{:?}", load.intervals);
    assert!(load.after.unwrap().answers);
    assert_eq!(output.status.code(), Some(0), "{}", cli::stderr(&output));
}

#[test]
fn a_server_that_is_frozen_takes_connections_and_answers_none() {
    let (server, port) = echo_server(0);
    let url = format!("tcp://127.0.0.1:{port}");
    let args = ["-c", "4", "-d", "700ms", "--timeout", "200ms", &url];
    let output = watched(&args, |_| server.signal(sys::process::SIGSTOP));
    let load = result(&output);
    assert_eq!((errors(&load, "timeout", "no-reply"), load.requests.unanswered), (4, 4), "{:?}", load.errors);
    assert_eq!(load.unanswered_age_ns.count, 4);
    let after = load.after.unwrap();
    assert_eq!((after.accepts, after.answers, after.cause.as_deref()), (true, false, Some("no-reply")));
    assert_eq!(output.status.code(), Some(1), "{}", cli::stderr(&output));
}

#[test]
fn a_server_out_of_descriptors_leaves_the_others_waiting() {
    let (server, port) = echo_server(0);
    let id = server.0.id();
    let open = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count() as u64;
    sys::process::limit_descriptors(id as i32, open + 2).unwrap();
    let url = format!("tcp://127.0.0.1:{port}");
    let args = ["-c", "6", "-d", "700ms", "--timeout", "200ms", &url];
    let output = watched(&args, |_| {});
    let load = result(&output);
    // How many it could take depends on which numbers were free.
    let waiting = errors(&load, "timeout", "no-reply");
    assert!((1..6).contains(&waiting) && load.requests.failed == 0, "{:?}", load.errors);
    assert_eq!(load.requests.unanswered, waiting);
    assert!(load.requests.completed > 0);
    assert_eq!(output.status.code(), Some(1), "{}", cli::stderr(&output));
}

#[test]
fn a_generator_out_of_descriptors_blames_itself() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let args = ["-c", "4", "-d", "500ms", "--requests-per-connection", "1", &url];
    let output = watched(&args, |id| {
        sys::process::limit_descriptors(id, 3).unwrap();
    });
    let load = result(&output);
    assert!(errors(&load, "connect", "EMFILE") > 0, "{:?}", load.errors);
    assert!(load.verdict.reasons.iter().any(|why| why.contains("own machine")), "{:?}", load.verdict);
    assert_eq!(output.status.code(), Some(3), "{}", cli::stderr(&output));
}

/// Echoes on every other connection, and resets the rest at their first byte.
fn half_resetting() -> Peer {
    let turn = AtomicU64::new(0);
    Peer::start(move |mut stream| {
        if turn.fetch_add(1, SeqCst).is_multiple_of(2) {
            return io::copy(&mut stream.try_clone()?, &mut stream).map(|_| ());
        }
        stream.read_exact(&mut [0])?;
        sys::socket::reset_on_close(stream.as_fd())
    })
}

/// Answers the first request of a connection, and is silent after that.
fn falling_silent() -> Peer {
    Peer::start(|mut stream| {
        let mut buffer = [0; 64];
        stream.read_exact(&mut buffer)?;
        stream.write_all(&buffer)?;
        io::copy(&mut stream, &mut io::sink()).map(|_| ())
    })
}

#[test]
fn each_fault_has_its_name_and_its_exit_code() {
    // What the server does; the cell of the matrix and its count, where that is known; the exit code.
    let table = [
        ("resets half of all", half_resetting(), "receive", "ECONNRESET", Some(100), 1),
        (
            "wrong bytes",
            Peer::replying(|b| b.iter().map(|b| b ^ 1).collect()),
            "content",
            "wrong-content",
            Some(200),
            3,
        ),
        ("answers twice", Peer::replying(|b| b.repeat(2)), "content", "extra-bytes", None, 1),
        ("half an answer", Peer::closing_early(), "receive", "eof-mid-reply", Some(200), 3),
        ("resets all", Peer::resetting(), "receive", "ECONNRESET", Some(200), 3),
    ];
    for (what, peer, phase, cause, count, exit) in table {
        let url = format!("tcp://{}", peer.address);
        let args = ["-c", "4", "-n", "200", "--requests-per-connection", "1", &url];
        let output = watched(&args, |_| {});
        let load = result(&output);
        let met = errors(&load, phase, cause);
        assert!(count.map_or(met > 0, |count| met == count), "{what}: {:?}", load.errors);
        assert_eq!(load.errors.len(), 1, "{what}: {:?}", load.errors);
        let said = cli::stderr(&output);
        assert_eq!(output.status.code(), Some(exit), "{what}: {said}");
        // What comes is no answer that will do, which is not silence.
        let wrong = load.after.as_ref().is_some_and(|after| after.cause.as_deref() == Some("wrong-content"));
        assert_eq!(wrong, what == "wrong bytes");
        assert_eq!(said.contains("does not answer as it should (wrong-content)"), wrong, "{said}");
    }
}

#[test]
fn silence_from_the_start_and_from_later_on_ends_with_the_time_out() {
    for (peer, completed, exit) in [(Peer::silent(), 0, 3), (falling_silent(), 4, 1)] {
        let url = format!("tcp://{}", peer.address);
        let args = ["-c", "4", "-d", "1100ms", "--timeout", "200ms", &url];
        let output = watched(&args, |_| {});
        let load = result(&output);
        assert_eq!((load.requests.completed, errors(&load, "timeout", "no-reply")), (completed, 4));
        let said = cli::stderr(&output);
        assert_eq!(output.status.code(), Some(exit), "{said}");
        // The window is long enough: it is the replies that are missing.
        assert!(said.contains("stretches of the window do not tell"), "{said}");
    }
}

#[test]
fn the_matrix_has_a_row_for_each_phase_and_a_column_for_each_cause() {
    let turn = AtomicU64::new(0);
    let peer = Peer::start(move |mut stream| {
        let mut buffer = [0; 64];
        stream.read_exact(&mut buffer)?;
        match turn.fetch_add(1, SeqCst) % 3 {
            0 => stream.write_all(&buffer[1..]),
            1 => sys::socket::reset_on_close(stream.as_fd()),
            _ => Ok(()),
        }
    });
    let url = format!("tcp://{}", peer.address);
    let output = cli::output(&["-c", "1", "-n", "9", "--requests-per-connection", "1", &url]);
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let causes = row("errors");
    let cell = |phase: &str, cause: &str| row(phase)[causes.iter().position(|c| c == cause).unwrap()].clone();
    assert_eq!(causes.len(), 3, "{text}");
    assert_eq!(cell("receive", "ECONNRESET"), "3", "{text}");
    assert_eq!(cell("receive", "eof-before-reply"), "3", "{text}");
    assert_eq!(cell("content", "wrong-content"), "3", "{text}");
    assert_eq!(cell("content", "ECONNRESET"), "-", "{text}");
}

crate::also_over_uring!(
    a_server_that_is_killed_resets_and_refuses,
    a_server_that_is_frozen_takes_connections_and_answers_none,
    a_generator_out_of_descriptors_blames_itself,
    each_fault_has_its_name_and_its_exit_code,
);
