//! How a request begins: which are due, on which connection, how late, and how long it rests before the next. Not here: what becomes of it.

use super::queue::Waiting;
use super::slot::{self, State};
use super::{Engine, Runner as _, Stage};
use crate::config::Config;
use crate::draw::Draw;
use service::client::Client as _;
use sys::clock::monotonic_ns as clock;

/// Keep what is drawn for think times apart from other choices by the same seed and number.
const THINK_STREAM: u64 = 0x74_68_69_6e_6b;
const FIRST_STREAM: u64 = 0x66_69_72_73_74;

impl Engine<'_> {
    /// Lets every request begin that is due and has a connection to go on.
    pub(super) fn pump(&mut self, now: u64) {
        if self.queue.fill(&mut self.source, &mut self.recorder, now) && self.outstanding == 0 {
            self.course.waiting_since_ns = now;
        }
        let mut now = now;
        // At most once round: a server that ends every connection at once must not keep the thread here.
        for _ in 0..self.slots.len() * self.config.pipeline as usize {
            let Some(&i) = self.idle.front() else { return };
            if !self.slots[i as usize].usable() {
                // Its connection has ended since, and another is made first, or none.
                self.idle.pop_front();
                self.slots[i as usize].offered = false;
                continue;
            }
            let Some(waiting) = self.queue.next(&mut self.source, &mut self.recorder, now) else { return };
            self.idle.pop_front();
            self.slots[i as usize].offered = false;
            self.begin(i as usize, waiting, now);
            if self.idle.is_empty() {
                return;
            }
            now = clock();
        }
    }

    /// A request begins on a free slot.
    fn begin(&mut self, i: usize, waiting: Waiting, now: u64) {
        let Waiting { arrival, turned_ns } = waiting;
        let abort = self.config.aborts.choose(self.config.ask.seed, arrival.k);
        let planned = abort.is_some();
        let abort = abort.filter(|(_, kind)| self.can(*kind));
        if arrival.counted {
            if self.course.stage == Stage::WarmUp {
                self.open(now);
            }
            if self.outstanding == 0 {
                self.course.waiting_since_ns = self.course.waiting_since_ns.max(turned_ns);
            }
            self.outstanding += 1;
            self.recorder.requests.sent += 1;
            self.recorder.aborts_planned += u64::from(planned);
            if self.source.is_open() {
                self.recorder.lag.add(lag_ns(arrival.due_ns, turned_ns, self.slots[i].free_since_ns, now));
            }
        }
        let slot = &mut self.slots[i];
        let request = slot::Request { arrival, begun_ns: now, first_ns: 0, abort };
        if slot.request.is_some() {
            // There is a connection then, and no abort: see `Config::check`.
            slot.behind.push_back(request);
            slot.client.write(arrival.k, &mut slot.out);
            self.send(i);
            return self.offer(i, now);
        }
        slot.request = Some(request);
        slot.state = State::Busy;
        slot.think_ns = think_ns(self.config, arrival.k);
        if abort.is_some() && slot.line.is_some() && !self.take_off(i) {
            return self.dial(i, now);
        }
        let slot = &mut self.slots[i];
        if slot.fd.is_some() && slot.aborts_in(crate::abort::Phase::Connect) {
            // The abort is right after a handshake, so this request makes a connection of its own.
            self.disconnect(i);
        }
        if self.slots[i].fd.is_some() {
            self.speak(i, now);
            self.offer(i, now);
        } else {
            self.dial(i, now);
        }
    }
}

/// How long the connection of request `k` rests behind its reply.
pub(crate) fn think_ns(config: &Config, k: u64) -> u64 {
    config.think.map_or(0, |think| think.draw(config.ask.seed, THINK_STREAM, k))
}

/// How long connection `number` of the run rests before its first request: some share of one rest.
pub(crate) fn first_think_ns(config: &Config, number: u64) -> u64 {
    let Some(think) = config.think else { return 0 };
    let whole = think.draw(config.ask.seed, FIRST_STREAM, number);
    Draw::Uniform(0, whole).draw(config.ask.seed, FIRST_STREAM, number)
}

/// The generator's own lateness with a request: until it turned to it, and then, once a connection was free, until it began.
///
/// Both count where the request waited for a connection in between: the sum may say too much, never too little. Not in it is
/// the time that a reply lay unread in the kernel, which the generator cannot see; a thread that is too busy to read shows it
/// in the first part.
pub(crate) fn lag_ns(due_ns: u64, turned_ns: u64, free_since_ns: u64, begun_ns: u64) -> u64 {
    turned_ns.saturating_sub(due_ns) + begun_ns.saturating_sub(turned_ns.max(free_since_ns))
}
