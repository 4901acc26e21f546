//! The servers of the comparisons: nginx with one worker, and the straight loops in C. Not here: the servers of the zoo.

use super::{cpus, skipped};
use harness::spawn::{Child, ForeignCommand, Tool, ToolCommand};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use sys::spawn::Begin;

/// nginx on a port of its own, one process, answering a short text.
pub(crate) struct Nginx {
    pub(crate) port: u16,
    _server: Child,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts it; `None` where it is not installed, which is said aloud.
    pub(crate) fn start() -> Option<Self> {
        if !sys::spawn::can_be_found("nginx".as_ref()) {
            skipped("http: nginx is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        std::fs::write(folder.path().join("nginx.conf"), configuration(folder.path(), port))
            .expect("its file");
        let path = folder.path().display().to_string();
        let argv = ["nginx", "-p", &path, "-c", "nginx.conf", "-e", "stderr"].map(Into::into).to_vec();
        let url = format!("http://127.0.0.1:{port}").parse().expect("a URL");
        let command = ForeignCommand {
            guard: env!("CARGO_BIN_EXE_harness").into(),
            argv,
            url,
            begin: Begin { cpus: cpus().server, ..Begin::default() },
            ready_within: Duration::from_secs(20),
            second: false,
        };
        let server = Child::foreign(&command).expect("nginx starts");
        Some(Self { port, _server: server, _folder: folder })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

/// A configuration that says a text of 13 bytes and writes nothing anywhere but in its folder.
fn configuration(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\naccess_log off;\ndefault_type text/plain;\n{places}\
         keepalive_requests 1000000000;\nkeepalive_timeout 600;\n\
         server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 'hello, world\\n'; }} }}\n}}\n"
    )
}

/// A port that was free a moment ago; nginx must be told one.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

/// The loops in C, compiled once for the run; `None` where there is no compiler, which is said aloud.
pub(crate) fn bare_program() -> Option<PathBuf> {
    static PROGRAM: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        if !sys::spawn::can_be_found("cc".as_ref()) {
            skipped("the bare loops: no C compiler (cc)");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("bare");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/loadgen/bare.c");
        let output = program.display().to_string();
        let run = Tool::run(&ToolCommand::new("cc", ["-O2", "-o", &output, source]), Duration::from_secs(60));
        let run = run.expect("the compiler starts");
        assert!(run.ended.success(), "cc: {}", run.stderr);
        Some((folder, program))
    });
    program.as_ref().map(|(_, program)| program.clone())
}
