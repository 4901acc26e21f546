//! What the benches share: real server processes, a client, the servers' processor time. Not here: what is measured.

pub(crate) mod control;
#[path = "../zoo/twins/mod.rs"]
pub(crate) mod twins;

use criterion::Criterion;
use harness::cpus::Split;
use harness::spawn::{Child, ServerCommand};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::OnceLock;
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
    start(ServerCommand::new(env!("CARGO_BIN_EXE_harness"), args)).expect("the server gets ready")
}

/// Starts a control server: this bench itself, told to be the twin of `epoll`.
pub(crate) fn control_server() -> Child {
    let exe = std::env::current_exe().expect("the bench's own path");
    start(ServerCommand::new(exe, [twins::SERVE, "epoll", "echo", "0"])).expect("the server gets ready")
}

/// Starts a server on the processors of servers; the caller then runs on those of the load.
pub(crate) fn start(mut command: ServerCommand) -> harness::spawn::Result<Child> {
    let cpus = split();
    command.begin.cpus = cpus.server.clone();
    let child = Child::server(&command)?;
    sys::affinity::pin_self(&cpus.load).expect("the load's processors");
    Ok(child)
}

/// Which processors serve and which make the load, as it was when the bench began: it pins itself later.
pub(crate) fn split() -> &'static Split {
    static SPLIT: OnceLock<Split> = OnceLock::new();
    SPLIT.get_or_init(|| Split::of_machine().expect("the processors allowed"))
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
