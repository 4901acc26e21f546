//! The rules of the house that a compiler does not know: arrows between crates, sizes, heads of files, where unsafe may stand.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which of our crates may import which (DESIGN: arrows point down only). Dev-dependencies count too.
const ARROWS: [(&str, &[&str]); 8] = [
    ("ci", &["harness", "reports", "record"]),
    ("harness", &["servers", "loadgen", "reports", "service", "sys", "record"]),
    ("reports", &["record"]),
    ("loadgen", &["service", "sys", "record"]),
    ("servers", &["service", "sys"]),
    ("service", &[]),
    ("sys", &[]),
    ("record", &[]),
];

/// Most lines of a source file.
const LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn metadata() -> Value {
    #[expect(clippy::disallowed_methods, reason = "cargo is not a process under test")]
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn arrows_between_crates_point_down_only() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        allowed.keys().copied().collect(),
        "a crate came or went: say in ARROWS what it may import"
    );
    for package in packages {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            assert!(!names.contains(on) || allowed[name].contains(&on), "{name} must not import {on}");
        }
    }
}

#[test]
fn plain_cargo_run_is_the_harness() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let default: Vec<_> = packages.iter().filter_map(|p| p["default_run"].as_str()).collect();
    assert_eq!(default, ["harness"]);
    assert_eq!(
        metadata["workspace_default_members"].as_array().unwrap().len(),
        packages.len(),
        "cargo test covers all"
    );
}

/// Every Rust file of the project, with its path from the root.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                walk(&path, found);
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    walk(&root, &mut found);
    assert!(found.len() > 50, "the sources were not found");
    found
        .into_iter()
        .map(|path| {
            (path.strip_prefix(&root).unwrap().display().to_string(), std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The lines that are code: no comments, and nothing of the tests at a file's end.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn every_file_says_first_what_it_is_for_and_none_is_too_long() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{path} does not begin with //!");
        assert!(text.lines().count() <= LINES, "{path} has more than {LINES} lines");
        if path.ends_with("main.rs") && path.contains("src/") {
            assert!(text.lines().count() < 40, "{path}: a main is a call");
        }
    }
}

#[test]
fn unsafe_stands_in_sys_only() {
    for (path, text) in sources() {
        if path.starts_with("servers/sys/") || path.ends_with("tidy.rs") {
            continue;
        }
        let found = code(&text).find(|line| {
            line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl")
        });
        assert_eq!(found, None, "{path}");
    }
}

#[test]
fn service_record_and_reports_open_no_socket_and_read_no_clock() {
    const BANNED: [&str; 6] =
        ["std::net", "socket2", "Instant::now", "SystemTime::now", "clock_gettime", "std::thread::sleep"];
    for (path, text) in sources() {
        let pure = ["servers/service/src/", "reports/src/", "reports/record/src/"]
            .iter()
            .any(|p| path.starts_with(p));
        if !pure {
            continue;
        }
        for banned in BANNED {
            assert!(!code(&text).any(|line| line.contains(banned)), "{path} uses {banned}");
        }
    }
}

#[test]
fn plotters_needs_no_system_library() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for unwanted in ["font-kit", "yeslogic-fontconfig-sys", "freetype-sys", "openssl-sys"] {
        assert!(
            !lock.contains(&format!("name = \"{unwanted}\"")),
            "{unwanted} came in: some crate turned default features on"
        );
    }
}
