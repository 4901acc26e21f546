//! Whether a run's numbers can be believed: every threshold with its reason. Not here: what the numbers say of the server.
//!
//! Errors of the server are a finding, not an objection, unless so many requests failed that the latencies are those of the
//! survivors. Objections are about the generator, its machine, and whether what was asked for is what was done.

use crate::config::{Config, Pacing};
use crate::run::Total;
use record::{Verdict, VerdictState};

/// Own lateness below this, in nanoseconds, is never objected to: a wake-up on a shared or virtual machine takes as long.
const LAG_FLOOR_NS: u64 = 200_000;

/// Own lateness (p99) above this share of the median latency makes a run suspect: it would show in the first two digits.
const LAG_OF_MEDIAN: f64 = 0.10;

/// Own lateness (p99) above this, in nanoseconds, and above half of the latency's p99 makes a run invalid: the tail that it
/// reports is the generator's own.
const LAG_SPOILS_NS: u64 = 1_000_000;
const LAG_OF_TAIL: f64 = 0.5;

/// Share of the scheduled requests that must have begun in the window. Below it the rate that was asked for was not offered;
/// the ages of the rest are in the latency, but the server was spared their work.
const OFFERED: f64 = 0.98;

/// Share of the window above which a thread that has a schedule to keep is taken as the bottleneck: queueing theory puts the
/// wait for a server that is 95 % busy at twenty times its service time.
const BUSY: f64 = 0.95;

/// Share of the window that a thread may have been ready to run without running. Beyond it, it shared its processor.
const RUN_QUEUE: f64 = 0.05;

/// Share of the requests that may fail, or stay unanswered, before the percentiles say too much about the others: the p99
/// itself moves when one in a hundred is missing.
const MISSING: f64 = 0.01;

/// Share of the connections asked for below which the run is another run.
const CONNECTED: f64 = 0.9;

/// The verdict over a run.
pub(crate) fn judge(config: &Config, total: &Total) -> Verdict {
    let mut verdict = Verdict::valid();
    judge_run(config, total, &mut verdict);
    judge_requests(total, &mut verdict);
    if matches!(config.pacing, Pacing::Open { .. }) {
        judge_schedule(total, &mut verdict);
    }
    if total.run_queue_share > RUN_QUEUE {
        let share = total.run_queue_share * 100.0;
        verdict.object(
            VerdictState::Suspect,
            format!("a generator thread waited for a processor in {share:.0} % of the window"),
        );
    }
    verdict
}

/// Objects to `local` errors that say nothing of the server: EMFILE, ENFILE, EADDRNOTAVAIL, ENOBUFS, ENOMEM.
pub(crate) fn blame_machine(local: u64, verdict: &mut Verdict) {
    if local > 0 {
        verdict.object(
            VerdictState::Invalid,
            format!("the generator's own machine ran out of descriptors, ports or memory {local} times"),
        );
    }
}

/// Whether the run was the one that was asked for.
fn judge_run(config: &Config, total: &Total, verdict: &mut Verdict) {
    use VerdictState::{Invalid, Suspect};
    if total.cut_short {
        verdict.object(Suspect, "cut short by an interrupt".to_owned());
    }
    if total.gave_up {
        let patience = config.timeout * crate::engine::PATIENCE;
        verdict
            .object(Suspect, format!("ended before all requests were made: no reply came for {patience:?}"));
    }
    if total.ran_out {
        verdict.object(
            Suspect,
            "every connection had ended before the window did, and --reconnect never replaces none"
                .to_owned(),
        );
    }
    blame_machine(
        total.recorder.errors.local() + total.dial_errors.local() + total.idlers.refused.local(),
        verdict,
    );
    let wanted = u64::from(config.connections);
    if config.dials_ahead() && total.peak < wanted {
        let state = if (total.peak as f64) < wanted as f64 * CONNECTED { Invalid } else { Suspect };
        let why =
            total.dial_errors.most_frequent().map_or(String::new(), |f| format!(" ({})", f.cause_name()));
        verdict.object(state, format!("{} of {wanted} connections were made{why}", total.peak));
    }
    let idlers = &total.idlers;
    if idlers.made < idlers.wanted {
        let why = idlers.refused.most_frequent().map_or(String::new(), |f| format!(" ({})", f.cause_name()));
        verdict
            .object(Suspect, format!("{} of {} idle connections were made{why}", idlers.made, idlers.wanted));
    }
    let clamped = total.recorder.latency.clamped;
    if clamped > 0 {
        verdict.object(Suspect, format!("{clamped} latencies are longer than ten minutes and count as that"));
    }
}

/// Whether the latencies are those of the requests.
fn judge_requests(total: &Total, verdict: &mut Verdict) {
    let requests = &total.recorder.requests;
    if requests.completed == 0 {
        return verdict.object(VerdictState::Invalid, "no request was completed".to_owned());
    }
    let share = |n: u64| n as f64 / requests.sent.max(1) as f64;
    if share(requests.failed) > MISSING {
        let percent = share(requests.failed) * 100.0;
        verdict.object(
            VerdictState::Suspect,
            format!("{percent:.1} % of the requests failed: the latencies are those of the others"),
        );
    }
    let dropped = total.recorder.datagrams.dropped_here;
    if dropped > 0 {
        verdict.object(
            VerdictState::Suspect,
            format!("the generator's own sockets were full and dropped {dropped} answers: lower --pipeline or the rate, or raise net.core.rmem_max"),
        );
    }
    if share(requests.unanswered) > MISSING {
        let percent = share(requests.unanswered) * 100.0;
        verdict.object(
            VerdictState::Suspect,
            format!("{percent:.1} % of the requests were not answered: high percentiles are lower bounds"),
        );
    }
}

/// Whether the schedule was kept.
fn judge_schedule(total: &Total, verdict: &mut Verdict) {
    use VerdictState::{Invalid, Suspect};
    let recorder = &total.recorder;
    let requests = &recorder.requests;
    let offered = requests.sent as f64 / requests.scheduled.max(1) as f64;
    // Of a run that was cut short before its window nothing was due.
    if requests.scheduled > 0 && offered < OFFERED {
        verdict.object(
            Suspect,
            format!(
                "{:.0} % of the scheduled requests could not begin: no connection was free",
                (1.0 - offered) * 100.0
            ),
        );
    }
    let lag = recorder.lag.rough(99.0);
    let (median, tail) = (recorder.latency.rough(50.0), recorder.latency.rough(99.0));
    let us = |ns: u64| ns as f64 / 1e3;
    if lag > LAG_SPOILS_NS && lag as f64 > LAG_OF_TAIL * tail as f64 {
        verdict.object(
            Invalid,
            format!(
                "the generator was late itself: lag p99 {:.0} us, of a latency p99 of {:.0} us",
                us(lag),
                us(tail)
            ),
        );
    } else if lag > LAG_FLOOR_NS && lag as f64 > LAG_OF_MEDIAN * median as f64 {
        verdict.object(
            Suspect,
            format!(
                "the generator was late itself: lag p99 {:.0} us, beside a median latency of {:.0} us",
                us(lag),
                us(median)
            ),
        );
    }
    if total.busy_share > BUSY {
        verdict.object(
            Suspect,
            format!("a generator thread was {:.0} % busy: give it --threads", total.busy_share * 100.0),
        );
    }
}
