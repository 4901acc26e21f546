//! A trial with clients that leave without reading: a server that dies of SIGPIPE is named as that, ours live on and nobody else
//! sees an error. Not here: conformance cases.

use crate::report::Test;
use harness::cpus::Split;
use harness::interrupt::Interrupt;
use harness::plan::{Plan, Planned};
use harness::trial::{Bench, Turn};
use record::{Record, VerdictState};
use std::path::PathBuf;
use std::time::Duration;

const PLAN: &str = r#"
name = "aborts"

[[workload]]
name = "aborts"
title = "one client in five leaves without reading"
service = "sized"
size = 400
connections = 4
requests_per_connection = 1
abort = ["after-request:20%:fin"]
"#;

fn trial(planned: &Planned, mutant: Option<&str>) -> Result<Record, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let bench = Bench {
        exe: PathBuf::from(env!("CARGO_BIN_EXE_harness")),
        stand_in: mutant.map(|name| (own, vec!["--mutant".into(), name.into()])),
        cpus: Split::of_machine().map_err(|e| e.to_string())?,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(400),
        run_id: "test".to_owned(),
    };
    let turn = Turn { trial: 1, order: 1, seed: 1 };
    bench
        .run(planned, turn, &Interrupt::default())
        .map_err(|e| format!("{e:#}"))?
        .ok_or_else(|| "the trial was cut short".to_owned())
}

/// The first trial of `model` under the plan.
fn of(model: &str, mutant: Option<&str>) -> Result<Record, String> {
    let planned = Plan::parse(PLAN).and_then(|plan| plan.scenarios()).map_err(|e| e.to_string())?;
    let planned = planned.iter().find(|p| p.scenario.model == model).ok_or("no such model")?;
    trial(planned, mutant)
}

fn expect(what: &str, holds: bool, record: &Record) -> Result<(), String> {
    let load = record.load.as_ref().map(|l| (&l.requests, &l.aborts, &l.errors, l.collateral_errors));
    if holds {
        Ok(())
    } else {
        Err(format!("{what}: {:?} {:?} {load:?}", record.verdict, record.server.faults))
    }
}

/// Which server, broken on purpose, dies of a client that leaves; and by what.
fn the_signal_is_named() -> Result<(), String> {
    let record = of("thread", Some("sigpipe-dies"))?;
    expect("died early", record.server.faults.died_early, &record)?;
    expect("by SIGPIPE", record.server.faults.killed_by.as_deref() == Some("SIGPIPE"), &record)?;
    expect("the trial does not count", record.verdict.state == VerdictState::Invalid, &record)
}

fn ours_live(model: &str) -> Result<(), String> {
    let record = of(model, None)?;
    expect("no fault", record.server.faults.list().is_empty(), &record)?;
    let load = record.load.as_ref().ok_or("no result of the generator")?;
    expect("aborts were made", load.aborts.done > 0, &record)?;
    expect("FIN came first", load.aborts.fin_proven > 0, &record)?;
    expect("others were served", load.requests.completed > 0, &record)?;
    expect("no error", load.errors.is_empty() && load.collateral_errors == 0, &record)
}

pub(crate) fn tests() -> Vec<Test> {
    let on_tcp = servers::MODELS.iter().filter(|entry| entry.model.serves(sys::Family::Tcp));
    let models = on_tcp.map(|entry| entry.model.name);
    let live = models.map(|name| {
        Test::new(format!("trial::aborts_leave_{name}_and_its_clients_alone"), move || ours_live(name))
    });
    let dies = Test::new("trial::a_server_killed_by_sigpipe_is_named_so", the_signal_is_named);
    std::iter::once(dies).chain(live).collect()
}
