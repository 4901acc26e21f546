//! The cases, one file a group of the catalogue. Not here: how they are run.

mod accept;
mod descriptors;
mod fair;
mod half;
mod leak;
mod lifecycle;
mod process;
mod sigpipe;
mod stop;
mod stream;

use super::case::Case;

/// Every case, in the order of the numbers: the one registry.
pub static ALL: &[&Case] = &[
    &lifecycle::BIND_CONFLICT,
    &lifecycle::RESTART_TIMEWAIT,
    &lifecycle::IDLE_CPU,
    &accept::CONCURRENT,
    &accept::ABORT_QUEUED,
    &descriptors::EMFILE_SURVIVE,
    &descriptors::EMFILE_SPIN,
    &descriptors::FD_1024,
    &stream::EXACT,
    &stream::ONE_BYTE,
    &stream::FRAMING,
    &stream::PARTIAL_WRITE,
    &half::CLIENT_FIN,
    &half::NO_SPIN,
    &half::RST_READ_SIDE,
    &half::RST_MID_WRITE,
    &sigpipe::FIN,
    &sigpipe::RST,
    &sigpipe::DISPOSITION,
    &fair::SLOW_READER,
    &leak::FD,
    &leak::ZOMBIES,
    &process::TREE_CLEAN,
    &process::GARBAGE,
    &stop::TERM,
    &stop::DRAIN,
    &stop::IDLE_KEEPALIVE,
    &stop::PORT_FREE,
];
