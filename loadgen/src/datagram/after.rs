//! One datagram after the run: does the server still answer, and after how long. Not here: the run, and streams (see `engine::after`).

use super::speaker::{self, Speaker};
use crate::config::Config;
use crate::engine::{Sight, insist};
use crate::tally::{Failure, Phase};
use record::misfit::After;
use std::os::fd::AsFd as _;
use std::time::Duration;
use sys::clock::monotonic_ns;
use sys::datagram::{self, Burst, Segments};

/// Tries in the time there is, at least: one datagram may get lost, which says nothing.
const TRIES: u64 = 4;

/// Asks again and again until one answer is right or the time is up (see [`insist`]). `accepts` is that the datagram could be sent.
pub(crate) fn look(config: &Config) -> After {
    let Some(mut speaker) = Speaker::new(config, u32::MAX) else { return After::default() };
    let mut burst = Burst::new(1, speaker::room(config), Segments::Single);
    let mut share_ns = None;
    insist(config, |sight, deadline_ns| {
        let now = monotonic_ns();
        let share_ns = *share_ns.get_or_insert(deadline_ns.saturating_sub(now) / TRIES);
        let until_ns = deadline_ns.min(now.saturating_add(share_ns));
        attempt(config, &mut speaker, &mut burst, until_ns, sight)
    })
}

fn attempt(
    config: &Config,
    speaker: &mut Speaker,
    burst: &mut Burst,
    until_ns: u64,
    sight: &mut Sight,
) -> Result<(), Failure> {
    let at = |phase| move |error: std::io::Error| Failure::system(phase, &error);
    let how = datagram::Client::default();
    let (fd, _) = how.open(&config.url.address, config.url.family).map_err(at(Phase::Connect))?;
    let mut message = Vec::new();
    speaker.request(0, &mut message);
    burst.send(fd.as_fd(), std::slice::from_ref(&message)).map_err(at(Phase::Send))?;
    sight.accepts();
    let left = Duration::from_nanos(until_ns.saturating_sub(monotonic_ns()));
    match sys::socket::wait_readable(&[fd.as_fd()], Some(left)) {
        Ok(ready) if ready == [true] => {}
        Ok(_) => return Err(Failure::named(Phase::Timeout, "no-reply")),
        Err(error) => return Err(Failure::system(Phase::Receive, &error)),
    }
    burst.recv(fd.as_fd(), 1).map_err(at(Phase::Receive))?;
    speaker.check(0, burst.get(0)).map(|_| ()).map_err(Failure::mismatch)
}
