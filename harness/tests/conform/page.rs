//! `docs/CONFORMANCE.md` beside the code: its list of cases, and which servers each of them fails, cannot go stale.
//! `WRITE_DOCS=1 cargo test -p harness --test conform -- page` writes the list anew. Not here: the words around it.

use crate::matrix::{KILLS, SAYS};
use crate::report::Test;
use harness::conform::case::{ALL_FAMILIES, ANY, Case};
use harness::conform::cases::ALL;
use std::fmt::Write as _;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFORMANCE.md");
const HEAD: &str = "| no | case | level | needs | families | services | run | requirement | kills |\n";

/// The list as it should stand in the page.
fn table() -> String {
    let mut out = format!("{HEAD}|---|---|---|---|---|---|---|---|---|\n");
    for case in ALL {
        // Writing to a String does not fail.
        let _ = writeln!(
            out,
            "| {} | `{}` | {} | {} | {} | {} | {} | {} | {} |",
            case.number,
            case.id,
            case.level.name(),
            case.needs.name(),
            families(case),
            services(case),
            if case.is_alone() { "alone" } else { "beside others" },
            case.requirement,
            killed(case)
        );
    }
    out
}

fn families(case: &Case) -> String {
    if case.families == ALL_FAMILIES {
        return "all".to_owned();
    }
    case.families.iter().map(|family| family.name()).collect::<Vec<_>>().join(" ")
}

fn services(case: &Case) -> String {
    if case.services == ANY {
        return "all".to_owned();
    }
    case.services.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" ")
}

/// The servers that a case must fail, or tell apart.
fn killed(case: &Case) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, id, ..) in KILLS.iter().chain(SAYS) {
        if *id == case.id && !names.contains(name) {
            names.push(name);
        }
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The page with its list exchanged; `None` where it has no list.
fn renewed(page: &str) -> Option<String> {
    let from = page.lines().scan(0, |at, line| {
        let start = *at;
        *at += line.len() + 1;
        Some((start, line))
    });
    let begin = from.into_iter().find(|(_, line)| line.starts_with("| no | case |"))?.0;
    let rows = page[begin..].lines().take_while(|line| line.starts_with('|')).count();
    let end = begin + page[begin..].split_inclusive('\n').take(rows).map(str::len).sum::<usize>();
    Some(format!("{}{}{}", &page[..begin], table(), &page[end..]))
}

fn page_says_what_is() -> Result<(), String> {
    let page = std::fs::read_to_string(PAGE).map_err(|e| format!("{PAGE}: {e}"))?;
    let renewed = renewed(&page).ok_or("the page has no list of cases")?;
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &renewed).map_err(|e| format!("{PAGE}: {e}"))?;
    } else if let Some((is, should)) = page.lines().zip(renewed.lines()).find(|(is, should)| is != should) {
        return Err(format!(
            "docs/CONFORMANCE.md is stale; run this test with WRITE_DOCS=1\nis:     {is}\nshould: {should}"
        ));
    } else if page.len() != renewed.len() {
        return Err("docs/CONFORMANCE.md lacks cases; run this test with WRITE_DOCS=1".to_owned());
    }
    let count = format!("{} cases", ALL.len());
    if page.contains(&count) { Ok(()) } else { Err(format!("docs/CONFORMANCE.md does not say `{count}`")) }
}

pub(crate) fn tests() -> Vec<Test> {
    vec![Test::new("page::the_list_of_cases_is_that_of_the_code", page_says_what_is)]
}
