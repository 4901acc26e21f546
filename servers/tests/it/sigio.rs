//! Signal-driven I/O where the queue of signals is full. Not here: what all models must do.

use crate::fixture::{Server, Subject, eventually, exchange, payload, read_to_end};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use sys::Family;
use sys::process::{SIGCONT, SIGSTOP, limit_queued_signals};

/// Whether SIGIO, and so the overflow, is pending for the thread that serves.
fn overflown(server: &Server) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigPnd:")).unwrap();
    // Bit n - 1 is signal n (proc_pid_status(5)); SIGIO is 29.
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << 28) != 0
}

#[test]
fn a_server_for_which_no_signal_can_be_queued_serves_all_the_same() {
    for family in [Family::Tcp, Family::Unix] {
        let mut server = Server::start(Subject { model: "sigio", family }, "echo");
        limit_queued_signals(server.pid(), 0).unwrap();
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        let bytes = payload(100_000);
        for _ in 0..3 {
            for client in &mut clients {
                assert!(exchange(client, &bytes) == bytes);
            }
        }
        for client in &mut clients {
            client.write_all(b"last").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_to_end(client), b"last");
        }
        // A reply that fills the buffers goes on when there is room, of which no signal tells.
        let mut writer = server.connect();
        let mut reader = writer.try_clone().unwrap();
        let sent = std::thread::spawn(move || {
            writer.write_all(&payload(8 << 20)).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        assert_eq!(read_to_end(&mut reader).len(), 8 << 20);
        sent.join().unwrap();
        assert_eq!(server.stop().0.code(), Some(0));
    }
}

#[test]
fn what_is_lost_of_a_queue_that_overflows_is_made_up_for() {
    for family in [Family::Tcp, Family::Unix] {
        let server = Server::start(Subject { model: "sigio", family }, "echo");
        limit_queued_signals(server.pid(), 8).unwrap();
        let mut clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
        for client in &mut clients {
            assert_eq!(exchange(client, b"x"), b"x");
        }
        for round in 0_u8..3 {
            server.signal(SIGSTOP);
            eventually("the server is halted", || (server.threads()[0].0 == 'T').then_some(()));
            for client in &mut clients {
                client.write_all(&[round]).unwrap();
            }
            let mut late: Vec<_> = (0..20).map(|_| server.connect()).collect();
            for client in &mut late {
                client.write_all(b"late").unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            }
            // 40 connections have something to say, and there is room for 8 signals at most.
            assert!(overflown(&server));
            server.signal(SIGCONT);
            for client in &mut clients {
                let mut answer = [0];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [round]);
            }
            for client in &mut late {
                assert_eq!(read_to_end(client), b"late");
            }
        }
    }
}
