//! Arrivals: what is due when depends on the rate, the seed and the number alone.

use loadgen::abort::{Kind, Phase, Plan, Rule};
use loadgen::schedule::{Arrivals, Schedule};

fn first(arrivals: Arrivals, seed: u64, threads: u32, count: usize) -> Vec<(u64, u64)> {
    let mut all: Vec<_> = (0..threads)
        .flat_map(|i| Schedule::new(arrivals, 10_000.0, seed, i, threads).take(count / threads as usize))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn the_threads_share_the_arrivals_of_one() {
    for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
        let one = first(arrivals, 7, 1, 1200);
        assert_eq!(one.len(), 1200);
        for threads in [2, 3, 4] {
            assert_eq!(first(arrivals, 7, threads, 1200), one, "{threads} threads");
        }
    }
}

#[test]
fn constant_arrivals_do_not_drift() {
    let (k, due) = Schedule::new(Arrivals::Constant, 3.0, 0, 0, 1).nth(3_000_000).unwrap();
    assert_eq!((k, due), (3_000_000, 1_000_000_000_000_000));
}

#[test]
fn poisson_gaps_are_exponential_and_seeded() {
    let count = 20_000;
    let dues: Vec<_> =
        Schedule::new(Arrivals::Poisson, 10_000.0, 5, 0, 1).take(count).map(|(_, due)| due).collect();
    let gaps: Vec<_> = dues.windows(2).map(|w| (w[1] - w[0]) as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let deviation = (gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
    // An exponential distribution has a deviation equal to its mean. 5 % is seven standard errors here.
    assert!((mean - 100_000.0).abs() < 5_000.0, "{mean}");
    assert!((deviation / mean - 1.0).abs() < 0.05, "{deviation}");
    let other: Vec<_> =
        Schedule::new(Arrivals::Poisson, 10_000.0, 6, 0, 1).take(count).map(|(_, due)| due).collect();
    assert_ne!(dues, other);
}

#[test]
fn abort_plans_replay_and_keep_their_fractions() {
    let rules: Vec<Rule> =
        ["connect:5%", "after-request:0.1:rst", "idle:0.85"].map(|rule| rule.parse().unwrap()).into();
    assert_eq!((rules[0].kind, rules[1].kind), (Kind::Rst, Kind::Rst));
    assert_eq!("after-request:5%".parse::<Rule>().unwrap().kind, Kind::Fin);
    let plan = Plan::new(rules).unwrap();
    let chosen: Vec<_> = (0..20_000).map(|k| plan.choose(3, k)).collect();
    assert_eq!(chosen, (0..20_000).map(|k| plan.choose(3, k)).collect::<Vec<_>>());
    let share =
        |phase| chosen.iter().filter(|c| c.is_some_and(|(p, _)| p == phase)).count() as f64 / 20_000.0;
    assert!((share(Phase::Connect) - 0.05).abs() < 0.01, "{}", share(Phase::Connect));
    assert!((share(Phase::AfterRequest) - 0.10).abs() < 0.01);
    // The fractions add up to 1: nobody is left over.
    assert!((share(Phase::Idle) - 0.85).abs() < 0.01);
    assert!(chosen.iter().all(Option::is_some));
    assert!(Plan::default().choose(3, 0).is_none());
}

#[test]
fn abort_rules_that_make_no_sense_are_refused() {
    for bad in [
        "",
        "connect",
        "never:5%",
        "connect:0",
        "connect:101%",
        "connect:x",
        "connect:5%:bang",
        "connect:5%:fin:x",
        "connect:nan",
    ] {
        assert!(bad.parse::<Rule>().is_err(), "{bad}");
    }
    let half: Rule = "idle:60%".parse().unwrap();
    assert!(Plan::new(vec![half, half]).is_err());
}
