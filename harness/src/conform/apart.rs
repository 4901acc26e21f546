//! Whether a run gets a network namespace of its own, in which no socket is but the subject's and the probes'. Not here: making one.
//!
//! Each subject has another, with a control of its own: what one leaves behind (a port that is busy, rows in TIME_WAIT, a process that has
//! slipped away and listens) is not there for the next.

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

/// Where a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// In words.
    pub(super) words: String,
    own: bool,
}

impl Place {
    fn own() -> Self {
        Self { words: "in a network namespace of its own".to_owned(), own: true }
    }

    /// Moves the calling thread, and what it starts, into another namespace, for the next subject; true if so. Where there is none for the
    /// first subject there is none for the others.
    ///
    /// # Errors
    /// Refused, though there was one before: too many, by some limit (user_namespaces(7)).
    pub(super) fn renew(&self) -> Result<bool, Refused> {
        if self.own {
            sys::netns::enter()
                .and_then(|()| crate::spawn::follow_network())
                .map_err(|error| refused(&error))?;
        }
        Ok(self.own)
    }
}

/// Moves this process, which must not have a second thread yet, into a namespace of its own, for the first subject.
///
/// # Errors
/// It must be had and cannot.
pub(super) fn settle(wish: Wish, subjects: &[&Subject]) -> Result<Place, Refused> {
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
        Ok(()) => Ok(Place::own()),
        Err(error) if wish == Wish::Must => Err(refused(&error)),
        Err(error) => Ok(shared(&reason(&error))),
    }
}

fn shared(why: &str) -> Place {
    let words = format!("no network namespace of its own ({why}): other sockets of this host are seen too");
    Place { words, own: false }
}

fn refused(error: &io::Error) -> Refused {
    Refused::Kernel(format!("no network namespace can be made: {}", reason(error)))
}

fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        "not permitted".to_owned()
    } else {
        error.to_string()
    }
}
