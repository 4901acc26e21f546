//! Processes that a test starts: a server of its own that can be killed and frozen, other people's servers, the command with an eye on
//! it. Not here: what they are to do.

use crate::{cli, skipped};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest that a run of these tests may take: all of them end within a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// What tells this binary to be a server, on this port (0: any).
const PORT: &str = "LOADGEN_TEST_SERVER";

/// A process that does not outlive the test.
pub(crate) struct Program(pub(crate) Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    /// Starts somebody else's program, its words to `stderr`; `None`, aloud, where it is not here.
    pub(crate) fn start(name: &str, args: &[&str], stderr: impl Into<Stdio>) -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "ended when dropped")]
        let mut command = Command::new(name);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let started = command.spawn().ok().map(Self);
        if started.is_none() {
            skipped(&format!("{name} is not installed"));
        }
        started
    }

    /// Waits until something listens at `port` of this machine.
    pub(crate) fn wait_for_port(&mut self, port: u16) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = self.0.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "nobody listens at {port}: {ended:?}");
            sys::clock::pause(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, signal: i32) {
        sys::process::kill(self.0.id() as i32, signal).unwrap();
    }
}

/// A port that was free a moment ago: for programs that cannot say which one they got.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An echo server in a process of its own, on `port` or any (0); returns it with its port.
pub(crate) fn echo_server(port: u16) -> (Program, u16) {
    #[expect(clippy::disallowed_methods, reason = "ended when dropped, and by itself when its input ends")]
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "program::the_server_itself", "--ignored", "--nocapture"]);
    command.env(PORT, port.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Program(command.spawn().unwrap());
    let lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let port = lines.map_while(Result::ok).find_map(|l| l.split_once("listening on ")?.1.trim().parse().ok());
    (server, port.unwrap())
}

/// Not a test: what [`echo_server`] starts.
#[test]
#[ignore = "it is the server of other tests"]
fn the_server_itself() {
    let Some(port) = std::env::var(PORT).ok().and_then(|port| port.parse::<u16>().ok()) else { return };
    std::thread::spawn(|| {
        // The test that started it holds the other end, and is gone when it ends.
        let _ = io::stdin().read(&mut [0]);
        sys::process::exit_now(0);
    });
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    println!("listening on {}", listener.local_addr().unwrap().port());
    io::stdout().flush().unwrap();
    loop {
        match listener.accept() {
            Ok((stream, _)) => drop(std::thread::spawn(move || echo(stream))),
            // Out of descriptors: a while later there may be some.
            Err(_) => sys::clock::pause(Duration::from_millis(10)),
        }
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n])?,
        }
    }
}

/// Runs the command, and does `act` with its process id once requests have been answered. It must end, and must not panic.
pub(crate) fn watched(args: &[&str], act: impl FnOnce(i32)) -> Output {
    let args = [&["--json", "-", "--progress=50ms", "--engine", crate::ENGINE.get().name()], args].concat();
    let mut child = cli::command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id() as i32;
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut output = child.stdout.take().unwrap();
    let mut child = Program(child);
    let stdout = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).map(|_| bytes)
    });
    let mut text = String::new();
    lines.read_line(&mut text).unwrap();
    act(id);
    let stderr = std::thread::spawn(move || lines.read_to_string(&mut text).map(|_| text));
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.0.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "{args:?} hangs"),
        }
        sys::clock::pause(Duration::from_millis(10));
    };
    let (stdout, stderr) = (stdout.join().unwrap().unwrap(), stderr.join().unwrap().unwrap());
    assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    Output { status, stdout, stderr: stderr.into_bytes() }
}
