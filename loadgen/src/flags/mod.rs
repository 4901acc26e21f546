//! Groups of flags, each with what it does to the configuration. Not here: the command itself (see `cli`).

mod arrivals;
mod connections;
mod http;
mod misfits;
mod raw;

pub(crate) use arrivals::ArrivalFlags;
pub(crate) use connections::ConnectionFlags;
pub(crate) use http::HttpFlags;
pub(crate) use misfits::MisfitFlags;
pub(crate) use raw::{RawFlags, Spoken};
