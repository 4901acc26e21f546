//! Groups of flags, each with what it does to the configuration. Not here: the command itself (see `cli`).

mod raw;

pub(crate) use raw::{RawFlags, Spoken};
