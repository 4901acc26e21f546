//! One datagram after the run: does the server still answer, and after how long. Not here: the run, and streams (see `engine::after`).

use super::speaker::{self, Speaker};
use crate::config::{Config, nanoseconds};
use crate::tally::{Failure, Phase};
use record::misfit::After;
use std::os::fd::AsFd as _;
use std::time::Duration;
use sys::clock::{self, monotonic_ns};
use sys::datagram::{self, Burst};

/// Tries in the run's time-out, at least: one datagram may get lost, which says nothing.
const TRIES: u64 = 4;

/// Rest after a try that failed at once.
const REST: Duration = Duration::from_millis(5);

/// Asks again and again until one answer is right or the run's time-out has passed. `accepts` is that the datagram could be sent.
pub(crate) fn look(config: &Config) -> After {
    let began_ns = monotonic_ns();
    let timeout_ns = nanoseconds(config.timeout);
    let deadline_ns = began_ns.saturating_add(timeout_ns);
    let mut after = After::default();
    let Some(mut speaker) = Speaker::new(config, u32::MAX) else { return after };
    let mut burst = Burst::new(1, speaker::room(config));
    loop {
        after.tries += 1;
        let until_ns = deadline_ns.min(monotonic_ns().saturating_add(timeout_ns / TRIES));
        match attempt(config, &mut speaker, &mut burst, until_ns, &mut after, began_ns) {
            Ok(()) => {
                after.answers = true;
                after.answered_after_ns = Some(monotonic_ns() - began_ns);
                after.cause = None;
                return after;
            }
            Err(failure) => after.cause = Some(failure.cause_name()),
        }
        if monotonic_ns().saturating_add(nanoseconds(REST)) >= deadline_ns {
            return after;
        }
        clock::sleep(REST);
    }
}

fn attempt(
    config: &Config,
    speaker: &mut Speaker,
    burst: &mut Burst,
    until_ns: u64,
    after: &mut After,
    began_ns: u64,
) -> Result<(), Failure> {
    let at = |phase| move |error: std::io::Error| Failure::system(phase, &error);
    let how = datagram::Client::default();
    let (fd, _) = how.open(&config.url.address, config.url.family).map_err(at(Phase::Connect))?;
    let mut message = Vec::new();
    speaker.request(0, &mut message);
    burst.send(fd.as_fd(), std::slice::from_ref(&message)).map_err(at(Phase::Send))?;
    after.accepts = true;
    after.accepted_after_ns.get_or_insert_with(|| monotonic_ns() - began_ns);
    let left = Duration::from_nanos(until_ns.saturating_sub(monotonic_ns()));
    match sys::socket::wait_readable(&[fd.as_fd()], Some(left)) {
        Ok(ready) if ready == [true] => {}
        Ok(_) => return Err(Failure::named(Phase::Timeout, "no-reply")),
        Err(error) => return Err(Failure::system(Phase::Receive, &error)),
    }
    burst.recv(fd.as_fd(), 1).map_err(at(Phase::Receive))?;
    speaker.check(0, burst.get(0)).map(|_| ()).map_err(Failure::mismatch)
}
