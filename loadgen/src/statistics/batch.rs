//! How much less than independent values a series tells. Not here: what the series are of.

/// By how much the variance of a share is larger than that of independent values; at least 1.
///
/// `batches` are `(values, values above)` of stretches that follow each other. Pearson's dispersion lets the stretches differ
/// in size; the autocorrelation of what is left covers what hangs together over more than one of them. `None` where none or
/// all of the values are above, or one stretch has values only.
pub(crate) fn inflation(batches: &[(u64, u64)]) -> Option<f64> {
    let (values, above) = batches.iter().fold((0, 0), |(n, a), batch| (n + batch.0, a + batch.1));
    let share = above as f64 / values.max(1) as f64;
    let spread = share * (1.0 - share);
    if spread <= 0.0 {
        return None;
    }
    let residuals: Vec<f64> = batches
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|&(n, a)| (a as f64 - n as f64 * share) / (n as f64 * spread).sqrt())
        .collect();
    let degrees = residuals.len().checked_sub(1).filter(|d| *d > 0)?;
    let dispersion = residuals.iter().map(|r| r * r).sum::<f64>() / degrees as f64;
    Some((dispersion * autocorrelation_time(&residuals).max(1.0)).max(1.0))
}

/// Values of the series that tell as much as one independent value: 1 for white noise (Geyer's initial positive sequence).
pub(crate) fn autocorrelation_time(series: &[f64]) -> f64 {
    let n = series.len();
    let centre = series.iter().sum::<f64>() / n.max(1) as f64;
    let covariance =
        |lag: usize| series.iter().zip(&series[lag..]).map(|(a, b)| (a - centre) * (b - centre)).sum::<f64>();
    let variance = if n > 1 { covariance(0) } else { 0.0 };
    if variance <= 0.0 {
        return 1.0;
    }
    let mut pairs = 0.0;
    let mut lag = 0;
    // Beyond half of the series a covariance is an average over too few products.
    while lag < n / 2 {
        let pair = (covariance(lag) + covariance(lag + 1)) / variance;
        if pair <= 0.0 {
            break;
        }
        pairs += pair;
        lag += 2;
    }
    2.0 * pairs - 1.0
}
