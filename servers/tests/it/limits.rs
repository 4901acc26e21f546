//! At the limits of descriptors: no spinning, no death, service again when there is room. Not here: limits of the models' own.

use crate::each_model;
use crate::fixture::{Server, Subject, eventually, exchange};
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};
use sys::spawn::Begin;

fn running_out_of_descriptors_is_survived_without_spinning(on: Subject) {
    let mut server = Server::start(on, "echo");
    server.canary();
    let mut open = server.connect();
    assert_eq!(exchange(&mut open, b"x"), b"x");
    let highest = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .unwrap()
        .filter_map(|e| e.unwrap().file_name().to_str()?.parse::<u64>().ok())
        .max()
        .unwrap();
    let before = sys::process::limit_descriptors(server.pid(), highest + 1).unwrap();
    let cpu = |server: &Server| sys::clock::cpu_ns_of(server.pid()).unwrap();
    let (start, used) = (Instant::now(), cpu(&server));
    let mut waiting: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.write_all(b"w").unwrap();
    }
    // Those who were served before still are, as far as the model serves more than one.
    while start.elapsed() < Duration::from_millis(600) {
        assert_eq!(exchange(&mut open, b"o"), b"o");
        sys::clock::pause(Duration::from_millis(20));
    }
    let share = (cpu(&server) - used) as f64 / start.elapsed().as_nanos() as f64;
    assert!(share < 0.5, "{share} of a processor while there was nothing to be done");
    sys::process::limit_descriptors(server.pid(), before).unwrap();
    drop(open);
    // In turn, since a serial server serves one until it leaves.
    for mut client in waiting {
        let mut answer = [0; 1];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"w");
    }
    assert!(server.alive());
}

each_model!(running_out_of_descriptors_is_survived_without_spinning);

#[test]
fn select_refuses_what_it_cannot_hold_and_serves_the_rest() {
    if sys::process::descriptor_limit().1 < 2048 {
        eprintln!("SKIPPED: the hard descriptor limit is below 2048");
        return;
    }
    // All but a few numbers below FD_SETSIZE are taken, so that the server's own end up on both sides of it.
    let begin = Begin { occupy_below: Some(1018), descriptors: Some(2048), ..Begin::default() };
    let mut server = Server::with("select", "echo", &[], &begin);
    let (mut served, mut refused) = (Vec::new(), 0);
    for _ in 0..40 {
        let mut stream = server.connect();
        // A refused one may be reset while we write.
        let _ = stream.write_all(b"x");
        match stream.read(&mut [0; 1]) {
            Ok(1) => served.push(stream),
            _ => refused += 1,
        }
    }
    assert!(!served.is_empty() && refused > 0, "{} served, {refused} refused", served.len());
    for stream in &mut served {
        assert_eq!(exchange(stream, b"still"), b"still");
    }
    assert!(server.alive());
    // And once there is room below, it is used.
    let count = served.len();
    served.clear();
    eventually("room again", || {
        let mut stream = server.connect();
        let _ = stream.write_all(b"x");
        matches!(stream.read(&mut [0; 1]), Ok(1)).then_some(())
    });
    assert!(count > 0);
}

#[test]
fn epoll_serves_descriptors_beyond_the_reach_of_select() {
    let begin = Begin { occupy_below: Some(1100), descriptors: Some(2048), ..Begin::default() };
    Server::with("epoll", "echo", &[], &begin).canary();
}
