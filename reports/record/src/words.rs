//! Numbers with their nouns, for everybody who prints some. Not here: units (see `reports::format`).

/// `1 trial`, `3 trials`, `2 processes`; for nouns whose plural is made with an `s`.
#[must_use]
pub fn plural(number: impl TryInto<u64>, noun: &str) -> String {
    // What is negative or beyond 64 bits is not a count.
    let number = number.try_into().unwrap_or(u64::MAX);
    let ending = match (number, noun.ends_with('s')) {
        (1, _) => "",
        (_, false) => "s",
        (_, true) => "es",
    };
    format!("{number} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::plural;

    #[test]
    fn one_is_one() {
        assert_eq!(
            (plural(1_usize, "rate"), plural(0_u32, "rate")),
            ("1 rate".to_owned(), "0 rates".to_owned())
        );
        assert_eq!(
            (plural(2_u64, "rate"), plural(2_u64, "process")),
            ("2 rates".to_owned(), "2 processes".to_owned())
        );
    }
}
