//! Sentences about single trials, put together where they say the same thing. Not here: the sentences.

/// The different texts in the order of first appearance, each with its trials as in `trials 1–3, 5`.
///
/// Texts that differ in their numbers alone are one text, with the range of each number: thirty trials would else be thirty lines.
pub(super) fn grouped<'t>(all: impl Iterator<Item = (u32, &'t str)>) -> Vec<(String, String)> {
    let mut groups: Vec<(Vec<Word<'t>>, Vec<u32>)> = Vec::new();
    for (trial, text) in all {
        let words: Vec<Word<'t>> = text.split(' ').map(Word::new).collect();
        match groups.iter_mut().find(|(known, _)| alike(known, &words)) {
            Some((known, trials)) => {
                known.iter_mut().zip(&words).for_each(|(known, word)| known.widen(word));
                if !trials.contains(&trial) {
                    trials.push(trial);
                }
            }
            None => groups.push((words, vec![trial])),
        }
    }
    let text = |words: &[Word<'_>]| words.iter().map(Word::text).collect::<Vec<_>>().join(" ");
    groups.into_iter().map(|(words, trials)| (text(&words), numbers(trials))).collect()
}

/// A word of a sentence; of a number, the smallest and the largest that was met, as they were written.
#[derive(Debug)]
struct Word<'t> {
    low: (&'t str, f64),
    high: (&'t str, f64),
}

impl<'t> Word<'t> {
    fn new(text: &'t str) -> Self {
        let value = text.parse().ok().filter(|v: &f64| v.is_finite()).unwrap_or(f64::NAN);
        Self { low: (text, value), high: (text, value) }
    }

    fn is_number(&self) -> bool {
        !self.low.1.is_nan()
    }

    fn widen(&mut self, other: &Self) {
        if other.low.1 < self.low.1 {
            self.low = other.low;
        }
        if other.high.1 > self.high.1 {
            self.high = other.high;
        }
    }

    fn text(&self) -> String {
        if self.low.0 == self.high.0 {
            self.low.0.to_owned()
        } else {
            format!("{}–{}", self.low.0, self.high.0)
        }
    }
}

fn alike(a: &[Word<'_>], b: &[Word<'_>]) -> bool {
    let same = |(a, b): (&Word<'_>, &Word<'_>)| a.low.0 == b.low.0 || (a.is_number() && b.is_number());
    a.len() == b.len() && a.iter().zip(b).all(same)
}

fn numbers(mut trials: Vec<u32>) -> String {
    trials.sort_unstable();
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &trial in &trials {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(trial) => *last = trial,
            _ => runs.push((trial, trial)),
        }
    }
    let text: Vec<String> =
        runs.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}–{b}") }).collect();
    format!("{} {}", if trials.len() == 1 { "trial" } else { "trials" }, text.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(all: &[(u32, &str)]) -> Vec<String> {
        grouped(all.iter().copied()).into_iter().map(|(text, trials)| format!("{trials}: {text}")).collect()
    }

    #[test]
    fn what_differs_in_numbers_alone_is_one_line_with_ranges() {
        let all = [
            (1, "late by 30 us of 9 us"),
            (2, "killed"),
            (3, "late by 7.5 us of 9 us"),
            (2, "late by 200 us of 9 us"),
        ];
        assert_eq!(group(&all), ["trials 1–3: late by 7.5–200 us of 9 us", "trial 2: killed"]);
    }

    #[test]
    fn the_same_sentence_of_a_trial_counts_once_and_gaps_show() {
        assert_eq!(group(&[(5, "x"), (1, "x"), (2, "x"), (5, "x")]), ["trials 1–2, 5: x"]);
        assert_eq!(group(&[(1, "x 1"), (2, "y 1")]), ["trial 1: x 1", "trial 2: y 1"]);
    }
}
