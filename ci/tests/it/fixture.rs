//! Made-up report folders: trials whose throughput is given. Not here: distributions.

use std::path::Path;

/// A scenario's trials: its id, requests per second of each, and the number of them that are invalid.
pub(crate) struct Scenario {
    pub(crate) id: &'static str,
    pub(crate) rates: Vec<f64>,
    pub(crate) invalid: usize,
    pub(crate) killed: bool,
}

impl Scenario {
    /// Valid trials about a rate, spread by two percent in all, in a scrambled order.
    pub(crate) fn about(id: &'static str, trials: u32, rate: f64) -> Self {
        let share = |i: u32| f64::from(i * 7 % trials) / f64::from(trials) - 0.5;
        Self {
            id,
            rates: (0..trials).map(|i| rate * (1.0 + 0.02 * share(i))).collect(),
            invalid: 0,
            killed: false,
        }
    }
}

/// Writes a report folder. CPU time per request goes with the inverse of the rate.
pub(crate) fn write(folder: &Path, run_id: &str, scenarios: &[Scenario]) {
    std::fs::create_dir_all(folder).unwrap();
    let plan: Vec<String> = scenarios.iter().map(|s| scenario(s.id)).collect();
    let machine = r#"{"kernel":"6.1","cpu_model":"x","cpus":[0,1],"governor":null,"virtualised":null,"memory_bytes":1,"descriptor_limit":[1,1],"sysctls":{},"load_average":null,"clock_source":null}"#;
    let run = format!(
        r#"{{"schema":1,"id":"{run_id}","started_at":"2026-01-15T09:30:00Z","elapsed_ns":1,"version":"0","plan_name":"p","plan":"","seed":1,"trials_planned":5,"cut_short":false,"machine":{machine},"server_cpus":[0],"load_cpus":[1],"scenarios":[{}],"conformance":[]}}"#,
        plan.join(",")
    );
    std::fs::write(folder.join("run.json"), run).unwrap();
    let mut lines = String::new();
    for s in scenarios {
        for (index, rate) in s.rates.iter().enumerate() {
            lines.push_str(&record(s, index, *rate, run_id));
            lines.push('\n');
        }
    }
    std::fs::write(folder.join("records.jsonl"), lines).unwrap();
}

fn scenario(id: &str) -> String {
    let model = id.split('/').next().unwrap();
    format!(
        r#"{{"id":"{id}","model":"{model}","family":"tcp","service":"echo","workload":"w","title":"t","unsupported":null}}"#
    )
}

fn record(s: &Scenario, index: usize, rate: f64, run_id: &str) -> String {
    let state = if index < s.invalid {
        r#"{"state":"invalid","reasons":["spoiled"]}"#
    } else {
        r#"{"state":"valid","reasons":[]}"#
    };
    let summary = |p50: &str| {
        format!(r#"{{"count":9,"min":1,"mean":1.0,"p50":{p50},"p90":null,"p99":null,"p99_9":null,"max":9}}"#)
    };
    let (none, p50) = (summary("null"), summary(&format!("{}", (1e9 / rate) as u64)));
    let requests =
        r#"{"scheduled":9,"sent":9,"unsent":0,"completed":9,"failed":0,"unanswered":0,"aborted":0,"late":0}"#;
    let config = r#"{"service":"echo","connections":1,"threads":1,"rate_per_s":null,"arrivals":"closed","requests_per_connection":null,"size_bytes":1,"work":null,"aborts":[],"timeout_ns":1,"seed":1}"#;
    let load = format!(
        r#"{{"schema":1,"target":"t","config":{config},"verdict":{{"state":"valid","reasons":[]}},"started_at_ns":1,"elapsed_ns":1,"warm_up_ns":0,"requests":{requests},"throughput_per_s":{rate},"received_bytes_per_s":1.0,"bytes":{{"sent":1,"received":1}},"latency_ns":{p50},"service_ns":{none},"lag_ns":{none},"connect_ns":{none},"connections":{{"wanted":1,"made":1,"peak":1}},"aborts":{{"planned":0,"done":0,"by_kind":{{}},"fin_proven":0,"not_reached":0}},"collateral_errors":0,"errors":[],"generator":{{"cpu_ns_per_request":null,"cpu_ns":1,"busy_share":0.1,"run_queue_wait_ns":null,"peak_rss_bytes":1}},"intervals":[],"histograms":{{"latency":"","service":"","lag":"","connect":""}}}}"#
    );
    let killed = if s.killed { r#""SIGPIPE""# } else { "null" };
    let faults = format!(
        r#"{{"exit_status":null,"killed_by":{killed},"died_early":false,"ignored_term":false,"zombies":0,"descriptors_left":0,"stderr":""}}"#
    );
    let server = format!(
        r#"{{"command":"","cpus":[],"ready_ns":null,"cpu_ns":null,"cpu_ns_per_request":{},"cpu_source":"proc","peak_rss_bytes":null,"bytes_per_connection":null,"voluntary_switches":null,"involuntary_switches":null,"threads":null,"processes":null,"listen_overflows":null,"faults":{faults}}}"#,
        2e9 / rate
    );
    let number = index + 1;
    format!(
        r#"{{"schema":1,"run_id":"{run_id}","scenario":{},"trial":{number},"order":{number},"seed":1,"verdict":{state},"load":{load},"server":{server}}}"#,
        scenario(s.id)
    )
}
