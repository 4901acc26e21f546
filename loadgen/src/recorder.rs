//! What one thread counts, merged once at the end. Not here: the clock, and what a number means for the verdict.
//!
//! Nothing here is shared between threads, and nothing allocates once the window is open.

use crate::Error;
use crate::abort::{Kind, Phase};
use crate::config::Stop;
use crate::intervals::Intervals;
use crate::tally::{Failure, Tally};
use crate::tap::Tap;
use hdrhistogram::Histogram;
use record::histogram::{self, Exact, HIGH_NS};
use record::load::{Aborts, Bytes, Datagrams, Requests, Summary};

/// A distribution with what its histogram would round.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) histogram: Histogram<u64>,
    pub(crate) exact: Exact,
    /// Values beyond the histogram's range, counted as its end.
    pub(crate) clamped: u64,
}

impl Track {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self { histogram: histogram::new()?, exact: Exact::default(), clamped: 0 })
    }

    pub(crate) fn add(&mut self, value_ns: u64) {
        self.histogram.saturating_record(value_ns);
        self.exact.add(value_ns);
        self.clamped += u64::from(value_ns > HIGH_NS);
    }

    fn merge(&mut self, other: &Self) -> Result<(), Error> {
        self.exact.merge(&other.exact);
        self.clamped += other.clamped;
        self.histogram.add(&other.histogram).map_err(Error::histogram)
    }

    pub(crate) fn summary(&self) -> Summary {
        histogram::summary(&self.histogram, Some(self.exact))
    }

    /// A percentile however few values there are: for the verdict, which errs on the side of doubt.
    pub(crate) fn rough(&self, percent: f64) -> u64 {
        self.histogram.value_at_percentile(percent).min(self.exact.max)
    }
}

/// How long a request took, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// From the intended start to the end of the reply.
    pub(crate) latency_ns: u64,
    /// From the actual one, where the two can differ.
    pub(crate) service_ns: Option<u64>,
    /// From the actual one to the reply's first byte.
    pub(crate) first_byte_ns: u64,
}

/// What one thread counted in the window.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    pub(crate) requests: Requests,
    pub(crate) latency: Track,
    /// Empty in a closed loop, where it would be the latency again: a request is due when it begins.
    pub(crate) service: Track,
    pub(crate) lag: Track,
    pub(crate) connect: Track,
    pub(crate) first_byte: Track,
    /// Of the replies after the time-out, which are in `latency` too.
    pub(crate) late: Track,
    /// Of the requests without a reply at the end, which are in `latency` too.
    pub(crate) unanswered_age: Track,
    pub(crate) intervals: Intervals,
    pub(crate) errors: Tally,
    /// Errors on connections that were not to be aborted.
    pub(crate) innocent_errors: u64,
    pub(crate) bytes: Bytes,
    /// Nothing where the target is a stream.
    pub(crate) datagrams: Datagrams,
    pub(crate) connections_made: u64,
    pub(crate) aborts_done: [[u64; Kind::ALL.len()]; Phase::ALL.len()],
    pub(crate) aborts_planned: u64,
    pub(crate) fin_proven: u64,
    /// What goes to others while the run goes.
    pub(crate) tap: Tap,
}

impl Recorder {
    pub(crate) fn new(stop: Stop) -> Result<Self, Error> {
        Ok(Self {
            requests: Requests::default(),
            latency: Track::new()?,
            service: Track::new()?,
            lag: Track::new()?,
            connect: Track::new()?,
            first_byte: Track::new()?,
            late: Track::new()?,
            unanswered_age: Track::new()?,
            intervals: Intervals::new(stop)?,
            errors: Tally::new(),
            innocent_errors: 0,
            bytes: Bytes::default(),
            datagrams: Datagrams::default(),
            connections_made: 0,
            aborts_done: Default::default(),
            aborts_planned: 0,
            fin_proven: 0,
            tap: Tap::default(),
        })
    }

