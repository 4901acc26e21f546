//! Command lines that must be refused: one line, the right exit code. Not here: servers that run.

use crate::fixture::{Server, Subject, run};
use sys::Family;

#[test]
fn what_is_wrong_is_said_in_one_line_with_the_right_code() {
    let busy = Server::start("epoll", "echo");
    let taken = busy.url.to_string();
    let sharing = Server::start("prefork-reuseport", "echo");
    let shared = sharing.url.to_string();
    let path = Server::start(Subject { model: "epoll", family: Family::Unix }, "echo");
    let taken_path = path.url.to_string();
    let udp = Server::start(Subject { model: "epoll", family: Family::Udp }, "echo");
    let taken_udp = udp.url.to_string();
    let long = format!("unix:/{}", "x".repeat(107));
    for (args, code, says) in [
        (vec!["nonesuch"], 2, "unknown model `nonesuch`; the models are iterative"),
        (vec!["epoll", "--listen", "127.0.0.1:0"], 2, "unknown scheme"),
        (vec!["epoll", "--listen", "tcp://127.0.0.1"], 2, "no port"),
        (vec!["epoll", "--listen", "http://127.0.0.1:0/x"], 2, "no path"),
        (
            vec!["prefork-fdpass", "--listen", "unixgram:/tmp/x"],
            2,
            "does not serve unixgram: what it hands over",
        ),
        (vec!["epoll-reuseport", "--listen", "unixgram:/tmp/x"], 2, "SO_REUSEPORT is refused"),
        (vec!["dgram-batched", "--listen", "tcp://127.0.0.1:0"], 2, "does not serve tcp"),
        (vec!["epoll", "--listen", "udp://127.0.0.1:0", "--service", "http"], 2, "http needs a stream"),
        (vec!["epoll", "--listen", &taken_udp], 3, "another server has the port"),
        (vec!["epoll", "--listen", &long], 2, "the path has 108 bytes, the kernel takes 107"),
        (vec!["epoll", "--listen", &taken_path], 3, "another server has the path"),
        (vec!["epoll", "--listen", "unix:/nonexistent/s"], 3, "its folder does not exist"),
        (vec!["epoll", "--listen", "unix:/etc/passwd"], 3, "the path is no socket and was left as it is"),
        (vec!["epoll", "--listen", &taken], 3, "another server has the port"),
        (vec!["prefork-reuseport", "--listen", &shared], 3, "another server has the port"),
        (vec!["prefork-fdpass", "--hand-off", "best"], 2, "first-free"),
        (vec!["epoll", "--listen", "tcp://192.0.2.1:0"], 3, "does not have the address"),
        (vec!["epoll", "--v6-only"], 2, "is no IPv6 address: leave --v6-only out"),
        (vec!["epoll", "--v6-only", "--listen", "unix:/tmp/x"], 2, "is no IPv6 address"),
        (vec!["epoll", "--service", "ecco"], 2, "unknown service `ecco`"),
        (vec!["epoll", "--work", "spin"], 2, "handler work is"),
        (vec!["epoll", "--workers", "0"], 2, "workers"),
        (vec!["epoll", "--grace", "-1"], 2, ""),
        (vec!["epoll", "--nonesuch"], 2, "--nonesuch"),
        (vec![], 2, "MODEL"),
    ] {
        let output = run(&args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(says) && !text.contains("panicked"), "{args:?}: {text}");
        assert!(output.stdout.is_empty());
        if text.starts_with("server: ") {
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }
}

#[test]
fn help_lists_the_models_and_is_fine() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("iterative"));
}
