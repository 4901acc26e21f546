//! Two results, or two sets of repeats, side by side: each difference with its interval. Not here: judging a change for merging
//! (crate `ci`).
//!
//! With repeats the unit is the run (a fresh start of the server, if it was one): Welch's interval on the logarithms. With one
//! result a side only what lies within a run is known; the interval then says nothing of what differs between two starts of the
//! same server, and the table says so. The intervals hold together: their confidence is shared out over the rows (Bonferroni).

use crate::Error;
use crate::stored::Stored;
use record::{Load, VerdictState};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF as _, Normal, StudentsT};

/// Confidence of all intervals together.
const CONFIDENCE: f64 = 0.95;

/// Chance with which a difference of the size that is quoted would have been seen.
const POWER: f64 = 0.95;

/// A name, whether more of it is better, and where it stands in a result.
type Figure = (&'static str, bool, fn(&Load) -> Option<f64>);

/// What is compared.
const FIGURES: [Figure; 7] = [
    ("throughput_per_s", true, |l| Some(l.throughput_per_s)),
    ("latency_p50_ns", false, |l| l.latency_ns.p50.map(|v| v as f64)),
    ("latency_p90_ns", false, |l| l.latency_ns.p90.map(|v| v as f64)),
    ("latency_p99_ns", false, |l| l.latency_ns.p99.map(|v| v as f64)),
    ("latency_p99.9_ns", false, |l| l.latency_ns.p99_9.map(|v| v as f64)),
    ("server_cpu_ns_per_request", false, |l| l.server.as_ref()?.cpu_ns_per_request),
    ("failed_share", false, |l| Some(missing(l))),
];

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Word {
    Better,
    Worse,
    /// The interval holds 0, or reaches into the margin.
    NoDifferenceShown,
    /// There is no interval.
    NotKnown,
}

impl Word {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifferenceShown => "no difference shown",
            Self::NotKnown => "not known",
        }
    }
}

/// One figure of both sides.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) figure: &'static str,
    pub(crate) base: f64,
    pub(crate) head: f64,
    /// Change of `head` against `base` as a share; of shares, the difference.
    pub(crate) change: f64,
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    /// Smallest change that would have been seen with a chance of 95 %.
    pub(crate) detectable: Option<f64>,
    pub(crate) word: Word,
}

/// The whole comparison.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) base: Vec<String>,
    pub(crate) head: Vec<String>,
    /// How the intervals were had, in a sentence.
    pub(crate) method: &'static str,
    /// Of all intervals together.
    pub(crate) confidence: f64,
    pub(crate) margin: f64,
    pub(crate) rows: Vec<Row>,
    /// What was asked for and was not the same.
    pub(crate) notes: Vec<String>,
    /// The worst verdict of any of the runs.
    pub(crate) validity: VerdictState,
}

/// Compares `head` against `base`; a change within `margin` (a share) is none.
///
/// # Errors
/// [`Error::Usage`] and [`Error::Input`] for what cannot be compared.
pub(crate) fn compare(base: &[Stored], head: &[Stored], margin: f64) -> Result<Comparison, Error> {
    let single = check(base, head)?;
    let there =
        |figure: fn(&Load) -> Option<f64>| base.iter().chain(head).all(|r| figure(r.load()).is_some());
    let figures: Vec<_> = FIGURES.into_iter().filter(|(_, _, figure)| there(*figure)).collect();
    let alpha = (1.0 - CONFIDENCE) / figures.len().max(1) as f64;
    let row = |(name, more_is_better, figure): Figure| {
        let scale = if name == "failed_share" { Scale::Share } else { Scale::Ratio };
        let values = |side: &[Stored]| side.iter().filter_map(|r| figure(r.load())).collect::<Vec<_>>();
        let (b, h) = (values(base), values(head));
        let spread = match single {
            true => within(name, base[0].load(), head[0].load()),
            false => between(scale, &b, &h),
        };
        scale.row(name, more_is_better, (&b, &h), spread, alpha, margin)
    };
    Ok(Comparison {
        base: names(base),
        head: names(head),
        method: if single {
            "within one run each: what differs between two starts of the same server is not in the intervals"
        } else {
            "Welch on the logarithms over runs"
        },
        confidence: CONFIDENCE,
        margin,
        rows: figures.into_iter().map(row).collect(),
        notes: notes(base, head),
        validity: worst(base.iter().chain(head)),
    })
}

/// Finds what cannot be compared; true where there is one run on each side.
fn check(base: &[Stored], head: &[Stored]) -> Result<bool, Error> {
    let single = match (base.len(), head.len()) {
        (0, _) | (_, 0) => return Err(Error::Usage("a comparison needs two sides".to_owned())),
        (1, 1) => true,
        (1, _) | (_, 1) => {
            return Err(Error::Usage(
                "one run against several has no common scale: give one each, or at least two each".to_owned(),
            ));
        }
        _ => false,
    };
    for other in base.iter().chain(head) {
        let (wanted, found) = (&base[0].load().config, &other.load().config);
        if wanted.service != found.service || wanted.rate_per_s.is_some() != found.rate_per_s.is_some() {
            return Err(other.refuse(format!(
                "it answers another question than `{}`: {} ({}), there {} ({})",
                base[0].path.display(),
                found.service,
                found.arrivals,
                wanted.service,
                wanted.arrivals
            )));
        }
    }
    Ok(single)
}

/// Share of the requests that did not end with a right reply, aborts aside.
fn missing(load: &Load) -> f64 {
    let r = &load.requests;
    (r.failed + r.unanswered + r.unsent) as f64 / r.scheduled.saturating_sub(r.aborted).max(1) as f64
}

fn names(side: &[Stored]) -> Vec<String> {
    side.iter().map(|r| r.path.display().to_string()).collect()
}

