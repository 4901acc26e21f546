//! The self-test as a command: what it compares, and how it ends. Not here: whether this machine is quiet enough for its truths.

use crate::cli::{output, stderr};
use serde_json::Value;

#[test]
fn the_truths_hold_or_the_machine_is_to_blame() {
    let output = output(&["self-test", "-d", "1s", "--json", "-"]);
    let text = stderr(&output);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{text}"));
    let (truths, noise) = (result["truths"].as_array().unwrap(), result["noise"].as_array().unwrap());
    let number = |truth: &Value, field: &str| truth[field].as_f64().unwrap();
    let named = |name: &str| truths.iter().find(|t| t["name"] == name).unwrap_or_else(|| panic!("{text}"));
    // Whatever the machine does: the server answered as often as the generator says.
    for run in ["stalls", "queue at 50 %", "queue at 80 %"] {
        let answers = named(&format!("{run}: answers"));
        assert_eq!(answers["expected"], answers["got"], "{text}");
        assert!(number(answers, "got") >= 500.0, "{text}");
    }
    // 100 ms in 500 ms at 1,000 a second: 125 of 500 requests wait, 50 ms on average, 12.5 ms over all, whatever the phase.
    let expected = number(named("stalls: mean"), "expected");
    assert!((11.5e6..14.0e6).contains(&expected), "{text}");
    // A queue at 50 % and 80 %: half of a service and two of them, give or take what a second of arrivals scatters by.
    for (name, theory) in [("queue at 50 %: mean wait", 0.5e6), ("queue at 80 %: mean wait", 2.0e6)] {
        let expected = number(named(name), "expected");
        assert!(expected > theory / 3.0 && expected < theory * 3.0, "{text}");
    }
    let missed = truths.iter().any(|truth| truth["holds"] == false);
    let exit = match (missed, noise.is_empty()) {
        (false, _) => 0,
        (true, true) => 1,
        (true, false) => 3,
    };
    assert_eq!(output.status.code(), Some(exit), "{text}");
    if !noise.is_empty() {
        return crate::skipped("this machine is too busy for the truths of the self-test");
    }
    // Loosely: tests run beside one another.
    for truth in truths.iter().filter(|truth| truth["unit"] == "ns") {
        let (expected, got) = (number(truth, "expected"), number(truth, "got"));
        assert!((got - expected).abs() < 0.25 * expected + 1e6, "{text}");
    }
}
