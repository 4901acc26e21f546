//! The matrix of conformance: cases down, models across; a letter and a colour in each cell. Not here: running cases.

use crate::export::verdicts::{legend, style};
use crate::view::View;
use record::conform::CaseVerdict;

/// The matrix as the template sees it.
pub(super) struct Matrix {
    pub(super) heads: Vec<Head>,
    pub(super) rows: Vec<CaseRow>,
    /// Everything that was not simply as required, in words.
    pub(super) remarks: Vec<Remark>,
    pub(super) legend: Vec<(&'static str, &'static str, &'static str, &'static str)>,
}

/// A column: a model, checked with a service.
pub(super) struct Head {
    pub(super) model: String,
    pub(super) service: String,
    pub(super) badge: String,
    pub(super) good: bool,
}

/// A case.
pub(super) struct CaseRow {
    pub(super) id: String,
    pub(super) cells: Vec<CaseCell>,
}

/// A case with a model.
pub(super) struct CaseCell {
    pub(super) class: &'static str,
    pub(super) letter: &'static str,
    pub(super) tip: String,
}

/// A verdict other than OK.
pub(super) struct Remark {
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) model: String,
    pub(super) case: String,
    pub(super) seen: String,
}

impl Matrix {
    /// The matrix, where anything was checked.
    pub(super) fn new(view: &View<'_>) -> Option<Self> {
        let checked = &view.run.conformance;
        let ids = view.cases();
        if ids.is_empty() {
            return None;
        }
        let heads = checked
            .iter()
            .map(|c| Head {
                model: c.model.clone(),
                service: c.service.clone(),
                badge: c.badge(),
                good: c.conformant(),
            })
            .collect();
        let rows = ids
            .iter()
            .map(|id| CaseRow {
                id: (*id).to_owned(),
                cells: checked
                    .iter()
                    .map(|c| {
                        cell(
                            c.cases
                                .iter()
                                .find(|case| case.0 == *id)
                                .map(|(_, verdict, seen)| (*verdict, seen.as_str())),
                        )
                    })
                    .collect(),
            })
            .collect();
        Some(Self { heads, rows, remarks: remarks(view), legend: legend() })
    }
}

fn cell(found: Option<(CaseVerdict, &str)>) -> CaseCell {
    match found {
        Some((verdict, seen)) => {
            let (class, letter, ..) = style(verdict);
            CaseCell { class, letter, tip: format!("{}: {seen}", verdict.name()) }
        }
        None => CaseCell { class: "none", letter: "·", tip: "not run".to_owned() },
    }
}

/// What was not simply as required, the failures first.
fn remarks(view: &View<'_>) -> Vec<Remark> {
    let mut all: Vec<(CaseVerdict, Remark)> = Vec::new();
    for checked in &view.run.conformance {
        for (id, verdict, seen) in &checked.cases {
            if !matches!(verdict, CaseVerdict::Ok | CaseVerdict::Skipped) {
                let remark = Remark {
                    class: style(*verdict).0,
                    word: verdict.name(),
                    model: checked.model.clone(),
                    case: id.clone(),
                    seen: seen.clone(),
                };
                all.push((*verdict, remark));
            }
        }
    }
    let weight = |v: CaseVerdict| match v {
        CaseVerdict::Failed => 0,
        CaseVerdict::Broken => 1,
        CaseVerdict::NonStrict => 2,
        CaseVerdict::Inconclusive => 3,
        _ => 4,
    };
    all.sort_by_key(|(verdict, _)| weight(*verdict));
    all.into_iter().map(|(_, remark)| remark).collect()
}
