//! Conformance: does a socket server behave? For any server, given by address, by name of a model, or by command.
//! Not here: speed, and the protocols above the sockets beyond what a probe must speak.
//!
//! Every case ends with two conclusions: what its probe saw, and whether the server was whole afterwards ([`aftermath`]). A fault that
//! is not proven to have happened decides nothing; nor does a deadline on a machine on which the [`control`] misses it too.
//! A case is one item in `cases/<group>.rs` and one line in [`cases::ALL`]; each has a mutant in `tests/conform` that it must fail.

pub mod aftermath;
mod again;
mod apart;
pub mod case;
pub mod cases;
mod check;
pub mod cli;
pub mod control;
pub mod datagrams;
pub mod evidence;
pub mod expect;
pub mod facts;
pub mod fault;
#[cfg(test)]
mod fixture;
pub mod freeze;
pub mod gate;
pub mod kit;
mod lanes;
mod named;
mod output;
pub mod peer;
mod pending;
mod places;
mod raw;
mod render;
mod repeat;
pub mod reply;
pub mod rest;
pub mod runner;
pub mod scene;
mod script;
mod select;
pub mod subject;
mod subjects;
pub mod target;
pub mod wire;

pub use check::check_model;
pub use cli::{Args, command};
