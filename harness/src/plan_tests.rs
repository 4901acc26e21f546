//! Plans as text: what is valid, what is refused and how. Not here: running them.

use super::*;

#[test]
fn the_quick_plan_is_valid_and_says_what_a_serial_server_cannot_hold() {
    let scenarios = Plan::parse(QUICK).unwrap().scenarios().unwrap();
    assert_eq!(scenarios.len(), 30);
    let unsupported: Vec<_> = scenarios.iter().filter(|p| p.scenario.unsupported.is_some()).collect();
    assert!(unsupported.iter().all(|p| p.scenario.model == "iterative" && p.scenario.service == "echo"));
    assert_eq!(unsupported.len(), 2);
}

#[test]
fn a_plan_survives_its_own_text() {
    let plan = Plan::parse(QUICK).unwrap();
    assert_eq!(Plan::parse(&plan.to_toml()).unwrap().to_toml(), plan.to_toml());
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let workload = "[[workload]]\nname='a'\ntitle='t'\nservice='echo'\nconnections=1\n";
    for (text, says) in [
        ("", "name"),
        ("name='x'\n", "workload"),
        (&format!("name='x'\ntrails=3\n{workload}"), "line 2: unknown field `trails`"),
        (&format!("name='x'\ntrials=0\n{workload}"), "trials = 0"),
        (&format!("name='x'\nmodels=['nonesuch']\n{workload}"), "unknown model `nonesuch`"),
        (&format!("name='x'\n{workload}{workload}"), "two workloads"),
        (&format!("name='x'\n{}", workload.replace("echo", "ecco")), "unknown service `ecco`"),
        (&format!("name='x'\n{}", workload.replace("connections=1", "connections=0")), "0 connections"),
        (&format!("name='x'\n{workload}rate=0.0\n"), "rate"),
        (&format!("name='x'\n{workload}family='inet'\n"), "unknown family `inet`; the families are tcp,"),
        (&format!("name='x'\n{}family='udp'\n", workload.replace("echo", "http")), "http needs a stream"),
        (&format!("name='x'\n{workload}family='unixgram'\nabort=['idle:5%']\n"), "after-request"),
        (&format!("name='x'\nduration='5'\n{workload}"), "is no time"),
        (&format!("name='x'\nduration='0s'\n{workload}"), "duration of 0"),
        (&format!("name='x'\n{}", workload.replace("name='a'", "name='a/b'")), "workload name"),
    ] {
        let error = Plan::parse(text).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains('\n'), "{text}\n→ {error}");
    }
}

#[test]
fn a_workload_may_name_its_family_and_what_a_model_does_not_serve_is_shown_with_the_reason() {
    let workload = "[[workload]]\nname='c4'\ntitle='t'\nservice='echo'\nconnections=4\n";
    let text = format!(
        "name='x'\nmodels=['iterative','epoll']\n{workload}{workload}family='unix'\n{workload}family='udp'\n"
    );
    let planned = Plan::parse(&text).unwrap().scenarios().unwrap();
    let seen: Vec<_> =
        planned.iter().map(|p| (p.scenario.id.as_str(), p.scenario.unsupported.as_deref())).collect();
    let serial = Some("serves one connection at a time; the others would wait until it closes");
    assert_eq!(
        seen,
        [
            ("iterative/tcp/echo/c4", serial),
            ("epoll/tcp/echo/c4", None),
            ("iterative/unix/echo/c4", serial),
            ("epoll/unix/echo/c4", None),
            ("iterative/udp/echo/c4", None),
            ("epoll/udp/echo/c4", None),
        ]
    );
}

#[test]
fn the_shipped_plans_are_valid_and_found_by_name() {
    for (name, text) in SHIPPED {
        let plan = Plan::read(Path::new(name)).unwrap();
        assert_eq!((plan.name.as_str(), plan.to_toml()), (name, Plan::parse(text).unwrap().to_toml()));
    }
    let families = Plan::read(Path::new("families")).unwrap().scenarios().unwrap();
    let of = |family| families.iter().filter(|p| p.family == family).count();
    assert_eq!((of(Family::Tcp), of(Family::Unix)), (14, 14));
    assert_eq!((of(Family::Udp), of(Family::Unixgram)), (14, 14));
    assert!(Plan::read(Path::new("nonesuch")).is_err());
}

#[test]
fn what_the_generator_would_refuse_is_refused_by_the_plan_and_what_it_takes_goes_to_it_as_it_was_written() {
    let workload = "name='x'\nmodels=['iterative','thread']\n[[workload]]\nname='a'\ntitle='t'\nservice='echo'\nconnections=20\n";
    for (keys, says) in [
        ("think='soon'", "soon"),
        ("rate=10.0\nthink='1ms'", "--think"),
        ("arrivals='burst:1ms/9ms'", "--rate"),
        ("ramp='5'", "no ramp"),
        ("reconnect='perhaps'", "eager, lazy, never"),
        ("family='udp'\npartial='10%'", "stream"),
    ] {
        let error = Plan::parse(&format!("{workload}{keys}\n")).unwrap_err().to_string();
        assert!(
            error.contains("workload `a`") && error.contains(says) && !error.contains('\n'),
            "{keys}: {error}"
        );
    }
    let keys = "requests_per_connection=1\nthink='exp:1ms'\npartial='10%'\nlifetime='1s..2s'\n";
    let planned = Plan::parse(&format!("{workload}{keys}")).unwrap().scenarios().unwrap();
    let unsupported: Vec<bool> = planned.iter().map(|p| p.scenario.unsupported.is_some()).collect();
    assert_eq!(unsupported, [true, false], "a mute client keeps a serial server for itself");
    let second = Duration::from_secs(1);
    let options = crate::asked::options(&planned[1].workload, second, second, 7);
    for option in ["--think=exp:1ms", "--partial=10%", "--lifetime=1s..2s", "--requests-per-connection=1"] {
        assert!(options.iter().any(|o| o == option), "{option} in {options:?}");
    }
}
