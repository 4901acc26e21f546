//! What counts as a change. Not here: testing for one.

/// What counts as a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Smallest change that is reported as one, as a share: 0.05 is five percent.
    pub threshold: f64,
    /// Chance of any false alarm over all gates together, when nothing changed.
    pub alpha: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { threshold: 0.05, alpha: 0.01 }
    }
}

/// Reads a share written as `5%` or `0.05`.
///
/// # Errors
/// A sentence, where it is neither, or not between 0 and 1.
pub fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |n| (n, 100.0));
    match number.trim().parse::<f64>() {
        Ok(value) if value > 0.0 && value / unit < 1.0 => Ok(value / unit),
        _ => Err(format!("`{text}` is not a share between 0 and 1, such as `5%` or `0.05`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_or_a_fraction() {
        assert_eq!((share("5%"), share("0.05"), share("2.5 %")), (Ok(0.05), Ok(0.05), Ok(0.025)));
        for bad in ["", "x", "0", "-5%", "100%", "1", "NaN", "inf", "5"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
