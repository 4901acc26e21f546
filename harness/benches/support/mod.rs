//! What the benches share: real server processes, a client, the servers' processor time. Not here: what is measured.

pub(crate) mod control;

use criterion::Criterion;
use harness::spawn::{Child, ServerCommand};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// The models that serve TCP and run on this machine; says aloud which do not.
pub(crate) fn models() -> impl Iterator<Item = &'static str> {
    let on_tcp = servers::MODELS.iter().filter(|entry| entry.model.serves(sys::Family::Tcp));
    on_tcp.map(|entry| entry.model.name).filter(|name| {
        let reason = servers::unsupported(name);
        if let Some(reason) = &reason {
            let _ = writeln!(std::io::stderr(), "SKIPPED: {name}: {reason}");
        }
        reason.is_none()
    })
}

/// Starts a server of the zoo on the processors of servers.
pub(crate) fn server(model: &str, service: &str) -> Child {
    server_with(model, service, &[])
}

/// As [`server`], with more options.
pub(crate) fn server_with(model: &str, service: &str, more: &[&str]) -> Child {
    let args = [&["serve", model, "--service", service, "--workers", "1"], more].concat();
    start(ServerCommand::new(env!("CARGO_BIN_EXE_harness"), args))
}

/// Starts a control server: this bench itself, told by a variable to be one.
pub(crate) fn control_server() -> Child {
    let exe = std::env::current_exe().expect("the bench's own path");
    start(ServerCommand::new(exe, [control::SERVE]))
}

/// Starts a server on the processors of servers; what is left of this process makes load, on the others.
pub(crate) fn start(mut command: ServerCommand) -> Child {
    let cpus = harness::cpus::Split::of_machine().expect("the processors allowed");
    command.begin.cpus = cpus.server;
    let child = Child::server(&command).expect("the server gets ready");
    sys::affinity::pin_self(&cpus.load).expect("the load's processors");
    child
}

/// A connection to a server.
pub(crate) fn connect(server: &Child) -> TcpStream {
    let stream = TcpStream::connect(address(server)).expect("connect");
    stream.set_nodelay(true).expect("nodelay");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
    stream
}

/// Where a server listens.
pub(crate) fn address(server: &Child) -> std::net::SocketAddr {
    server.url().parse::<sys::Url>().ok().and_then(|url| url.ip()).expect("an IP address")
}

/// One request and its reply of the same length.
pub(crate) fn round_trip(stream: &mut TcpStream, message: &[u8], reply: &mut [u8]) {
    stream.write_all(message).expect("write");
    stream.read_exact(reply).expect("read");
}

/// Criterion with what the command line asks for, and times that keep the whole set short.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args()
}
