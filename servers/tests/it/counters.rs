//! `--counters FILE`: what every model counts, for connections that are known. Not here: who gets which connection (see `topology`).

use crate::datagram::Socket as Datagrams;
use crate::fixture::{Server, Subject, each_on, eventually, exchange, read_to_end, run};
use servers::counters::{Counts, Reader, Why};
use std::net::Shutdown;
use std::path::PathBuf;
use std::time::Duration;
use sys::Family;
use sys::spawn::Begin;
use tempfile::TempDir;

/// A server that counts, and who looks.
struct Counted {
    server: Server,
    reader: Reader,
    _folder: TempDir,
}

fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counters");
    (folder, file)
}

fn start(on: impl Into<Subject>) -> Counted {
    start_with(on, &[])
}

fn start_with(on: impl Into<Subject>, more: &[&str]) -> Counted {
    let (folder, file) = file();
    let args = [&["--workers", "2", "--counters", file.to_str().unwrap()], more].concat();
    let server = Server::with(on, "echo", &args, &Begin::default());
    Counted { reader: Reader::open(&file).unwrap(), server, _folder: folder }
}

impl Counted {
    fn sum(&self) -> Counts {
        let mut sum = Counts::default();
        self.reader.read().iter().for_each(|counts| sum.add(counts));
        sum
    }

    fn one_that_finishes(&self, bytes: usize) {
        let mut client = self.server.connect();
        exchange(&mut client, &vec![b'x'; bytes]);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&mut client), b"");
    }
}

/// One after the other: six that finish, one that resets, one that is open when the server is told to stop.
fn counts(model: &'static str) {
    let mut counted = start(model);
    for bytes in 1..=6 {
        counted.one_that_finishes(100 * bytes);
    }
    eventually("six have ended", || (counted.sum().all_ended() == 6).then_some(()));
    let mut client = counted.server.connect();
    exchange(&mut client, b"to be reset");
    client.set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    eventually("one is reset", || (counted.sum().ended_by(Why::Reset) == 1).then_some(()));
    let mut open = counted.server.connect();
    exchange(&mut open, b"open");
    assert_eq!(counted.sum().accepted, 8, "{model}");
    assert!(counted.server.stop().0.success(), "{model}");
    let (sum, bytes) = (counted.sum(), 2_100 + 11 + 4);
    let ended: Vec<_> =
        Why::ALL.map(|why| (why.name(), sum.ended_by(why))).into_iter().filter(|e| e.1 > 0).collect();
    assert_eq!(ended, [("finished", 6), ("stopped", 1), ("reset", 1)], "{model}: {sum:?}");
    assert_eq!((sum.accepted, sum.bytes_in, sum.bytes_out), (8, bytes, bytes), "{model}");
    // These wait in a thread of the runtime's own, or in the runtime's ring.
    let hidden = ["smol", "compio"].contains(&model);
    assert_eq!(sum.useful > 0, !hidden, "{model}: {sum:?}");
}

#[test]
fn every_model_counts_connections_bytes_and_ends() {
    each_on(Family::Tcp, |on| counts(on.model));
}

#[test]
fn every_model_counts_datagrams_as_connections_of_one_exchange() {
    for family in [Family::Udp, Family::Unixgram] {
        each_on(family, |on| {
            // Once as it comes, once after work that most do elsewhere.
            let work = if family == Family::Udp { "spin:1us" } else { "sleep:1ms" };
            let counted = start_with(on, &["--work", work]);
            for bytes in [0, 10, 3000] {
                assert_eq!(Datagrams::to(&counted.server).exchange(&vec![7; bytes]).len(), bytes);
            }
            let what = format!("{} on {family}", on.model);
            eventually(&what, || (counted.sum().ended_by(Why::Service) == 3).then_some(()));
            let sum = counted.sum();
            assert_eq!((sum.accepted, sum.bytes_in, sum.bytes_out), (3, 3010, 3010), "{what}: {sum:?}");
        });
    }
}

#[test]
fn a_worker_that_is_replaced_goes_on_with_the_line_of_its_place() {
    let counted = start("prefork");
    for _ in 0..8 {
        counted.one_that_finishes(10);
    }
    let before = counted.sum();
    assert_eq!((counted.reader.read().len(), counted.reader.is_shared(), before.accepted), (2, false, 8));
    for pid in counted.server.child_pids() {
        sys::process::kill(pid, sys::process::SIGKILL).unwrap();
        eventually("it is replaced", || {
            let children = counted.server.child_pids();
            (children.len() == 2 && !children.contains(&pid)).then_some(())
        });
    }
    for _ in 0..8 {
        counted.one_that_finishes(10);
    }
    eventually("all are counted", || (counted.sum().ended_by(Why::Finished) == 16).then_some(()));
    assert_eq!(counted.sum().since(&before).bytes_in, 80);
}

#[test]
fn what_has_no_fixed_workers_counts_in_one_sum_also_at_the_same_time() {
    for model in ["thread", "fork"] {
        let counted = start(model);
        let mut open: Vec<_> = (0..20).map(|_| counted.server.connect()).collect();
        for _ in 0..50 {
            for client in &mut open {
                assert_eq!(exchange(client, b"abc"), b"abc");
            }
        }
        let sum = counted.sum();
        assert!(counted.reader.is_shared() && counted.reader.read().len() == 1, "{model}");
        assert_eq!((sum.accepted, sum.bytes_in, sum.all_ended()), (20, 3_000, 0), "{model}");
    }
}

#[test]
fn a_close_of_the_services_own_is_counted_as_that() {
    let (_folder, path) = file();
    let args = ["--counters", path.to_str().unwrap()];
    let server = Server::with("epoll", "greeting", &args, &Begin::default());
    assert!(!read_to_end(&mut server.connect()).is_empty());
    let reader = Reader::open(&path).unwrap();
    eventually("the service's close is counted", || {
        (reader.read()[0].ended_by(Why::Service) == 1).then_some(())
    });
}

#[test]
fn a_file_that_is_something_else_is_left_as_it_is() {
    let (_folder, path) = file();
    std::fs::write(&path, "a letter").unwrap();
    let output = run(&["epoll", "--counters", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no file of counters"), "{output:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"a letter");
    assert!(Reader::open(&path).is_err());
}
