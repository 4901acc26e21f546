//! Which cases are run: by id, number, prefix or glob. Not here: running them.

use super::case::Case;
use super::cases::ALL;

/// The cases that any of `patterns` names, in the order of their numbers; all of them where there is none. A pattern behind `!` takes
/// out what it names.
#[must_use]
pub(super) fn select(patterns: &[String]) -> Vec<&'static Case> {
    let (out, taken): (Vec<_>, Vec<_>) = patterns.iter().partition(|p| p.starts_with('!'));
    let named = |all: &[&String], case: &Case| all.iter().any(|p| names(p.trim_start_matches('!'), case));
    ALL.iter()
        .copied()
        .filter(|case| (taken.is_empty() || named(&taken, case)) && !named(&out, case))
        .collect()
}

/// The group that cuts across the others: the cases that can be run side by side.
pub(super) const FAST: &str = "fast";

/// True when `pattern` is `fast` and the case belongs there, the case's number, a prefix of its id up to a `/` or its end, or a glob (`*`, `?`) of the whole id.
fn names(pattern: &str, case: &Case) -> bool {
    let group = pattern.trim_end_matches('/');
    pattern == case.number
        || (group == FAST && !case.is_alone())
        || case.id == group
        || case.id.strip_prefix(group).is_some_and(|rest| rest.starts_with('/'))
        || (pattern.contains(['*', '?']) && glob(pattern.as_bytes(), case.id.as_bytes()))
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some(b'*'), _) => glob(&pattern[1..], text) || (!text.is_empty() && glob(pattern, &text[1..])),
        (Some(b'?'), Some(_)) => glob(&pattern[1..], &text[1..]),
        (Some(p), Some(t)) if p == t => glob(&pattern[1..], &text[1..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(pattern: &str) -> Vec<&'static str> {
        select(&[pattern.to_owned()]).iter().map(|c| c.id).collect()
    }

    #[test]
    fn takes_ids_numbers_groups_and_globs() {
        assert_eq!(ids("sigpipe/fin"), ["sigpipe/fin"]);
        assert_eq!(ids("5.1"), ["sigpipe/fin"]);
        assert!(ids("leak").len() >= 2 && ids("leak") == ids("leak/") && ids("leak") == ids("leak/*"));
        assert!(ids("*pipe*").contains(&"sigpipe/fin"));
        assert!(ids("sig").is_empty() && ids("nothing/here").is_empty() && ids("?").is_empty());
        assert_eq!(select(&[]).len(), ALL.len());
        assert_eq!(ids("!leak/fd").len(), ALL.len() - 1);
        let some = select(&["leak".to_owned(), "!leak/fd".to_owned()]);
        assert!(some.len() + 1 == ids("leak").len() && some.iter().all(|case| case.id != "leak/fd"));
        let fast = ids("fast");
        assert!(
            fast.contains(&"leak/fd") && !fast.contains(&"fair/greedy") && !fast.contains(&"stop/port-free")
        );
    }

    #[test]
    fn ids_and_numbers_are_unique_and_in_order() {
        let key = |c: &Case| {
            let (group, case) = c.number.split_once('.').unwrap();
            (group.parse::<u32>().unwrap(), case.parse::<u32>().unwrap())
        };
        for pair in ALL.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{} {}", pair[0].id, pair[1].id);
            assert_ne!(pair[0].id, pair[1].id);
        }
    }
}
