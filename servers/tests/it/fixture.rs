//! A server process for a test: on a port of the kernel's choice or a path of its own, killed when dropped. Not here: what is tested.

use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use sys::spawn::Begin;
use sys::{Address, Family, Url};

/// No wait in a test is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A connection of either family.
pub(crate) type Stream = Socket;

/// What a test is run on: a model on a family. A bare name is the model on TCP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) model: &'static str,
    pub(crate) family: Family,
}

impl From<&'static str> for Subject {
    fn from(model: &'static str) -> Self {
        Self { model, family: Family::Tcp }
    }
}

/// Runs a test on a model that serves the family; where the model does not run on this machine, says so and why.
pub(crate) fn run_on(model: &'static str, family: Family, test: fn(Subject)) {
    assert!(servers::model(model).unwrap().model.serves(family), "{model} does not serve {family}");
    match servers::unsupported(model) {
        None => test(Subject { model, family }),
        Some(reason) => aloud(&format!("SKIPPED: {model}: {reason}")),
    }
}

/// Runs a test on each model that serves the family and runs here.
pub(crate) fn each_on(family: Family, test: impl Fn(Subject)) {
    for model in servers::MODELS.iter().map(|entry| entry.model) {
        match servers::unsupported(model.name) {
            _ if !model.serves(family) => {}
            None => test(Subject { model: model.name, family }),
            Some(reason) => aloud(&format!("SKIPPED: {}: {reason}", model.name)),
        }
    }
}

/// Whether `[::1]` can be had.
pub(crate) fn has_ipv6() -> bool {
    std::net::UdpSocket::bind("[::1]:0").is_ok()
}

pub(crate) struct Server {
    child: Child,
    pub(crate) url: Url,
    _stdout: Option<BufReader<ChildStdout>>,
    /// Where its path is.
    _folder: Option<tempfile::TempDir>,
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
    pub(crate) fn start(on: impl Into<Subject>, service: &str) -> Self {
        Self::with(on, service, &[], &Begin::default())
    }

    pub(crate) fn with(on: impl Into<Subject>, service: &str, more: &[&str], begin: &Begin) -> Self {
        let Subject { model, family } = on.into();
        let folder = matches!(family, Family::Unix | Family::Unixgram).then(|| tempfile::tempdir().unwrap());
        let url = folder.as_ref().map_or(format!("{family}://127.0.0.1:0"), |folder| {
            format!("{family}:{}", folder.path().join("s").display())
        });
        let mut server = Self::at(model, service, &url, more, begin);
        server._folder = folder;
        server
    }

    pub(crate) fn at(model: &str, service: &str, url: &str, more: &[&str], begin: &Begin) -> Self {
        let mut args = vec![model, "--listen", url, "--service", service];
        args.extend_from_slice(more);
        let mut command = command(&args);
        command.stderr(Stdio::inherit());
        Self::spawn(command, begin)
    }

