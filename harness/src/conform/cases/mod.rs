//! The cases, one file a group of the catalogue. Not here: how they are run.

mod accept;
mod descriptors;
mod dgram;
mod drain;
mod fair;
mod half;
mod http;
mod http_refuse;
mod leak;
mod lifecycle;
mod load;
mod local;
mod order;
mod pressure;
mod process;
mod queue;
mod resources;
mod sigpipe;
mod spawning;
mod start;
mod stop;
mod storm;
mod stream;
mod unix;
mod wire;
mod workers;

use super::case::Case;

/// Every case, in the order of the numbers: the one registry.
pub static ALL: &[&Case] = &[
    &start::READY,
    &lifecycle::BIND_CONFLICT,
    &lifecycle::RESTART_TIMEWAIT,
    &start::BAD_ADDRESS,
    &start::CLOSED_STDIO,
    &lifecycle::IDLE_CPU,
    &accept::CONCURRENT,
    &queue::BURST,
    &queue::BACKLOG,
    &accept::ABORT_QUEUED,
    &queue::NONBLOCKING_LISTENER,
    &descriptors::EMFILE_SURVIVE,
    &descriptors::EMFILE_SPIN,
    &spawning::SPAWN_LIMIT,
    &descriptors::FD_1024,
    &queue::MANY_IDLE,
    &stream::EXACT,
    &stream::ONE_BYTE,
    &stream::FRAMING,
    &order::WRITE_WRITE,
    &stream::PARTIAL_WRITE,
    &order::EINTR,
    &wire::OOB,
    &order::CROSSTALK,
    &order::EDGE_DRAIN,
    &wire::NAGLE,
    &wire::DUAL_STACK,
    &half::CLIENT_FIN,
    &storm::SERVER_CLOSES,
    &half::NO_SPIN,
    &half::RST_READ_SIDE,
    &half::RST_MID_WRITE,
    &storm::STORM,
    &storm::CLOSE_UNREAD,
    &storm::HALF_OPEN,
    &local::UNIX_EOF,
    &sigpipe::FIN,
    &local::SIGPIPE,
    &sigpipe::RST,
    &sigpipe::DISPOSITION,
    &start::STDOUT,
    &fair::SLOW_READER,
    &load::SLOW_WRITER,
    &load::GREEDY,
    &load::NEW_UNDER_LOAD,
    &pressure::MEMORY,
    &pressure::RESUME,
    &pressure::QUEUE_TURN,
    &pressure::TIMEOUTS,
    &leak::FD,
    &resources::RSS_THREADS,
    &leak::ZOMBIES,
    &resources::EPOLL_SET,
    &resources::CLOEXEC,
    &resources::CONNFD_CLOSED,
    &resources::CHURN_PORTS,
    &dgram::ECHO,
    &dgram::ZERO,
    &dgram::TRUNCATE,
    &dgram::BURST,
    &dgram::PEER_GONE,
    &dgram::REPLY_SOURCE,
    &dgram::SLOW_CLIENT,
    &dgram::OVERLOAD,
    &unix::STALE_PATH,
    &unix::NO_STEAL,
    &unix::FOREIGN_FILE,
    &unix::UNLINK,
    &unix::LONG_PATH,
    &unix::ABSTRACT_NAME,
    &unix::UNNAMED,
    &unix::VANISHED,
    &unix::FULL,
    &process::TREE_CLEAN,
    &workers::WORKER_KILL,
    &workers::PARENT_KILL,
    &workers::SIGCHLD_STORM,
    &workers::FORK_THREADS,
    &process::GARBAGE,
    &http::GET,
    &http::PERSIST,
    &http::PIPELINE,
    &http::SPLIT,
    &http_refuse::REJECT,
    &http_refuse::AMBIGUOUS_LENGTH,
    &http_refuse::OVERSIZE,
    &http::SLOW_HEADER,
    &stop::TERM,
    &stop::DRAIN,
    &drain::REFUSE_NEW,
    &stop::IDLE_KEEPALIVE,
    &drain::QUEUED,
    &stop::PORT_FREE,
    &drain::CLEAN_EXIT,
];