    /// A correct reply came.
    pub(crate) fn completed(&mut self, now: u64, times: Times, timeout_ns: u64) {
        let Times { latency_ns, service_ns, first_byte_ns } = times;
        self.requests.completed += 1;
        self.latency.add(latency_ns);
        if latency_ns > timeout_ns {
            self.requests.late += 1;
            self.late.add(latency_ns);
        }
        if let Some(service_ns) = service_ns {
            self.service.add(service_ns);
        }
        self.first_byte.add(first_byte_ns);
        self.intervals.completed(now, latency_ns);
        self.tap.completed(latency_ns);
    }

    /// A request ended with an error.
    pub(crate) fn failed(&mut self, now: u64) {
        self.requests.failed += 1;
        self.intervals.failed(now);
        self.tap.failed();
    }

    /// An error was met; `chosen` says that its connection was to be aborted.
    pub(crate) fn error(&mut self, failure: Failure, chosen: bool) {
        self.errors.add(failure, 1);
        self.innocent_errors += u64::from(!chosen);
    }

    /// An abort was carried out.
    pub(crate) fn aborted(&mut self, (phase, kind): (Phase, Kind), proven: bool) {
        self.requests.aborted += 1;
        self.aborts_done[phase as usize][kind as usize] += 1;
        self.fin_proven += u64::from(proven);
    }

    /// A request is not answered at the end: its age is a lower bound of its latency. `excused`: it was to be aborted, or may be lost on
    /// its way, so that nobody did it any harm.
    pub(crate) fn unanswered(&mut self, age_ns: u64, timeout_ns: u64, connecting: bool, excused: bool) {
        self.requests.unanswered += 1;
        self.latency.add(age_ns);
        self.unanswered_age.add(age_ns);
        if age_ns < timeout_ns {
            // The run ended early; nobody can say that it would not have been answered in time.
            return;
        }
        let cause = if connecting { "no-connection" } else { "no-reply" };
        self.error(Failure::named(crate::tally::Phase::Timeout, cause), excused);
    }

    /// A request was due and could not begin before the end: its age is a lower bound of its latency.
    pub(crate) fn unsent(&mut self, age_ns: u64) {
        self.requests.unsent += 1;
        self.latency.add(age_ns);
    }

    /// Adds what another thread counted.
    ///
    /// # Errors
    /// None with histograms of one shape; the signature is that of the library.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), Error> {
        self.requests += &other.requests;
        self.latency.merge(&other.latency)?;
        self.service.merge(&other.service)?;
        self.lag.merge(&other.lag)?;
        self.connect.merge(&other.connect)?;
        self.first_byte.merge(&other.first_byte)?;
        self.late.merge(&other.late)?;
        self.unanswered_age.merge(&other.unanswered_age)?;
        self.intervals.merge(other.intervals)?;
        self.errors.merge(&other.errors);
        self.innocent_errors += other.innocent_errors;
        self.bytes.sent += other.bytes.sent;
        self.bytes.received += other.bytes.received;
        self.datagrams += &other.datagrams;
        self.connections_made += other.connections_made;
        for (mine, theirs) in self.aborts_done.iter_mut().flatten().zip(other.aborts_done.iter().flatten()) {
            *mine += theirs;
        }
        self.aborts_planned += other.aborts_planned;
        self.fin_proven += other.fin_proven;
        self.tap.merge(other.tap);
        Ok(())
    }

    /// The aborts as the record has them.
    pub(crate) fn aborts(&self) -> Aborts {
        let pairs = Phase::ALL.into_iter().flat_map(|phase| Kind::ALL.map(|kind| (phase, kind)));
        let by_kind = pairs
            .map(|(phase, kind)| {
                (format!("{}:{}", phase.name(), kind.name()), self.aborts_done[phase as usize][kind as usize])
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        Aborts {
            planned: self.aborts_planned,
            done: self.requests.aborted,
            by_kind,
            fin_proven: self.fin_proven,
            not_reached: self.aborts_planned.saturating_sub(self.requests.aborted),
            vanished_closed_by: None,
        }
    }
}
