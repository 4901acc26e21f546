//! Other people's datagram clients: socat and Python's socket module. Not here: our own (`datagram`).

use crate::fixture::{Server, Subject, aloud};
use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use sys::Family;
use sys::spawn::can_be_found;

const MODELS: [&str; 4] = ["iterative", "epoll", "async", "dgram-batched"];
const FAMILIES: [Family; 2] = [Family::Udp, Family::Unixgram];

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

#[test]
fn socat_is_answered() {
    for (model, family) in MODELS.iter().flat_map(|model| FAMILIES.map(|family| (*model, family))) {
        let server = Server::start(Subject { model, family }, "echo");
        let folder = tempfile::tempdir().unwrap();
        let to = match &server.url.address {
            sys::Address::Ip(ip) => format!("UDP:{ip}"),
            // Without a name of its own there would be nowhere to answer to.
            sys::Address::Path(path) => {
                format!("UNIX-SENDTO:{path},bind={}", folder.path().join("c").display())
            }
        };
        // After its input has ended it reads on for as long as -t says, or the answer is there.
        let Some(output) = run("socat", &["-t", "0.5", "-T", "10", "-", &to], b"over socat") else { return };
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.stdout, b"over socat", "{model} on {family}: {complaint}");
    }
}

const PYTHON: &str = r#"
import os, socket, sys
family, at = sys.argv[1], sys.argv[2]
if family == "udp":
    host, port = at.rsplit(":", 1)
    client, at = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), (host, int(port))
else:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.bind(b"")
client.settimeout(10)
for size in (0, 1, 1472, 65507):
    message = os.urandom(size)
    client.sendto(message, at)
    answer, sender = client.recvfrom(70000)
    assert answer == message and sender == at, (size, len(answer), sender)
print("all answered")
"#;

#[test]
fn pythons_socket_module_is_answered() {
    for (model, family) in MODELS.iter().flat_map(|model| FAMILIES.map(|family| (*model, family))) {
        let server = Server::start(Subject { model, family }, "echo");
        let at = match &server.url.address {
            sys::Address::Ip(ip) => ip.to_string(),
            sys::Address::Path(path) => path.clone(),
        };
        let Some(output) = run("python3", &["-c", PYTHON, family.name(), &at], b"") else { return };
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "all answered\n",
            "{model} on {family}: {complaint}"
        );
    }
}
