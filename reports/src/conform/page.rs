//! The matrix of cases and subjects as one file that holds everything: a letter in each cell, which opens what was seen.
//! Not here: style and layout (templates/).

use super::{details, message};
use crate::error::Result;
use crate::export::verdicts::{legend, style};
use askama::Template;
use record::conform::{CaseResult, CaseVerdict, Conformance, Met};
use record::words::plural;

/// Subjects whose names, badges and requirements fit beside one another.
const FEW: usize = 3;

#[derive(Template)]
#[template(path = "matrix.html")]
struct Page<'a> {
    lede: String,
    /// More subjects than can stand side by side with all that is said of them.
    many: bool,
    heads: Vec<Head<'a>>,
    groups: Vec<Group<'a>>,
    findings: Vec<Finding<'a>>,
    details: Vec<Detail<'a>>,
    legend: Vec<(&'static str, &'static str, &'static str, &'static str)>,
}

struct Head<'a> {
    subject: &'a str,
    service: &'a str,
    facts: &'a str,
    badge: String,
    class: &'static str,
}

/// The cases before the `/` of whose ids the same word stands.
struct Group<'a> {
    name: &'a str,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    number: &'a str,
    id: &'a str,
    requirement: &'a str,
    cells: Vec<Cell>,
}

struct Cell {
    class: &'static str,
    letter: String,
    tip: String,
    anchor: Option<String>,
}

struct Finding<'a> {
    class: &'static str,
    word: &'static str,
    subject: &'a str,
    case: &'a str,
    seen: String,
    anchor: String,
}

/// What a cell opens.
struct Detail<'a> {
    anchor: String,
    class: &'static str,
    word: &'static str,
    subject: &'a str,
    case: &'a str,
    text: String,
}

/// One page over all `runs`; it loads nothing and needs no script.
///
/// # Errors
/// [`crate::Error::Page`].
pub fn html(runs: &[Conformance]) -> Result<String> {
    let page = Page {
        lede: lede(runs),
        many: runs.len() > FEW,
        heads: runs.iter().map(head).collect(),
        groups: groups(runs),
        findings: findings(runs),
        details: each(runs).map(|(anchor, run, case)| detail(anchor, run, case)).collect(),
        legend: legend(),
    };
    Ok(page.render()?)
}

fn lede(runs: &[Conformance]) -> String {
    let failed = runs.iter().filter(|run| !run.conformant()).count();
    let unfit = runs.iter().filter(|run| run.unfit.is_some()).count();
    let mut text = format!("{}, {}. ", plural(runs.len(), "subject"), plural(rows(runs).len(), "case"));
    text.push_str(&match failed {
        0 => "No case failed.".to_owned(),
        n => format!("{} failed at least one case.", plural(n, "subject")),
    });
    if unfit > 0 {
        text.push_str(&format!(" {} did not become ready.", plural(unfit, "subject")));
    }
    text
}

fn head(run: &Conformance) -> Head<'_> {
    Head {
        subject: &run.subject,
        service: &run.service,
        facts: &run.facts,
        badge: run.badge(),
        class: if run.unfit.is_some() {
            "warn"
        } else if run.conformant() {
            "good"
        } else {
            "bad"
        },
    }
}

/// Every result with the anchor of its details.
fn each(runs: &[Conformance]) -> impl Iterator<Item = (String, &Conformance, &CaseResult)> {
    runs.iter()
        .enumerate()
        .flat_map(|(column, run)| run.cases.iter().map(move |case| (anchor(column, &case.number), run, case)))
}

fn anchor(column: usize, number: &str) -> String {
    format!("c{column}-{}", number.replace('.', "-"))
}

/// One result of each case that any subject has, in the order of the numbers.
fn rows(runs: &[Conformance]) -> Vec<&CaseResult> {
    let mut rows: Vec<&CaseResult> = Vec::new();
    for case in runs.iter().flat_map(|run| &run.cases) {
        if !rows.iter().any(|known| known.id == case.id) {
            rows.push(case);
        }
    }
    let key = |case: &CaseResult| {
        let (group, number) = case.number.split_once('.').unwrap_or_default();
        (group.parse::<u32>().unwrap_or(u32::MAX), number.parse::<u32>().unwrap_or(u32::MAX))
    };
    rows.sort_by_key(|case| key(case));
    rows
}

fn groups(runs: &[Conformance]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for case in rows(runs) {
        let name = case.id.split('/').next().unwrap_or_default();
        if groups.last().is_none_or(|last| last.name != name) {
            groups.push(Group { name, rows: Vec::new() });
        }
        let found = |run: &Conformance| run.cases.iter().position(|c| c.id == case.id);
        let cells =
            runs.iter().enumerate().map(|(column, run)| cell(column, found(run).map(|i| &run.cases[i])));
        let row = Row {
            number: &case.number,
            id: &case.id,
            requirement: &case.requirement,
            cells: cells.collect(),
        };
        if let Some(group) = groups.last_mut() {
            group.rows.push(row);
        }
    }
    groups
}

fn cell(column: usize, case: Option<&CaseResult>) -> Cell {
    let Some(case) = case else {
        return Cell { class: "none", letter: "·".to_owned(), tip: "not run".to_owned(), anchor: None };
    };
    let (class, letter, _) = look(case);
    let mark = match case.expected.as_ref().map(|e| e.met) {
        Some(Met::Yes) => "✓",
        Some(Met::No) => "!",
        Some(Met::Undecided) | None => "",
    };
    Cell {
        class,
        letter: format!("{letter}{}", if letter == mark { "" } else { mark }),
        tip: format!("{}: {}", case.verdict.name(), message(case)),
        anchor: Some(anchor(column, &case.number)),
    }
}

/// Class, letter and word; a failure that was expected does not cry out, an expectation that was not met does.
fn look(case: &CaseResult) -> (&'static str, &'static str, &'static str) {
    let (class, letter, _) = style(case.verdict);
    let class = match case.expected.as_ref().map(|e| e.met) {
        Some(Met::Yes) if class == "bad" => "warn",
        Some(Met::No) => "bad",
        _ => class,
    };
    (class, letter, case.verdict.name())
}

/// What was not simply as required, the failures first.
fn findings(runs: &[Conformance]) -> Vec<Finding<'_>> {
    let weight = |case: &CaseResult| match case.verdict {
        _ if case.counts_against() => 0,
        CaseVerdict::Failed | CaseVerdict::Broken => 1,
        CaseVerdict::NonStrict => 2,
        _ => 3,
    };
    let worth = |case: &CaseResult| {
        case.counts_against()
            || !matches!(case.verdict, CaseVerdict::Ok | CaseVerdict::Skipped | CaseVerdict::Info)
    };
    let mut all: Vec<_> = each(runs).filter(|(.., case)| worth(case)).collect();
    all.sort_by_key(|(.., case)| weight(case));
    all.into_iter()
        .map(|(anchor, run, case)| {
            let (class, _, word) = look(case);
            Finding { class, word, subject: &run.subject, case: &case.id, seen: message(case), anchor }
        })
        .collect()
}

fn detail<'a>(anchor: String, run: &'a Conformance, case: &'a CaseResult) -> Detail<'a> {
    let (class, _, word) = look(case);
    Detail { anchor, class, word, subject: &run.subject, case: &case.id, text: details(case) }
}
