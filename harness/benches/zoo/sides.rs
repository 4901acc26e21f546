//! Starting either side of a row, and what has to be made for that: compiled C programs, a reply in a file, nginx's configuration.
//! Not here: what is compared.

use crate::rows::{Load, Row, Side};
use crate::support::{self, twins};
use harness::spawn::{Child, ForeignCommand, ServerCommand, Tool, ToolCommand};
use service::Kind;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Names where liburing's `examples/echo-server` is.
const LIBURING: &str = "SM_LIBURING_ECHO";

/// Least workers of a pool.
const POOL: u32 = 16;

/// What the sides need beside themselves.
pub(crate) struct Workshop {
    folder: tempfile::TempDir,
    /// The C programs are there, or why not.
    compiled: Result<(), String>,
    nginx: Option<PathBuf>,
    liburing: Option<PathBuf>,
}

impl Workshop {
    /// Makes what `rows` need.
    pub(crate) fn open(rows: &[Row]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut programs: Vec<&str> = rows
            .iter()
            .filter_map(|row| match row.other {
                Side::C(program, _) => Some(program),
                _ => None,
            })
            .collect();
        programs.dedup();
        let compiled = programs.iter().try_for_each(|program| compile(program, folder.path()));
        for size in rows.iter().map(|row| row.load.size) {
            std::fs::write(folder.path().join(size.to_string()), twins::reply(size))
                .expect("the reply's file");
        }
        let nginx = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"].map(PathBuf::from);
        Self {
            folder,
            compiled,
            nginx: nginx.into_iter().find(|path| path.exists()),
            liburing: std::env::var_os(LIBURING).map(PathBuf::from),
        }
    }

    /// Why `row` cannot be measured here, if so.
    pub(crate) fn misses(&self, row: &Row) -> Option<String> {
        if let Side::Model(name) = row.ours
            && let Some(reason) = servers::unsupported(name)
        {
            return Some(reason);
        }
        match row.other {
            Side::C(..) => self.compiled.as_ref().err().cloned(),
            Side::Nginx if self.nginx.is_none() => Some("nginx is not installed".to_owned()),
            Side::Liburing if self.liburing.is_none() => {
                Some(format!("set {LIBURING} to the path of liburing's examples/echo-server"))
            }
            _ => None,
        }
    }

    /// Starts a server of `side` that serves `load`, on the processors of servers.
    pub(crate) fn start(&self, side: Side, load: &Load) -> Result<Child, String> {
        let service = load.kind.name();
        let size = load.size.to_string();
        let workers = POOL.max(load.connections).to_string();
        match side {
            Side::Model(name) => {
                let mut args = vec!["serve", name, "--service", service];
                let pool = servers::model(name).is_some_and(|entry| entry.model.capacity.workers().is_some());
                args.extend(["--workers", if pool { &workers } else { "1" }]);
                support::start(ServerCommand::new(env!("CARGO_BIN_EXE_harness"), args))
            }
            Side::Twin(name) => {
                let exe = std::env::current_exe().expect("the bench's own path");
                support::start(ServerCommand::new(exe, [twins::SERVE, name, service, &size]))
            }
            Side::C(program, mode) => {
                let mut args: Vec<OsString> = vec![service.into(), self.folder.path().join(&size).into()];
                args.extend(mode.into_iter().flat_map(|mode| [mode.into(), workers.clone().into()]));
                support::start(ServerCommand::new(self.folder.path().join(program), args))
            }
            Side::Nginx => self.foreign(load, |port| {
                let file = self.folder.path().join("nginx.conf");
                std::fs::write(&file, configuration(port, self.folder.path()))
                    .expect("nginx's configuration");
                let nginx = self.nginx.clone().unwrap_or_default();
                let own = ["-e", "stderr", "-p"].map(OsString::from);
                [[nginx.into()].as_slice(), &own, &[self.folder.path().into(), "-c".into(), file.into()]]
                    .concat()
            }),
            Side::Liburing => self.foreign(load, |port| {
                vec![self.liburing.clone().unwrap_or_default().into(), port.to_string().into()]
            }),
        }
        .map_err(|error| error.to_string())
    }

    /// A server that must be told its port. The kernel chooses a free one; should somebody take it meanwhile, the round is lost.
    fn foreign(&self, load: &Load, argv: impl Fn(u16) -> Vec<OsString>) -> harness::spawn::Result<Child> {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let scheme = if load.kind == Kind::Http { "http" } else { "tcp" };
        let cpus = support::split();
        sys::affinity::pin_self(&cpus.load).expect("the load's processors");
        Child::foreign(&ForeignCommand {
            guard: env!("CARGO_BIN_EXE_harness").into(),
            argv: argv(port),
            url: format!("{scheme}://127.0.0.1:{port}").parse().expect("a URL"),
            begin: sys::spawn::Begin { cpus: cpus.server.clone(), ..sys::spawn::Begin::default() },
            ready_within: Duration::from_secs(10),
            second: false,
        })
    }
}

fn compile(program: &str, folder: &Path) -> Result<(), String> {
    let source = format!("{}/benches/zoo/controls/{program}.c", env!("CARGO_MANIFEST_DIR"));
    let args = ["-O2".into(), "-o".into(), folder.join(program).into_os_string(), source.into()];
    let run = Tool::run(&ToolCommand::new("cc", args), Duration::from_secs(60)).map_err(|e| e.to_string())?;
    if run.ended.success() { Ok(()) } else { Err(format!("cc cannot make {program}: {}", run.stderr)) }
}

/// One worker that answers a fixed string, as short as that of `http`, and writes no log.
fn configuration(port: u16, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; default_type text/plain; keepalive_requests 1000000000; server_tokens off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 \"Hello, World!\"; }} }}
}}
"
    )
}
