//! What is compared with what, under which load, and what is to be reached. Not here: how a side is started, what is measured.

use service::Kind;

/// A server to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// A model of the zoo, by its name.
    Model(&'static str),
    /// The straight Rust program of that name (see `twins`).
    Twin(&'static str),
    /// A C program of ours, compiled here: its file, and its mode where it has several.
    C(&'static str, Option<&'static str>),
    /// Debian's nginx, one worker, a fixed string.
    Nginx,
    /// liburing's example `echo-server`, as built by the user.
    Liburing,
}

/// What the clients do; a closed loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Of a message or a reply, in bytes.
    pub(crate) size: u64,
    pub(crate) connections: u32,
    /// One request a connection.
    pub(crate) churn: bool,
}

const fn load(name: &'static str, kind: Kind, size: u64, connections: u32, churn: bool) -> Load {
    Load { name, kind, size, connections, churn }
}

const MIB: u64 = 1024 * 1024;
const ECHO_1: Load = load("echo-64B-c1", Kind::Echo, 64, 1, false);
const ECHO_64: Load = load("echo-64B-c64", Kind::Echo, 64, 64, false);
const ECHO_1000: Load = load("echo-64B-c1000", Kind::Echo, 64, 1000, false);
/// Ten at a time, as UNP has it.
const CHURN: Load = load("greeting-churn-c10", Kind::Greeting, 0, 10, true);
const CHURN_1: Load = load("greeting-churn-c1", Kind::Greeting, 0, 1, true);
const LARGE: Load = load("sized-1MiB-c4", Kind::Sized, MIB, 4, false);
const LARGE_1: Load = load("sized-1MiB-c1", Kind::Sized, MIB, 1, false);
const HTTP_1: Load = load("http-c1", Kind::Http, 0, 1, false);
const HTTP_64: Load = load("http-c64", Kind::Http, 0, 64, false);
const HTTP_1000: Load = load("http-c1000", Kind::Http, 0, 1000, false);
const HTTP_CHURN: Load = load("http-churn-c10", Kind::Http, 0, 10, true);

const SERIAL: &[Load] = &[ECHO_1, CHURN_1, LARGE_1];
const FIVE: &[Load] = &[ECHO_1, ECHO_64, ECHO_1000, CHURN, LARGE];
const ECHO: &[Load] = &[ECHO_1, ECHO_64, ECHO_1000];
const WEB: &[Load] = &[HTTP_1, HTTP_64, HTTP_1000, HTTP_CHURN];

/// One comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) ours: Side,
    pub(crate) other: Side,
    pub(crate) load: Load,
    /// Processor time per request of ours over that of the other, at most.
    pub(crate) target: f64,
}

impl Row {
    /// `model/other/load`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}/{}", self.ours.name(), self.other.name(), self.load.name)
    }
}

impl Side {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Model(name) => name.to_owned(),
            Self::Twin("tokio") => "tokio-example".to_owned(),
            Self::Twin(_) => "twin".to_owned(),
            Self::C(program, None) => format!("C-{program}"),
            Self::C(program, Some(mode)) => format!("C-{program}-{mode}"),
            Self::Nginx => "nginx".to_owned(),
            Self::Liburing => "liburing-example".to_owned(),
        }
    }
}

/// Every row, in the order of the table.
pub(crate) fn all() -> Vec<Row> {
    let c = |program, mode| Side::C(program, Some(mode));
    let groups = [
        ("iterative", Side::Twin("iterative"), 1.02, SERIAL),
        ("thread", Side::Twin("thread"), 1.02, FIVE),
        ("epoll", Side::Twin("epoll"), 1.02, FIVE),
        ("async", Side::Twin("async"), 1.02, FIVE),
        ("epoll", Side::C("epoll", None), 1.05, FIVE),
        ("fork", Side::C("fork", None), 1.00, FIVE),
        ("prefork", c("prefork", "plain"), 1.00, FIVE),
        ("prefork-flock", c("prefork", "lock"), 1.00, FIVE),
        ("prefork-mutex", c("prefork", "mutex"), 1.00, FIVE),
        ("prefork-fdpass", c("prefork", "pass"), 1.00, FIVE),
        ("async", Side::Twin("tokio"), 1.00, ECHO),
        ("epoll-reuseport", Side::Nginx, 1.00, WEB),
        ("uring-multishot", Side::Liburing, 1.00, ECHO),
    ];
    let rows = groups.into_iter().flat_map(|(model, other, target, loads)| {
        loads.iter().map(move |&load| Row { ours: Side::Model(model), other, load, target })
    });
    rows.collect()
}