    fn spawn(mut command: Command, begin: &Begin) -> Self {
        sys::spawn::prepare(&mut command, begin);
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}"));
        Self { child, url: url.parse().unwrap(), _stdout: Some(stdout), _folder: None }
    }

    /// As [`start`](Self::start), and what it says on standard error is kept for [`stop_and_read`](Self::stop_and_read).
    pub(crate) fn with_stderr(model: &str, service: &str, more: &[&str]) -> Self {
        Self::with_stderr_at(model, service, "tcp://127.0.0.1:0", more)
    }

    /// As [`with_stderr`](Self::with_stderr), at `url`.
    pub(crate) fn with_stderr_at(model: &str, service: &str, url: &str, more: &[&str]) -> Self {
        let mut args = vec![model, "--listen", url, "--service", service];
        args.extend_from_slice(more);
        Self::spawn(command(&args), &Begin::default())
    }

    /// SIGTERM, then its status and what it said.
    pub(crate) fn stop_and_read(&mut self) -> (ExitStatus, String) {
        let (status, _) = self.stop();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        (status, text)
    }

    /// The state letter and the context switches of each of its threads.
    pub(crate) fn threads(&self) -> Vec<(char, u64)> {
        threads_of(self.pid())
    }

    /// The same of its children's too.
    pub(crate) fn switches(&self) -> Vec<(char, u64)> {
        std::iter::once(self.pid()).chain(self.child_pids()).flat_map(threads_of).collect()
    }

    /// True when each of its threads and children waits.
    pub(crate) fn all_asleep(&self) -> bool {
        self.threads().iter().all(|(state, _)| *state == 'S')
            && self.children().iter().all(|state| *state == 'S')
    }

    pub(crate) fn close_stdout(&mut self) {
        self._stdout = None;
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub(crate) fn connect(&self) -> Stream {
        connect(&self.url.address).unwrap()
    }

    pub(crate) fn signal(&self, signal: i32) {
        sys::process::kill(self.pid(), signal).unwrap();
    }

    /// As [`signal`](Self::signal), and the same to its children.
    pub(crate) fn signal_all(&self, signal: i32) {
        self.signal(signal);
        for pid in self.child_pids() {
            // One that has just ended takes no notice.
            let _ = sys::process::kill(pid, signal);
        }
    }

    /// SIGKILL; returns when the workers that it had at rest are gone too.
    pub(crate) fn kill(&mut self) {
        let workers = self.child_pids();
        self.signal(sys::process::SIGKILL);
        self.ended();
        let gone = |pid: &i32| matches!(state(&format!("/proc/{pid}")), None | Some('Z'));
        eventually("its children are gone", || workers.iter().all(gone).then_some(()));
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

    /// Open descriptors of the server and of the workers that it has at rest.
    pub(crate) fn descriptors(&self) -> usize {
        let of = |pid| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        of(self.pid()) + self.child_pids().into_iter().map(of).sum::<usize>()
    }

    pub(crate) fn child_pids(&self) -> Vec<i32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap().flatten();
        let lists =
            tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
        lists
            .flat_map(|l| l.split_ascii_whitespace().map(|w| w.parse().unwrap()).collect::<Vec<_>>())
            .collect()
    }

    /// State letters of the server's children.
    pub(crate) fn children(&self) -> Vec<char> {
        self.child_pids().into_iter().filter_map(|pid| state(&format!("/proc/{pid}"))).collect()
    }

    /// An exchange on a fresh connection of an `echo` server.
    pub(crate) fn canary(&self) {
        let mut stream = self.connect();
        assert_eq!(exchange(&mut stream, b"canary"), b"canary");
    }
}

/// A connection to a server of either family, on which no wait is longer than the deadline.
pub(crate) fn connect(to: &Address) -> std::io::Result<Stream> {
    let (domain, address) = match to {
        Address::Ip(ip) => (Domain::for_address(*ip), SockAddr::from(*ip)),
        Address::Path(path) => (Domain::UNIX, SockAddr::unix(path.replacen('@', "\0", 1)).unwrap()),
    };
    let stream = Socket::new(domain, Type::STREAM, None).unwrap();
    stream.connect(&address)?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    if domain != Domain::UNIX {
        stream.set_tcp_nodelay(true).unwrap();
    }
    Ok(stream)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn threads_of(pid: i32) -> Vec<(char, u64)> {
    let mut threads = Vec::new();
    // One that has just ended has none.
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default()
        };
        let switches = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"]
            .map(|name| field(name).parse().unwrap_or(0_u64));
        threads.push((field("State:").chars().next().unwrap_or('?'), switches.iter().sum()));
    }
    threads
}

/// State letter of a process or thread; `None` when it is gone.
pub(crate) fn state(folder: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("{folder}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Sends and reads as many bytes back.
pub(crate) fn exchange(stream: &mut Stream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    back
}

pub(crate) fn read_to_end(stream: &mut Stream) -> Vec<u8> {
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
