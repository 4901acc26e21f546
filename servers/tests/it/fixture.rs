//! A server process for a test: started on a port of the kernel's choice, killed when dropped. Not here: what is tested.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use sys::spawn::Begin;

/// No wait in a test is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    _stdout: Option<BufReader<ChildStdout>>,
}

pub(crate) fn command(args: &[&str]) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the harness owns processes; this crate is below it")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `server` to its end, for command lines that it must refuse.
pub(crate) fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// As [`run`], begun otherwise.
pub(crate) fn run_with(args: &[&str], begin: &Begin) -> Output {
    let mut command = command(args);
    sys::spawn::prepare(&mut command, begin);
    command.output().unwrap()
}

impl Server {
    pub(crate) fn start(model: &str, service: &str) -> Self {
        Self::with(model, service, &[], &Begin::default())
    }

    pub(crate) fn with(model: &str, service: &str, more: &[&str], begin: &Begin) -> Self {
        Self::at(model, service, "tcp://127.0.0.1:0", more, begin)
    }

    pub(crate) fn at(model: &str, service: &str, url: &str, more: &[&str], begin: &Begin) -> Self {
        let mut args = vec![model, "--listen", url, "--service", service];
        args.extend_from_slice(more);
        let mut command = command(&args);
        command.stderr(Stdio::inherit());
        sys::spawn::prepare(&mut command, begin);
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on tcp://")
            .unwrap_or_else(|| panic!("{line:?}"))
            .parse()
            .unwrap();
        Self { child, address, _stdout: Some(stdout) }
    }

    pub(crate) fn close_stdout(&mut self) {
        self._stdout = None;
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    pub(crate) fn signal(&self, signal: i32) {
        sys::process::kill(self.pid(), signal).unwrap();
    }

    pub(crate) fn alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGTERM, then its status and how long it took.
    pub(crate) fn stop(&mut self) -> (ExitStatus, Duration) {
        self.signal(sys::process::SIGTERM);
        self.ended()
    }

    pub(crate) fn ended(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        let status = eventually("the server has ended", || self.child.try_wait().unwrap());
        (status, start.elapsed())
    }

    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// State letters of the server's children.
    pub(crate) fn children(&self) -> Vec<char> {
        let mut states = Vec::new();
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap().flatten() {
            let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in list.split_ascii_whitespace() {
                let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
                states.extend(stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()));
            }
        }
        states
    }

    /// An exchange on a fresh connection of an `echo` server.
    pub(crate) fn canary(&self) {
        let mut stream = self.connect();
        assert_eq!(exchange(&mut stream, b"canary"), b"canary");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends and reads as many bytes back.
pub(crate) fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    back
}

pub(crate) fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

/// Looks again until there is something, within the deadline: for what another process does and does not announce.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        sys::clock::pause(Duration::from_millis(2));
    }
}

/// Bytes in which no two stretches are alike.
pub(crate) fn payload(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| service::pattern::piece(i, 1)[0]).collect()
}

/// Says something past the test harness, which keeps what a passing test prints to itself.
pub(crate) fn aloud(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
