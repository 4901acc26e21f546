//! `docs/ZOO.md` beside the registry: its list of models cannot go stale. `WRITE_DOCS=1 cargo test -p harness --test it -- zoo` writes
//! the list anew. Not here: the words round it, and what was measured.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ZOO.md");
const BEGIN: &str = "<!-- the list of models: begin -->\n";
const END: &str = "<!-- the list of models: end -->\n";

const FAMILIES: [&str; 4] = ["tcp", "udp", "unix", "unixgram"];
const AXES: [&str; 5] = ["accept", "isolation", "lifetime", "multiplexing", "work"];

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// The list as it should stand in the page: what `harness list --json` says, but for what depends on the machine.
fn list() -> String {
    let json: Value = serde_json::from_str(&harness::list::json(None).unwrap()).unwrap();
    let models = json["models"].as_array().unwrap();
    let mut page = format!(
        "{} models.\n\n| model | why it exists | where it comes from |\n|---|---|---|\n",
        models.len()
    );
    for model in models {
        let [name, why, origin] = ["name", "summary", "origin"].map(|key| text(&model[key]));
        let _ = writeln!(page, "| `{name}` | {why} | {origin} |");
    }
    let _ = writeln!(page, "\n| model | {} | {} | holds |", FAMILIES.join(" | "), AXES.join(" | "));
    let _ = writeln!(page, "|{}", "---|".repeat(FAMILIES.len() + AXES.len() + 2));
    // Each reason once, with the models that give it.
    let mut gaps: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for model in models {
        let name = text(&model["name"]);
        let mark = |family: &&str| if model["families"][family]["supported"] == true { "yes" } else { "–" };
        let families: Vec<&str> = FAMILIES.iter().map(mark).collect();
        let axes = AXES.map(|axis| text(&model["axes"][axis]));
        let holds = text(&model["capacity"]);
        let _ = writeln!(page, "| `{name}` | {} | {} | {holds} |", families.join(" | "), axes.join(" | "));
        for family in FAMILIES {
            if let Some(reason) = model["families"][family]["reason"].as_str() {
                gaps.entry(reason).or_default().push(format!("`{name}` {family}"));
            }
        }
    }
    page.push_str("\nNot served, and why:\n\n");
    for (reason, cells) in gaps {
        let _ = writeln!(page, "- {reason}: {}", cells.join(", "));
    }
    page
}

/// The page with the list renewed; `None` where it has no place for one.
fn renewed(page: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}{END}{after}", list()))
}

#[test]
fn the_list_of_models_is_that_of_the_registry() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let renewed = renewed(&page).expect("docs/ZOO.md has no place for the list");
    if std::env::var_os("WRITE_DOCS").is_some() {
        return std::fs::write(PAGE, renewed).unwrap();
    }
    let differ = page.lines().zip(renewed.lines()).find(|(is, should)| is != should);
    assert!(
        page == renewed,
        "docs/ZOO.md is stale: run this test with WRITE_DOCS=1; first difference: {differ:?}"
    );
}
