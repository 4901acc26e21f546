//! The quick check of a model before it is measured: its result stands beside the speed. Not here: the speed.

use super::cases::ALL;
use super::control::Control;
use super::runner::{self, Options, nature_of};
use super::scene::Effort;
use super::subject::{Origin, Subject};
use anyhow::Context as _;
use record::run::ModelConformance;
use service::Kind;
use std::path::Path;
use std::time::{Duration, Instant};
use sys::Family;

/// Runs the quick cases against `model` of the program `exe` (`EXE serve MODEL …`); none is begun after `budget`.
///
/// # Errors
/// The model did not become ready or does not answer, or the harness itself failed.
pub fn check_model(
    exe: &Path,
    model: &str,
    service: Kind,
    budget: Duration,
) -> anyhow::Result<ModelConformance> {
    let seed = 1;
    let until = Some(Instant::now() + budget);
    let origin = Origin::Ours { program: exe.to_owned(), args: runner::serve_args(model) };
    let mut subject = Subject::new(model, origin, service, seed);
    subject.nature = nature_of(model);
    // The family of most, or the first that it serves.
    let served = |family: &Family| servers::model(model).is_none_or(|m| m.model.serves(*family));
    subject.family = Family::ALL.into_iter().find(served).unwrap_or(Family::Tcp);
    let control = Control::start(service, seed).context("cannot start the control server")?;
    runner::prepare(&mut subject, &control).with_context(|| format!("cannot check {model}"))?;
    let cases: Vec<_> = ALL.iter().copied().filter(|c| c.quick && c.services.contains(&service)).collect();
    let options = Options { effort: Effort::Quick, strict: false, seed, until, lanes: 1 };
    let done = runner::run(&mut subject, &control, &cases, &options, &|| false, |_, _| {});
    Ok(ModelConformance {
        model: model.to_owned(),
        service: service.name().to_owned(),
        cases: done.cases.iter().map(|c| (c.id.clone(), c.verdict, c.seen())).collect(),
    })
}
