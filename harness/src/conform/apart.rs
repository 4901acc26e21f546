//! Whether a run gets a network namespace of its own, in which no socket is but the subject's and the probes'. Not here: making one.
//!
//! One for the whole run: its subjects come one after the other, and the control belongs to it.

use super::subject::{Origin, Subject};
use std::io;

/// What is wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Where it can be had.
    IfPossible,
    /// Or not at all.
    Must,
    /// Not.
    No,
}

/// Why a namespace that must be had cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It makes no sense for the subject.
    Use(String),
    /// The kernel does not give one.
    Kernel(String),
}

/// Moves this process, which must not have a second thread yet, into a namespace of its own; says in words where it is now.
///
/// # Errors
/// It must be had and cannot.
pub(super) fn settle(wish: Wish, subjects: &[&Subject]) -> Result<String, Refused> {
    let there = |subject: &&&Subject| matches!(subject.origin, Origin::Address { .. });
    if let Some(subject) = subjects.iter().find(there) {
        let why = format!("{} runs in a network that is there already", subject.name);
        return if wish == Wish::Must {
            Err(Refused::Use(format!("--netns is for subjects that are started: {why}")))
        } else {
            Ok(shared(&why))
        };
    }
    if wish == Wish::No {
        return Ok(shared("--no-netns"));
    }
    match sys::netns::enter() {
        Ok(()) => Ok("in a network namespace of its own".to_owned()),
        Err(error) if wish == Wish::Must => {
            Err(Refused::Kernel(format!("no network namespace can be made: {}", reason(&error))))
        }
        Err(error) => Ok(shared(&reason(&error))),
    }
}

fn shared(why: &str) -> String {
    format!("no network namespace of its own ({why}): other sockets of this host are seen too")
}

fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        "not permitted".to_owned()
    } else {
        error.to_string()
    }
}
