//! `harness list`: the models, what they serve and where they come from. Not here: the models.

use serde_json::json;
use servers::{Capacity, MODELS, Support};
use sys::Family;

/// For people.
#[must_use]
pub fn text() -> String {
    let mut text = String::new();
    for entry in &MODELS {
        let model = entry.model;
        let served: Vec<&str> = Family::ALL
            .into_iter()
            .filter(|f| (model.supports)(*f) == Support::Yes)
            .map(Family::name)
            .collect();
        let axes = model.axes;
        text.push_str(&format!("{:<17} {}\n", model.name, model.summary));
        text.push_str(&format!(
            "                  from {}; serves {}; {}\n",
            model.origin,
            served.join(", "),
            capacity(model.capacity)
        ));
        text.push_str(&format!(
            "                  accept: {}; isolation: {}; lifetime: {}; multiplexing: {}; work: {}\n",
            axes.accept, axes.isolation, axes.lifetime, axes.multiplexing, axes.work
        ));
        if let Some(reason) = servers::unsupported(model.name) {
            text.push_str(&format!("                  unsupported here: {reason}\n"));
        }
    }
    text.trim_end().to_owned()
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

/// For programs.
#[must_use]
pub fn json() -> String {
    let models: Vec<_> = MODELS
        .iter()
        .map(|entry| {
            let m = entry.model;
            let families: serde_json::Map<String, serde_json::Value> = Family::ALL
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
        })
        .collect();
    serde_json::to_string_pretty(&json!({"schema": record::SCHEMA, "models": models})).unwrap_or_default()
}