fn worst<'a>(results: impl Iterator<Item = &'a Stored>) -> VerdictState {
    results.map(|r| r.load().verdict.state).max().unwrap_or(VerdictState::Valid)
}

/// What was asked for and differs between the first of both sides; the seed may.
fn notes(base: &[Stored], head: &[Stored]) -> Vec<String> {
    let value = |r: &Stored| serde_json::to_value(&r.load().config).unwrap_or_default();
    let (a, b) = (value(&base[0]), value(&head[0]));
    let entries = a.as_object().into_iter().flatten();
    let differing = entries.filter(|(name, mine)| *name != "seed" && b.get(name) != Some(mine));
    differing.map(|(name, mine)| format!("{name} differs: {mine} and {}", b[name.as_str()])).collect()
}

/// Standard error of a difference, and its degrees of freedom; infinite for a normal one.
#[derive(Clone, Copy)]
struct Spread {
    error: f64,
    degrees: f64,
}

/// On what scale a figure is compared.
#[derive(Clone, Copy, PartialEq)]
enum Scale {
    /// By logarithms: the change is a share of the base.
    Ratio,
    /// By differences.
    Share,
}

impl Scale {
    fn row(
        self,
        figure: &'static str,
        more_is_better: bool,
        (base, head): (&[f64], &[f64]),
        spread: Option<Spread>,
        alpha: f64,
        margin: f64,
    ) -> Row {
        let centre =
            |values: &[f64]| self.back(mean(&values.iter().map(|v| self.to(*v)).collect::<Vec<_>>()));
        let (base, head) = (centre(base), centre(head));
        let difference = self.to(head) - self.to(base);
        let as_change = |d: f64| if self == Self::Ratio { d.exp() - 1.0 } else { d };
        let reach = spread.and_then(|s| Some((s, quantile(s.degrees, 1.0 - alpha / 2.0)? * s.error)));
        let limits = reach.map(|(_, half)| (as_change(difference - half), as_change(difference + half)));
        let word = match limits {
            None => Word::NotKnown,
            Some((low, _)) if low > margin => direction(more_is_better),
            Some((_, high)) if high < -margin => direction(!more_is_better),
            Some(_) => Word::NoDifferenceShown,
        };
        let detectable = reach.and_then(|(s, half)| Some(half + quantile(s.degrees, POWER)? * s.error));
        Row {
            figure,
            base,
            head,
            change: as_change(difference),
            low: limits.map(|l| l.0),
            high: limits.map(|l| l.1),
            detectable: detectable.map(as_change),
            word,
        }
    }

    fn to(self, value: f64) -> f64 {
        if self == Self::Ratio { value.max(f64::MIN_POSITIVE).ln() } else { value }
    }

    fn back(self, value: f64) -> f64 {
        if self == Self::Ratio { value.exp() } else { value }
    }
}

const fn direction(better: bool) -> Word {
    if better { Word::Better } else { Word::Worse }
}

fn quantile(degrees: f64, p: f64) -> Option<f64> {
    if degrees.is_infinite() {
        return Some(Normal::standard().inverse_cdf(p));
    }
    Some(StudentsT::new(0.0, 1.0, degrees).ok()?.inverse_cdf(p))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Welch: each side has a variance of its own.
fn between(scale: Scale, base: &[f64], head: &[f64]) -> Option<Spread> {
    let side = |values: &[f64]| {
        let values: Vec<f64> = values.iter().map(|v| scale.to(*v)).collect();
        let (n, centre) = (values.len() as f64, mean(&values));
        let variance = values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (n - 1.0);
        (variance / n, n - 1.0)
    };
    let ((a, a_degrees), (b, b_degrees)) = (side(base), side(head));
    if a + b <= 0.0 {
        // Every run said the same; that is known exactly, or to no degree at all: of counts that are all 0, exactly.
        return (mean(base) == mean(head)).then_some(Spread { error: 0.0, degrees: f64::INFINITY });
    }
    let degrees = (a + b).powi(2) / (a * a / a_degrees + b * b / b_degrees);
    Some(Spread { error: (a + b).sqrt(), degrees })
}

/// From the intervals that each run gives of itself.
fn within(figure: &str, base: &Load, head: &Load) -> Option<Spread> {
    if figure == "failed_share" {
        let variance = |l: &Load| {
            // Agresti and Caffo: one more of each kind, so that a share of 0 has a spread too.
            let n = l.requests.scheduled.saturating_sub(l.requests.aborted) as f64 + 2.0;
            let p = (missing(l) * (n - 2.0) + 1.0) / n;
            p * (1.0 - p) / n
        };
        return Some(Spread { error: (variance(base) + variance(head)).sqrt(), degrees: f64::INFINITY });
    }
    let half = |low: f64, high: f64| (low > 0.0 && high > 0.0).then(|| (high.ln() - low.ln()) / 2.0);
    let percent: Option<f64> =
        figure.strip_prefix("latency_p").and_then(|f| f.strip_suffix("_ns")).and_then(|f| f.parse().ok());
    let side = |load: &Load| {
        let statistics = load.statistics.as_ref()?;
        match percent {
            Some(percent) => {
                let q = statistics.latency.iter().find(|q| (q.percent - percent).abs() < 1e-9)?;
                half(q.low_ns? as f64, q.high_ns? as f64)
            }
            None if figure == "throughput_per_s" => {
                statistics.throughput.as_ref().and_then(|t| half(t.low, t.high))
            }
            None => None,
        }
    };
    let z = Normal::standard().inverse_cdf(0.5 + crate::statistics::CONFIDENCE / 2.0);
    let error = side(base)?.hypot(side(head)?) / z;
    Some(Spread { error, degrees: f64::INFINITY })
}

#[cfg(test)]
mod tests;
