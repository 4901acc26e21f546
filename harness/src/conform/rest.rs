//! The subject before any case: when it has come to rest, and what is there then. Not here: what is there after a case.

use super::aftermath::RESTING;
use super::evidence;
use super::fault::{Fault, What};
use super::subject::Running;
use crate::spawn::{Child, Identity};
use std::time::Duration;
use sys::Family;

/// An idle subject as it was before any case.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// Its processes.
    pub tree: Vec<Identity>,
    /// Open descriptors of them all.
    pub descriptors: usize,
    /// Zombies.
    pub zombies: usize,
    /// Share of one processor that it took, run and waiting to run, where that was not rest: it is no case's doing.
    pub busy: Option<f64>,
}

/// A window in which a subject that has just started may show that it rests.
const WINDOW: Duration = Duration::from_millis(24);
/// Times as long as it may take to settle, that one is given which still works when it is ready: caches are filled, helpers run.
const WARM_UP: u32 = 4;
/// Looks alike, one after the other, that are taken for rest.
const ALIKE: u32 = 5;
/// How long a process that has put the server into the background is waited for.
const LAUNCHER: Duration = Duration::from_millis(500);

/// Waits until `running` answers and rests, and says what is there then; one that was `restless` before is waited for less long.
/// `None` where its process is not known.
///
/// # Errors
/// It does not answer.
pub fn wait(running: &mut Running, settle: Duration, restless: bool) -> Result<Option<Baseline>, Fault> {
    answer(running, settle)?;
    let Some(id) = running.id else { return Ok(None) };
    see_launcher_off(running);
    // What it does on its own before anything is asked of it, and the processes that do it, belong to no case. One that prints may be
    // held up by its reader, and look idle.
    let mut share = 0.0;
    let printed = || running.child.as_ref().map_or(0, Child::stderr_bytes);
    let patience = if restless { settle } else { settle * WARM_UP };
    let rests = evidence::settle(patience, || {
        let before = printed();
        share = evidence::busy_share(|| running.tree(), WINDOW);
        share < RESTING && printed() == before
    });
    let busy = (!rests).then_some(share);
    let look = || Baseline {
        tree: running.tree(),
        descriptors: evidence::descriptor_count(&running.tree()),
        zombies: evidence::zombies(id.pid),
        busy,
    };
    // Runtimes open descriptors on first use, and forking servers have a child to see off: wait for two looks alike.
    let mut last = look();
    let mut alike = 0;
    evidence::settle(settle, || {
        let now = look();
        let same =
            now.tree == last.tree && now.descriptors == last.descriptors && now.zombies == last.zombies;
        alike = if same { alike + 1 } else { 0 };
        last = now;
        alike >= ALIKE
    });
    Ok(Some(last))
}

/// One that said it was ready and was not is case 1.1's matter, and no other's.
fn answer(running: &Running, settle: Duration) -> Result<(), Fault> {
    let target = &running.target;
    let mut first = target.canary(0);
    evidence::settle(settle, || {
        if matches!(&first, Err(Fault { what: What::Refused, .. })) {
            first = target.canary(0);
        }
        !matches!(&first, Err(Fault { what: What::Refused, .. }))
    });
    first.map_err(|f| f.during("first exchange"))
}

/// Waits for the end of a process that was started and has put the server into the background: it is none of the server's. For a
/// moment only, since a shell that waits for the server stays.
fn see_launcher_off(running: &Running) {
    if running.target.url.family != Family::Tcp {
        return;
    }
    let listens = |id: &Identity| !evidence::listeners(id.pid, running.target.ip()).is_empty();
    let tree = running.tree();
    if let Some((first, others)) = tree.split_first()
        && !listens(first)
        && others.iter().any(listens)
    {
        evidence::settle(LAUNCHER, || !first.alive());
    }
}
