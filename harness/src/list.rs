//! `harness list`: the models, what they serve and where they come from; what is not served, and why. Not here: the models.

use crate::plan::model_named;
use serde_json::{Value, json};
use servers::registry::Entry;
use servers::{Capacity, MODELS, Support};
use sys::Family;

/// Columns that a line has at most.
const WIDTH: usize = 100;

/// How far the text under a model's name stands in.
const INDENT: &str = "    ";

/// For people: all models, or the one named in full.
///
/// # Errors
/// One line for a name that no model has.
pub fn text(model: Option<&str>) -> Result<String, String> {
    if let Some(name) = model {
        return Ok(in_full(model_named(name)?));
    }
    let mut text = "Families in brackets are not served; why, stands at the end.\n\n".to_owned();
    for entry in &MODELS {
        let model = entry.model;
        text.push_str(&format!("{:<18}{}\n", model.name, marks(entry)));
        wrap(&mut text, model.summary);
        wrap(&mut text, &format!("from {}", model.origin));
        let axes: Vec<String> = axes(entry).map(|(name, what)| format!("{name}: {what}")).collect();
        wrap(&mut text, &axes.join("; "));
    }
    text.push_str("\nNot served, and why:\n");
    for (families, reason, models) in gaps() {
        wrap(&mut text, &format!("{}: {reason}: {}", families.join(", "), models.join(", ")));
    }
    let here: Vec<_> =
        MODELS.iter().filter_map(|e| Some((e.model.name, servers::unsupported(e.model.name)?))).collect();
    if !here.is_empty() {
        text.push_str("\nUnsupported on this machine:\n");
        here.iter().for_each(|(name, reason)| wrap(&mut text, &format!("{name}: {reason}")));
    }
    text.push_str("\n`harness list MODEL` shows one in full.");
    Ok(text)
}

fn in_full(entry: &Entry) -> String {
    let model = entry.model;
    let mut text = format!("{}\n", model.name);
    wrap(&mut text, model.summary);
    wrap(&mut text, &format!("from {}", model.origin));
    for (name, what) in axes(entry) {
        wrap(&mut text, &format!("{:<14}{what}", format!("{name}:")));
    }
    for family in Family::ALL {
        let served = match (model.supports)(family) {
            Support::Yes => "served".to_owned(),
            Support::No(reason) => format!("not served: {reason}"),
        };
        wrap(&mut text, &format!("{:<14}{served}", format!("{family}:")));
    }
    if let Some(reason) = servers::unsupported(model.name) {
        wrap(&mut text, &format!("unsupported on this machine: {reason}"));
    }
    text.trim_end().to_owned()
}

/// The five axes, and how many connections it holds.
fn axes(entry: &Entry) -> impl Iterator<Item = (&'static str, String)> {
    let axes = entry.model.axes;
    let five = [
        ("accept", axes.accept),
        ("isolation", axes.isolation),
        ("lifetime", axes.lifetime),
        ("multiplexing", axes.multiplexing),
        ("work", axes.work),
    ];
    let holds = ("holds", capacity(entry.model.capacity));
    five.into_iter().map(|(name, what)| (name, what.to_owned())).chain([holds])
}

/// The families, those that are not served in brackets.
fn marks(entry: &Entry) -> String {
    let mark = |family: Family| match (entry.model.supports)(family) {
        Support::Yes => family.name().to_owned(),
        Support::No(_) => format!("({})", family.name()),
    };
    let marks = Family::ALL.map(mark).join("  ");
    if servers::unsupported(entry.model.name).is_some() {
        format!("{marks}  unsupported here")
    } else {
        marks
    }
}

