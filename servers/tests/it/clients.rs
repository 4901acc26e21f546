//! Other people's clients against every model: curl, socat and Python's socket module. Not here: our own clients.
//!
//! A program that the machine does not have is said aloud, and its tests show nothing.

use crate::each_model;
use crate::fixture::{Server, Subject, aloud, each_on, payload};
use service::greeting::GREETING;
use service::http::HELLO;
use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use sys::spawn::can_be_found;
use sys::{Address, Family};

/// Clients at a time, where they wait most of the time.
const TOGETHER: usize = 16;

/// Runs a program with `input`; `None`, said aloud, where the machine does not have it. It ends by itself, see its arguments.
fn run(program: &str, args: &[&str], input: &[u8]) -> Option<Output> {
    if !can_be_found(OsStr::new(program)) {
        aloud(&format!("SKIPPED: {program}: this machine does not have it"));
        return None;
    }
    #[expect(clippy::disallowed_methods, reason = "the harness owns processes; this crate is below it")]
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    Some(child.wait_with_output().unwrap())
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Where the server is, as a program is told: HOST:PORT or a path.
fn place(server: &Server) -> String {
    match &server.url.address {
        Address::Ip(ip) => ip.to_string(),
        Address::Path(path) => path.clone(),
    }
}

fn curl_asks_several_times_on_one_connection(on: Subject) {
    let server = Server::start(on, "http");
    let at = place(&server);
    let (host, place) = match on.family {
        Family::Unix => ("localhost", vec!["--unix-socket", &at]),
        _ => (at.as_str(), vec![]),
    };
    let (root, bytes) = (format!("http://{host}/"), format!("http://{host}/bytes/100000"));
    // Of each transfer: its status, and how many connections were made for it.
    let mut common =
        vec!["-sS", "--max-time", "10", "--noproxy", "*", "-w", "%{stderr}%{http_code} %{num_connects}\n"];
    common.extend(place);
    let args = [&common[..], &[&root, &bytes, &root, "--next"], &common, &["--data", "a=b", &root]].concat();
    let Some(output) = run("curl", &args, b"") else { return };
    assert_eq!(complaint(&output), "200 1\n200 0\n200 0\n200 0\n");
    let long = payload(200_000).split_off(100_000);
    assert!(output.stdout == [HELLO, &long, HELLO, HELLO].concat(), "{} bytes", output.stdout.len());
}

fn socat_gets_back_what_it_sends(on: Subject) {
    let server = Server::start(on, "echo");
    let kind = if on.family == Family::Unix { "UNIX-CONNECT" } else { "TCP" };
    let text = payload(30_000);
    // The end of its input it passes on, and ends itself with the server's close.
    let to = format!("{kind}:{}", place(&server));
    let Some(output) = run("socat", &["-t", "10", "-T", "10", "-", &to], &text) else { return };
    assert!(output.stdout == text, "{} bytes; {}", output.stdout.len(), complaint(&output));
}

each_model!(curl_asks_several_times_on_one_connection, socat_gets_back_what_it_sends,);

/// A server of every model that serves the family.
fn all(family: Family, service: &str) -> Vec<(Subject, Server)> {
    let servers = RefCell::new(Vec::new());
    each_on(family, |on| servers.borrow_mut().push((on, Server::start(on, service))));
    servers.into_inner()
}

#[test]
fn socat_is_answered_in_datagrams() {
    let ask = |on: Subject, server: &Server| {
        let folder = tempfile::tempdir().unwrap();
        let to = match on.family {
            Family::Udp => format!("UDP:{}", place(server)),
            // Without a name of its own there would be nowhere to answer to.
            _ => format!("UNIX-SENDTO:{},bind={}", place(server), folder.path().join("c").display()),
        };
        // After its input has ended it reads on for as long as -t says.
        let Some(output) = run("socat", &["-t", "1", "-T", "10", "-", &to], b"over socat") else { return };
        assert_eq!(output.stdout, b"over socat", "{on:?}: {}", complaint(&output));
    };
    for family in [Family::Udp, Family::Unixgram] {
        for some in all(family, "echo").chunks(TOGETHER) {
            std::thread::scope(|scope| {
                some.iter().for_each(|(on, server)| drop(scope.spawn(|| ask(*on, server))));
            });
        }
    }
}

/// What Python does at each place that it is told; it says nothing where all is well.
const PYTHON: &str = r#"
import os, socket, sys

def stream(family, at):
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(10)
    client.connect(at)
    with client, client.makefile("rb") as words:
        assert words.read() == sys.argv[2].encode()

def datagrams(family, at):
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        if family == socket.AF_UNIX:
            client.bind(b"")
        client.settimeout(10)
        for size in (0, 1, 1472, 65507):
            message = os.urandom(size)
            client.sendto(message, at)
            answer, sender = client.recvfrom(70000)
            assert answer == message and sender == at, (size, len(answer), sender)

def ip(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)

for at in sys.argv[3:]:
    try:
        if sys.argv[1] == "tcp": stream(socket.AF_INET, ip(at))
        if sys.argv[1] == "unix": stream(socket.AF_UNIX, at)
        if sys.argv[1] == "udp": datagrams(socket.AF_INET, ip(at))
        if sys.argv[1] == "unixgram": datagrams(socket.AF_UNIX, at)
    except Exception as error:
        print(at, repr(error))
"#;

/// One run of Python for all models: to start it takes longer than to serve it.
#[test]
fn pythons_socket_module_is_greeted_and_answered() {
    for family in Family::ALL {
        let service = if matches!(family, Family::Tcp | Family::Unix) { "greeting" } else { "echo" };
        let servers = all(family, service);
        let places: Vec<String> = servers.iter().map(|(_, server)| place(server)).collect();
        let mut args = vec!["-c", PYTHON, family.name(), str::from_utf8(GREETING).unwrap()];
        args.extend(places.iter().map(String::as_str));
        let Some(output) = run("python3", &args, b"") else { return };
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &complaint(&output);
        let at_fault = servers.iter().filter(|(_, server)| said.contains(&place(server)));
        let models: Vec<_> = at_fault.map(|(on, _)| on.model).collect();
        assert!(output.status.success() && said.is_empty(), "{models:?} on {family}: {said}");
    }
}
