//! SIGSTOP and SIGCONT: events are queued in the kernel while the subject is stopped, which turns races into exact set-ups.
//! Not here: which events.

use super::evidence;
use super::fault::Fault;
use super::subject::Running;
use super::wire::{Act, Wire};
use crate::spawn::{Identity, identity};
use std::time::Duration;

/// How long a process may take to be stopped: a thread in a system call stops when it is interrupted.
const WITHIN: Duration = Duration::from_secs(1);

/// Processes that are stopped; they go on when this is dropped, however the case ends.
#[derive(Debug)]
pub struct Frozen(Vec<Identity>, Wire);

impl Frozen {
    /// Stops all processes of the subject; `None` where they are not known.
    ///
    /// # Errors
    /// They do not stop.
    pub fn tree(running: &Running) -> Result<Option<Self>, Fault> {
        let tree = running.tree();
        if tree.is_empty() { Ok(None) } else { Self::these(tree, running.target.wire.clone()).map(Some) }
    }

    /// Stops one process.
    ///
    /// # Errors
    /// It does not stop.
    pub fn one(id: Identity) -> Result<Self, Fault> {
        Self::these(vec![id], Wire::default())
    }

    fn these(ids: Vec<Identity>, wire: Wire) -> Result<Self, Fault> {
        wire.add(0, Act::Stopped);
        let frozen = Self(ids, wire);
        for id in &frozen.0 {
            id.signal(identity::STOP);
        }
        let stopped = |id: &Identity| {
            // Gone is as good as stopped: a forked child may end while the tree is read.
            identity::entry(id.pid).is_none_or(|e| e.id != *id || matches!(e.state, 'T' | 'Z' | 'X'))
        };
        if evidence::settle(WITHIN, || frozen.0.iter().all(stopped)) {
            Ok(frozen)
        } else {
            Err(Fault::harness("the subject's processes do not stop on SIGSTOP"))
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.1.add(0, Act::Continued);
        for id in &self.0 {
            id.signal(identity::CONT);
        }
    }
}
