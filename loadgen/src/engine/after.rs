//! A connection after the run: does the server still take one, does it answer, and after how long. Not here: the run.
//!
//! A listener's queue takes a connection for a server that has long been stuck, so a connection that is accepted says little; the
//! exchange on it says the rest.

use super::slot::{Read, Request, Slot, State};
use super::source::Arrival;
use crate::config::{Config, nanoseconds};
use crate::tally::{Failure, Phase};
use record::misfit::After;
use service::client::Client as _;
use std::time::Duration;
use sys::clock::{self, monotonic_ns};
use sys::socket;

/// Rest after a try that failed: a server that comes back is found within a few milliseconds, one that does not is not hammered.
const REST: Duration = Duration::from_millis(5);

/// Longest look, in nanoseconds: nobody waits for a minute for a server that is gone, whatever the time-out of a request.
const LONGEST_NS: u64 = 5_000_000_000;

/// Bytes read at a time.
const BUFFER: usize = 64 * 1024;

/// Tries to connect and to make one exchange, again and again until one is complete or the time is up (see [`insist`]).
pub(crate) fn look(config: &Config) -> After {
    let mut slot = Slot::new(u32::MAX, config.clients(config.ask.clone())(u64::from(u32::MAX)), 1);
    insist(config, |sight, deadline_ns| {
        let tried = attempt(config, &mut slot, deadline_ns, sight);
        slot.disconnect();
        tried
    })
}

/// What has been seen of the server so far, and since when it is looked at.
pub(crate) struct Sight {
    after: After,
    began_ns: u64,
}

impl Sight {
    /// It takes what comes: a connection, or a datagram.
    pub(crate) fn accepts(&mut self) {
        self.after.accepts = true;
        self.after.accepted_after_ns.get_or_insert_with(|| monotonic_ns() - self.began_ns);
    }
}

/// Tries again and again until it works or the run's time-out has passed, 5 s at most. A try gets the time at which all is over.
pub(crate) fn insist(
    config: &Config,
    mut attempt: impl FnMut(&mut Sight, u64) -> Result<(), Failure>,
) -> After {
    let began_ns = monotonic_ns();
    let deadline_ns = began_ns.saturating_add(nanoseconds(config.timeout).min(LONGEST_NS));
    let mut sight = Sight { after: After::default(), began_ns };
    loop {
        sight.after.tries += 1;
        match attempt(&mut sight, deadline_ns) {
            Ok(()) => {
                sight.after.answers = true;
                sight.after.answered_after_ns = Some(monotonic_ns() - began_ns);
                sight.after.cause = None;
                return sight.after;
            }
            Err(failure) => sight.after.cause = Some(failure.cause_name()),
        }
        if monotonic_ns() + nanoseconds(REST) >= deadline_ns {
            return sight.after;
        }
        clock::sleep(REST);
    }
}

fn attempt(config: &Config, slot: &mut Slot, deadline_ns: u64, sight: &mut Sight) -> Result<(), Failure> {
    let at = |phase| move |error: std::io::Error| Failure::system(phase, &error);
    let fd = socket::connect_start(&config.url.address, None).map_err(at(Phase::Connect))?;
    slot.fd = Some(fd);
    await_room(slot, deadline_ns, "no-connection")?;
    if let Some(fd) = slot.fd() {
        socket::take_error(fd).map_err(at(Phase::Connect))?;
    }
    sight.accepts();
    slot.client.open();
    slot.client.request(0, &mut slot.out);
    let arrival = Arrival { k: 0, due_ns: 0, counted: false };
    slot.request = Some(Request { arrival, begun_ns: 0, first_ns: 0, abort: None });
    slot.state = State::Busy;
    let mut buffer = vec![0; BUFFER];
    let mut bytes = 0;
    loop {
        while !slot.flush(false, &mut bytes).map_err(at(Phase::Send))? {
            await_room(slot, deadline_ns, "no-reply")?;
        }
        await_input(slot, deadline_ns)?;
        match slot.read(&mut buffer, &mut bytes)? {
            Read::Nothing => {}
            Read::End => return slot.end(),
            Read::Bytes { count, .. } => {
                let (used, done) = slot.take(&buffer[..count])?;
                if done.is_some() {
                    return Ok(());
                }
                slot.keep(&buffer[used..count]);
            }
        }
    }
}

fn left(deadline_ns: u64) -> Option<Duration> {
    Some(Duration::from_nanos(deadline_ns.saturating_sub(monotonic_ns())))
}

fn await_room(slot: &Slot, deadline_ns: u64, otherwise: &'static str) -> Result<(), Failure> {
    let Some(fd) = slot.fd() else { return Ok(()) };
    match socket::wait_writable(fd, left(deadline_ns)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::named(Phase::Timeout, otherwise)),
        Err(error) => Err(Failure::system(Phase::Send, &error)),
    }
}

fn await_input(slot: &Slot, deadline_ns: u64) -> Result<(), Failure> {
    let Some(fd) = slot.fd() else { return Ok(()) };
    match socket::wait_readable(&[fd], left(deadline_ns)) {
        Ok(ready) if ready == [true] => Ok(()),
        Ok(_) => Err(Failure::named(Phase::Timeout, "no-reply")),
        Err(error) => Err(Failure::system(Phase::Receive, &error)),
    }
}
