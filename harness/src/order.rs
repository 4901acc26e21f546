//! In which order trials are run: interleaved and seeded, since all of A and then all of B makes identical builds differ
//! (Abedi and Brecht, ICPE 2017). Not here: running them.

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;

/// `(scenario, trial)` for every trial of `scenarios` scenarios: round after round, each a fresh shuffle, so that what drifts
/// over the minutes meets every scenario alike.
#[must_use]
pub fn interleaved(scenarios: usize, trials: u32, seed: u64) -> Vec<(usize, u32)> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut order = Vec::with_capacity(scenarios * trials as usize);
    for trial in 1..=trials {
        let mut round: Vec<usize> = (0..scenarios).collect();
        round.shuffle(&mut random);
        order.extend(round.into_iter().map(|scenario| (scenario, trial)));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_holds_every_scenario_once_in_an_order_of_its_own() {
        let order = interleaved(10, 4, 7);
        let rounds: Vec<Vec<usize>> = order.chunks(10).map(|c| c.iter().map(|(s, _)| *s).collect()).collect();
        for (i, round) in rounds.iter().enumerate() {
            let mut sorted = round.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
            assert!(order[i * 10..][..10].iter().all(|(_, trial)| *trial == i as u32 + 1));
        }
        assert!(rounds.windows(2).any(|w| w[0] != w[1]));
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(interleaved(6, 3, 1), interleaved(6, 3, 1));
        assert_ne!(interleaved(6, 3, 1), interleaved(6, 3, 2));
    }
}