/// What is not served: families, why, models; each reason once.
fn gaps() -> Vec<(Vec<&'static str>, &'static str, Vec<&'static str>)> {
    let mut reasons: Vec<(Vec<&str>, &str, Vec<&str>)> = Vec::new();
    for entry in &MODELS {
        for family in Family::ALL {
            let Support::No(reason) = (entry.model.supports)(family) else { continue };
            let at = reasons.iter().position(|known| known.1 == reason).unwrap_or_else(|| {
                reasons.push((Vec::new(), reason, Vec::new()));
                reasons.len() - 1
            });
            let (families, _, models) = &mut reasons[at];
            if !families.contains(&family.name()) {
                families.push(family.name());
            }
            if !models.contains(&entry.model.name) {
                models.push(entry.model.name);
            }
        }
    }
    reasons
}

/// Appends a paragraph that stands in, in lines that fit; a word is never cut, and spaces at the beginning of a line are kept as they are.
fn wrap(text: &mut String, paragraph: &str) {
    let mut length = INDENT.len();
    text.push_str(INDENT);
    for (i, word) in paragraph.split(' ').enumerate() {
        let letters = word.chars().count();
        if i > 0 && length + 1 + letters > WIDTH {
            text.push('\n');
            text.push_str(INDENT);
            text.push_str("  ");
            length = INDENT.len() + 2;
        } else if i > 0 {
            text.push(' ');
            length += 1;
        }
        text.push_str(word);
        length += letters;
    }
    text.push('\n');
}

fn capacity(capacity: Capacity) -> String {
    match capacity {
        Capacity::One => "one connection at a time".to_owned(),
        Capacity::Descriptors(limit) => format!("descriptors below {limit}"),
        Capacity::Workers(workers) => {
            format!("one connection a worker, {workers} workers unless told otherwise")
        }
        Capacity::Hashed(workers) => {
            format!("one connection a worker, chosen by a hash; {workers} workers unless told otherwise")
        }
        Capacity::System => "as many connections as the system allows".to_owned(),
    }
}

/// For programs: all models, or the one named.
///
/// # Errors
/// As [`text`].
pub fn json(model: Option<&str>) -> Result<String, String> {
    let models: Vec<Value> = match model {
        Some(name) => vec![value(model_named(name)?)],
        None => MODELS.iter().map(value).collect(),
    };
    Ok(serde_json::to_string_pretty(&json!({"schema": record::SCHEMA, "models": models})).unwrap_or_default())
}

fn value(entry: &Entry) -> Value {
    let m = entry.model;
    let families: serde_json::Map<String, Value> = Family::ALL
        .into_iter()
        .map(|f| {
            let support = match (m.supports)(f) {
                Support::Yes => json!({"supported": true}),
                Support::No(reason) => json!({"supported": false, "reason": reason}),
            };
            (f.name().to_owned(), support)
        })
        .collect();
    json!({
        "name": m.name, "summary": m.summary, "origin": m.origin, "capacity": capacity(m.capacity),
        "unsupported_here": servers::unsupported(m.name),
        "families": families,
        "axes": {"accept": m.axes.accept, "isolation": m.axes.isolation, "lifetime": m.axes.lifetime,
                 "multiplexing": m.axes.multiplexing, "work": m.axes.work},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_listed_with_all_that_it_does_not_serve_within_a_hundred_columns() {
        let all = text(None).unwrap();
        for line in all.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        let flat = all.split_whitespace().collect::<Vec<_>>().join(" ");
        for entry in &MODELS {
            assert!(all.contains(&format!("\n{:<18}", entry.model.name)));
            for family in Family::ALL {
                if let Support::No(reason) = (entry.model.supports)(family) {
                    assert!(
                        flat.contains(reason) && in_full(entry).contains("not served: "),
                        "{}",
                        entry.model.name
                    );
                }
            }
        }
        assert!(text(Some("epol")).unwrap_err().contains("the models are iterative, "));
        assert!(text(Some("epoll")).unwrap().starts_with("epoll\n"));
        let one: Value = serde_json::from_str(&json(Some("epoll")).unwrap()).unwrap();
        assert_eq!(
            (one["models"].as_array().unwrap().len(), &one["models"][0]["name"]),
            (1, &json!("epoll"))
        );
    }
}
